package sipua

import (
	"context"
	"slices"
	"sync"

	"github.com/emiago/sipgo/sip"
)

// DialogID names a dialog as this side sees it (RFC 3261 §12).
type DialogID struct{ CallID, LocalTag, RemoteTag string }

// dialogState is where an INVITE dialog stands. The names are RFC 5407's.
type dialogState int

const (
	early       dialogState = iota // a provisional response has created it
	moratorium                     // our 2xx is sent, its ACK not seen
	established                    // confirmed
	mortal                         // BYE sent or received, not yet forgotten
)

// Dialog is a confirmed INVITE dialog. Requests that arrive in it are delivered in CSeq order; those that make no sense
// are answered by the dialog itself: an old CSeq 500, a re-INVITE that crosses ours 491, UPDATE for the session timer 200,
// ACK, PRACK.
type Dialog struct {
	// Immutable
	agent    *Agent
	id       DialogID
	caller   bool // we sent the INVITE, so the Call-ID is ours
	local    sip.FromHeader
	remote   sip.ToHeader
	invite   *Invite // as callee
	order    *sequence
	inbox    *inbox
	sending  chan struct{} // capacity 1, a token for the request under way: one at a time keeps CSeq order
	done     chan struct{}
	reliable reliability

	mu sync.Mutex
	// Guarded by mu
	state     dialogState
	end       *EndError
	localSeq  uint32
	target    sip.Uri   // remote target (RFC 3261 §12.2.1.1)
	routes    []sip.Uri // route set, first hop first
	flow      Target    // where their INVITE came from
	offering  bool      // a session description of ours is out, unanswered
	answering bool      // one of theirs is
	changed   chan struct{}
	awaiting  bool                        // one of ours is out in a 2xx, and its answer comes in the ACK
	acks      map[uint32]*acknowledgement // 2xx of ours that wait for their ACK, by CSeq
	allows    []string                    // what the other side can be sent; nil if it did not say
	bodyType  string                      // our session description, for a refreshing re-INVITE
	body      []byte
	timer     sessionTimer

	contactParams sip.HeaderParams // what our Contact says of us
}

// newDialog makes the parts that both sides share.
func (a *Agent) newDialog(id DialogID, remoteSeq uint32) *Dialog {
	d := &Dialog{
		agent: a, id: id, order: newSequence(remoteSeq), inbox: newInbox(), sending: make(chan struct{}, 1),
		done: make(chan struct{}), changed: make(chan struct{}), acks: map[uint32]*acknowledgement{},
	}
	d.timer.touched = make(chan struct{}, 1)
	return d
}

// ID is the dialog's id.
func (d *Dialog) ID() DialogID { return d.id }

// Remote is the other party's address from From or To.
func (d *Dialog) Remote() sip.Uri { return *d.remote.Address.Clone() }

// Done is closed when the dialog has ended, by either side.
func (d *Dialog) Done() <-chan struct{} { return d.done }

// End says how the dialog ended; nil before Done.
func (d *Dialog) End() *EndError {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.end
}

// finish notes the end, once. It reports whether this call was the first.
func (d *Dialog) finish(end *EndError) bool {
	d.mu.Lock()
	if d.end != nil {
		d.mu.Unlock()
		return false
	}
	d.end, d.state = end, mortal
	d.notifyLocked()
	d.mu.Unlock()
	close(d.done)
	return true
}

// forget makes the dialog unknown: requests in it get 481 from now on.
func (d *Dialog) forget() { d.agent.removeDialog(d) }

func (d *Dialog) stateIs(states ...dialogState) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Contains(states, d.state)
}

// notifyLocked wakes those that wait for a change of the guarded fields.
func (d *Dialog) notifyLocked() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// learn takes from a message what it says of its sender: the remote target if it has a Contact, and Allow.
func (d *Dialog) learn(msg message) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.learnLocked(msg)
}

func (d *Dialog) learnLocked(msg message) {
	if c := msg.Contact(); c != nil && (c.Address.Scheme == "sip" || c.Address.Scheme == "sips") {
		d.target = *c.Address.Clone() // RFC 3261 §12.2.1.2, §12.2.2
	}
	if allow := elements(msg, "allow"); len(allow) > 0 {
		d.allows = allow
	}
}

// SetContactParams changes what the Contact of our requests and responses says of us from now on: feature tags such as
// automaton (RFC 3840 §9), or that nobody listens (+sip.rendering, RFC 4235 §5.2).
func (d *Dialog) SetContactParams(p sip.HeaderParams) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.contactParams = p.Clone()
}

// contact is our Contact in the dialog, as somebody at the target should know it.
func (d *Dialog) contact(to Target) *sip.ContactHeader {
	d.mu.Lock()
	params := d.contactParams.Clone()
	d.mu.Unlock()
	return &sip.ContactHeader{Address: d.agent.contactFor(to), Params: params}
}

// CanBeSent reports whether the other side has said that it takes requests of the method.
func (d *Dialog) CanBeSent(method sip.RequestMethod) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Contains(d.allows, string(method))
}

// routesOf reads a route set from Record-Route: as it stands for the callee, reversed for the caller (RFC 3261 §12.1).
func routesOf(msg message, reversed bool) []sip.Uri {
	var routes []sip.Uri
	for _, h := range msg.GetHeaders("record-route") {
		if r, ok := h.(*sip.RecordRouteHeader); ok {
			routes = append(routes, *r.Address.Clone())
		}
	}
	if reversed {
		slices.Reverse(routes)
	}
	return routes
}

// acknowledgement is the ACK of a 2xx of ours.
type acknowledgement struct {
	arrived chan struct{} // closed with it
	ack     *sip.Request  // set before
}

// acknowledge takes the ACK of a 2xx of ours. Its CSeq number is that of the INVITE (RFC 3261 §13.2.2.4).
func (d *Dialog) acknowledge(ack *Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if a := d.acks[ack.CSeq().SeqNo]; a != nil {
		delete(d.acks, ack.CSeq().SeqNo)
		a.ack = ack.Request
		close(a.arrived)
	}
}

// expectAck prepares for the ACK of the 2xx with this CSeq. Call it before the 2xx leaves.
func (d *Dialog) expectAck(seq uint32) *acknowledgement {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := &acknowledgement{arrived: make(chan struct{})}
	d.acks[seq] = a
	return a
}

// Ack waits for the ACK of the 2xx that has answered a re-INVITE from Next. When that 2xx carried an offer, because the
// re-INVITE did not, the ACK carries the answer (RFC 3261 §14.2).
func (d *Dialog) Ack(ctx context.Context, req *Request) (*sip.Request, error) {
	if req.acked == nil {
		return nil, errNoAck
	}
	select {
	case <-req.acked.arrived:
		return req.acked.ack, nil
	case <-d.done:
		return nil, d.End()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Next waits for a request from the other side: MESSAGE, INFO, REFER, NOTIFY, and re-INVITE or UPDATE with an offer. The
// caller must respond, but for an UPDATE without an offer, which comes only to tell who is there and is answered already. When the dialog has ended and everything that arrived before was taken, the error is *EndError.
func (d *Dialog) Next(ctx context.Context) (*Request, error) {
	return d.inbox.next(ctx, d.done, func() error { return d.End() })
}
