package session

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/sdp"
	"offhook/internal/sipua"
)

// Offers in an established call. The dialog sees to it that one is open at a time, in either direction (sipua.Offer); so
// an offer of ours is written when its turn has come, and again when it crossed one of theirs, on top of what was agreed
// meanwhile.

// offerWait bounds an offer of ours. A re-INVITE that nobody answers has no other limit once it got a 100.
const offerWait = 40 * time.Second

// takeTurn waits until no operation of this user changes the media.
func (c *AudioVideoCall) takeTurn(ctx context.Context) error {
	c.e.mu.Blocking()
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *AudioVideoCall) passTurn() { <-c.turn }

// wantLocked is the direction that this user wants.
func (c *AudioVideoCall) wantLocked() sdp.Direction {
	if c.hold.here() {
		return sdp.Sending // RFC 3264 §8.4
	}
	return sdp.Both
}

func (c *AudioVideoCall) want() sdp.Direction {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	return c.wantLocked()
}

// propose offers d in the dialog and puts the answer into force. What fails leaves everything as it was (RFC 6141 §3.1).
// The caller holds the turn.
func (c *AudioVideoCall) propose(d sdp.Direction) error {
	c.e.mu.Lock()
	dlg := c.dialog
	c.e.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(c.ctx, offerWait, sipua.ErrTimeout)
	defer cancel()
	var taken error
	_, err := dlg.Propose(ctx, sipua.Offer{
		Method: sip.INVITE,
		Describe: func() (string, []byte, error) {
			c.describing.Lock()
			defer c.describing.Unlock()
			offer, err := c.description.Offer(d)
			if errors.Is(err, sdp.ErrState) {
				err = sipua.ErrNotYet
			}
			return body.TypeSDP, offer, err
		},
		Refused: func() {
			c.describing.Lock()
			defer c.describing.Unlock()
			c.description.Rollback()
		},
		Accepted: func(res *sip.Response) { taken = c.accept(res.Body(), d) },
	})
	if err != nil {
		return explain(err, c.e.cfg.Encryption)
	}
	return taken
}

// accept takes the answer to our open offer, in which d was wanted.
func (c *AudioVideoCall) accept(answer []byte, d sdp.Direction) error {
	c.describing.Lock()
	defer c.describing.Unlock()
	agreed, err := c.description.Accept(answer)
	if err != nil {
		return err
	}
	c.wire = d
	return c.apply(agreed, false)
}

// serveOffer answers a re-INVITE or UPDATE that offers something, or that wants an offer.
func (c *AudioVideoCall) serveOffer(dlg *sipua.Dialog, req *sipua.Request) error {
	want := c.want()
	if len(req.Body()) == 0 {
		return c.offerInAnswer(dlg, req, want)
	}
	answer, err := c.answerOffer(req.Body(), want)
	if err != nil { // RFC 3261 §14.2: the call goes on as it was
		c.e.log.Info("an offer was refused", "call", c.id, "err", err)
		return req.Respond(488, "Not Acceptable Here", warning(err))
	}
	err = req.Send(req.Response(200, "OK", answer, sip.NewHeader("Content-Type", body.TypeSDP)))
	c.reintroduce(req)
	return err
}

// answerOffer answers an offer of theirs and puts it into force.
func (c *AudioVideoCall) answerOffer(offer []byte, want sdp.Direction) (answer []byte, err error) {
	c.describing.Lock()
	defer c.describing.Unlock()
	next := c.description.Clone()
	answer, agreed, err := next.Answer(offer, want)
	if err == nil {
		err = c.apply(agreed, false)
	}
	if err != nil {
		return nil, err
	}
	c.description, c.wire = next, want
	return answer, nil
}

// offerInAnswer serves a re-INVITE that brings no offer: ours goes with the 200, and the ACK answers (RFC 3261 §14.2).
func (c *AudioVideoCall) offerInAnswer(dlg *sipua.Dialog, req *sipua.Request, want sdp.Direction) error {
	c.describing.Lock()
	offer, err := c.description.Offer(want)
	c.describing.Unlock()
	if err != nil {
		return req.Respond(488, "Not Acceptable Here", warning(err))
	}
	if err := req.Send(req.Response(200, "OK", offer, sip.NewHeader("Content-Type", body.TypeSDP))); err != nil {
		return err
	}
	ack, err := dlg.Ack(c.ctx, req)
	if err != nil {
		return err // the dialog has ended
	}
	if err := c.accept(ack.Body(), want); err != nil {
		c.e.log.Info("the answer to an offer makes no sense", "call", c.id, "err", err) // what was agreed stays
	}
	c.reintroduce(req)
	return nil
}

// apply puts an agreement into force and tells what it means. The caller guards description.
func (c *AudioVideoCall) apply(a sdp.Agreement, early bool) error {
	e := c.e
	e.mu.Blocking()
	s := c.media()
	local := s.Local()
	if early {
		a.Direction &^= sdp.Sending // nobody has answered yet who could be meant
	}
	if err := s.Apply(a); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	now := CallMedia{
		Call: c.id, Conversation: c.conv.id, Codec: a.Send[0].Name, Security: string(a.Protection.Method),
		Suite: a.Protection.Suite, Local: local.Addr.String(), Early: early, Heard: c.told.Heard && c.told.Early == early,
	}
	if len(a.Receive) > 0 {
		now.ReceiveCodec = a.Receive[0].Name
	}
	if a.Remote.IsValid() {
		now.Remote = a.Remote.String()
	}
	if now.Suite == "" && now.Security == c.told.Security {
		now.Suite = c.told.Suite // DTLS tells it by itself, once
	}
	c.tellMediaLocked(now)
	switch {
	case early:
	case a.RemoteHold(): // whether we hold or not, we would send
		c.holdLocked(held)
	default:
		c.holdLocked(released)
	}
	return nil
}

func (c *AudioVideoCall) tellMediaLocked(now CallMedia) {
	if now != c.told {
		c.told = now
		c.e.publishLocked(now)
	}
}

// warning says in a refusal what did not suit (RFC 3261 §20.43).
func warning(err error) sip.Header {
	code := "399"
	if errors.Is(err, sdp.ErrNoCodec) {
		code = warnCodec
	}
	return sip.NewHeader("Warning", code+` offhook "`+sipua.QuoteText(sentence(err))+`"`)
}

// sentence is an error of a negotiation in words for people.
func sentence(err error) string { return strings.TrimPrefix(err.Error(), "sdp: ") }
