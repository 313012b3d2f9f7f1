package park

import "time"

// Reserve finds an orbit for a call that is to be parked: the one that is wished for, or any. With attended the parker
// will transfer the call later; without, the service takes it over now, and then tells Occupy or Release. The error is a
// *Failure.
func (l *Lot) Reserve(now time.Time, by Party, device, note, wish string, attended bool) (Orbit, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return Orbit{}, ErrLotClosed
	}
	s, err := l.vacantLocked(now, wish)
	if err != nil {
		return Orbit{}, err
	}
	if l.countLocked(by.URI) >= l.cfg.PerUser {
		return Orbit{}, ErrTooMany
	}
	on := park
	if attended {
		on = promise
	}
	if !s.move(on) {
		return Orbit{}, ErrProcessing
	}
	if attended {
		s.at = now.Add(l.cfg.Reservation)
	}
	l.last++
	s.park = &parked{id: l.last, parker: by, device: device, note: note}
	l.parks[l.last] = s
	return s.snapshot(), nil
}

// vacantLocked finds a free slot. Without a wish it goes round, so that the number that became free last is used last.
func (l *Lot) vacantLocked(now time.Time, wish string) (*slot, error) {
	if wish != "" {
		s := l.numbered(wish)
		if s == nil {
			return nil, ErrOrbitNotFound
		}
		if !l.freeLocked(now, s) {
			return nil, ErrOccupied
		}
		return s, nil
	}
	for i := range l.slots {
		at := (l.turn + i) % len(l.slots)
		if s := l.slots[at]; l.freeLocked(now, s) {
			l.turn = at + 1
			return s, nil
		}
	}
	return nil, ErrNoOrbit
}

// freeLocked reports whether a slot is free, or is so by now, though Due has not come by yet.
func (l *Lot) freeLocked(now time.Time, s *slot) bool {
	if s.state == Quarantine && !s.at.After(now) {
		l.timeoutLocked(s)
	}
	return s.state == Free
}

// countLocked is how many orbits a user has.
func (l *Lot) countLocked(uri string) int {
	n := 0
	for _, s := range l.slots {
		if s.park != nil && s.state != Quarantine && s.park.parker.URI == uri {
			n++
		}
	}
	return n
}

// Arrive says that the caller of a promised orbit is on the way to it: the promise stands until Occupy, Release or TurnBack.
// One whose time is up stands too, as long as Due has not ended it. False: that park is over.
func (l *Lot) Arrive(now time.Time, id uint64) (Orbit, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.parks[id]
	if s == nil || s.state != Reserved || s.at.IsZero() {
		return Orbit{}, false
	}
	s.park.left, s.at = s.at.Sub(now), time.Time{}
	return s.snapshot(), true
}

// TurnBack says that he has not arrived, and may come again. The time of the promise has stood still meanwhile; at least
// 10 s are left.
func (l *Lot) TurnBack(now time.Time, id uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.parks[id]; s != nil && s.state == Reserved && s.at.IsZero() {
		s.goOn(now)
	}
}

// Occupy says that the caller is here. From now on there is a token, and the time until ring-back runs. ErrParkTimeout:
// that park is over; ErrDoublePark: the caller is here already.
func (l *Lot) Occupy(now time.Time, id uint64, caller Party) (Orbit, error) {
	token := l.cfg.Token() // not ours: not under the lock
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.parks[id]
	if s == nil || s.state == Quarantine {
		return Orbit{}, ErrParkTimeout
	}
	d := digestOf(token)
	if _, twice := l.tokens[d]; twice || l.numbered(token) != nil {
		return Orbit{}, ErrProcessing // a source of tokens that repeats itself must not be trusted with another try
	}
	if !s.move(occupy) {
		return Orbit{}, ErrDoublePark
	}
	p := s.park
	p.caller, p.since, p.token, p.digest = caller, now, token, d
	l.tokens[d] = id
	s.at = now.Add(l.cfg.Timeout)
	return s.snapshot(), nil
}

// Move says that somebody waits in the caller's place: himself with another device, or whom he has sent. Neither the token
// nor the time changes. False: somebody has the call or is being connected, or it is over.
func (l *Lot) Move(id uint64, caller Party) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.parks[id]
	if s == nil || s.state != Parked && s.state != Recalling {
		return false
	}
	s.park.caller = caller
	return true
}

// Release says that the caller will not come: the orbit is free again, without a rest, for nobody knows its number.
func (l *Lot) Release(_ time.Time, id uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.parks[id]; s != nil && s.move(release) {
		l.clearLocked(s)
	}
}

// Leave says that the caller is gone, whatever was going on; true if that is what has ended the park.
func (l *Lot) Leave(now time.Time, id uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.parks[id]
	if s == nil || !s.move(leave) {
		return false
	}
	if s.state == Free {
		l.clearLocked(s)
	} else {
		l.endLocked(now, s)
	}
	return true
}
