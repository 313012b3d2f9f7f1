package park

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// plain is the lot once more, as a list of everything that has ever been parked, without tables, maps or economy.
type plain struct {
	cfg   LotConfig
	now   time.Time
	parks []*plainPark
	turn  int
	shut  bool
}

type plainPark struct {
	id            uint64
	number        int
	by, token     string
	caller        Party
	promised      bool
	arriving      bool // the caller is on the way to the promised orbit
	waits         bool // the caller is here
	taken         bool // by a retriever
	ringing       bool
	dropping      bool
	over          bool
	endsAt        time.Time // of the promise, or when the bell rings
	left          time.Duration
	rung          int
	ended         time.Time
	neverOccupied bool
}

func (m *plain) live(number int) *plainPark {
	for _, p := range m.parks {
		if p.number == number && !p.over {
			return p
		}
	}
	return nil
}

func (m *plain) resting(number int) bool {
	return slices.ContainsFunc(m.parks, func(p *plainPark) bool {
		return p.number == number && p.over && !p.neverOccupied && m.now.Before(p.ended.Add(m.cfg.Quarantine))
	})
}

func (m *plain) byID(id uint64) *plainPark {
	for _, p := range m.parks {
		if p.id == id && !p.over {
			return p
		}
	}
	return &plainPark{} // one that nothing can happen to
}

func (m *plain) reserve(by string, wish int, anyOrbit, attended bool, id uint64) (number int, err error) {
	free := func(n int) bool { return m.live(n) == nil && !m.resting(n) }
	switch {
	case m.shut:
		return 0, ErrLotClosed
	case !anyOrbit && (wish < m.cfg.First || wish > m.cfg.Last):
		return 0, ErrOrbitNotFound
	case !anyOrbit && !free(wish):
		return 0, ErrOccupied
	}
	if anyOrbit {
		for range m.cfg.Last - m.cfg.First + 1 {
			if m.turn > m.cfg.Last || m.turn == 0 {
				m.turn = m.cfg.First
			}
			n := m.turn
			m.turn++
			if free(n) {
				wish = n
				break
			}
		}
		if wish == 0 {
			return 0, ErrNoOrbit
		}
	}
	mine := 0
	for _, p := range m.parks {
		if !p.over && p.by == by {
			mine++
		}
	}
	if mine >= m.cfg.PerUser {
		return 0, ErrTooMany
	}
	p := &plainPark{id: id, number: wish, by: by, promised: attended}
	if attended {
		p.endsAt = m.now.Add(m.cfg.Reservation)
	}
	m.parks = append(m.parks, p)
	return wish, nil
}

func (m *plain) end(p *plainPark) {
	p.over, p.ended, p.neverOccupied = true, m.now, !p.waits
}

func (m *plain) claim(key string) (*plainPark, bool, error) {
	for _, p := range m.parks {
		byToken := key == p.token && p.token != ""
		if !byToken && (p.over || key != fmt.Sprint(p.number)) {
			continue
		}
		switch {
		case p.over && !m.now.Before(p.ended.Add(m.cfg.Tombstone)):
			return nil, false, ErrOrbitNotFound
		case byToken && (p.over || p.taken || p.dropping):
			return nil, false, ErrStaleOrbit
		case p.taken:
			return nil, false, ErrOccupied
		case !p.waits || p.dropping:
			return nil, false, ErrOrbitNotFound
		}
		was := p.ringing
		p.left = p.endsAt.Sub(m.now)
		if was {
			p.rung--
			p.left = 0
		}
		p.taken, p.ringing = true, false
		return p, was, nil
	}
	return nil, false, ErrOrbitNotFound
}

// step is what is next with somebody whom nobody has taken.
func (m *plain) step(p *plainPark) DueKind {
	p.ringing = true
	switch {
	case p.rung < m.cfg.Attempts:
		p.rung++
		return DueRecall
	case p.rung == m.cfg.Attempts && m.cfg.Fallback != "":
		p.rung++
		return DueFallback
	}
	p.ringing, p.dropping = false, true
	return DueDrop
}

func (m *plain) due() []string {
	var said []string
	for n := m.cfg.First; n <= m.cfg.Last; n++ {
		p := m.live(n)
		switch {
		case p == nil || p.endsAt.After(m.now) || p.arriving:
		case p.promised && !p.waits:
			m.end(p)
			said = append(said, fmt.Sprint(n, DueReservation))
		case p.waits && !p.taken && !p.ringing && !p.dropping:
			said = append(said, fmt.Sprint(n, m.step(p)))
		}
	}
	return said
}

func (m *plain) state(n int) State {
	p := m.live(n)
	switch {
	case p == nil && m.resting(n):
		return Quarantine
	case p == nil:
		return Free
	case p.taken:
		return Retrieving
	case p.ringing:
		return Recalling
	case p.dropping:
		return Dropping
	case p.waits:
		return Parked
	case p.promised:
		return Reserved
	}
	return Parking
}

// Every order of everything, late and duplicated words included, against the plain lot. Ids and tokens are drawn from all
// that have ever been, so most of them are of parks that are over.
func TestAgainstModel(t *testing.T) {
	for range 20 { // a hundred runs of thirty steps each are few for so many orders
		rapid.Check(t, againstModel)
	}
}

func againstModel(t *rapid.T) {
	tokens := 0
	cfg := LotConfig{
		First: 701, Last: 703,
		Quarantine: rapid.SampledFrom([]time.Duration{-1, 30 * second}).Draw(t, "quarantine"),
		Fallback:   rapid.SampledFrom([]string{"", "sip:desk@example.test"}).Draw(t, "fallback"),
		Attempts:   rapid.IntRange(1, 2).Draw(t, "attempts"),
		PerUser:    2,
		Tombstone:  5 * time.Minute,
		Token:      func() string { tokens++; return fmt.Sprintf("token%d", tokens) },
	}
	l, err := NewLot(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m := &plain{cfg: l.Config(), now: start}
	var ids uint64
	id := func(t *rapid.T) uint64 {
		newest := max(ids, 1)
		return newest - min(newest-1, uint64(rapid.IntRange(0, 6).Draw(t, "id")))
	}
	same := func(t *rapid.T, what string, got, want any) {
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%s: %v, want %v", what, got, want)
		}
	}
	sameErr := func(t *rapid.T, got, want error) {
		if got != want {
			t.Fatalf("error %v, want %v", got, want)
		}
	}
	t.Repeat(map[string]func(*rapid.T){
		"reserve": func(t *rapid.T) {
			by := rapid.SampledFrom([]string{"bob", "carol"}).Draw(t, "by")
			wish := rapid.SampledFrom([]int{0, 0, 0, 0, 701, 702, 700}).Draw(t, "wish")
			attended := rapid.Bool().Draw(t, "attended")
			key := ""
			if wish != 0 {
				key = fmt.Sprint(wish)
			}
			got, err := l.Reserve(m.now, Party{URI: by}, "", "", key, attended)
			number, wantErr := m.reserve(by, wish, wish == 0, attended, ids+1)
			sameErr(t, err, wantErr)
			if err == nil {
				ids++
				same(t, "reserved", []any{got.Number, got.ID}, []any{number, ids})
			}
		},
		"occupy": func(t *rapid.T) {
			n := id(t)
			before := tokens
			o, err := l.Occupy(m.now, n, Party{URI: fmt.Sprint("caller of ", n)})
			switch p := m.byID(n); {
			case p.id == 0 && err == ErrDoublePark, p.id == 0 && err == ErrParkTimeout: // over
			case p.waits:
				sameErr(t, err, ErrDoublePark)
			default:
				sameErr(t, err, nil)
				p.waits, p.arriving, p.caller, p.token = true, false, o.Caller, fmt.Sprintf("token%d", before+1)
				p.endsAt = m.now.Add(m.cfg.Timeout)
				same(t, "token", o.Token, p.token)
			}
		},
		"arrive": func(t *rapid.T) {
			n := id(t)
			o, ok := l.Arrive(m.now, n)
			p := m.byID(n)
			same(t, "arrives", ok, p.promised && !p.waits && !p.arriving)
			if ok {
				same(t, "arrives at", []any{o.Number, o.ID, o.State}, []any{p.number, n, Reserved})
				p.arriving, p.left = true, p.endsAt.Sub(m.now)
			}
		},
		"turnBack": func(t *rapid.T) {
			n := id(t)
			l.TurnBack(m.now, n)
			if p := m.byID(n); p.arriving {
				p.arriving, p.endsAt = false, m.now.Add(max(p.left, 10*second))
			}
		},
		"move": func(t *rapid.T) {
			n := id(t)
			p := m.byID(n)
			to := Party{URI: fmt.Sprint("another caller of ", n)}
			same(t, "moved", l.Move(n, to), p.waits && !p.taken && !p.dropping)
			if p.waits && !p.taken && !p.dropping {
				p.caller = to
			}
		},
		"release": func(t *rapid.T) {
			n := id(t)
			l.Release(m.now, n)
			if p := m.byID(n); p.id != 0 && !p.waits {
				m.end(p)
			}
		},
		"claim": func(t *rapid.T) {
			key := fmt.Sprint(rapid.IntRange(700, 704).Draw(t, "number"))
			if rapid.Bool().Draw(t, "by token") {
				key = fmt.Sprintf("token%d", max(0, tokens-rapid.IntRange(-1, 6).Draw(t, "token")))
			}
			o, recalling, err := l.Claim(m.now, key)
			p, was, wantErr := m.claim(key)
			sameErr(t, err, wantErr)
			if err == nil {
				same(t, "claimed", []any{o.ID, o.Caller, recalling}, []any{p.id, p.caller, was})
			}
		},
		"retrieved": func(t *rapid.T) {
			n := id(t)
			p := m.byID(n)
			same(t, "retrieved", l.Retrieved(m.now, n), p.taken)
			if p.taken {
				m.end(p)
			}
		},
		"retrieveFailed": func(t *rapid.T) {
			n := id(t)
			l.RetrieveFailed(m.now, n)
			if p := m.byID(n); p.taken {
				p.taken, p.endsAt = false, m.now.Add(max(p.left, 10*second))
			}
		},
		"leave": func(t *rapid.T) {
			n := id(t)
			p := m.byID(n)
			same(t, "left", l.Leave(m.now, n), p.id != 0)
			if p.id != 0 {
				m.end(p)
			}
		},
		"answered": func(t *rapid.T) {
			n := id(t)
			p := m.byID(n)
			same(t, "answered", l.Answered(m.now, n), p.ringing)
			if p.ringing {
				m.end(p)
			}
		},
		"unanswered": func(t *rapid.T) {
			n := id(t)
			p, want := m.byID(n), DueNothing
			if p.ringing && p.rung >= m.cfg.Attempts {
				want = m.step(p)
			} else if p.ringing {
				p.ringing, p.endsAt = false, m.now.Add(m.cfg.Timeout)
			}
			same(t, "unanswered", l.Unanswered(m.now, n).Kind, want)
		},
		"time": func(t *rapid.T) {
			m.now = m.now.Add(rapid.SampledFrom([]time.Duration{second, 10 * second, 31 * second, 90 * second}).Draw(t, "passes"))
			var said []string
			for _, d := range l.Due(m.now) {
				said = append(said, fmt.Sprint(mustInt(d.Orbit.Number), d.Kind))
			}
			same(t, "due", said, m.due())
		},
		"close": func(t *rapid.T) {
			if rapid.IntRange(0, 50).Draw(t, "really") == 50 {
				l.Close()
				m.shut = true
			}
		},
		"": func(t *rapid.T) {
			waiting := map[string]bool{}
			for i, o := range l.Orbits() {
				same(t, "state of "+o.Number, o.State, m.state(m.cfg.First+i))
				p := m.live(m.cfg.First + i)
				if o.State == Parked {
					same(t, "time left", o.RingBack, p.endsAt)
				}
				if p != nil {
					same(t, "caller", []any{o.Caller, o.Token, o.Attempt}, []any{p.caller, p.token, p.rung})
				}
				if o.Token != "" && waiting[o.Token] {
					t.Fatal("one token on two orbits")
				}
				waiting[o.Token] = true
			}
			for _, p := range m.parks {
				if p.token == "" || p.over && !m.now.Before(p.ended.Add(m.cfg.Tombstone)) {
					continue
				}
				o, found := l.Find(p.token)
				same(t, "by token", []any{found, l.Ended(p.token)}, []any{!p.over, p.over})
				if found && o.ID != p.id {
					t.Fatalf("the token of %d finds %d", p.id, o.ID)
				}
			}
		},
	})
}

func mustInt(s string) (n int) {
	if _, err := fmt.Sscan(s, &n); err != nil {
		panic(err)
	}
	return n
}
