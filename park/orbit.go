package park

import (
	"log/slog"
	"time"

	"offhook/internal/fsm"
)

// Orbit is what an orbit was when it was asked for.
type Orbit struct {
	Number string
	State  State
	ID     uint64 // of this park, unique for the lot's life; 0 if the orbit is free
	// Token is the secret of the safe-retrieve URI, "" before the caller is here. It prints nowhere.
	Token string

	Caller Party // who is parked
	Parker Party // who has parked
	Device string
	Note   string

	Since    time.Time // since when the caller waits; zero if nobody does
	RingBack time.Time // when the parker will be rung; zero unless Parked
	Attempt  int       // how many times the parker has been rung, this time included; one more for the fallback
}

// String is the number and the state. The token never prints.
func (o Orbit) String() string { return o.Number + " " + string(o.State) }

// GoString keeps the token out of prints.
func (o Orbit) GoString() string { return "park.Orbit{" + o.String() + "}" }

// LogValue keeps the token out of logs.
func (o Orbit) LogValue() slog.Value { return slog.StringValue(o.String()) }

// slot is an orbit of the lot. All of it but the number is guarded by Lot.mu.
type slot struct {
	number string
	state  State
	at     time.Time // when the state is over by itself; zero: never
	park   *parked   // nil when Free
}

// parked is one park, from the reservation until quarantine is over. Guarded by Lot.mu.
type parked struct {
	id      uint64
	parker  Party
	device  string // the URI to ring back
	note    string
	caller  Party
	token   string
	digest  digest // of the token
	since   time.Time
	left    time.Duration // of the park time, in Retrieving, or of the promise, while the caller arrives
	attempt int
}

// move asks the table; false means that nothing has changed.
func (s *slot) move(on orbitInput) bool {
	to, outcome, _ := orbits.Next(s.state, on)
	if outcome == fsm.Moved {
		s.state, s.at = to, time.Time{}
	}
	return outcome == fsm.Moved
}

// goOn lets the time go on that has stood still.
func (s *slot) goOn(now time.Time) { s.at = now.Add(max(s.park.left, leastLeft)) }

func (s *slot) snapshot() Orbit {
	o := Orbit{Number: s.number, State: s.state}
	p := s.park
	if p == nil {
		return o
	}
	o.ID = p.id
	o.Token, o.Caller, o.Parker, o.Device, o.Note = p.token, p.caller, p.parker, p.device, p.note
	o.Since, o.Attempt = p.since, p.attempt
	if s.state == Parked {
		o.RingBack = s.at
	}
	return o
}
