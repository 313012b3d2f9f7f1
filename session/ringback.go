package session

import (
	"context"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/plaintext"
	"offhook/internal/sipua"
	"offhook/park"
)

// recall is a parked call that comes because nobody has picked it up: back to who has parked it, or to the fallback.
type recall struct {
	// Immutable.
	own    *parkedCall // of this user; nil: somebody else has parked it
	orbit  string
	caller Party // who is parked
	waited time.Duration
}

// recallOf says what parked call an INVITE brings back; nil if it is a call like any other. It has to come the way that our
// calls come, from the domain of the park service, and either name the safe URI, which few know, or say what it is.
func (e *Endpoint) recallOf(ctx context.Context, inv *sipua.Invite) *recall {
	e.mu.Blocking()
	req := inv.Request()
	said := strings.Contains(strings.ToLower(headerOf(req, "Alert-Info")), "urn:alert:service:recall") // RFC 7462 §8.2.4
	from := req.From().Address
	e.mu.Lock()
	own := e.recalledLocked(req, from, said)
	e.mu.Unlock()
	server := e.parking.server
	if own == nil && !said || server.Host == "" || hostPort(from) != hostPort(server) || !e.fromOurServer(ctx, inv.Source()) {
		return nil
	}
	r := &recall{own: own, orbit: orbitIn(req), caller: believed(req)}
	e.mu.Lock()
	defer e.mu.Unlock()
	if own != nil {
		r.orbit, r.waited = own.record.Orbit.FriendlyOrbit, time.Since(own.record.Orbit.Parked)
		r.caller = Party(own.record.Caller) // by the name that this user knows
	}
	if r.orbit == "" {
		r.orbit = plaintext.Line(from.User, maxName)
	}
	if r.caller.URI == "" {
		return nil
	}
	return r
}

// recalledLocked is the call of this user that an INVITE brings back, nil if it is none.
func (e *Endpoint) recalledLocked(req *sip.Request, from sip.Uri, said bool) *parkedCall {
	for _, info := range sipua.NameAddrs(req, "Call-Info") {
		if purpose, _ := info.Params.Get("purpose"); strings.EqualFold(purpose, "x-park-retrieve") {
			if p := e.parkByURILocked(info.URI); p != nil && !p.over() {
				return p
			}
		}
	}
	if p := e.ownParkLocked(from.User); p != nil && said && p.record.Orbit.SafeRetrieveURI == "" {
		return p
	}
	return nil
}

// conversationLocked is where it belongs: to the conversation whose call was parked.
func (r *recall) conversationLocked(e *Endpoint) *Conversation {
	if r.own != nil && r.own.conv != nil && r.own.conv.state != ConversationTerminated {
		return r.own.conv
	}
	var uri sip.Uri
	if parseAddress(r.caller.URI, &uri) != nil {
		uri = e.parking.server
	}
	conv := e.conversationLocked(target(uri), r.caller)
	if r.own != nil {
		r.own.conv = conv
	}
	return conv
}

// text is what the toast says.
func (r *recall) text() string {
	if r.own == nil {
		return "from park " + r.orbit + ", where nobody has picked it up"
	}
	return "BACK from park " + r.orbit + ", waited " + clock(r.waited)
}

// comesBack reports whether this user has parked the call.
func (r *recall) comesBack() bool { return r != nil && r.own != nil }

// returnedLocked says that nobody here has taken the call that came back. It is parked on, or somebody else has it: the
// park service tells.
func (c *AudioVideoCall) returnedLocked() {
	c.noticeLocked("came back from park " + c.recall.orbit + " and was not taken")
}

// backLocked tells what has become of a call that came back, when that is decided.
func (c *AudioVideoCall) backLocked(got bool) {
	if r := c.recall; r != nil && !c.back {
		c.back = true
		c.e.takenLocked(r.own, got, park.Ringback)
	}
}

// showIncomingLocked shows the toast of a call that rings.
func (c *AudioVideoCall) showIncomingLocked(subject string, arrived time.Time) {
	t := ToastShown{Kind: toastCall, Conversation: c.conv.id, Call: c.id, From: c.conv.peer, Text: subject}
	if r := c.recall; r != nil {
		t.Text, t.Orbit, t.From = r.text(), r.orbit, c.e.knownLocked(r.caller)
	}
	if c.recall.comesBack() {
		t.Kind = toastRingback
	}
	c.offer = c.showLocked(t, arrived)
}

// conversationOfLocked is the conversation of an inbound call. Whom a park service has taken over, or brings back, is in
// the conversation where that one has been.
func (e *Endpoint) conversationOfLocked(in invitation, replaced *AudioVideoCall) *Conversation {
	switch {
	case in.lodging != nil:
		return replaced.conv
	case in.recall != nil:
		return in.recall.conversationLocked(e)
	}
	return e.conversationLocked(in.from, in.party)
}

// missLocked records that nobody took the call.
func (c *AudioVideoCall) missLocked() {
	if c.recall.comesBack() {
		c.returnedLocked()
		return
	}
	c.conv.missCallLocked(&c.call, "")
}
