package jitter_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"offhook/audio/jitter"
)

// TestModel sends random streams through random networks and compares with the naive model: a set of the packets that
// arrived. Each is played exactly once and in order, or counted as late or discarded; all time that was played is
// accounted for.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Uint16().Draw(t, "sequence")
		stamp := rapid.Uint32().Draw(t, "timestamp")
		ptime := rapid.SampledFrom([]time.Duration{10 * ms, 20 * ms, 30 * ms, 60 * ms}).Draw(t, "ptime")
		n := rapid.IntRange(1, 300).Draw(t, "packets")
		wildness := rapid.IntRange(0, 300).Draw(t, "jitter")
		dec := &fake{rate: rapid.SampledFrom([]int{8000, 16000, 48000}).Draw(t, "rate"), keep: true}
		clock := rapid.SampledFrom([]int{8000, 48000}).Draw(t, "clock")

		var flying []arrival
		arrived := map[uint32]bool{}
		duplicates, silence := 0, time.Duration(0)
		for i := range n {
			if rapid.IntRange(0, 30).Draw(t, "pause") == 0 { // the sender has nothing to say
				silence += time.Duration(rapid.IntRange(1, 40).Draw(t, "silence")) * ptime
			}
			sent := time.Duration(i+1)*ptime + silence
			p := jitter.Packet{
				Sequence: first + uint16(i), Timestamp: stamp + uint32((sent-ptime)/ms)*uint32(clock/1000),
				Payload: payload(uint32(i), ptime),
			}
			for copies := rapid.SampledFrom([]int{1, 1, 1, 1, 1, 1, 1, 0, 2}).Draw(t, "copies"); copies > 0; copies-- {
				if arrived[uint32(i)] {
					duplicates++
				}
				arrived[uint32(i)] = true
				flying = append(flying, arrival{sent + time.Duration(rapid.IntRange(0, wildness).Draw(t, "delay"))*ms, p})
			}
		}
		slices.SortStableFunc(flying, func(x, y arrival) int { return int(x.at - y.at) })

		b := jitter.New(jitter.Config{})
		b.SetFormat(0, jitter.Format{Decoder: dec, ClockRate: clock, SampleRate: dec.rate})
		now := time.Duration(0)
		for ; len(flying) > 0 || now < time.Duration(n)*ptime+silence+2*time.Second; now += 10 * ms {
			for len(flying) > 0 && flying[0].at <= now {
				b.Push(flying[0].p, flying[0].at)
				flying = flying[1:]
			}
			block, rate := b.Pull(now)
			if len(block) != rate/100 {
				t.Fatalf("%d samples at %d Hz", len(block), rate)
			}
		}

		s := b.Stats()
		if !slices.IsSorted(dec.decoded) || len(slices.Compact(slices.Clone(dec.decoded))) != len(dec.decoded) {
			t.Fatalf("not in order, or twice: %v", dec.decoded)
		}
		for _, id := range dec.decoded {
			if !arrived[id] {
				t.Fatalf("packet %d was played and never arrived", id)
			}
		}
		if played := uint64(len(dec.decoded)); played != s.Played || played+s.Late+s.Discarded != uint64(len(arrived)) {
			t.Fatalf("%d packets arrived, %d were played: %+v", len(arrived), played, s)
		}
		if s.Duplicates != uint64(duplicates) || s.Malformed != 0 {
			t.Fatalf("%d duplicates: %+v", duplicates, s)
		}
		if played := dec.decoded; len(played) > 0 && s.Discarded == 0 {
			// What never came before the first that was played, and after the last one, nobody can know of.
			lost := 0
			for id := played[0]; id < played[len(played)-1]; id++ {
				if !arrived[id] {
					lost++
				}
			}
			if s.Lost != uint64(lost) {
				t.Fatalf("%d never arrived: %+v", lost, s)
			}
		}
		account(t, s)
	})
}

// account checks that every moment of play-out has a reason.
func account(t interface{ Fatalf(string, ...any) }, s jitter.Stats) {
	made := s.Decoded + s.Concealed + s.Silent + s.Undecided + s.Inserted - s.Removed
	const rounding = 10 * time.Microsecond
	if held := made - s.Output; held < -rounding || held > s.Buffered+rounding {
		t.Fatalf("%v were played, %v are accounted for: %+v", s.Output, made, s)
	}
}
