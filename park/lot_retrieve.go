package park

import "time"

// Claim is the beginning of a retrieval, by the number of an orbit or by the token of a park. Nobody else can claim until
// Retrieved or RetrieveFailed, one of which must follow. With recalling the parker, or the fallback, was being rung, which
// the caller of Claim has to cancel.
//
// The error is a *Failure. By number: ErrOrbitNotFound if nobody is there, ErrOccupied if somebody else is being connected.
// By token: ErrStaleOrbit if that park is over or somebody else is being connected, ErrOrbitNotFound if there never was
// such a token or its park was over too long ago. Never is somebody else reached by a token.
func (l *Lot) Claim(now time.Time, key string) (o Orbit, recalling bool, err error) {
	token := digestOf(key)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.crumbleLocked(now)
	refused := ErrOrbitNotFound
	s := l.numbered(key)
	if s == nil {
		var known bool
		if s, known = l.heldLocked(token); known {
			refused = ErrStaleOrbit
		}
	} else if s.state == Retrieving {
		refused = ErrOccupied
	}
	if s == nil {
		return Orbit{}, false, refused
	}
	recalling, ringBack := s.state == Recalling, s.at
	if !s.move(claim) {
		return Orbit{}, false, refused
	}
	p := s.park
	p.left = 0
	if recalling {
		p.attempt-- // interrupted, so it is made again if the retrieval fails
	} else {
		p.left = ringBack.Sub(now)
	}
	return s.snapshot(), recalling, nil
}

// Retrieved says that the retriever has the call. False: the caller was gone first, and the retriever has nobody.
func (l *Lot) Retrieved(now time.Time, id uint64) bool { return l.won(now, id, retrieved) }

// Answered says that the parker, or the fallback, has the call. False: somebody else has it, and who answered must be told.
func (l *Lot) Answered(now time.Time, id uint64) bool { return l.won(now, id, answered) }

// won ends a park by an input that hands the call over.
func (l *Lot) won(now time.Time, id uint64, on orbitInput) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.parks[id]
	if s == nil || !s.move(on) {
		return false
	}
	l.endLocked(now, s)
	return true
}

// RetrieveFailed says that the retriever does not have the call, and the caller waits on. The park time has stood still
// meanwhile; at least 10 s are left. What the claim has interrupted is made again after those.
func (l *Lot) RetrieveFailed(now time.Time, id uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.parks[id]
	if s == nil || !s.move(retrieveFailed) {
		return
	}
	s.goOn(now)
}

// Unanswered says that who was rung has not answered, or could not be reached. DueNothing: the caller waits again for as
// long as the first time, or somebody else has the call.
func (l *Lot) Unanswered(now time.Time, id uint64) (next Due) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.parks[id]
	switch {
	case s == nil || s.state != Recalling:
		return Due{}
	case s.park.attempt >= l.cfg.Attempts:
		return l.escalateLocked(s)
	case s.move(unanswered):
		s.at = now.Add(l.cfg.Timeout)
	}
	return Due{Orbit: s.snapshot()}
}
