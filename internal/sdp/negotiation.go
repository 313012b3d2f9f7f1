package sdp

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
)

// Negotiation is the offers and answers about the audio of one dialog (RFC 3264). It is not safe for concurrent use.
//
// There is at most one open offer. Ours is opened by Offer and closed by Accept or Rollback; theirs is closed by Answer at
// once. Whatever fails leaves in force what was agreed before (RFC 6141 §3.1).
type Negotiation struct {
	local   Local
	origin  [2]string // of o=, what stands before the version and after it
	version uint64
	said    string // our last description without its version, which grows when this changes

	// What is in force
	lines   []Media          // every media line there has been, in its place: Kind, Proto and Formats
	audio   int              // which of them is ours; -1 before the first agreement
	bound   map[uint8]Format // what payload types stand for, and must from then on (RFC 3264 §8.3.2)
	keys    map[string]Key   // our keys by suite
	ours    string           // our fingerprint that they know
	current *Agreement

	open *openOffer
}

// openOffer is what we have offered and they have not answered.
type openOffer struct {
	lines     []Media
	audio     int
	direction Direction
	formats   []Format
	promise   promise
}

// NewNegotiation begins the negotiation of one dialog.
func NewNegotiation(local Local) *Negotiation {
	return &Negotiation{
		local: local, audio: -1, bound: map[uint8]Format{}, keys: map[string]Key{},
		// RFC 8866 §5.2: the address only helps to make this unique, and stays when we move to another.
		origin: [2]string{fmt.Sprintf("- %d", 1+rand.Int32N(1<<31-1)), connection(local.Addr.Addr())},
	}
}

// SetLocal changes what the next offer or answer brings: another address, another policy.
func (n *Negotiation) SetLocal(l Local) { n.local = l }

// Current is what is in force, if anything is.
func (n *Negotiation) Current() (Agreement, bool) {
	if n.current == nil {
		return Agreement{}, false
	}
	return *n.current, true
}

// Clone copies the negotiation as it stands: when an INVITE is forked, each To tag answers the same offer for itself.
func (n *Negotiation) Clone() *Negotiation {
	c := *n
	c.bound, c.keys = maps.Clone(n.bound), maps.Clone(n.keys)
	return &c // everything else is replaced when it changes, never changed
}

// Rollback closes our open offer, which they have refused. What was in force stays (RFC 3311 §5.1, RFC 6141 §3.1).
func (n *Negotiation) Rollback() { n.open = nil }

// Offer opens an offer. d is what we want; holding a call means to want Sending only (RFC 3264 §8.4).
func (n *Negotiation) Offer(d Direction) ([]byte, error) {
	if n.open != nil {
		return nil, fmt.Errorf("%w: ours is open", ErrState)
	}
	formats := n.numbered()
	if err := n.usable(formats); err != nil {
		return nil, err
	}
	lines, index := slices.Clone(n.lines), n.audio
	if index < 0 {
		lines, index = append(lines, Media{Kind: "audio", Proto: n.firstProfile()}), len(lines)
	}
	lines[index].Proto = n.profile(lines[index].Proto)
	p, attributes := n.promise(lines[index].Proto)
	lines[index] = n.media(lines[index], formats, d, true)
	lines[index].Attributes = append(lines[index].Attributes, attributes...)
	for _, f := range formats {
		n.bound[f.PayloadType] = f
	}
	n.open = &openOffer{lines: lines, audio: index, direction: d, formats: formats, promise: p}
	return n.write("", lines, index), nil
}

// Accept takes the answer to our open offer and closes it, also when the answer makes no sense.
func (n *Negotiation) Accept(answer []byte) (Agreement, error) {
	o := n.open
	if o == nil {
		return Agreement{}, fmt.Errorf("%w: they answer what was not offered", ErrState)
	}
	n.open = nil
	s, err := Parse(answer)
	if err != nil {
		return Agreement{}, err
	}
	if len(s.Media) != len(o.lines) { // RFC 3264 §6
		return Agreement{}, fmt.Errorf("%w: they answer with %d media lines to %d", ErrMalformed, len(s.Media), len(o.lines))
	}
	switch m := s.Media[o.audio]; {
	case m.Kind != o.lines[o.audio].Kind:
		return Agreement{}, fmt.Errorf("%w: they answer audio with %s", ErrMalformed, printable(m.Kind))
	case m.Port == 0:
		return Agreement{}, fmt.Errorf("%w: they declined it", ErrNoAudio)
	}
	theirs, err := readAudio(s, o.audio)
	if err != nil {
		return Agreement{}, err
	}
	send, receive := shared(theirs.formats, o.formats, false)
	if len(send) == 0 {
		return Agreement{}, noCodec("answer with", theirs.formats, o.formats)
	}
	protection, err := n.promised(theirs, o.promise)
	if err != nil {
		return Agreement{}, err
	}
	// RFC 3264 §6.1: an answer can only take away from what was offered.
	a := theirs.agreement(o.direction&theirs.direction.reversed(), protection)
	a.Send, a.Receive = send, receive
	n.commit(a, o.lines, o.audio, o.promise.fingerprint)
	return a, nil
}

// Answer answers an offer of theirs. d is what we want, of which the answer says what their offer allows. When the error
// is not nil there is no answer, the request has to be refused, and nothing has changed.
func (n *Negotiation) Answer(offer []byte, d Direction) ([]byte, Agreement, error) {
	if n.open != nil {
		return nil, Agreement{}, fmt.Errorf("%w: ours is open", ErrState)
	}
	s, err := Parse(offer)
	if err != nil {
		return nil, Agreement{}, err
	}
	if err := n.usable(n.local.Formats); err != nil {
		return nil, Agreement{}, err
	}
	r, err := n.choose(s)
	if err != nil {
		return nil, Agreement{}, err
	}
	agreed := r.theirs.agreement(d&r.theirs.direction.reversed(), r.protection)
	agreed.Send, agreed.Receive = r.send, r.receive
	lines := slices.Clone(s.Media)
	lines[r.index] = n.media(lines[r.index], r.receive, agreed.Direction, r.theirs.mux)
	lines[r.index].Attributes = append(lines[r.index].Attributes, r.attributes...)
	for _, f := range r.receive {
		n.bound[f.PayloadType] = f
	}
	n.commit(agreed, lines, r.index, n.local.Fingerprint)
	return n.write(s.Time, lines, r.index), agreed, nil // RFC 3264 §6: t= is that of the offer
}

// usable says why these formats at our address could not be offered.
func (n *Negotiation) usable(formats []Format) error {
	if !n.local.Addr.IsValid() || n.local.Addr.Port() == 0 {
		return fmt.Errorf("%w: there is no address to receive at", ErrState)
	}
	if !slices.ContainsFunc(formats, Format.isAudio) {
		return fmt.Errorf("%w: none is enabled here", ErrNoCodec)
	}
	return nil
}

// reply is how one audio line of an offer can be answered.
type reply struct {
	index         int
	theirs        audio
	send, receive []Format
	protection    Protection
	attributes    []Attribute
}

// choose finds the audio line to accept: the one in use, else the first that suits. When none does, the reason is that of
// the first.
func (n *Negotiation) choose(s Session) (reply, error) {
	var first error
	order := make([]int, 0, len(s.Media))
	if n.audio >= 0 && n.audio < len(s.Media) {
		order = append(order, n.audio)
	}
	for i := range s.Media {
		if i != n.audio {
			order = append(order, i)
		}
	}
	for _, i := range order {
		if !s.Media[i].isAudio() {
			continue
		}
		r, err := n.reply(s, i)
		if err == nil {
			return r, nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = noAudio(s)
	}
	return reply{}, first
}

// reply works out an answer to the audio line with an index.
func (n *Negotiation) reply(s Session, i int) (reply, error) {
	theirs, err := readAudio(s, i)
	if err != nil {
		return reply{}, err
	}
	r := reply{index: i, theirs: theirs}
	if r.send, r.receive = shared(theirs.formats, n.local.Formats, true); len(r.send) == 0 {
		return reply{}, noCodec("offer", theirs.formats, n.local.Formats)
	}
	r.protection, r.attributes, err = n.protect(theirs)
	return r, err
}

// commit puts an agreement into force.
func (n *Negotiation) commit(a Agreement, lines []Media, index int, fingerprint string) {
	if old := n.current; old != nil && old.Protection.Suite != a.Protection.Suite {
		delete(n.keys, old.Protection.Suite) // or it would protect two streams that begin with the same counter
	}
	if a.Protection.Method == SDES {
		n.keys[a.Protection.Suite] = a.Protection.LocalKey
	}
	n.lines, n.audio, n.ours, n.current = make([]Media, len(lines)), index, fingerprint, &a
	for i, m := range lines {
		n.lines[i] = Media{Kind: m.Kind, Proto: m.Proto, Formats: m.Formats}
	}
}

// write writes a description of ours: the audio line with an index is as it stands, every other is closed in its place
// (RFC 3264 §8.2).
func (n *Negotiation) write(time string, lines []Media, index int) []byte {
	s := Session{Addr: n.local.Addr.Addr(), Time: time}
	for i, m := range lines {
		if i != index {
			m = Media{Kind: m.Kind, Proto: m.Proto, Formats: m.Formats}
		}
		s.Media = append(s.Media, m)
	}
	if said := string(s.Marshal()); said != n.said { // RFC 3264 §8: the version says whether anything is new
		n.said = said
		n.version++
	}
	s.Origin = fmt.Sprintf("%s %d %s", n.origin[0], n.version, n.origin[1])
	return s.Marshal()
}

// OffersAudio reports whether a description has an audio line that is open.
func OffersAudio(description []byte) bool {
	s, err := Parse(description)
	return err == nil && slices.ContainsFunc(s.Media, Media.isAudio)
}
