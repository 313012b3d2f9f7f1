package service

import (
	"context"

	"offhook/internal/sipua"
	"offhook/park"
)

// place is where a leg is, and another can be in its place.
type place struct {
	leg    *leg
	peer   *leg    // who is bridged with it; nil if it is parked
	parked *parked // nil if it is bridged
}

// takePlace answers an INVITE whose sender takes the place of a leg. Nothing changes before its ACK is here: who cannot be
// answered, or comes too late, leaves everything as it was (RFC 3891 §3).
func (s *Service) takePlace(ctx context.Context, inv *sipua.Invite, at place) {
	l, err := s.openInPlace(ctx, inv, at.leg)
	if err != nil {
		s.refuse(inv, park.ErrProcessing)
		return
	}
	var v view
	if at.peer != nil {
		v = at.peer.view()
	} else {
		l.play()
		v = parkedAt(at.parked.orbit.Number, nil)
	}
	if err := l.answer(ctx, inv, v, nil); err != nil {
		s.log.Info("nobody took the place of a leg", "err", err)
		return
	}
	taken := at.peer != nil && s.takeTalking(at, l) || at.parked != nil && s.takeWaiting(at, l)
	loser, why := at.leg, sipua.CompletedElsewhere
	if !taken {
		loser, why = l, reason(480, "That call is over, or somebody else has it")
	}
	s.log.Info("somebody wants the place of a leg", "who", l.party.URI, "of", at.leg.party.URI, "taken", taken)
	s.spawn(func(ctx context.Context) { s.bye(ctx, loser.dialog, why) })
	l.run(ctx)
}

// openInPlace makes the media of a leg that takes the place of another one. The same user remains who he was for everybody,
// in name and privacy too, so that nobody need be told of anything.
func (s *Service) openInPlace(ctx context.Context, inv *sipua.Invite, old *leg) (*leg, error) {
	who, _ := s.sender(inv.Request())
	l, err := s.openFor(ctx, inv, who)
	if err == nil && who.URI == old.party.URI && l.alias == who {
		l.party, l.alias = old.party, old.alias
	}
	return l, err
}

// endingLocked reports whether a leg has ended, even if that has had no consequences yet.
func (l *leg) endingLocked() bool { return l.over || l.dialog.End() != nil }

// takeWaiting makes a leg the caller of a park. The lot says whether he is there to be moved: who is being connected is not.
func (s *Service) takeWaiting(at place, l *leg) bool {
	old, p := at.leg, at.parked
	s.mu.Lock()
	ok := !l.endingLocked() && !old.endingLocked() && old.parked == p && s.lot.Move(p.orbit.ID, l.alias)
	if ok {
		old.parked, l.parked, p.caller = nil, p, l
	}
	s.mu.Unlock()
	if ok && l.alias != old.alias {
		s.changed(p.orbit)
	}
	return ok
}

// takeTalking makes a leg one side of a bridge. Where the media cannot be joined, because the peer has changed to other codecs
// while the new leg was being answered, the two who talked go on.
func (s *Service) takeTalking(at place, l *leg) bool {
	old, peer := at.leg, at.peer
	s.mu.Lock()
	ok := !l.endingLocked() && !old.endingLocked() && !peer.endingLocked() && old.peer == peer
	if ok {
		old.peer, l.peer, peer.peer = nil, peer, l
	}
	s.mu.Unlock()
	if !ok {
		return false
	}
	if join(l, peer) == nil {
		s.follow(l)
		s.follow(peer)
		return true
	}
	s.mu.Lock()
	if l.peer == peer {
		l.peer, peer.peer = nil, nil
	}
	s.mu.Unlock()
	s.unite(old, peer)
	return false
}
