package service

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/sdp"
	"offhook/internal/sipua"
	"offhook/park"
	"offhook/park/line"
)

// run serves a leg until its dialog ends, and then ends what depends on it.
func (l *leg) run(ctx context.Context) {
	if l.s.isClosing() { // it came up while Close said goodbye to the others
		l.s.bye(ctx, l.dialog, reason(503, "The park service is closing"))
	}
	sending, stop := context.WithCancel(ctx)
	var senders sync.WaitGroup
	senders.Go(func() { l.sendOut(sending) })
	senders.Go(func() { l.stayAlert(sending) })
	for {
		req, err := l.dialog.Next(ctx)
		if err != nil {
			break
		}
		l.serve(ctx, req)
	}
	stop()
	senders.Wait()
	l.s.ended(l)
	l.close()
}

// sendOut sends what is queued, one after the other.
func (l *leg) sendOut(ctx context.Context) {
	for {
		select {
		case f := <-l.out:
			f(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// send queues something to be sent in the dialog. It reports false when too much waits already.
func (l *leg) send(f func(ctx context.Context)) bool {
	select {
	case l.out <- f:
		return true
	default:
		return false
	}
}

// serve answers one request in the dialog.
func (l *leg) serve(ctx context.Context, req *sipua.Request) {
	var err error
	switch req.Method {
	case sip.INVITE, sip.UPDATE:
		err = l.serveOffer(ctx, req)
	case sip.INFO:
		if l.s.peerOf(l) == nil { // a digit for nobody
			err = req.Respond(200, "OK")
			break
		}
		l.relay(req, "Info-Package")
	case sip.MESSAGE:
		l.relay(req, "Subject", "Message-ID")
	case sip.REFER:
		l.relay(req, "Refer-To", "Referred-By", "Refer-Sub")
	case sip.NOTIFY:
		l.relay(req, "Event", "Subscription-State")
	default:
		err = req.Respond(405, "Method Not Allowed")
	}
	if err != nil {
		l.s.log.Debug("response not sent", "method", req.Method, "err", err)
	}
}

// serveOffer answers a re-INVITE or UPDATE with an offer, or one that wants an offer, and lets the peer follow.
func (l *leg) serveOffer(ctx context.Context, req *sipua.Request) error {
	if req.Method == sip.UPDATE && len(req.Body()) == 0 {
		return nil // the dialog has answered it: it offers nothing
	}
	v := l.s.viewFor(l)
	headers := append(l.s.headers(v), sip.NewHeader("Content-Type", body.TypeSDP))
	if len(req.Body()) == 0 {
		if err := l.serveDelayed(ctx, req, v, headers); err != nil {
			return err
		}
		l.s.followers(l)
		return nil
	}
	answer, err := l.answerOffer(req.Body(), v)
	if err != nil { // RFC 3261 §14.2: the session goes on as it was
		return req.Respond(488, phrases[488], warning(l.s.cfg.Domain, err))
	}
	err = req.Send(req.Response(200, "OK", answer, headers...))
	l.s.followers(l)
	return err
}

// serveDelayed serves a re-INVITE without an offer: ours goes with the 200, and the ACK answers (RFC 3261 §14.2).
func (l *leg) serveDelayed(ctx context.Context, req *sipua.Request, v view, headers []sip.Header) error {
	offer, err := l.offer(v)
	if err != nil {
		return req.Respond(488, phrases[488], warning(l.s.cfg.Domain, err))
	}
	if err := req.Send(req.Response(200, "OK", offer, headers...)); err != nil {
		return err
	}
	ack, err := l.dialog.Ack(ctx, req)
	if err == nil {
		err = l.accept(ack.Body(), v)
	}
	if err != nil {
		l.rollback()
	}
	return err
}

// warning says what did not suit (RFC 3261 §20.43).
func warning(host string, err error) sip.Header {
	code := "399"
	if errors.Is(err, sdp.ErrNoCodec) {
		code = "305" // incompatible media format
	}
	return sip.NewHeader("Warning", code+" "+host+` "`+sipua.QuoteText(err.Error())+`"`)
}

// ended notes that a leg's dialog is over, and ends what depended on it.
func (s *Service) ended(l *leg) {
	end := l.dialog.End()
	if end == nil { // this program ends
		end = &sipua.EndError{}
	}
	s.mu.Lock()
	l.over = true
	peer, p, reserved := l.peer, l.parked, l.reserved
	l.peer, l.parked, l.reserved = nil, nil, 0
	if peer != nil {
		peer.peer = nil
	}
	delete(s.legs, l.dialog.ID())
	s.mu.Unlock()
	if peer != nil {
		s.spawn(func(ctx context.Context) { s.bye(ctx, peer.dialog, reasonOf(end)) })
	}
	if p != nil {
		s.callerGone(p, end)
	}
	if reserved != 0 {
		s.release(reserved, l.party)
	}
}

// reasonOf is what the other side of a bridge is told of an end: what was said, or what is known.
func reasonOf(end *sipua.EndError) string {
	if end.Remote {
		return end.Reason.String()
	}
	if end.Err != nil {
		return reason(480, "The other side was lost")
	}
	return ""
}

// callerGone ends a park whose caller is gone: whoever was being connected has nobody.
func (s *Service) callerGone(p *parked, end *sipua.EndError) {
	why := park.Disconnected
	if end.Remote {
		why = park.Abandoned
	}
	if !s.unpark(p, s.lot.Leave, why, park.Party{}) {
		return // somebody has the call: it ended at that moment
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p.giveUpLocked(errCallerGone)
}

var errCallerGone = errors.New("the caller has hung up")

// release frees an orbit that nobody came to.
func (s *Service) release(id uint64, by park.Party) {
	s.lot.Release(time.Now(), id)
	s.log.Info("an orbit was not used", "by", by.URI)
	s.wakeClock()
}

// settle makes a leg the caller of a park.
func (s *Service) settle(id uint64, l *leg) (*parked, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.over || l.dialog.End() != nil {
		return nil, park.ErrNoCall
	}
	o, err := s.lot.Occupy(time.Now(), id, l.alias)
	if err != nil {
		return nil, err
	}
	p := &parked{orbit: o, caller: l}
	l.parked, s.parkeds[id] = p, p
	return p, nil
}

// arrived tells that a caller has been parked.
func (s *Service) arrived(p *parked) {
	s.log.Info("parked", "orbit", p.orbit.Number, "caller", p.orbit.Caller.URI, "by", p.orbit.Parker.URI)
	s.changed(p.orbit)
}

// play lets a leg hear the music.
func (l *leg) play() {
	if err := l.line.Play(l.s.tune()); err != nil && !errors.Is(err, line.ErrClosed) {
		l.s.log.Warn("no music", "err", err)
	}
}
