package session

import (
	"context"
	"errors"

	"offhook/internal/fsm"
)

// Accept accepts an Incoming call here and blocks until it is Established or has failed.
func (c *call) Accept(ctx context.Context) error {
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
func (c *call) Decline(ctx context.Context, everywhere bool) error {
	// RFC 3261 §16.7 step 5: a proxy ends the other branches for a 6xx, and only for that.
	d := decision{input: Decline, status: 486}
	if everywhere {
		d.status = 603
	}
	return c.refuse(ctx, d, "decline", why{reason: "declined", sip: d.status})
}

// Forward redirects it (302) to another address.
func (c *call) Forward(ctx context.Context, to string) error {
	uri, err := c.e.Resolve(to)
	if err != nil {
		return err
	}
	return c.refuse(ctx, decision{input: Forward, to: uri.String()}, "forward", why{reason: "forwarded"})
}

func (c *call) refuse(ctx context.Context, d decision, op string, w why) error {
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
func (c *call) decideLocked(d decision, w why) error {
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
func (c *call) Dismiss() error {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	switch missed := c.conv.missedCall; {
	case c.offer != nil:
		c.closeToastLocked(toastDismissed, "")
	case missed != nil && missed.call == c:
		c.conv.closeMissedCallLocked(toastDismissed)
	default:
		return refuse("dismiss", c.conv.peer.URI, KindState, "no toast is shown")
	}
	return nil
}

// awaitEstablished blocks until the call is Established; any other end is an error.
func (c *call) awaitEstablished(ctx context.Context, op string) error {
	state, err := c.await(ctx, settled)
	if err == nil && state != Established {
		err = errEnded
		if r := c.endReason(); r != "" {
			err = errors.Join(errEnded, errors.New(r))
		}
	}
	return fail(op, c.conv.peerURI(), err)
}

func (c *call) endReason() string {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.reason
}

// Terminate ends the call and blocks until it is Terminated.
func (c *call) Terminate(ctx context.Context) error {
	c.e.mu.Blocking()
	c.e.mu.Lock()
	act := c.terminateLocked("")
	c.e.mu.Unlock()
	act(ctx)
	_, err := c.await(ctx, over)
	return fail("hang up", c.conv.peerURI(), err)
}

// terminateLocked takes the input Terminate and returns what is left to do on the network, which may wait.
func (c *call) terminateLocked(reason string) (act func(context.Context)) {
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
func (c *call) terminatedLocked() {
	c.e.mu.Held()
	c.closeToastLocked(toastCanceled, "")
	c.inputMovesLocked(TerminateCompleted, why{reason: c.reason})
	c.cancel()
	delete(c.e.calls, c.id)
	c.owner.endedLocked()
}

// FindCall returns a call by its id.
func (e *Endpoint) FindCall(id string) (Call, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c, ok := e.calls[id]
	return c, ok
}
