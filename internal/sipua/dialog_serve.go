package sipua

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"

	"github.com/emiago/sipgo/sip"
)

// isTimeout reports whether a request had no answer at all.
func isTimeout(err error) bool { return errors.Is(err, ErrTimeout) }

// receive serves one request in the dialog, on its handler's goroutine: it waits for its turn in CSeq order, is routed,
// and the goroutine stays until it is answered.
func (d *Dialog) receive(ctx context.Context, req *Request) {
	n := req.CSeq().SeqNo
	switch err := d.order.enter(ctx, n); {
	case errors.Is(err, errOldCSeq):
		_ = req.Respond(500, "Old CSeq") // RFC 3261 §12.2.2
		return
	case err != nil:
		refuseFull(req)
		return
	}
	answered := d.dispatch(req)
	d.order.leave(n)
	if answered != nil {
		awaitAnswer(ctx, req, answered)
	}
}

// dispatch routes a request whose turn it is. The channel it returns is closed by the answer; nil if that was given.
func (d *Dialog) dispatch(req *Request) (answered <-chan struct{}) {
	switch {
	case req.Method == sip.BYE:
		d.serveBye(req)
	case d.stateIs(mortal):
		_ = req.Respond(481, "Call/Transaction Does Not Exist") // RFC 5407 §3.2
	case d.agent.refuseExtensions(req):
	case req.Method == sip.INVITE:
		return d.serveReinvite(req)
	case req.Method == sip.UPDATE:
		return d.serveUpdate(req)
	case req.Method == sip.PRACK:
		d.servePrack(req)
	case req.Method == sip.OPTIONS:
		d.serveOptions(req)
	case req.Method == sip.MESSAGE, req.Method == sip.INFO, req.Method == sip.REFER, req.Method == sip.NOTIFY:
		return d.deliver(req)
	default:
		d.agent.refuseMethod(req)
	}
	return nil
}

// answerable returns a channel that is closed when the request is answered.
func answerable(req *Request) <-chan struct{} {
	answered := make(chan struct{})
	var final sync.Once
	req.intercept = func(res *sip.Response, send func(*sip.Response) error) error {
		err := send(res)
		if !res.IsProvisional() {
			final.Do(func() { close(answered) })
		}
		return err
	}
	return answered
}

// deliver hands a request to whoever reads Next.
func (d *Dialog) deliver(req *Request) <-chan struct{} {
	answered := answerable(req)
	if plain := req.intercept; req.Method == sip.REFER {
		req.intercept = func(res *sip.Response, send func(*sip.Response) error) error {
			if res.IsSuccess() && res.Contact() == nil { // RFC 3515 §2.2, as whoever accepts a subscription says where it is
				res.AppendHeader(d.contact(req.Source()))
			}
			return plain(res, send)
		}
	}
	if !d.inbox.put(req) {
		refuseFull(req)
		return nil
	}
	return answered
}

// serveBye answers a BYE in any state. In an early dialog it ends the INVITE as well (RFC 3261 §15.1.2).
func (d *Dialog) serveBye(req *Request) {
	first := d.finish(&EndError{Remote: true, Reason: reasonOf(req)})
	_ = req.Respond(200, "OK")
	if d.invite != nil {
		d.invite.endedByBye(reasonOf(req))
	}
	if first {
		d.forgetLater()
	}
}

// forgetLater keeps a dialog that has ended findable for the requests that are still under way to it: without it a
// BYE that crosses ours would get 481.
func (d *Dialog) forgetLater() { d.agent.after(64*T1, d.forget) }

// serveOptions answers OPTIONS in a dialog as outside of it.
func (d *Dialog) serveOptions(req *Request) {
	d.agent.mu.Lock()
	mux := d.agent.mux
	d.agent.mu.Unlock()
	d.agent.serveOptions(req, mux)
}

// serveReinvite checks a re-INVITE against what is open and hands it over; its answer passes answerOffer.
func (d *Dialog) serveReinvite(req *Request) <-chan struct{} {
	if !d.admitOffer(req) || !d.admitTimer(req) {
		return nil
	}
	return d.deliverOffer(req)
}

// serveUpdate answers an UPDATE that only refreshes (RFC 3311 §5.2, RFC 4028 §9), and hands over one with an offer. One that
// says who is there now (RFC 5876 §4.2) is answered and handed over.
func (d *Dialog) serveUpdate(req *Request) <-chan struct{} {
	if len(req.Body()) == 0 {
		if d.admitTimer(req) {
			d.learn(req)
			res := d.complete(req, req.Response(200, "OK", nil))
			_ = req.Send(res)
			d.refreshed(req, res)
			if req.GetHeader("P-Asserted-Identity") != nil {
				d.inbox.put(req) // if nobody reads it, nothing is lost but a name
			}
		}
		return nil
	}
	if !d.admitOffer(req) || !d.admitTimer(req) {
		return nil
	}
	return d.deliverOffer(req)
}

// admitOffer refuses a session description that crosses another one.
func (d *Dialog) admitOffer(req *Request) bool {
	d.mu.Lock()
	offering := d.offering || d.awaiting || d.state == moratorium && !d.answeredInOffer() // RFC 5407 §3.1.5
	open := d.answering || d.state == early
	if !offering && !open {
		d.answering = true
	}
	d.mu.Unlock()
	switch {
	case offering: // RFC 3261 §14.2, RFC 3311 §5.2
		_ = req.Respond(491, "Request Pending")
	case open: // RFC 3261 §14.2: the same direction twice
		_ = req.Respond(500, "Request Pending", retryAfter(rand.IntN(11)))
	default:
		return true
	}
	return false
}

// answeredInOffer reports whether the INVITE carried the offer, so that our 2xx completed the exchange even before its
// ACK (RFC 5407 §3.1.4: a re-INVITE may then be served).
func (d *Dialog) answeredInOffer() bool { return d.invite != nil && len(d.invite.req.Body()) > 0 }

// deliverOffer hands over a re-INVITE or UPDATE. What its user answers is completed, and a 2xx to a re-INVITE repeated
// until its ACK.
func (d *Dialog) deliverOffer(req *Request) <-chan struct{} {
	answered := make(chan struct{})
	var final sync.Once
	req.intercept = func(res *sip.Response, send func(*sip.Response) error) error {
		if res.IsProvisional() {
			return send(res)
		}
		err := ErrDecided
		final.Do(func() {
			defer close(answered)
			err = d.answerOffer(req, res, send)
		})
		return err
	}
	if !d.inbox.put(req) {
		refuseFull(req)
		d.endAnswering()
		return nil
	}
	return answered
}

func (d *Dialog) endAnswering() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answering = false
	d.notifyLocked()
}

// answerOffer sends the final response to a re-INVITE or UPDATE.
func (d *Dialog) answerOffer(req *Request, res *sip.Response, send func(*sip.Response) error) error {
	defer d.endAnswering()
	if !res.IsSuccess() {
		return send(res)
	}
	d.learn(req)
	d.describeSession(res)
	d.complete(req, res)
	if req.Method != sip.INVITE {
		err := send(res)
		d.refreshed(req, res)
		return err
	}
	req.acked = d.expectAck(req.CSeq().SeqNo)
	delayed := len(req.Body()) == 0 && len(res.Body()) > 0
	if delayed {
		d.setAwaiting(true)
	}
	err := send(res)
	d.refreshed(req, res)
	d.agent.spawn(func(ctx context.Context) {
		err := retransmit(ctx, T2, func() error { return send(res) }, req.acked.arrived, nil)
		if delayed {
			d.setAwaiting(false)
		}
		if isTimeout(err) {
			d.abort(err, "") // RFC 3261 §14.2 with §13.3.1.4
		}
	})
	return err
}

func (d *Dialog) setAwaiting(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.awaiting = on
	d.notifyLocked()
}

// describeSession remembers the session description of ours that a message carries.
func (d *Dialog) describeSession(msg message) {
	if len(msg.Body()) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.body, d.bodyType = msg.Body(), ""
	if ct := msg.ContentType(); ct != nil {
		d.bodyType = ct.Value()
	}
}

// complete adds what a 2xx to INVITE or UPDATE must say of us: Contact, Allow, Supported and the session timer.
func (d *Dialog) complete(req *Request, res *sip.Response) *sip.Response {
	if res.Contact() == nil {
		res.AppendHeader(d.contact(req.Source()))
	}
	if res.GetHeader("Allow") == nil {
		res.AppendHeader(sip.NewHeader("Allow", d.agent.allow))
	}
	supported := d.agent.supported
	for _, tag := range elements(res, "supported") {
		if !containsFold(supported, tag) {
			supported = append(supported[:len(supported):len(supported)], tag)
		}
	}
	for res.RemoveHeader("Supported") {
	}
	res.AppendHeader(sip.NewHeader("Supported", joinList(supported)))
	d.grantTimer(req, res)
	return res
}
