package service

import (
	"context"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sdp"
	"offhook/internal/sipua"
	"offhook/park"
	"offhook/park/music"
)

// serveConsultation tells a parker an orbit before he transfers anybody: it is reserved while he hears its number.
func (s *Service) serveConsultation(ctx context.Context, inv *sipua.Invite) {
	by, user := s.sender(inv.Request())
	if user == "" {
		s.refuse(inv, park.ErrOutside)
		return
	}
	device := inv.Request().Contact().Address.Clone()
	device.Headers = nil
	o, err := s.lot.Reserve(time.Now(), by, device.String(), "", "", true)
	if err != nil {
		s.refuse(inv, err)
		return
	}
	s.wakeClock()
	l, err := s.openFor(ctx, inv, by)
	if err != nil {
		s.release(o.ID, by)
		s.refuse(inv, park.ErrProcessing)
		return
	}
	spoken := music.New(music.Spell(o.Number), s.log)
	defer spoken.Close()
	if err := l.line.Play(spoken); err != nil {
		s.log.Warn("an orbit is not spoken", "orbit", o.Number, "err", err)
	}
	at := s.uri(o.Number)
	v := view{party: park.Party{URI: at.String(), Display: "Parked at " + o.Number}, want: sdp.Both}
	l.reserved = o.ID // nobody else knows l yet
	if err := l.answer(ctx, inv, v, nil, s.orbitInfo(o.Number)); err != nil {
		return // and its end has freed the orbit, unless the caller has come before the ACK
	}
	s.log.Info("an orbit is reserved", "orbit", o.Number, "by", by.URI)
	l.run(ctx)
}

// updateWait bounds an UPDATE that only tells something.
const updateWait = 2 * time.Second

// committed ends the call of a parker who has transferred a caller to his orbit (RFC 3891 §3), and tells him the
// safe-retrieve URI before, which is there only now.
func (s *Service) committed(ctx context.Context, parker *leg, o park.Orbit) {
	if parker.dialog.CanBeSent(sip.UPDATE) { // RFC 3311 §4
		ctx, cancel := context.WithTimeout(ctx, updateWait)
		defer cancel()
		at := s.uri(o.Number)
		_, err := parker.dialog.Do(ctx, sip.UPDATE, "", nil,
			asserted(park.Party{URI: at.String(), Display: "Parked at " + o.Number}),
			sip.NewHeader("Call-Info", s.retrieveInfo(o, time.Until(o.RingBack))))
		if err != nil {
			s.log.Debug("a parker was not told the safe address", "orbit", o.Number, "err", err)
		}
	}
	s.bye(ctx, parker.dialog, "")
}

// reservationOver ends the call of a parker who has transferred nobody in time. One that is not found has a caller on the way,
// who is told so by serveReserved.
func (s *Service) reservationOver(o park.Orbit) {
	s.mu.Lock()
	var late *leg
	for _, l := range s.legs {
		if l.reserved == o.ID {
			late, l.reserved = l, 0
		}
	}
	s.mu.Unlock()
	if late != nil {
		s.tooLate(late)
	}
}

// tooLate ends the call of a parker whose reservation is over.
func (s *Service) tooLate(parker *leg) {
	s.spawn(func(ctx context.Context) {
		s.bye(ctx, parker.dialog, reason(480, "Nobody was transferred to the orbit"))
	})
}
