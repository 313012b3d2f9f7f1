package sipua

import (
	"context"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// ringingRepeat is how often a ringing INVITE tells proxies to go on waiting (RFC 3261 §13.3.1.1).
const ringingRepeat = time.Minute

// Invite is an incoming INVITE that opens a dialog. One goroutine serves it; Canceled may be watched meanwhile.
type Invite struct {
	// Immutable
	agent     *Agent
	req       *Request
	dialog    *Dialog
	decided   chan struct{} // closed by the first of answer, rejection, CANCEL and BYE
	responded chan struct{} // closed when the final response has been handed to the transport
	canceled  chan struct{} // closed if it was the caller who decided
	replaces  *Replaces     // nil without

	mu sync.Mutex
	// Guarded by mu
	closed  bool // decided is
	gone    bool // canceled is
	ringing bool
	reason  Reason

	acked *acknowledgement // Owned by Answer
}

// serveInvite serves an INVITE that opens a dialog.
func (a *Agent) serveInvite(ctx context.Context, req *Request, serve func(context.Context, *Invite)) {
	switch {
	case serve == nil:
		_ = req.Respond(480, "Temporarily Unavailable")
		return
	case req.Contact() == nil: // RFC 3261 §8.1.1.8
		_ = req.Respond(400, "Missing Contact")
		return
	case !a.admitTimer(req):
		return
	}
	i := a.newInvite(req)
	if err := i.readReplaces(); err != nil {
		_ = req.Respond(400, "Bad Replaces") // RFC 3891 §3
		return
	}
	a.addDialog(i.dialog)
	a.spawn(i.watch)
	serve(ctx, i)
	if err := i.Reject(500, "Server Internal Error"); err == nil {
		a.log.Error("an INVITE was left without an answer", "call", callID(req))
	}
	<-i.responded // somebody else may be about to send the answer, and the stack would be faster with its 500
}

// newInvite makes the INVITE and the callee's side of its dialog (RFC 3261 §12.1.1).
func (a *Agent) newInvite(req *Request) *Invite {
	i := &Invite{
		agent: a, req: req, decided: make(chan struct{}), responded: make(chan struct{}), canceled: make(chan struct{}),
	}
	d := a.newDialog(DialogID{callID(req), req.Tag(), fromTag(req)}, req.CSeq().SeqNo+1)
	i.dialog, d.invite = d, i
	d.local = req.To().AsFrom()
	if name := a.cfg.DisplayName; name != "" {
		d.local.DisplayName = QuoteText(name) // the caller knows us by our address only; tag and URI are what identifies
	}
	d.local.Params = sip.HeaderParams{{K: "tag", V: req.Tag()}}
	d.remote = req.From().AsTo()
	d.remote.Params = nil
	if tag := fromTag(req); tag != "" {
		d.remote.Params.Add("tag", tag)
	}
	d.routes, d.flow = routesOf(req, false), req.Source()
	if d.flow.Network == "udp" {
		d.flow = Target{} // a datagram's source is worth no more than the Contact
	}
	d.learnLocked(req) // nobody else knows d yet
	return i
}

// watch ends the INVITE when the caller cancels, and keeps it from timing out in a proxy while it rings.
func (i *Invite) watch(ctx context.Context) {
	repeat := time.NewTicker(ringingRepeat)
	defer repeat.Stop()
	for {
		select {
		case <-i.req.Canceled():
			i.cancel(reasonOf(i.req.Cancel()), func() {}) // the stack has answered 487
			return
		case <-repeat.C:
			i.mu.Lock()
			ringing := i.ringing
			i.mu.Unlock()
			if ringing {
				_ = i.req.Send(i.provisional(180, "Ringing"))
			}
		case <-i.decided:
			return
		case <-ctx.Done():
			return
		}
	}
}

// decide claims the decision about the INVITE.
func (i *Invite) decide() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.gone:
		return ErrCanceled
	case i.closed:
		return ErrDecided
	}
	i.closed = true
	close(i.decided)
	return nil
}

// cancel notes that the caller has given up, unless the INVITE is decided. respond gives the final response.
func (i *Invite) cancel(r Reason, respond func()) {
	i.mu.Lock()
	if i.closed {
		i.mu.Unlock()
		return
	}
	i.reason, i.closed, i.gone = r, true, true
	close(i.decided)
	i.mu.Unlock()
	respond()
	close(i.responded)
	close(i.canceled)
	i.dialog.finish(&EndError{Remote: true, Reason: r, Err: ErrCanceled})
	i.dialog.forget()
}

// endedByBye ends an INVITE whose early dialog has got a BYE (RFC 3261 §15.1.2).
func (i *Invite) endedByBye(r Reason) {
	i.cancel(r, func() { _ = i.req.Respond(487, "Request Terminated") })
}

// Request is the INVITE.
func (i *Invite) Request() *sip.Request { return i.req.Request }

// Dialog is the dialog that the INVITE opens. Until Answer has returned it is there to be named, not to be used.
func (i *Invite) Dialog() *Dialog { return i.dialog }

// Source is where the INVITE came from.
func (i *Invite) Source() Target { return i.req.Source() }

// Canceled is closed when the caller cancels, or ends the early dialog with BYE; the INVITE has then been answered 487.
func (i *Invite) Canceled() <-chan struct{} { return i.canceled }

// CancelReason is what the CANCEL's Reason headers say. Elsewhere is true for SIP cause 200 (RFC 3326).
func (i *Invite) CancelReason() Reason {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.reason
}

// provisional builds a response that creates the early dialog at the caller (RFC 3261 §12.1).
func (i *Invite) provisional(code int, reason string) *sip.Response {
	return i.req.Response(code, reason, nil, i.dialog.contact(i.req.Source()), sip.NewHeader("Allow", i.agent.allow))
}

// Ringing sends 180 with a To tag and Contact, reliably if the caller requires 100rel (RFC 3262).
func (i *Invite) Ringing() error {
	i.mu.Lock()
	switch {
	case i.gone:
		i.mu.Unlock()
		return ErrCanceled
	case i.closed:
		i.mu.Unlock()
		return ErrDecided
	}
	reliably := hasToken(i.req, "require", "100rel")
	i.ringing = !reliably
	i.mu.Unlock()
	if reliably {
		return i.ringReliably()
	}
	return i.req.Send(i.provisional(180, "Ringing"))
}

// Reject ends it with a final response of 300 or more.
func (i *Invite) Reject(code int, reason string, headers ...sip.Header) error {
	if err := i.decide(); err != nil {
		return err
	}
	err := i.req.Respond(code, reason, headers...)
	close(i.responded)
	i.dialog.finish(&EndError{Err: &StatusError{Code: code, Reason: reason}})
	i.dialog.forget()
	return err
}

// Redirect ends it with 302 to the given address.
func (i *Invite) Redirect(to sip.Uri) error {
	return i.Reject(302, "Moved Temporarily", &sip.ContactHeader{Address: *to.Clone()})
}

// Answer sends 200 with body and blocks until the ACK arrives, retransmitting at T1 doubling to T2 (RFC 3261
// §13.3.1.4). The dialog exists when it returns nil: ACK was seen. If CANCEL won before the 200 could leave the error is
// ErrCanceled; without an ACK within 64*T1 the dialog is ended with BYE and the error is ErrTimeout. If ctx ends
// meanwhile the dialog is ended with BYE, once that is allowed. A BYE that comes before the ACK ends it with *EndError.
func (i *Invite) Answer(
	ctx context.Context, contentType string, body []byte, headers ...sip.Header,
) (*Dialog, error) {
	if err := i.decide(); err != nil {
		return nil, err
	}
	d := i.dialog
	res := i.req.Response(200, "OK", nil, headers...)
	setBody(res, contentType, body)
	d.describeSession(res)
	d.complete(i.req, res)
	i.acked = d.expectAck(i.req.CSeq().SeqNo)
	d.mu.Lock()
	d.state = moratorium
	d.mu.Unlock()
	err := i.req.Send(res)
	close(i.responded)
	if !i.req.accepted() {
		return nil, i.lost(err)
	}
	d.refreshed(i.req, res)
	result := make(chan error, 1)
	i.agent.spawn(func(ctx context.Context) {
		result <- i.confirm(ctx, func() error { return i.req.Send(res) })
	})
	select {
	case err := <-result:
		if err == nil && d.End() != nil {
			err = d.End()
		}
		if err != nil {
			return nil, err
		}
		return d, nil
	case <-d.done: // RFC 5407 §3.1.3: the 200 is repeated all the same, until the caller has it
		return nil, d.End()
	case <-ctx.Done():
		// RFC 3261 §15: no BYE from the callee before the ACK, or before there can be none.
		i.agent.spawn(func(ctx context.Context) {
			if <-result == nil {
				_ = d.Bye(ctx, "")
			}
		})
		return nil, context.Cause(ctx)
	case <-i.agent.ctx.Done():
		return nil, ErrClosed
	}
}

// AnswerOffer answers an INVITE without a session description: the 200 carries an offer, and the ACK, which is returned,
// their answer (RFC 3261 §13.2.1). What makes no sense of an answer has to be ended with Bye. Else it is as Answer.
func (i *Invite) AnswerOffer(
	ctx context.Context, contentType string, offer []byte, headers ...sip.Header,
) (*Dialog, *sip.Request, error) {
	d, err := i.Answer(ctx, contentType, offer, headers...)
	if err != nil {
		return nil, nil, err
	}
	return d, i.acked.ack, nil
}

// confirm waits for the ACK. Without one the dialog is ended with BYE.
func (i *Invite) confirm(ctx context.Context, send func() error) error {
	d := i.dialog
	if err := retransmit(ctx, T2, send, i.acked.arrived, nil); err != nil {
		if isTimeout(err) {
			d.abort(err, "")
		}
		return err
	}
	d.confirm()
	return nil
}

// confirm makes a dialog established and begins to keep its session alive.
func (d *Dialog) confirm() {
	d.mu.Lock()
	if d.state != mortal {
		d.state = established
		d.notifyLocked()
	}
	d.mu.Unlock()
	d.agent.spawn(d.keepSession)
}

// lost ends an INVITE whose 200 could not leave: a CANCEL was faster by a hair, or the flow is gone.
func (i *Invite) lost(err error) error {
	if cancel := i.req.Cancel(); cancel != nil {
		i.mu.Lock()
		if !i.gone {
			i.gone, i.reason = true, reasonOf(cancel)
			close(i.canceled)
		}
		i.mu.Unlock()
		err = ErrCanceled
	}
	if err == nil {
		err = ErrClosed
	}
	i.dialog.finish(&EndError{Err: err})
	i.dialog.forget()
	return err
}

// accepted reports whether a 2xx has been the final response.
func (r *Request) accepted() bool {
	r.tx.mu.Lock()
	defer r.tx.mu.Unlock()
	return r.tx.state == accepted
}
