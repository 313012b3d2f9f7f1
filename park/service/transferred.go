package service

import (
	"context"
	"fmt"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
	"offhook/park"
)

// serveTransferred parks whom somebody has transferred to the service or to an orbit. Without Referred-By an INVITE to an
// orbit never parks: who dials a number that is free by now must not find himself parked.
func (s *Service) serveTransferred(ctx context.Context, inv *sipua.Invite, by park.Party, user string) {
	who, _ := s.sender(inv.Request())
	switch {
	case s.local(by) == "":
		s.refuse(inv, park.ErrOutside)
		return
	case s.legsOf(who) >= s.lot.Config().PerUser:
		s.refuse(inv, park.ErrTooMany) // Referred-By can name anybody, so that the bound of parkers is none to a caller
		return
	}
	wish := ""
	if user != userPark {
		wish = user
	}
	o, err := s.lot.Reserve(time.Now(), by, by.URI, "", wish, false)
	if err != nil {
		s.refuse(inv, err)
		return
	}
	l, p, err := s.take(ctx, inv, o, who)
	if err != nil {
		s.release(o.ID, by)
		s.log.Info("a transferred call could not be parked", "err", err)
		return
	}
	s.spawn(func(ctx context.Context) { s.tell(ctx, p.orbit) })
	l.run(ctx)
}

// legsOf is how often somebody is parked, or about to be.
func (s *Service) legsOf(who park.Party) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.legs {
		if l.party.URI == who.URI && (l.parked != nil || l.unconfirmed) {
			n++
		}
	}
	return n
}

// take answers an INVITE and makes its caller that of a park. His leg has to be run.
func (s *Service) take(ctx context.Context, inv *sipua.Invite, o park.Orbit, who park.Party) (*leg, *parked, error) {
	l, err := s.openFor(ctx, inv, who)
	if err != nil {
		s.refuse(inv, park.ErrProcessing)
		return nil, nil, err
	}
	l.play()
	if err := l.answer(ctx, inv, parkedAt(o.Number, nil), nil); err != nil {
		return nil, nil, err
	}
	p, err := s.settle(o.ID, l)
	if err != nil {
		l.drop(reason(480, err.Error()))
		return nil, nil, err
	}
	s.arrived(p)
	return l, p, nil
}

// tellWait bounds a MESSAGE to a parker.
const tellWait = 32 * time.Second

// tell lets a parker whose telephone cannot learn it know the orbit.
func (s *Service) tell(ctx context.Context, o park.Orbit) {
	to, err := sipua.ParseURI(o.Parker.URI)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tellWait)
	defer cancel()
	req := s.agent.NewRequest(sip.MESSAGE, to)
	req.AppendHeader(s.mark(req.CallID().Value()))
	req.AppendHeader(sip.NewHeader("Content-Type", "text/plain; charset=UTF-8"))
	req.SetBody(fmt.Appendf(nil, "%s is parked on %s. Dial %s to pick up the call.", o.Caller.Name(), o.Number, o.Number))
	if _, err := s.agent.Do(ctx, req); err != nil {
		s.log.Info("a parker was not told the orbit", "orbit", o.Number, "parker", o.Parker.URI, "err", err)
	}
}
