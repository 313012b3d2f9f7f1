package session

import (
	"context"
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/plaintext"
	"offhook/internal/sdp"
	"offhook/internal/sipua"
	"offhook/park"
)

// Being parked, the parkee's side: the park service comes with a Replaces for the call that this user has with the parker,
// and later tells who has picked the call up. Nothing rings, and the conversation is the one with the parker all along.

// far is what the other side of a call has said of itself.
type far struct {
	supported []string // extensions
	focus     bool     // it is a conference (RFC 4579 §5.2)
	video     bool     // it has offered, or accepted, video as well
}

// lodging is where a call has been, or is, parked by the other side.
type lodging struct {
	parked bool  // still
	by     Party // who has parked this user
	orbit  string
}

func (l *lodging) sentence() string {
	line := "parked by " + park.Party(l.by).Name()
	if l.orbit != "" {
		line += " on " + l.orbit
	}
	return line
}

// Party is who is at the other end of the call now. parked reports that nobody is: the other side has parked this user.
func (c *AudioVideoCall) Party() (p Party, parked bool) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.partyLocked(), c.lodging != nil && c.lodging.parked
}

func (c *AudioVideoCall) partyLocked() Party {
	if c.other.URI != "" {
		return c.other
	}
	return c.conv.peer
}

// learn takes from the other side's INVITE, or its answer, what it says of itself.
func (c *AudioVideoCall) learn(msg interface {
	Contact() *sip.ContactHeader
	GetHeaders(string) []sip.Header
	Body() []byte
},
) {
	now := far{}
	for _, h := range msg.GetHeaders("Supported") {
		now.supported = append(now.supported, splitTokens(h.Value())...)
	}
	if contact := msg.Contact(); contact != nil {
		_, now.focus = contact.Params.Get("isfocus")
	}
	if s, err := sdp.Parse(msg.Body()); err == nil {
		now.video = slices.ContainsFunc(s.Media, func(m sdp.Media) bool { return m.Kind == "video" && m.Port != 0 })
	}
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	c.far = now
}

// mayReplace reports whether an INVITE may take the place of a call (RFC 3891 §3, §8): it comes from the other side of
// that call, or was sent by it, or by the park service, to which the other side has handed the call. What it says can be
// believed when it came the way that our calls come.
func (e *Endpoint) mayReplace(ctx context.Context, inv *sipua.Invite, of *AudioVideoCall) (*lodging, error) {
	e.mu.Blocking()
	e.mu.Lock()
	dlg, peer, busy := of.dialog, of.conv.uri, of.parking != nil
	by := of.conv.peer
	e.mu.Unlock()
	if dlg != nil {
		peer = target(dlg.Remote())
	}
	req := inv.Request()
	from, referrer := target(req.From().Address), referredBy(req)
	trusted := e.fromOurServer(ctx, inv.Source())
	forbidden := &sipua.StatusError{Code: 403, Reason: "Forbidden"}
	if !trusted && !e.cfg.NoRegister && inv.Source().Network != "tls" {
		return nil, forbidden
	}
	if trusted && e.isService(req) {
		if busy { // both sides park each other: nobody does
			return nil, &sipua.StatusError{Code: 491, Reason: "Request Pending"}
		}
		return &lodging{parked: true, by: by, orbit: orbitIn(req)}, nil
	}
	if peerKey(from) == peerKey(peer) || referrer.Host != "" && peerKey(referrer) == peerKey(peer) {
		return nil, nil
	}
	return nil, forbidden
}

// isService reports whether a request says that the park service has sent it. Whether that is true is another question.
func (e *Endpoint) isService(req *sip.Request) bool {
	if said := sipua.NameAddrs(req, "P-Asserted-Identity"); len(said) > 0 {
		return e.isParkService(said[0].URI)
	}
	return e.isParkService(req.From().Address)
}

// referredBy is who has caused a request (RFC 3892), zero if nobody has.
func referredBy(req *sip.Request) sip.Uri {
	for _, by := range sipua.NameAddrs(req, "Referred-By") {
		return target(by.URI)
	}
	return sip.Uri{}
}

// orbitIn is the orbit that a message of the park service names, "" if none.
func orbitIn(msg interface{ GetHeaders(string) []sip.Header }) string {
	for _, info := range sipua.NameAddrs(msg, "Call-Info") {
		if purpose, _ := info.Params.Get("purpose"); !strings.EqualFold(purpose, "x-park-orbit") {
			continue
		}
		friendly, _ := info.Params.Get("x-friendly")
		if friendly == "" {
			friendly = info.URI.User
		}
		return plaintext.Line(friendly, maxName)
	}
	return ""
}

// lodges takes from the answer of a park service, to which the other side has sent this user, where that parks.
func (c *AudioVideoCall) lodges(res *sip.Response) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	c.referred = outcomeHeaders(res)
	if c.lodging == nil {
		return
	}
	if c.lodging.orbit = orbitIn(res); c.lodging.orbit == "" {
		c.lodging.orbit = plaintext.Line(userOf(believed(res).URI), maxName)
	}
}

// lodgedLocked says that this user is parked in this call.
func (c *AudioVideoCall) lodgedLocked() {
	l, server := c.lodging, c.e.parking.server
	c.other = Party{URI: addressOf(server), Display: strings.TrimSpace(plaintext.Line("Park "+l.orbit, maxName))}
	c.noticeLocked(l.sentence())
	c.tellPartyLocked()
}

func (c *AudioVideoCall) tellPartyLocked() {
	told := CallParty{Call: c.id, Conversation: c.conv.id, Party: c.partyLocked()}
	if l := c.lodging; l != nil && l.parked {
		told.Parked, told.By, told.Orbit = true, l.by, l.orbit
	} else if r := c.retrieval; r != nil {
		told.Orbit = r.orbit
	}
	c.e.publishLocked(told)
	c.e.audioChangedLocked(c.conv)
}

// partyIsLocked notes who is at the other end, and tells a change.
func (c *AudioVideoCall) partyIsLocked(who Party) {
	before := c.partyLocked()
	if peerKeyOf(who.URI) == peerKeyOf(before.URI) && (who.Display == "" || who.Display == before.Display) {
		return
	}
	c.other = who
	c.tellPartyLocked()
}

// reintroduce takes from a request within the call who is at the other end now. Of who has parked this user it is told
// who has picked the call up.
func (c *AudioVideoCall) reintroduce(req *sipua.Request) {
	e := c.e
	who := believed(req)
	if who.URI == "" || !e.fromOurServer(c.ctx, req.Source()) {
		return
	}
	e.mu.Lock()
	who = e.knownLocked(who)
	l := c.lodging
	if e.isService(req.Request) && automatic(req) { // whoever has picked it up has parked it again
		if l == nil || !l.parked {
			c.lodging = &lodging{parked: true, by: c.partyLocked(), orbit: orbitIn(req)}
			c.lodgedLocked()
		}
		e.mu.Unlock()
		return
	}
	if l != nil && l.parked && !automatic(req) {
		l.parked = false
		line := "picked up by " + park.Party(who).Name()
		if peerKeyOf(who.URI) == peerKeyOf(l.by.URI) {
			line = park.Party(l.by).Name() + " is back"
		}
		c.noticeLocked(line)
	}
	e.mu.Unlock()
	c.introduce(who)
}

// automatic reports whether the other side says that nobody listens (RFC 4235 §5.1, RFC 3840 §10.5).
func automatic(req *sipua.Request) bool {
	contact := req.Contact()
	if contact == nil {
		return false
	}
	_, auto := contact.Params.Get("automaton")
	rendering, _ := contact.Params.Get("+sip.rendering")
	return auto || strings.EqualFold(strings.Trim(rendering, `"`), "no")
}

// knownLocked adds the name by which this user knows somebody.
func (e *Endpoint) knownLocked(who Party) Party {
	e.mu.Held()
	if known, ok := e.byPeer[peerKeyOf(who.URI)]; ok && who.Display == "" {
		who.Display = known.peer.Display
	}
	return who
}

// peerKeyOf is peerKey of an address that has been cleaned; what is no address is its own key.
func peerKeyOf(address string) string {
	var uri sip.Uri
	if parseAddress(address, &uri) != nil {
		return address
	}
	return peerKey(uri)
}

// userOf is the user part of an address, "" if there is none.
func userOf(address string) string {
	var uri sip.Uri
	_ = parseAddress(address, &uri)
	return uri.User
}

// outcomeHeaders is what of the answer to a call is told to whoever has referred this user there: who answered, and where
// a park service has parked this user.
func outcomeHeaders(res *sip.Response) map[string][]string {
	if res == nil {
		return nil
	}
	told := map[string][]string{}
	for _, h := range res.GetHeaders("P-Asserted-Identity") {
		told["P-Asserted-Identity"] = append(told["P-Asserted-Identity"], h.Value())
	}
	for _, h := range res.GetHeaders("Call-Info") {
		if strings.Contains(strings.ToLower(h.Value()), "purpose=x-park-") {
			told["Call-Info"] = append(told["Call-Info"], h.Value())
		}
	}
	return told
}

// introduceFrom takes from a request within the call who is there, if that was not known when a parked call was picked up.
func (c *AudioVideoCall) introduceFrom(req *sipua.Request) {
	c.e.mu.Lock()
	open := c.retrieval != nil && !c.retrieval.known
	c.e.mu.Unlock()
	if who := believed(req); open && who.URI != "" && c.e.fromOurServer(c.ctx, req.Source()) {
		c.introduce(who)
	}
}
