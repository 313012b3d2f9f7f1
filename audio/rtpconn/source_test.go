package rtpconn

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Against a naive model that keeps a set of all numbers: whatever a network does short of an outage, loss is what is missing.
func TestSourceCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Uint16().Draw(t, "first")
		n := rapid.IntRange(1, 300).Draw(t, "packets")
		dice := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		type flight struct {
			number int
			due    float64
		}
		var flights []flight
		for i := range n {
			if i > 0 && dice.IntN(10) == 0 {
				continue
			}
			flights = append(flights, flight{i, float64(i) + 20*dice.Float64()})
			if dice.IntN(10) == 0 {
				flights = append(flights, flight{i, float64(i) + 30*dice.Float64()})
			}
		}
		slices.SortFunc(flights, func(a, b flight) int {
			if a.due < b.due {
				return -1
			}
			return 1
		})
		lowest, highest := flights[0].number, flights[0].number
		seen := map[int]bool{}
		s := newSource(1, first+uint16(flights[0].number), 0)
		for _, f := range flights {
			v := s.arrive(first+uint16(f.number), 0)
			want := reordered
			switch {
			case seen[f.number]:
				want = duplicate
			case f.number > highest || len(seen) == 0:
				want = fresh
			}
			if v != want {
				t.Fatalf("packet %d: verdict %d, want %d", f.number, v, want)
			}
			seen[f.number] = true
			lowest, highest = min(lowest, f.number), max(highest, f.number)
		}
		expected := uint64(highest - lowest + 1)
		if s.expectedTotal() != expected || s.lostTotal() != expected-uint64(len(seen)) {
			t.Fatalf("expected %d, lost %d; want %d, %d", s.expectedTotal(), s.lostTotal(), expected, expected-uint64(len(seen)))
		}
	})
}

func TestFraction(t *testing.T) {
	s := newSource(1, 0, 0)
	for i := range uint16(100) {
		if i%4 != 3 {
			s.arrive(i, 0)
		}
	}
	if f := s.fraction(); f != 24*256/99 { // the last one is not yet expected
		t.Errorf("fraction %d", f)
	}
	for i := range uint16(100) {
		s.arrive(100+i, 0)
	}
	if f := s.fraction(); f != 1*256/101 {
		t.Errorf("fraction %d after none was lost but the one before", f)
	}
	if f := s.fraction(); f != 0 {
		t.Errorf("fraction %d of nothing", f)
	}
}

// The estimate of RFC 3550 A.8 for a delay that alternates by 16 ms approaches 16 ms.
func TestJitter(t *testing.T) {
	for _, rate := range []int{8000, 48000} {
		s := newSource(1, 0, 0)
		timestamp := uint32(1<<32 - 1000) // wraps
		for i := range 500 {
			at := time.Duration(i)*20*time.Millisecond + time.Duration(i%2)*16*time.Millisecond
			s.clock(timestamp, rate, at)
			timestamp += uint32(rate / 50)
		}
		if j := s.interarrival(); j < 15900*time.Microsecond || j > 16100*time.Microsecond {
			t.Errorf("at %d Hz: %v", rate, j)
		}
		before := s.jitter
		s.clock(timestamp+1e6, rate, 10*time.Second)
		if s.jitter != before {
			t.Error("another offset of timestamps is taken for jitter")
		}
	}
}

func TestBursts(t *testing.T) {
	feed := func(b *bursts, pattern string, times int) {
		for range times {
			lost := 0
			for _, c := range pattern {
				if c == 'x' {
					lost++
					continue
				}
				b.lost(lost)
				lost = 0
				b.got()
			}
			b.lost(lost)
		}
	}
	var b bursts
	feed(&b, ".", 50)
	feed(&b, "x", 1) // alone: belongs to the gap
	feed(&b, ".", 49)
	feed(&b, "xx..x.xx", 1) // five of eight
	feed(&b, ".", 100)
	burstDensity, gapDensity, burst, gap := b.metrics()
	if burstDensity != 5.0/8 || burst != 8 || gapDensity != 1.0/200 || gap != 100 {
		t.Errorf("density %v and %v, length %v and %v", burstDensity, gapDensity, burst, gap)
	}
	if b.total != 6 || b.runs != 4 {
		t.Errorf("%d lost in %d runs", b.total, b.runs)
	}
}

func TestWindow(t *testing.T) {
	var w window
	if w.share() != 0 {
		t.Error("a share of nothing")
	}
	for i := range uint64(100) { // half of all is missing
		w.note(time.Duration(i)*100*time.Millisecond, 2*i, i)
	}
	if s := w.share(); s != 0.5 {
		t.Errorf("share %v", s)
	}
	for i := range uint64(100) { // nothing is
		w.note(10*time.Second+time.Duration(i)*100*time.Millisecond, 200+2*i, 99)
	}
	if s := w.share(); s != 0 {
		t.Errorf("share %v", s)
	}
}
