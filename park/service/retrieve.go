package service

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sdp"
	"offhook/internal/sipua"
	"offhook/park"
)

// meant is how long after his ACK a retriever may say that he did not mean it, for the call not to count as picked up.
const meant = 20 * time.Millisecond

var errGaveUp = errors.New("park: who picked up has gone at once")

// serveRetrieve connects somebody with who is parked at an orbit, or with the caller of a token.
func (s *Service) serveRetrieve(ctx context.Context, inv *sipua.Invite, what string) {
	by, user := s.sender(inv.Request())
	if user == "" {
		s.refuse(inv, park.ErrOutside)
		return
	}
	now := time.Now()
	if wait := s.probes.wait(now, user); wait > 0 {
		after := fmt.Sprint(int((wait + time.Second - 1) / time.Second))
		s.refuse(inv, park.ErrProbing, sip.NewHeader("Retry-After", after))
		return
	}
	p, err := s.claim(now, what)
	if err != nil {
		if errors.Is(err, park.ErrOrbitNotFound) {
			s.probes.miss(now, user)
		}
		s.refuse(inv, err)
		return
	}
	wanted, cancel, stop := whileWanted(ctx, inv)
	s.mu.Lock()
	p.claiming = cancel
	s.mu.Unlock()
	l, err := s.connect(wanted, p, inv, by)
	s.mu.Lock()
	p.claiming = nil
	s.mu.Unlock()
	stop()
	if err != nil {
		s.retrieveFailed(p, inv, strings.HasPrefix(what, tokenPrefix), err)
		return
	}
	l.run(ctx)
}

// claim gets the one right to connect a caller. A recall is canceled: it has lost.
func (s *Service) claim(now time.Time, what string) (*parked, error) {
	key, secret := strings.CutPrefix(what, tokenPrefix)
	if secret && s.isOrbit(key) {
		return nil, park.ErrOrbitNotFound // pk-701 is no token
	}
	o, recalling, err := s.lot.Claim(now, key)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	p := s.parkeds[o.ID]
	if p != nil && recalling && p.ringing != nil {
		p.ringing(&sipua.CancelCause{Reason: sipua.CompletedElsewhere})
	}
	s.mu.Unlock()
	if p == nil { // gone between the two
		s.lot.RetrieveFailed(now, o.ID)
		return nil, park.ErrRetrieve
	}
	s.changed(o)
	return p, nil
}

// connect is third party call control (RFC 3725): the caller is offered what the retriever can, then the retriever gets what
// the caller has taken, so that both have a codec in common. When it returns without an error the two are a bridge, and the
// retriever's leg has to be run.
func (s *Service) connect(ctx context.Context, p *parked, inv *sipua.Invite, by park.Party) (*leg, error) {
	offer, caller := inv.Request().Body(), s.waiting(p)
	l, err := s.openFor(ctx, inv, by)
	if err != nil {
		return nil, err
	}
	shown := view{party: l.alias, formats: caller.formats(), want: reversed(l.wish)}
	if len(offer) > 0 {
		formats, wish, err := l.offered(offer)
		if err != nil {
			_ = inv.Reject(488, phrases[488], warning(s.cfg.Domain, err))
			l.close()
			return nil, err
		}
		shown.formats, shown.want = formats, reversed(wish)
	}
	if err := caller.propose(ctx, shown); err != nil {
		if errors.Is(err, sdp.ErrNoCodec) {
			_ = inv.Reject(488, phrases[488], warning(s.cfg.Domain, err))
		}
		l.close()
		if status := (*sipua.StatusError)(nil); !errors.As(err, &status) {
			s.takeBack(p) // his answer may have crossed, or makes no sense: he believes that he is picked up
		}
		return nil, err
	}
	err = l.answer(ctx, inv, caller.view(), func() error { return join(l, caller) }, s.orbitInfo(p.orbit.Number))
	if err != nil {
		s.takeBack(p)
		return nil, err
	}
	if l.gaveUp(ctx) {
		l.drop("")
		s.takeBack(p)
		return nil, errGaveUp
	}
	if !s.unpark(p, s.lot.Retrieved, park.Retrieved, l.alias) {
		l.drop(reason(480, errCallerGone.Error()))
		return nil, errCallerGone
	}
	if !s.bridge(l, caller) { // he has hung up since: the retriever has had the call
		s.spawn(func(ctx context.Context) { s.bye(ctx, l.dialog, reason(480, errCallerGone.Error())) })
	}
	return l, nil
}

// gaveUp reports whether a retriever has canceled, and the 200 was faster: then a BYE that says so follows his ACK at once
// (RFC 3261 §9.1, RFC 3326 §2). Nobody has spoken yet, and the caller must not be lost for that. Any other BYE ends the call.
func (l *leg) gaveUp(ctx context.Context) bool {
	timer := time.NewTimer(meant)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false
	case <-ctx.Done():
		return false
	case <-l.dialog.Done():
		end := l.dialog.End()
		return end.Remote && end.Reason.Cause == 487
	}
}

// takeBack shows a caller who was nearly picked up that he is parked still.
func (s *Service) takeBack(p *parked) {
	caller := s.waiting(p)
	if caller.dialog.End() != nil {
		return
	}
	caller.line.Part()
	caller.play()
	caller.send(func(ctx context.Context) {
		s.mu.Lock()
		still := caller.parked == p
		s.mu.Unlock()
		if !still {
			return
		}
		if err := caller.propose(ctx, parkedAt(p.orbit.Number, nil)); err != nil {
			s.log.Info("a caller who is parked on was not told so", "orbit", p.orbit.Number, "err", err)
		}
	})
}

// retrieveFailed refuses the retriever, unless that has been done, and lets the caller wait on.
func (s *Service) retrieveFailed(p *parked, inv *sipua.Invite, safe bool, err error) {
	s.log.Info("a retrieval failed", "orbit", p.orbit.Number, "err", err)
	s.lot.RetrieveFailed(time.Now(), p.orbit.ID)
	s.changed(p.orbit)
	refusal := park.ErrRetrieve
	if safe && s.waiting(p).dialog.End() != nil {
		refusal = park.ErrStaleOrbit // that park is over
	}
	s.refuse(inv, refusal) // no harm if it is answered
}
