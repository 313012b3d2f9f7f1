package session

import (
	"context"
	"errors"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/fsm"
)

// InstantMessagingCall is an SDP-based IM session: an INVITE dialog in which MESSAGE requests go both ways.
type InstantMessagingCall struct {
	call

	flow flow // the messages of the session

	// Guarded by e.mu; inbound calls only.
	toast     *ToastMessage // what the INVITE carried, cleaned
	text      *Message      // the record of it
	offer     *offer        // what is shown to the user; nil once closed
	immediate bool          // accepted at once because this is the only endpoint
	elected   bool          // accepted after the window without anybody's doing
	transfer  *transfer     // while Transferring
}

// newIMLocked makes a call in its first state.
func (c *Conversation) newIMLocked(dir Direction) *InstantMessagingCall {
	e := c.e
	im := &InstantMessagingCall{call: call{
		e: e, conv: c, id: e.nextIDLocked("im"), kind: "im", dir: dir, machine: &outbound, state: Idle,
		changed: make(chan struct{}), decision: make(chan decision, 1),
	}}
	if dir == Inbound {
		im.machine, im.state = &inbound, Incoming
	}
	im.born = time.Now()
	im.ctx, im.cancel = context.WithCancel(e.ctx)
	im.flow.init()
	e.calls[im.id] = im
	c.calls = append(c.calls, im)
	return im
}

// Toast is what an inbound call's INVITE carried.
func (c *InstantMessagingCall) Toast() (ToastMessage, bool) {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if c.toast == nil {
		return ToastMessage{}, false
	}
	return *c.toast, true
}

// IsImmediateAutoAcceptNeeded reports whether this endpoint is certainly the only one that the call was offered to. It
// is then accepted at once; no toast is shown and no election held.
func (c *InstantMessagingCall) IsImmediateAutoAcceptNeeded() bool {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.immediate
}

// Accept accepts an Incoming call here and blocks until it is Established or has failed.
func (c *InstantMessagingCall) Accept(ctx context.Context) error {
	c.e.mu.Blocking()
	c.e.mu.Lock()
	err := c.decideLocked(decision{input: Accept}, why{reason: "accepted here"})
	c.e.mu.Unlock()
	if err != nil {
		return fail("accept", c.conv.peerURI(), err)
	}
	return c.awaitEstablished(ctx, "accept")
}

// Decline refuses it: here (486), so that the user's other endpoints keep offering it, or everywhere (603).
func (c *InstantMessagingCall) Decline(ctx context.Context, everywhere bool) error {
	// RFC 3261 §16.7 step 5: a proxy ends the other branches for a 6xx, and only for that.
	d := decision{input: Decline, status: 486}
	if everywhere {
		d.status = 603
	}
	return c.refuse(ctx, d, "decline", why{reason: "declined", sip: d.status})
}

// Forward redirects it (302) to another address.
func (c *InstantMessagingCall) Forward(ctx context.Context, to string) error {
	uri, err := c.e.Resolve(to)
	if err != nil {
		return err
	}
	return c.refuse(ctx, decision{input: Forward, to: uri.String()}, "forward", why{reason: "forwarded"})
}

func (c *InstantMessagingCall) refuse(ctx context.Context, d decision, op string, w why) error {
	c.e.mu.Blocking()
	c.e.mu.Lock()
	err := c.decideLocked(d, w)
	c.e.mu.Unlock()
	if err != nil {
		return fail(op, c.conv.peerURI(), err)
	}
	_, err = c.await(ctx, over)
	return fail(op, c.conv.peerURI(), err)
}

// decideLocked takes the decision about an Incoming call, if nobody has before: the table says so. The handler of the
// INVITE, which waits for it, carries it out.
func (c *InstantMessagingCall) decideLocked(d decision, w why) error {
	c.e.mu.Held()
	outcome, err := c.inputLocked(d.input, w)
	if outcome != fsm.Moved {
		if err == nil {
			err = errEnded
		}
		return err
	}
	switch d.input {
	case Accept:
		c.closeToastLocked(toastAccepted, "")
		c.openedLocked()
	case AcceptAutomatically:
		c.closeToastLocked(toastAutoAccepted, "")
		c.autoAcceptedLocked()
	case Decline, Forward:
		c.closeToastLocked(toastDeclined, "")
		c.openedLocked()
	case Terminate:
		c.closeToastLocked(toastDismissed, "")
	default: // RemoteCanceled: the caller closes it, who knows the reason
	}
	c.decision <- d
	return nil
}

// Dismiss closes the toast and answers nothing; the election goes on.
func (c *InstantMessagingCall) Dismiss() error {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if c.offer == nil {
		return refuse("dismiss", c.conv.peer.URI, KindState, "no toast is shown")
	}
	c.closeToastLocked(toastDismissed, "")
	return nil
}

// awaitEstablished blocks until the call is Established; any other end is an error.
func (c *InstantMessagingCall) awaitEstablished(ctx context.Context, op string) error {
	state, err := c.await(ctx, settled)
	if err == nil && state != Established {
		err = errEnded
		if r := c.endReason(); r != "" {
			err = errors.Join(errEnded, errors.New(r))
		}
	}
	return fail(op, c.conv.peerURI(), err)
}

func (c *InstantMessagingCall) endReason() string {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.reason
}

// Terminate ends the call and blocks until it is Terminated.
func (c *InstantMessagingCall) Terminate(ctx context.Context) error {
	c.e.mu.Blocking()
	c.e.mu.Lock()
	act := c.terminateLocked("")
	c.e.mu.Unlock()
	act(ctx)
	_, err := c.await(ctx, over)
	return fail("hang up", c.conv.peerURI(), err)
}

// terminateLocked takes the input Terminate and returns what is left to do on the network, which may wait.
func (c *InstantMessagingCall) terminateLocked(reason string) (act func(context.Context)) {
	nothing := func(context.Context) {}
	switch from := c.state; {
	case from == Incoming:
		_ = c.decideLocked(decision{input: Terminate}, why{reason: reason})
		return nothing
	case !c.inputMovesLocked(Terminate, why{reason: reason}):
		return nothing // it is ending already
	case from == Idle: // nobody runs it: it ends here
		c.terminatedLocked()
		return nothing
	default:
		return func(ctx context.Context) { c.hangUp(ctx, "") }
	}
}

// terminatedLocked is the end of a call, wherever it came from.
func (c *InstantMessagingCall) terminatedLocked() {
	c.e.mu.Held()
	c.closeToastLocked(toastCanceled, "")
	c.inputMovesLocked(TerminateCompleted, why{reason: c.reason})
	c.cancel()
	delete(c.e.calls, c.id)
	c.conv.dropLocked(c)
}

// establishedLocked makes the call Established with its dialog, unless it has been terminated or the conversation keeps
// another session: there is at most one. superseded calls are ended here.
func (c *InstantMessagingCall) establishedLocked(on Input) error {
	c.e.mu.Held()
	if c.state != Establishing {
		return errEnded
	}
	for _, o := range c.conv.calls {
		if o == c || !live(o.state) {
			continue
		}
		if o.keptBefore(c) {
			c.inputMovesLocked(Terminate, why{reason: errSuperseded.Error()})
			return errSuperseded
		}
		act := o.terminateLocked(errSuperseded.Error())
		c.e.goLocked("hang up", act)
	}
	c.upTime = time.Now()
	c.inputMovesLocked(on, why{})
	return nil
}

// glareWindow is how close in time two sessions that both sides have made count as made at once.
const glareWindow = 5 * time.Second

// keptBefore decides between an Established session c and a new one. Usually the new one stays: the other side made it
// because it has lost the old one. But when both sides called at once, both see both sessions, and both keep the one
// with the smaller Call-ID. Which of the two was there first cannot decide: the network shows it differently at each end.
func (c *InstantMessagingCall) keptBefore(n *InstantMessagingCall) bool {
	atOnce := c.dir != n.dir && n.born.Sub(c.upTime) < glareWindow
	return atOnce && c.callID < n.callID
}

// FindCall returns a call by its id.
func (e *Endpoint) FindCall(id string) (*InstantMessagingCall, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c, ok := e.calls[id]
	return c, ok
}

// supports reports whether a message's Supported headers list an option tag, or one beginning with it for "ms-*".
func supports(msg interface{ GetHeaders(string) []sip.Header }, match func(tag string) bool) bool {
	for _, h := range msg.GetHeaders("Supported") {
		for _, tag := range splitTokens(h.Value()) {
			if match(tag) {
				return true
			}
		}
	}
	return false
}
