package service

import (
	"context"
	"time"

	"offhook/internal/sipua"
	"offhook/park"
)

// serveReplaces serves an INVITE that takes over a dialog of ours (RFC 3891): a caller who was transferred to a reserved
// orbit, or who takes the place of a caller or of one side of a bridge.
func (s *Service) serveReplaces(ctx context.Context, inv *sipua.Invite, d *sipua.Dialog) {
	s.mu.Lock()
	old := s.legs[d.ID()]
	var reserved uint64
	var peer *leg
	var p *parked
	if old != nil {
		reserved, peer, p = old.reserved, old.peer, old.parked
		old.reserved = 0 // the parker may hang up now, the orbit waits for the caller
	}
	s.mu.Unlock()
	switch {
	case old == nil:
		s.refuse(inv, park.ErrNoCall)
	case reserved != 0:
		s.serveReserved(ctx, inv, old, reserved)
	case peer == nil && p == nil, !s.mayReplace(inv, old):
		s.refuse(inv, park.ErrNotAllowed)
	default:
		s.takePlace(ctx, inv, place{old, peer, p})
	}
}

// mayReplace reports whether an INVITE may take over a dialog: it comes from the party of that dialog, perhaps with
// another device, or was sent by it (RFC 3891 §8).
func (s *Service) mayReplace(inv *sipua.Invite, old *leg) bool {
	who, user := s.sender(inv.Request())
	by, referred := s.referrer(inv.Request())
	return user != "" && who.URI == old.party.URI || referred && by.URI == old.party.URI
}

// serveReserved parks a caller whom a parker has transferred to the orbit that was reserved for it. That its telephone knows
// the dialog is proof enough: nobody but the parker has been told of it.
func (s *Service) serveReserved(ctx context.Context, inv *sipua.Invite, parker *leg, id uint64) {
	who, _ := s.sender(inv.Request())
	o, ok := s.lot.Arrive(time.Now(), id)
	if !ok { // the time was faster; he stays with his parker (RFC 3891 §3)
		s.refuse(inv, park.ErrParkTimeout)
		s.tooLate(parker)
		return
	}
	l, p, err := s.take(ctx, inv, o, who)
	if err != nil {
		s.log.Info("a caller did not come to a reserved orbit", "orbit", o.Number, "err", err)
		s.lot.TurnBack(time.Now(), id)
		s.wakeClock()
		s.mu.Lock()
		over := parker.over
		if !over {
			parker.reserved = id
		}
		s.mu.Unlock()
		if over {
			s.release(id, parker.party)
		}
		return
	}
	s.spawn(func(ctx context.Context) { s.committed(ctx, parker, p.orbit) })
	l.run(ctx)
}

// repark parks the far side of a bridge: a call that was picked up is parked again. It is our own dialog, so nobody has to be
// invited. On failure the two go on talking.
func (s *Service) repark(ctx context.Context, near *leg, o park.Orbit) (*parked, error) {
	far := s.peerOf(near)
	if far == nil {
		return nil, park.ErrNoCall
	}
	if err := far.propose(ctx, parkedAt(o.Number, far.formats())); err != nil {
		s.follow(far)
		return nil, err
	}
	s.mu.Lock()
	if near.peer != far {
		s.mu.Unlock()
		s.follow(far) // somebody else talks to it by now, and is to be seen
		return nil, park.ErrNoCall
	}
	near.peer, far.peer = nil, nil
	s.mu.Unlock()
	far.line.Part()
	far.play()
	p, err := s.settle(o.ID, far)
	if err != nil {
		s.unite(near, far)
		return nil, err
	}
	s.spawn(func(ctx context.Context) { s.bye(ctx, near.dialog, "") })
	s.arrived(p)
	return p, nil
}
