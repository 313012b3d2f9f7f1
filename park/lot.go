package park

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// LotConfig is how a lot works.
type LotConfig struct {
	First, Last int           // numbers of the orbits, inclusive
	Timeout     time.Duration // until the parker is rung back; 0 means 90 s; 10 s to 10 min
	Quarantine  time.Duration // rest before a number is used again; 0 means 30 s, negative none
	Reservation time.Duration // how long an orbit is promised for attended parking; 0 means 60 s
	RingFor     time.Duration // how long a recall rings, which is the service's to observe; 0 means 30 s
	Attempts    int           // recalls before the fallback; 0 means 2
	Fallback    string        // URI that has the call in the end; "" none
	Tombstone   time.Duration // how long an ended token is known to have ended; 0 means 24 h
	PerUser     int           // calls that one user may have parked at once; 0 means 10
	Token       func() string // secrets, none twice; nil means 128 random bits, base32 in lower case without padding
}

// maxOrbits bounds a lot: every search through it is linear.
const maxOrbits = 10_000

// leastLeft is what is left at least of a time that has stood still, so that somebody else can try.
const leastLeft = 10 * time.Second

// Lot is the orbits of a park service. It decides who has a call when several want it: whoever asks first under its lock.
//
// It has neither timer nor goroutine. The service tells it the time with everything it tells it, calls Due when Next says
// so, and does what it is told to.
//
// A park is known by its id, which no other park ever gets: what comes late for a park that is over changes nothing,
// whoever is on its orbit by then.
type Lot struct {
	cfg LotConfig // immutable

	mu         sync.Mutex
	slots      []*slot           // guarded by mu; the slice itself is immutable
	parks      map[uint64]*slot  // guarded by mu; by id, quarantined ones included
	tokens     map[digest]uint64 // guarded by mu; ids of parks that have or had a caller, over or not
	tombstones []tombstone       // guarded by mu; oldest first
	last       uint64            // guarded by mu; the newest id
	turn       int               // guarded by mu; where the round robin goes on
	closed     bool              // guarded by mu
}

// NewLot returns a lot in which every orbit is free.
func NewLot(cfg LotConfig) (*Lot, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("park lot: %w", err)
	}
	l := &Lot{cfg: cfg, parks: map[uint64]*slot{}, tokens: map[digest]uint64{}}
	for n := cfg.First; n <= cfg.Last; n++ {
		l.slots = append(l.slots, &slot{number: strconv.Itoa(n), state: Free})
	}
	return l, nil
}

// complete puts the defaults in and checks the rest.
func (c *LotConfig) complete() error {
	def := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	def(&c.Timeout, 90*time.Second)
	def(&c.Quarantine, 30*time.Second)
	def(&c.Reservation, time.Minute)
	def(&c.RingFor, 30*time.Second)
	def(&c.Tombstone, 24*time.Hour)
	if c.Attempts == 0 {
		c.Attempts = 2
	}
	if c.PerUser == 0 {
		c.PerUser = 10
	}
	if c.Token == nil {
		c.Token = newToken
	}
	switch {
	case c.First < 1 || c.Last < c.First:
		return fmt.Errorf("orbits %d-%d are no range", c.First, c.Last)
	case c.Last-c.First >= maxOrbits:
		return fmt.Errorf("more than %d orbits", maxOrbits)
	case c.Timeout < 10*time.Second || c.Timeout > 10*time.Minute:
		return errors.New("the timeout must be 10s to 10m")
	case c.Reservation < 0 || c.RingFor < 0 || c.Tombstone < 0 || c.Attempts < 0 || c.PerUser < 0:
		return errors.New("a negative value")
	}
	return nil
}

// Config is the configuration with the defaults in place.
func (l *Lot) Config() LotConfig { return l.cfg }

// Orbits are all orbits, in order.
func (l *Lot) Orbits() []Orbit {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]Orbit, len(l.slots))
	for i, s := range l.slots {
		all[i] = s.snapshot()
	}
	return all
}

// Find is the orbit with that number, or the one where the park of that token is. A park that is over is not found.
func (l *Lot) Find(key string) (Orbit, bool) {
	token := digestOf(key)
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.numbered(key); s != nil {
		return s.snapshot(), true
	}
	s, _ := l.heldLocked(token)
	if s == nil {
		return Orbit{}, false
	}
	return s.snapshot(), true
}

// Ended reports whether a token is that of a park that is over and not yet forgotten.
func (l *Lot) Ended(token string) bool {
	d := digestOf(token)
	l.mu.Lock()
	defer l.mu.Unlock()
	s, known := l.heldLocked(d)
	return known && s == nil
}

// Close makes the lot refuse new parks. Those that are there go on.
func (l *Lot) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

// numbered is the slot of that very number, nil if the lot has none. It needs no lock: numbers do not change.
func (l *Lot) numbered(number string) *slot {
	n, err := strconv.Atoi(number)
	if err != nil || n < l.cfg.First || n > l.cfg.Last {
		return nil
	}
	if s := l.slots[n-l.cfg.First]; s.number == number { // neither 0701 nor +701
		return s
	}
	return nil
}

// heldLocked is where the park of a token is: nil if it is over, known while the token is. Both maps are asked for every
// token, so that an unknown one costs what an ended one does.
func (l *Lot) heldLocked(token digest) (s *slot, known bool) {
	id, known := l.tokens[token]
	if s = l.parks[id]; s != nil && s.state == Quarantine {
		s = nil
	}
	return s, known
}

// clearLocked forgets the park of a slot that has become Free.
func (l *Lot) clearLocked(s *slot) {
	delete(l.parks, s.park.id)
	s.park = nil
}

// endLocked is the end of a park whose slot has become Quarantine: its token is dead from now on.
func (l *Lot) endLocked(now time.Time, s *slot) {
	l.buryLocked(now, s.park.digest)
	s.park = &parked{id: s.park.id} // nothing of who was here is kept
	if l.cfg.Quarantine > 0 {
		s.at = now.Add(l.cfg.Quarantine)
	} else if s.move(rested) {
		l.clearLocked(s)
	}
}
