package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/event"
	"offhook/internal/plaintext"
	"offhook/park"
)

// identityWait is how long the microphone waits to hear whom it is open to, where somebody is expected and the network has
// not said yet who is there: some say it in a request of its own, a moment after the answer.
const identityWait = 1500 * time.Millisecond

// StrangerError tells that somebody else is parked at an orbit than this user expects.
type StrangerError struct {
	Orbit       string
	Expected    park.Party // who should be there
	AnnouncedBy park.Party // who has said so
	Present     park.Party // who is there
}

// Error says who is there.
func (s *StrangerError) Error() string {
	return fmt.Sprintf("%s is parked on %s, not %s", s.Present.Name(), s.Orbit, s.Expected.Name())
}

// retrieval is a call that takes a parked one.
type retrieval struct {
	// Immutable once it is being called.
	own      *parkedCall // of this user, if it is
	orbit    string
	expected park.Party // whom the user believes to be there; zero: nobody in particular
	by       park.Party // who says so
	present  park.Party // who is there, as the service says; zero: it does not
	sure     bool       // it cannot be anybody else

	// Guarded by the endpoint's mu.
	known    bool // who is there
	stranger bool // it is somebody else
	waiting  bool // the microphone is closed until it is known who it is
}

// Retrieve picks up a parked call and blocks until that is decided. what is the number of an orbit, or a safe URI. A call
// that this user has parked is taken by its safe URI, whatever was typed, so that nobody else can be at the other end.
//
// By number it may be anybody. If somebody else is there than was announced, or parked, the error is of KindStranger and
// nothing is called, unless anyway is set. If only the answer tells that it is somebody else, the microphone is closed
// before anything is sent.
func (e *Endpoint) Retrieve(ctx context.Context, what string, anyway bool) (*AudioVideoCall, error) {
	e.mu.Blocking()
	what = strings.TrimSpace(what)
	strategy, err := e.strategyNow()
	if err != nil {
		return nil, failPark("pick up", "", err)
	}
	e.mu.Lock()
	if !e.started || e.closing {
		e.mu.Unlock()
		return nil, fail("pick up", "", errClosing)
	}
	r, to, err := e.retrievalLocked(what, strategy)
	tells := e.parking.tells
	e.mu.Unlock()
	if err != nil {
		return nil, failPark("pick up", r.name(), err)
	}
	empty := false
	if r.own == nil && r.sure || !r.sure && (r.expected.URI != "" || tells) {
		r.present, empty = e.whoIsAt(ctx, to)
	}
	if empty && tells && !r.sure {
		return nil, failPark("pick up", r.name(), park.ErrOrbitNotFound)
	}
	e.mu.Lock()
	if err := r.checkLocked(e, anyway); err != nil {
		e.mu.Unlock()
		return nil, err
	}
	who := r.callerLocked(e)
	av := e.pickUpConversationLocked(r, who, to).newAudioLocked(Outbound)
	av.retrieval = r
	r.own.takingLocked()
	e.mu.Unlock()

	err = av.establish(ctx, outgoing{to: to})
	e.mu.Lock()
	defer e.mu.Unlock()
	e.takenLocked(r.own, err == nil && !r.stranger, park.Retrieved)
	if err != nil && r.own != nil && r.own.usage != nil {
		r.own.usage.Renew() // what has become of it?
	}
	if err == nil {
		e.closeOrbitOfferLocked(r.orbit, toastAccepted)
	}
	return av, failRetrieve(r.name(), err)
}

// failRetrieve makes an *Error of a retrieval that was refused. What a park service says has a number; other servers say
// no more than a status.
func failRetrieve(orbit string, err error) error {
	failed := failPark("pick up", orbit, err)
	var e *Error
	if !errors.As(failed, &e) || e.Kind != KindNotFound {
		return failed
	}
	switch e.Code {
	case 404:
		e.Kind = KindOrbitNotFound
	case 410:
		e.Kind = KindStaleOrbit
	}
	return e
}

// retrievalLocked decides what to call, and whom to expect.
func (e *Endpoint) retrievalLocked(what string, strategy park.Strategy) (*retrieval, sip.Uri, error) {
	r := &retrieval{orbit: plaintext.Line(what, maxName)}
	if hasScheme(what) || strings.Contains(what, "@") {
		uri, err := e.Resolve(what)
		if err != nil {
			return &retrieval{}, uri, errNotAnOrbit
		}
		if p := e.parkByURILocked(uri); p != nil {
			return &retrieval{own: p, orbit: p.record.Orbit.FriendlyOrbit, expected: p.record.Caller, sure: strategy.Safe()}, uri, nil
		}
		if peerKey(uri) != peerKey(e.orbitURI(strategy, uri.User)) || !isNumber(uri.User) {
			return &retrieval{sure: true}, uri, nil // of another program, or another day
		}
		r.orbit = uri.User
	}
	if p := e.ownParkLocked(r.orbit); p != nil {
		r.own, r.expected = p, p.record.Caller
		r.sure = strategy.Safe() && p.record.Orbit.SafeRetrieveURI != ""
		to, err := strategy.Retrieve(p.record.Orbit)
		return r, to, err
	}
	if e.parking.service.Orbits != "" && !e.isOrbitLocked(r.orbit) {
		return r, sip.Uri{}, park.ErrOrbitNotFound // to call it would be to call somebody
	}
	r.expected, r.by, _ = e.parking.board.Expected(r.orbit, time.Now())
	to, err := strategy.Pickup(r.orbit)
	return r, to, err
}

var errNotAnOrbit = errors.New("what is picked up is an orbit or a safe retrieve URI")

// name is what the retrieval is called in an error. The safe URI is a secret.
func (r *retrieval) name() string { return r.orbit }

// lookPatience bounds how long is looked who is at an orbit before it is called.
const lookPatience = 500 * time.Millisecond

// whoIsAt asks for who is parked at an address, zero if it is not told; empty reports that nobody is. The board may be a
// second old (RFC 4235 §3.10), in which somebody may have come in the place of another.
func (e *Endpoint) whoIsAt(ctx context.Context, uri sip.Uri) (who park.Party, empty bool) {
	e.mu.Blocking()
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	ctx, stop := e.join(ctx)
	defer stop()
	opt := dialogsOf(uri, e)
	opt.Name = "a parked call" // the URI may be a secret
	n, err := event.Fetch(ctx, e.agent, opt)
	if err != nil {
		return park.Party{}, false
	}
	doc, err := body.ParseDialogInfo(n.Body)
	if err != nil {
		return park.Party{}, false
	}
	empty = true
	for _, d := range doc.Dialogs {
		if strings.EqualFold(d.State, "terminated") {
			continue
		}
		empty = false
		var uri sip.Uri
		if parseAddress(d.Remote.URI, &uri) == nil {
			return park.Party{URI: plaintext.Line(addressOf(uri), 256), Display: plaintext.Line(d.Remote.Display, maxName)}, false
		}
	}
	return park.Party{}, empty
}

// orbitURI is what a number is called at, zero if nothing is.
func (e *Endpoint) orbitURI(strategy park.Strategy, orbit string) sip.Uri {
	uri, err := strategy.Pickup(orbit)
	if err != nil {
		return sip.Uri{}
	}
	return uri
}

// checkLocked compares whom the user expects with who is there. anyway takes whoever is there.
func (r *retrieval) checkLocked(e *Endpoint, anyway bool) error {
	if r.present.URI == "" && !r.sure {
		r.present, _ = e.parking.board.Present(r.orbit)
	}
	switch {
	case r.sure && r.own != nil:
	case anyway || r.expected.URI == "":
		r.expected = r.present
	case r.present.URI != "" && !park.SameParty(r.expected, r.present):
		return &Error{Op: "pick up", Peer: r.orbit, Kind: KindStranger, Err: &StrangerError{
			Orbit: r.orbit, Expected: r.expected, AnnouncedBy: r.by, Present: r.present,
		}}
	}
	return nil
}

// callerLocked is whose call it is, as far as is known.
func (r *retrieval) callerLocked(e *Endpoint) park.Party {
	if r.expected.URI != "" {
		return r.expected
	}
	row, _ := e.parking.board.Row(r.orbit)
	return row.Caller
}

// pickUpConversationLocked is the conversation that a retrieved call belongs to: the caller's, or else the orbit's.
func (e *Endpoint) pickUpConversationLocked(r *retrieval, who park.Party, to sip.Uri) *Conversation {
	if r.own != nil && r.own.conv != nil && r.own.conv.state != ConversationTerminated {
		return r.own.conv
	}
	var caller sip.Uri
	if parseAddress(who.URI, &caller) == nil && caller.User != "" {
		conv := e.conversationLocked(target(caller), Party(who))
		if r.own != nil && !r.own.over() && conv.parked == nil && conv.state != ConversationTerminated {
			r.own.conv = conv
		}
		return conv
	}
	if r.orbit == "" { // a safe URI is a secret, and no name for a conversation
		return e.conversationLocked(e.parking.server, Party{URI: addressOf(e.parking.server)})
	}
	return e.conversationLocked(target(to), Party{URI: plaintext.Line(addressOf(to), 256)})
}

// meet takes what the answer says of who is there, before any sound of this user leaves. If that is a stranger the
// microphone is closed.
func (c *AudioVideoCall) meet(msg interface{ GetHeaders(string) []sip.Header }) {
	e := c.e
	e.mu.Blocking()
	who := believed(msg)
	e.mu.Lock()
	r := c.retrieval
	e.mu.Unlock()
	switch {
	case r == nil && e.cfg.NoRegister: // no server of ours vouches for it
		who = Party{}
	case r != nil && userOf(who.URI) == r.orbit: // the orbit says that it is the orbit
		who = Party{}
	}
	c.introduce(who)
	e.mu.Lock()
	wait := r != nil && r.expected.URI != "" && !r.sure && who.URI == "" && !c.muted
	if wait {
		r.waiting = true
	}
	s := c.stream
	e.mu.Unlock()
	if !wait {
		return
	}
	s.Mute(true)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.goLocked("identity", func(ctx context.Context) {
		if sleep(ctx, identityWait) == nil {
			c.unknown()
		}
	})
}

// unknown opens the microphone after nobody has said who is there.
func (c *AudioVideoCall) unknown() {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	r := c.retrieval
	if !r.waiting || c.state == Terminated {
		return
	}
	r.waiting = false
	c.noticeLocked("the network does not say who this is: ask before you speak")
	s, muted := c.stream, c.muted
	c.e.goLocked("unmute", func(context.Context) { s.Mute(muted) })
}

// introduce takes who is at the other end, as the network says. Somebody else than this user wanted to pick up does not
// hear the microphone until the user says so.
func (c *AudioVideoCall) introduce(who Party) {
	if who.URI == "" {
		return
	}
	e := c.e
	e.mu.Blocking()
	e.mu.Lock()
	r := c.retrieval
	met := r != nil && r.waiting
	// Once the right one is there the call may be handed on to anybody.
	stranger := r != nil && !r.known && !r.sure && r.expected.URI != "" && !park.SameParty(r.expected, park.Party(who))
	if r != nil {
		r.waiting, r.known = false, true
	}
	if stranger {
		r.stranger, c.muted = true, true
	}
	s, muted := c.stream, c.muted
	e.mu.Unlock()
	if stranger || met {
		s.Mute(muted)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if stranger {
		e.publishLocked(CallMuted{Call: c.id, Conversation: c.conv.id, Muted: true})
		text := plaintext.Line("this is "+park.Party(who).Name()+", not "+r.expected.Name()+": unmute to talk", 512)
		e.publishLocked(CallTrouble{Call: c.id, Conversation: c.conv.id, Kind: KindStranger, Text: text})
		c.noticeLocked(text)
	}
	c.partyIsLocked(who)
}
