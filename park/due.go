package park

import "time"

// DueKind is what has to be done for an orbit.
type DueKind string

// The kinds. In DueRecall and DueFallback the orbit is Recalling already: what comes of it is told to Answered or
// Unanswered.
const (
	DueNothing     DueKind = ""
	DueRecall      DueKind = "recall"      // ring the parker's device
	DueFallback    DueKind = "fallback"    // ring the fallback
	DueDrop        DueKind = "drop"        // hang up, then Leave; the orbit is Dropping
	DueReservation DueKind = "reservation" // the parker has not transferred the call: end its call; the orbit is Free
)

// Due is something to do.
type Due struct {
	Kind  DueKind
	Orbit Orbit
}

// Due moves every orbit whose time has come, and says what is to be done about it. It also ends quarantines and forgets
// old tokens, about which nothing is to be done.
func (l *Lot) Due(now time.Time) []Due {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.crumbleLocked(now)
	var due []Due
	for _, s := range l.slots {
		if s.at.IsZero() || s.at.After(now) {
			continue
		}
		if d := l.timeoutLocked(s); d.Kind != DueNothing {
			due = append(due, d)
		}
	}
	return due
}

// timeoutLocked is what happens by itself at the end of a state.
func (l *Lot) timeoutLocked(s *slot) Due {
	switch s.state {
	case Reserved:
		if s.move(expire) {
			o := s.snapshot()
			l.clearLocked(s)
			return Due{DueReservation, o}
		}
	case Parked:
		return l.escalateLocked(s)
	case Quarantine:
		if s.move(rested) {
			l.clearLocked(s)
		}
	case Free, Parking, Retrieving, Recalling, Dropping:
		// These end by what others do.
	}
	return Due{}
}

// escalateLocked is the next step with a call that nobody has taken: the parker is rung, then the fallback, then the
// caller is sent home.
func (l *Lot) escalateLocked(s *slot) Due {
	p := s.park
	kind, on := DueRecall, ring
	switch {
	case p.attempt < l.cfg.Attempts:
	case p.attempt == l.cfg.Attempts && l.cfg.Fallback != "":
		kind = DueFallback
		if s.state == Recalling {
			on = fallBack
		}
	default:
		kind, on = DueDrop, drop
	}
	if !s.move(on) {
		return Due{}
	}
	if kind != DueDrop {
		p.attempt++
	}
	return Due{kind, s.snapshot()}
}

// Next is when Due will have something to do; ok is false if nothing is to be expected.
func (l *Lot) Next() (at time.Time, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	earlier := func(t time.Time) {
		if !t.IsZero() && (!ok || t.Before(at)) {
			at, ok = t, true
		}
	}
	for _, s := range l.slots {
		earlier(s.at)
	}
	if len(l.tombstones) > 0 {
		earlier(l.tombstones[0].until)
	}
	return at, ok
}
