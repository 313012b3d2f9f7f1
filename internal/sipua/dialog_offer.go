package sipua

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/emiago/sipgo/sip"
)

const (
	// maxGlare bounds how often an offer that crossed another is tried again.
	maxGlare = 8
	// answerComes is how long after the ACK of a delayed offer its answer may not be in force yet.
	answerComes = 10 * time.Millisecond
)

// ErrNotYet is what Offer.Describe returns while an answer that has arrived is being put into force.
var ErrNotYet = errors.New("sipua: the last offer is still being answered")

// Offer is a session description that is offered in a dialog. An offer and its answer exclude any other offer, in either
// direction. Hence the functions: they run while nothing else can be offered, and must not block or use the dialog.
type Offer struct {
	Method sip.RequestMethod // INVITE or UPDATE
	// Describe is called when the turn has come, again before each repetition, and soon again after ErrNotYet.
	Describe func() (contentType string, body []byte, err error)
	// Refused is called after an offer that was not accepted: what was in force stays (RFC 6141 §3.1). May be nil.
	Refused func()
	// Accepted takes the response that accepts the offer. May be nil.
	Accepted func(*sip.Response)
}

// Reinvite offers a session description by re-INVITE; see Propose.
func (d *Dialog) Reinvite(
	ctx context.Context, contentType string, body []byte, headers ...sip.Header,
) (*sip.Response, error) {
	return d.Propose(ctx, Offer{Method: sip.INVITE, Describe: fixed(contentType, body)}, headers...)
}

// Update offers a session description by UPDATE, which the other side has to answer at once (RFC 3311 §5.1); see Propose.
func (d *Dialog) Update(
	ctx context.Context, contentType string, body []byte, headers ...sip.Header,
) (*sip.Response, error) {
	return d.Propose(ctx, Offer{Method: sip.UPDATE, Describe: fixed(contentType, body)}, headers...)
}

func fixed(contentType string, body []byte) func() (string, []byte, error) {
	return func() (string, []byte, error) { return contentType, body, nil }
}

// Propose offers a session description in the dialog and returns the final response; a 2xx to a re-INVITE is acknowledged.
// It waits until no other offer is open. One that crosses an offer of the other side (491), or that the other side is not
// ready for (500 with Retry-After), is repeated after a while (RFC 3261 §14.1, RFC 3311 §5.1). A failure leaves the session
// as it was, unless it shows that the dialog is gone. If ctx ends first the request is canceled.
func (d *Dialog) Propose(ctx context.Context, o Offer, headers ...sip.Header) (*sip.Response, error) {
	for try := 1; ; try++ {
		if err := d.beginOffer(ctx); err != nil {
			return nil, err
		}
		res, err := d.offer(ctx, o, headers)
		d.endOffer()
		if errors.Is(err, ErrNotYet) { // nothing was sent
			if err := d.pause(ctx, answerComes); err != nil {
				return nil, err
			}
			try--
			continue
		}
		wait, again := d.retryOffer(res, err)
		if !again || try >= maxGlare {
			return res, err
		}
		if err := d.pause(ctx, wait); err != nil {
			return res, err
		}
	}
}

// retryOffer says whether an offer that was refused is repeated, and after how long.
func (d *Dialog) retryOffer(res *sip.Response, err error) (wait time.Duration, again bool) {
	switch {
	case hasStatus(err, 491):
		return glareDelay(d.caller), true
	case hasStatus(err, 500): // RFC 3261 §14.2: an offer of ours is open there; at most ten seconds
		wait, again = seconds(res, "retry-after")
		return wait, again && wait <= 10*time.Second
	}
	return 0, false
}

// glareDelay is how long a crossed offer waits, in steps of 10 ms: longer at the side that owns the Call-ID, so that the
// other goes first (RFC 3261 §14.1).
func glareDelay(owner bool) time.Duration {
	if owner {
		return time.Duration(210+rand.IntN(191)) * 10 * time.Millisecond
	}
	return time.Duration(rand.IntN(201)) * 10 * time.Millisecond
}

// pause waits, but not beyond the dialog's end.
func (d *Dialog) pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-d.done:
		return d.End()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// beginOffer waits until no session description is open in either direction, and for the turn to send.
func (d *Dialog) beginOffer(ctx context.Context) error {
	if err := d.take(ctx); err != nil {
		return err
	}
	for {
		d.mu.Lock()
		open, changed := d.answering || d.awaiting || d.state == moratorium, d.changed
		if !open {
			d.offering = true
		}
		d.mu.Unlock()
		if !open {
			return nil
		}
		select {
		case <-changed:
		case <-d.done:
			d.release()
			return d.End()
		case <-ctx.Done():
			d.release()
			return context.Cause(ctx)
		}
	}
}

func (d *Dialog) endOffer() {
	d.mu.Lock()
	d.offering = false
	d.notifyLocked()
	d.mu.Unlock()
	d.release()
}

// offer sends one re-INVITE or UPDATE with an offer.
func (d *Dialog) offer(ctx context.Context, o Offer, headers []sip.Header) (*sip.Response, error) {
	contentType, body, err := o.Describe()
	if err != nil {
		return nil, err
	}
	req, to := d.request(o.Method, d.nextSeq())
	for _, h := range append(headers[:len(headers):len(headers)], d.timerHeaders()...) {
		req.AppendHeader(h)
	}
	setBody(req, contentType, body)
	var res *sip.Response
	if o.Method == sip.INVITE {
		res, err = d.exchangeInvite(ctx, req, to)
	} else {
		res, err = d.agent.exchange(ctx, req, to, d.nextSeq)
	}
	switch {
	case err == nil:
		d.learn(res)
		d.describeSession(req)
		d.agree(res, "uac")
		if o.Accepted != nil {
			o.Accepted(res)
		}
	case o.Refused != nil:
		o.Refused()
	}
	d.judge(ctx, err)
	return res, err
}

// exchangeInvite carries a re-INVITE to its final response, through challenges.
func (d *Dialog) exchangeInvite(ctx context.Context, req *sip.Request, to route) (*sip.Response, error) {
	round := d.agent.account.begin(req, to.hop)
	for {
		res, err := d.attemptInvite(ctx, req, to)
		if err != nil {
			return nil, err
		}
		again, err := round.answer(ctx, res)
		if err != nil || !again {
			if err == nil {
				err = statusError(res)
			}
			return res, err
		}
		req.CSeq().SeqNo = d.nextSeq()
	}
}

// attemptInvite sends a re-INVITE to the targets of its next hop in order.
func (d *Dialog) attemptInvite(ctx context.Context, req *sip.Request, to route) (*sip.Response, error) {
	targets, err := d.agent.targets(ctx, to)
	if err != nil {
		return nil, err
	}
	for i, t := range targets {
		var tx *ClientTx
		if tx, err = d.agent.open(ctx, req, t); err != nil {
			continue
		}
		var res *sip.Response
		res, err = d.awaitInvite(ctx, tx, req)
		if ctx.Err() != nil || err == nil && (res.StatusCode != 503 || i == len(targets)-1) {
			return res, err
		}
	}
	return nil, err
}

// awaitInvite waits for the final response to a re-INVITE. Its 2xx is acknowledged, and whatever comes later too.
func (d *Dialog) awaitInvite(ctx context.Context, tx *ClientTx, req *sip.Request) (*sip.Response, error) {
	for {
		select {
		case res, ok := <-tx.Responses():
			switch {
			case !ok:
				return nil, ended(tx)
			case res.IsProvisional():
			case res.IsSuccess():
				d.learn(res)
				ack := d.ackFor(req)
				_ = d.agent.sendAck(ctx, ack)
				d.agent.spawn(func(ctx context.Context) { d.ackRepeats(ctx, tx, ack) })
				return res, nil
			default:
				return res, nil
			}
		case <-ctx.Done():
			tx.Cancel(cancelReason(ctx))
			ack := d.ackFor(req)
			d.agent.spawn(func(ctx context.Context) { d.ackRepeats(ctx, tx, ack) })
			return nil, context.Cause(ctx)
		case <-d.agent.ctx.Done():
			tx.Terminate()
			return nil, ErrClosed
		}
	}
}

// ackRepeats acknowledges each further 2xx to a re-INVITE.
func (d *Dialog) ackRepeats(ctx context.Context, tx *ClientTx, ack ackRequest) {
	eachFurther2xx(ctx, tx, func(*sip.Response) { _ = d.agent.sendAck(ctx, ack) })
}

// ackRequest is an ACK for a 2xx and the route it takes. It is kept, to be sent again for each repeated 2xx.
type ackRequest struct {
	req *sip.Request
	to  route
}

// ackFor builds the ACK for a 2xx to invite: its CSeq number and its credentials (RFC 3261 §13.2.2.4).
func (d *Dialog) ackFor(invite *sip.Request) ackRequest {
	req, to := d.request(sip.ACK, invite.CSeq().SeqNo)
	for _, name := range []string{"Authorization", "Proxy-Authorization"} {
		sip.CopyHeaders(name, invite, req)
	}
	req.SetBody(nil)
	return ackRequest{req, to}
}

// sendAck sends an ACK to the first target that can be reached; nobody answers it.
func (a *Agent) sendAck(ctx context.Context, ack ackRequest) error {
	targets, err := a.targets(ctx, ack.to)
	if err != nil {
		return err
	}
	for _, t := range targets {
		if err = a.stack.Write(ctx, ack.req, t); err == nil {
			return nil
		}
	}
	return err
}
