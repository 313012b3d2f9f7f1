package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
	"offhook/park"
	"offhook/park/line"
)

// wakeClock says that something in the lot may be due sooner.
func (s *Service) wakeClock() {
	select {
	case s.due <- struct{}{}:
	default:
	}
}

// watchClock does what comes due in the lot.
func (s *Service) watchClock(ctx context.Context) {
	for {
		wait := time.Hour
		if at, ok := s.lot.Next(); ok {
			wait = time.Until(at)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-s.due:
			timer.Stop()
			continue
		case <-ctx.Done():
			timer.Stop()
			return
		}
		for _, d := range s.lot.Due(time.Now()) {
			s.act(d)
		}
	}
}

// act does what has come due for an orbit.
func (s *Service) act(d park.Due) {
	switch d.Kind {
	case park.DueNothing:
	case park.DueRecall:
		s.spawn(func(ctx context.Context) { s.recall(ctx, d.Orbit, d.Orbit.Device, d.Orbit.Parker, park.Ringback) })
	case park.DueFallback:
		to := s.lot.Config().Fallback
		s.spawn(func(ctx context.Context) { s.recall(ctx, d.Orbit, to, park.Party{URI: to}, park.Fallback) })
	case park.DueDrop:
		s.drop(d.Orbit)
	case park.DueReservation:
		s.reservationOver(d.Orbit)
	}
	if d.Orbit.ID != 0 {
		s.changed(d.Orbit)
	}
}

// recall rings whoever is to have a call that nobody has picked up, and makes the two a bridge if that is answered. Where
// somebody forwards calls to does not matter: the call comes back to the device that has parked it.
func (s *Service) recall(ctx context.Context, o park.Orbit, to string, who park.Party, why park.UnparkReason) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := s.beginRecall(o, cancel)
	if p == nil {
		return // somebody was quicker
	}
	s.log.Info("nobody has picked up: ringing", "orbit", o.Number, "whom", who.URI, "attempt", o.Attempt)
	ringing, stop := context.WithTimeoutCause(ctx, s.lot.Config().RingFor, errNoAnswer)
	info := s.retrieveInfo(p.orbit, 0)
	if why == park.Fallback {
		info = s.orbitURI(p.orbit.Number) // the safe-retrieve URI is the parker's
	}
	l, err := s.ring(ringing, p, to, who, info)
	stop()
	s.mu.Lock()
	p.ringing = nil
	s.mu.Unlock()
	if err != nil {
		s.log.Info("nobody answered", "orbit", o.Number, "err", err)
		if ctx.Err() == nil {
			s.unanswered(o)
		}
		return
	}
	if !s.unpark(p, s.lot.Answered, why, l.alias) {
		l.drop(sipua.CompletedElsewhere)
		return
	}
	caller := s.waiting(p)
	if errors.Is(join(l, caller), line.ErrNoCodec) { // it rang with the codecs of a device that he has left since
		if err := caller.propose(ctx, l.view()); err != nil {
			s.log.Info("a caller cannot be brought to the codecs of who has answered", "orbit", o.Number, "err", err)
		}
	}
	s.unite(l, caller)
	l.run(ctx)
}

var errNoAnswer = fmt.Errorf("park service: nobody answered: %w", sipua.ErrTimeout)

// waiting is the leg of a caller who is parked.
func (s *Service) waiting(p *parked) *leg {
	s.mu.Lock()
	defer s.mu.Unlock()
	return p.caller
}

// beginRecall makes a recall findable for who is to end it. Nil: it has been decided already.
func (s *Service) beginRecall(o park.Orbit, cancel context.CancelCauseFunc) *parked {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.parkeds[o.ID]
	if now, ok := s.lot.Find(o.Number); p == nil || !ok || now.ID != o.ID || now.State != park.Recalling {
		return nil
	}
	p.ringing = cancel
	return p
}

// ring calls a device on behalf of the caller who is parked.
func (s *Service) ring(ctx context.Context, p *parked, to string, who park.Party, info string) (*leg, error) {
	target, err := sipua.ParseURI(to)
	if err != nil {
		return nil, err
	}
	way := towards(nil, target)
	caller := s.waiting(p)
	if a, ok := caller.line.Agreement(); ok && !way.IsValid() {
		way = a.Remote.Addr()
	}
	l, err := s.openLeg(ctx, who, way)
	if err != nil {
		return nil, err
	}
	number, v := p.orbit.Number, caller.view()
	from := sip.FromHeader{DisplayName: "Park " + number + ": " + v.party.Name(), Address: s.uri(number)}
	err = l.invite(ctx, sipua.InviteOptions{
		Target: target, From: from,
		Headers: append(s.headers(v),
			sip.NewHeader("Alert-Info", "<urn:alert:service:recall:hold>"), // RFC 7462 §8.2.2
			sip.NewHeader("Call-Info", info)),
	}, v)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// unanswered goes on after a recall that nobody has answered.
func (s *Service) unanswered(o park.Orbit) {
	if d := s.lot.Unanswered(time.Now(), o.ID); d.Kind == park.DueNothing {
		s.changed(o)
	} else {
		s.act(d)
	}
}

// drop sends a caller home whom nobody wants.
func (s *Service) drop(o park.Orbit) {
	s.mu.Lock()
	p := s.parkeds[o.ID]
	s.mu.Unlock()
	if p == nil || !s.unpark(p, s.lot.Leave, park.Dropped, park.Party{}) {
		return
	}
	caller := s.waiting(p)
	s.spawn(func(ctx context.Context) { s.bye(ctx, caller.dialog, reason(480, "Park time expired")) })
}
