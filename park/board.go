package park

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Row is one line of the board: an orbit where a call is, as far as is known.
type Row struct {
	Orbit    string    `json:"orbit"`
	State    string    `json:"state"` // parked, recalling
	Caller   Party     `json:"caller"`
	ParkedBy Party     `json:"parked_by"`
	Since    time.Time `json:"since,omitzero"`
	RingBack time.Time `json:"ringback_at,omitzero"` // when it goes back to who parked it; zero: not known
	Mine     bool      `json:"mine,omitempty"`       // parked by this user
	Note     string    `json:"note,omitempty"`
	// Estimated: it is known only by what somebody has written, and counted from when that came.
	Estimated bool `json:"estimated,omitempty"`
	// AnnouncedBy is who has written of it. Announced is whom they named, if somebody else is there now.
	AnnouncedBy Party `json:"announced_by,omitzero"`
	Announced   Party `json:"announced,omitzero"`
}

// States of a row.
const (
	RowParked    = "parked"
	RowRecalling = "recalling"
)

// Board is what is known of orbits, from three sources: lamps, exact about what they tell; the user's own records, exact
// as well; and announcements, estimates. For each orbit the best of them is shown.
//
// All strings in it are clean: whatever comes in by its methods may be raw from the network. It is safe for concurrent
// use. Methods that change it return the orbits whose rows have changed, appeared or gone, in order.
type Board struct {
	self Party

	mu     sync.Mutex
	places map[string]*place // Guarded by mu
	lists  map[string]bool   // Guarded by mu; lots whose list is known: what such a list does not name is free
}

// place is what the sources say of one orbit. Guarded by the board's mu.
type place struct {
	lamp *lamp   // nil: nothing has been heard
	own  *Record // the newest of the user's own; nil none
	told *told   // the newest announcement; nil none
}

type told struct {
	Announcement
	by    Party
	at    time.Time
	shown bool // nothing better has contradicted it
}

const (
	// maxPlaces bounds the orbits of a board.
	maxPlaces = 500
	maxLists  = 16
	// maxHearsay bounds those of which nothing but messages tell, so that whoever writes many leaves room for the rest.
	maxHearsay = 50
	// memory is how long one expects somebody who is not there any more.
	memory = 10 * time.Minute
	// margin is how long an estimate stays after the ring-back it has counted down to: it rings for a while.
	margin = 30 * time.Second
	// lampLag is how much later than a message a lamp may come.
	lampLag = 5 * time.Second
)

// NewBoard makes a board. self is the address of the user: what it has parked from any device is Mine.
func NewBoard(self string) *Board {
	return &Board{self: Party{URI: self}, places: map[string]*place{}, lists: map[string]bool{}}
}

// Announced adds what somebody has written.
func (b *Board) Announced(a Announcement, by Party, at time.Time) []string {
	a, by = a.clean(), by.clean()
	return b.change(func() {
		if b.places[a.Orbit] == nil && b.hearsayLocked() >= maxHearsay {
			return
		}
		if p := b.placeLocked(a.Orbit); p != nil && (p.told == nil || !at.Before(p.told.at)) {
			p.told = &told{Announcement: a, by: by, at: at, shown: true}
		}
	})
}

// Taken removes an announcement. Only who has made it can.
func (b *Board) Taken(t TakenNotice, by Party, at time.Time) []string {
	t = t.clean()
	return b.change(func() {
		p := b.places[t.Orbit]
		if p == nil || p.told == nil || !SameParty(p.told.by, by.clean()) || at.Before(p.told.at) {
			return
		}
		if met(t.Reason) {
			p.told = nil
		} else {
			p.told.shown = false
		}
	})
}

// met reports whether somebody has talked to the caller, so that nobody expects the caller at the orbit any more. After
// the other endings a user may still go there.
func met(r UnparkReason) bool { return r == Retrieved || r == Ringback || r == Fallback }

// Mine adds a record of the user's own, or what has become of it.
func (b *Board) Mine(r Record) []string {
	r.Caller, r.ParkedBy = r.Caller.clean(), r.ParkedBy.clean()
	r.Sent, r.Orbit.SafeRetrieveURI = nil, "" // not for the board
	orbit := orbitText(r.Orbit.FriendlyOrbit)
	return b.change(func() {
		p := b.placeLocked(orbit)
		switch {
		case p == nil:
		case p.own != nil && p.own.ID != r.ID && r.Orbit.Parked.Before(p.own.Orbit.Parked): // news of an older one
		case !r.Ended.IsZero() && met(r.Reason):
			p.own = nil
		default:
			p.own = &r
		}
	})
}

// Expire removes what has had its time. Until somebody calls it, it stays.
func (b *Board) Expire(now time.Time) []string {
	return b.change(func() {
		for orbit, p := range b.places {
			if t := p.told; t != nil {
				dark := p.lamp == nil && len(b.lists) > 0 || p.lamp != nil && !p.lamp.occupied
				if now.After(t.over()) || dark && now.After(t.at.Add(lampLag)) {
					t.shown = false
				}
				if now.After(t.at.Add(memory)) && !t.shown {
					p.told = nil
				}
			}
			if own := p.own; own != nil && !own.Ended.IsZero() && now.After(own.Ended.Add(memory)) {
				p.own = nil
			}
			if p.told == nil && p.own == nil && (p.lamp == nil || !p.lamp.occupied && len(b.lists) > 0) {
				delete(b.places, orbit)
			}
		}
	})
}

// over is when the call of an announcement is believed to be gone.
func (t *told) over() time.Time {
	if t.Within == 0 {
		return t.at.Add(memory)
	}
	return t.at.Add(t.Within + margin)
}

// Expected is whom the user believes to be at an orbit, because the user parked them there or somebody has written so,
// and who says it. It goes by the newest that is known, and for some minutes after the call is gone: those are when people
// still type the number.
func (b *Board) Expected(orbit string, now time.Time) (who, by Party, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.places[orbitText(orbit)]
	if p == nil {
		return Party{}, Party{}, false
	}
	own, told := p.own, p.told
	if own != nil && !own.Ended.IsZero() && now.After(own.Ended.Add(memory)) {
		own = nil
	}
	if told != nil && now.After(told.at.Add(memory)) {
		told = nil
	}
	switch {
	case told != nil && (own == nil || told.at.After(own.Orbit.Parked)):
		return told.Caller, told.by, told.Caller.URI != ""
	case own != nil:
		return own.Caller, own.ParkedBy, own.Caller.URI != ""
	}
	return Party{}, Party{}, false
}

// Present is who is at an orbit now, as its lamp says.
func (b *Board) Present(orbit string) (Party, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.places[orbitText(orbit)]
	if p == nil || p.lamp == nil || !p.lamp.occupied || p.lamp.caller.URI == "" {
		return Party{}, false
	}
	return p.lamp.caller, true
}

// Rows are all lines: what goes back first comes first, then by number.
func (b *Board) Rows() []Row {
	b.mu.Lock()
	defer b.mu.Unlock()
	var rows []Row
	for _, r := range b.rowsLocked() {
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(x, y Row) int {
		if x.RingBack.IsZero() != y.RingBack.IsZero() {
			return cmp.Compare(b2i(x.RingBack.IsZero()), b2i(y.RingBack.IsZero()))
		}
		return cmp.Or(x.RingBack.Compare(y.RingBack), byNumber(x.Orbit, y.Orbit))
	})
	return rows
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// byNumber compares numbers as numbers; of unlike length the shorter comes first.
func byNumber(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }

// Row is the line of an orbit; not ok if nothing is there.
func (b *Board) Row(orbit string) (Row, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.places[orbitText(orbit)]
	if p == nil {
		return Row{}, false
	}
	return b.rowLocked(orbitText(orbit), p)
}

// change runs f with the lock held and finds which rows it has changed.
func (b *Board) change(f func()) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.rowsLocked()
	f()
	after := b.rowsLocked()
	var changed []string
	for orbit, r := range before {
		if after[orbit] != r {
			changed = append(changed, orbit)
		}
	}
	for orbit := range after {
		if _, ok := before[orbit]; !ok {
			changed = append(changed, orbit)
		}
	}
	slices.SortFunc(changed, byNumber)
	return changed
}

func (b *Board) rowsLocked() map[string]Row {
	rows := map[string]Row{}
	for orbit, p := range b.places {
		if r, ok := b.rowLocked(orbit, p); ok {
			rows[orbit] = r
		}
	}
	return rows
}

// hearsayLocked counts the orbits of which nothing but messages tell.
func (b *Board) hearsayLocked() int {
	n := 0
	for _, p := range b.places {
		if p.lamp == nil && p.own == nil {
			n++
		}
	}
	return n
}

// placeLocked finds or makes the place of an orbit; nil if there are too many.
func (b *Board) placeLocked(orbit string) *place {
	p := b.places[orbit]
	if p == nil && orbit != "" && len(b.places) < maxPlaces {
		p = &place{}
		b.places[orbit] = p
	}
	return p
}
