package sipua

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// request builds a request in the dialog with the given CSeq, and the route it takes (RFC 3261 §12.2.1.1).
func (d *Dialog) request(method sip.RequestMethod, seq uint32) (*sip.Request, route) {
	d.mu.Lock()
	target, hops, to := *d.target.Clone(), slices.Clone(d.routes), route{flow: d.flow}
	params := d.contactParams.Clone()
	d.mu.Unlock()
	target.Headers = nil // RFC 3261 §19.1.5
	to.hop = target
	req := sip.NewRequest(method, target)
	if len(hops) > 0 {
		to.hop = hops[0]
		if !isLoose(&hops[0]) {
			// A strict router (RFC 2543) wants itself in the request line and the target at the end of the route.
			req.Recipient = *hops[0].Clone()
			hops = append(hops[1:], target)
		}
	}
	for _, u := range hops {
		req.AppendHeader(&sip.RouteHeader{Address: *u.Clone()})
	}
	id, forwards := sip.CallIDHeader(d.id.CallID), sip.MaxForwardsHeader(70)
	for _, h := range []sip.Header{
		sip.HeaderClone(&d.local), sip.HeaderClone(&d.remote), &id,
		&sip.CSeqHeader{SeqNo: seq, MethodName: method}, &forwards,
	} {
		req.AppendHeader(h)
	}
	d.agent.describe(req, method)
	if c := req.Contact(); c != nil {
		c.Params = params
	}
	return req, to
}

// nextSeq counts a request of ours.
func (d *Dialog) nextSeq() uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.localSeq++
	return d.localSeq
}

// Bye ends the dialog. reason, if not empty, is the value of a Reason header. It blocks until the BYE is answered or
// times out; a second Bye returns at once. The BYE is sent even if ctx ends meanwhile: only the waiting ends.
func (d *Dialog) Bye(ctx context.Context, reason string) error {
	if !d.finish(&EndError{}) {
		return nil
	}
	result := make(chan error, 1)
	d.agent.spawn(func(ctx context.Context) { result <- d.sendBye(ctx, reason) })
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-d.agent.ctx.Done():
		return ErrClosed
	}
}

// abort ends the dialog for a cause of ours, telling the other side in the background.
func (d *Dialog) abort(cause error, reason string) {
	if d.finish(&EndError{Err: cause}) {
		d.agent.log.Info("dialog aborted", "call", d.id.CallID, "err", cause)
		d.agent.spawn(func(ctx context.Context) { _ = d.sendBye(ctx, reason) })
	}
}

// sendBye sends the BYE of a dialog that is already mortal, and forgets the dialog afterwards. Until then a BYE that
// crosses is answered 200 (RFC 5407 §3.2.3).
func (d *Dialog) sendBye(ctx context.Context, reason string) error {
	defer d.forget()
	ctx, cancel := context.WithTimeoutCause(ctx, 64*T1, ErrTimeout)
	defer cancel()
	req, to := d.request(sip.BYE, d.nextSeq())
	if reason != "" {
		req.AppendHeader(sip.NewHeader("Reason", reason))
	}
	req.SetBody(nil)
	_, err := d.agent.exchange(ctx, req, to, d.nextSeq)
	if hasStatus(err, 481, 408) { // RFC 3261 §15.1.1: as good as a 200
		return nil
	}
	return err
}

// Do sends a request in the dialog (not ACK, BYE or INVITE) and returns its final response, in CSeq order, with digest and
// UDP-to-TCP as Agent.Do. 408 and 481 end the dialog (RFC 5057 §5.1). One request is under way at a time.
func (d *Dialog) Do(
	ctx context.Context, method sip.RequestMethod, contentType string, body []byte, headers ...sip.Header,
) (*sip.Response, error) {
	switch method {
	case sip.INVITE, sip.ACK, sip.BYE, sip.CANCEL, sip.PRACK:
		return nil, &methodError{method}
	}
	if method == sip.UPDATE && len(body) > 0 {
		return d.Update(ctx, contentType, body, headers...)
	}
	if err := d.take(ctx); err != nil {
		return nil, err
	}
	defer d.release()
	return d.do(ctx, method, contentType, body, headers)
}

type methodError struct{ method sip.RequestMethod }

func (e *methodError) Error() string {
	return "sipua: " + strings.ToUpper(string(e.method)) + " has a procedure of its own in a dialog"
}

// take waits for the turn to send.
func (d *Dialog) take(ctx context.Context) error {
	select {
	case d.sending <- struct{}{}:
	case <-d.done:
		return d.End()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if end := d.End(); end != nil {
		d.release()
		return end
	}
	return nil
}

func (d *Dialog) release() { <-d.sending }

// do sends one request; the caller holds the turn.
func (d *Dialog) do(
	ctx context.Context, method sip.RequestMethod, contentType string, body []byte, headers []sip.Header,
) (*sip.Response, error) {
	req, to := d.request(method, d.nextSeq())
	for _, h := range headers {
		req.AppendHeader(h)
	}
	setBody(req, contentType, body)
	res, err := d.agent.exchange(ctx, req, to, d.nextSeq)
	d.judge(ctx, err)
	return res, err
}

// judge ends the dialog if a response, or none at all, shows that the other side has no such dialog (RFC 5057 §5.1,
// RFC 3261 §12.2.1.2: no answer counts as 408). That the sender lost patience says nothing.
func (d *Dialog) judge(ctx context.Context, err error) {
	if hasStatus(err, 408, 481) || isTimeout(err) && ctx.Err() == nil {
		d.abort(err, "")
	}
}

// retransmit repeats a response of ours until it is acknowledged, or decided makes that needless (nil: never): after T1,
// doubling up to most, for 64*T1. The error is ErrTimeout when nothing came. A 2xx is repeated so until its ACK, over
// streams too because the ACK is end-to-end (RFC 3261 §13.3.1.4); a reliable 1xx until its PRACK (RFC 3262 §3).
func retransmit(ctx context.Context, most time.Duration, send func() error, acked, decided <-chan struct{}) error {
	limit := time.NewTimer(64 * T1)
	defer limit.Stop()
	interval := T1
	repeat := time.NewTimer(interval)
	defer repeat.Stop()
	for {
		select {
		case <-acked:
			return nil
		case <-decided:
			return nil
		case <-repeat.C:
			_ = send() // a flow that is gone comes back, or the limit ends it
			interval = min(2*interval, most)
			repeat.Reset(interval)
		case <-limit.C:
			return ErrTimeout
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
