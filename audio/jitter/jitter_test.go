package jitter_test

import (
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"offhook/audio/jitter"
)

// rig is a buffer with a sender whose packets come without jitter.
type rig struct {
	t     *testing.T
	b     *jitter.Buffer
	dec   *fake
	now   time.Duration
	next  jitter.Packet // sequence and timestamp of the next packet
	id    uint32
	heard []int16
	rates []int
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, b: jitter.New(jitter.Config{}), dec: &fake{rate: 8000, keep: true}}
	r.next.Sequence, r.next.Timestamp = 65500, math.MaxUint32-8000
	r.b.SetFormat(0, jitter.Format{Decoder: r.dec, ClockRate: 8000, SampleRate: 8000})
	return r
}

// make returns the next packet of a length, and moves on.
func (r *rig) make(ptime time.Duration) jitter.Packet {
	p := r.next
	p.Payload = payload(r.id, ptime)
	r.id++
	r.next.Sequence++
	r.next.Timestamp += uint32(ptime/ms) * 8
	return p
}

// send sends packets of a length one after the other, each when its sound is complete, while the device plays.
func (r *rig) send(n int, ptime time.Duration) {
	for range n {
		r.play(ptime)
		r.b.Push(r.make(ptime), r.now-7*ms)
	}
}

// play lets the device play.
func (r *rig) play(d time.Duration) {
	for end := r.now + d; r.now < end; {
		block, rate := r.b.Pull(r.now)
		r.heard = append(r.heard, block...)
		if n := len(r.rates); n == 0 || r.rates[n-1] != rate {
			r.rates = append(r.rates, rate)
		}
		r.now += 10 * ms
	}
}

// expect compares counters: lost, late, duplicates, reordered, malformed, discarded.
func (r *rig) expect(want ...uint64) jitter.Stats {
	r.t.Helper()
	s := r.b.Stats()
	if diff := cmp.Diff(want, []uint64{s.Lost, s.Late, s.Duplicates, s.Reordered, s.Malformed, s.Discarded}); diff != "" {
		r.t.Errorf("lost, late, duplicates, reordered, malformed, discarded (-want +got):\n%s", diff)
	}
	account(r.t, s)
	return s
}

// hole is the longest silence in what was heard since sample from.
func (r *rig) hole(from int) time.Duration {
	longest, run := 0, 0
	for _, v := range r.heard[from:] {
		if run++; v > 20 || v < -20 {
			run = 0
		}
		longest = max(longest, run)
	}
	return time.Duration(longest) * time.Second / 8000
}

func TestNumbersWrapAround(t *testing.T) {
	r := newRig(t)
	r.send(200, 20*ms)
	s := r.expect(0, 0, 0, 0, 0, 0)
	if s.Concealed > 0 || s.Played < 198 || r.hole(800) > ms {
		t.Errorf("concealed %v, played %d, a hole of %v", s.Concealed, s.Played, r.hole(800))
	}
}

func TestSenderBeginsAnew(t *testing.T) {
	for name, change := range map[string]func(*jitter.Packet){
		"timestamp forward":  func(p *jitter.Packet) { p.Timestamp += 1 << 30 },
		"timestamp back":     func(p *jitter.Packet) { p.Timestamp -= 1 << 30 },
		"a second forward":   func(p *jitter.Packet) { p.Timestamp += 8000 },
		"a second back":      func(p *jitter.Packet) { p.Timestamp -= 8000 },
		"sequence":           func(p *jitter.Packet) { p.Sequence += 20000 },
		"sequence back":      func(p *jitter.Packet) { p.Sequence -= 20000 },
		"sequence and clock": func(p *jitter.Packet) { p.Sequence += 20000; p.Timestamp += 12345678 },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.send(50, 20*ms)
			from := len(r.heard)
			change(&r.next)
			r.send(50, 20*ms)
			s := r.b.Stats()
			if s.Played < 98 || r.hole(from) > 15*ms || s.Delay > 60*ms || s.Lost > 0 || s.Jitter > ms {
				t.Errorf("played %d, lost %d, a hole of %v, delay %v, jitter %v", s.Played, s.Lost, r.hole(from), s.Delay, s.Jitter)
			}
			account(t, s)
		})
	}
}

func TestSilenceIsNoLoss(t *testing.T) {
	r := newRig(t)
	r.send(50, 20*ms)
	for range 5 {
		r.play(3*time.Second + 7*ms)
		r.next.Timestamp += 3*8000 + 56
		r.next.Marker = true
		r.send(1, 20*ms)
		r.next.Marker = false
		r.send(50, 20*ms)
	}
	s := r.expect(0, 0, 0, 0, 0, 0)
	if s.Concealed > 0 || s.Silent < 14*time.Second || s.Stretched > 10*ms || s.Delay > 45*ms {
		t.Errorf("concealed %v, silent %v, stretched %v, delay %v", s.Concealed, s.Silent, s.Stretched, s.Delay)
	}
}

// A sender that is held may go on later as if no time had passed.
func TestPauseThatTimestampsDoNotShow(t *testing.T) {
	for _, pause := range []time.Duration{100 * ms, 400 * ms, 5 * time.Second, time.Minute} {
		r := newRig(t)
		r.send(100, 20*ms)
		r.play(pause)
		r.next.Marker = true
		r.send(1, 20*ms)
		r.next.Marker = false
		r.send(500, 20*ms)
		if s := r.expect(0, 0, 0, 0, 0, 0); s.Target > 40*ms || s.Delay > 60*ms {
			t.Errorf("after %v: target %v, delay %v", pause, s.Target, s.Delay)
		}
	}
}

func TestComfortNoise(t *testing.T) {
	r := newRig(t)
	r.b.SetFormat(13, jitter.Format{ClockRate: 8000, Comfort: true})
	r.send(50, 20*ms)
	p := r.make(20 * ms)
	p.PayloadType, p.Payload = 13, []byte{50, 200, 90} // -50 dBov
	r.play(20 * ms)
	r.b.Push(p, r.now)
	r.play(200 * ms)
	from := len(r.heard)
	r.play(2 * time.Second)
	level := 0.0
	for _, v := range r.heard[from:] {
		level += float64(v) * float64(v)
	}
	level = 10 * math.Log10(level/float64(len(r.heard)-from)/(32768*32768))
	r.next.Timestamp += 2200 * 8
	r.send(50, 20*ms)
	s := r.expect(0, 0, 0, 0, 0, 0)
	if math.Abs(level+50) > 1.5 || s.Comfort != 1 || s.Concealed > 0 {
		t.Errorf("%.1f dBov of noise, concealed %v, %+v", level, s.Concealed, s)
	}
}

func TestTelephoneEventsFillTheSequence(t *testing.T) {
	r := newRig(t)
	r.send(50, 20*ms)
	event := r.next // one timestamp for the whole event, RFC 4733 §2.5.1.1
	for range 10 {
		p := event
		p.Sequence, p.PayloadType, p.Payload = r.next.Sequence, 101, []byte{5, 10, 0, 160}
		r.make(20 * ms)
		r.play(20 * ms)
		r.b.Push(p, r.now-7*ms)
	}
	r.send(50, 20*ms)
	if s := r.expect(0, 0, 0, 0, 0, 0); s.Concealed > 0 || s.Played < 98 {
		t.Errorf("concealed %v, played %d", s.Concealed, s.Played)
	}
}

func TestPacketsOfAnyLength(t *testing.T) {
	r := newRig(t)
	for _, ptime := range []time.Duration{20, 60, 10, 40, 30, 60, 20} {
		r.send(40, ptime*ms)
	}
	r.send(100, 20*ms)
	s := r.expect(0, 0, 0, 0, 0, 0)
	if !slices.IsSorted(r.dec.decoded) || s.Concealed > 100*ms || s.Delay > 50*ms {
		t.Errorf("concealed %v, delay %v", s.Concealed, s.Delay)
	}
}

func TestPayloadTypeChanges(t *testing.T) {
	r := newRig(t)
	wide := &fake{rate: 16000}
	r.b.SetFormat(9, jitter.Format{Decoder: wide, ClockRate: 8000, SampleRate: 16000})
	for _, pt := range []uint8{0, 9, 0, 9} {
		r.next.PayloadType = pt
		r.send(50, 20*ms)
	}
	r.play(100 * ms)
	if s := r.expect(0, 0, 0, 0, 0, 0); s.Concealed > 30*ms || s.Played != 200 {
		t.Errorf("concealed %v, played %d", s.Concealed, s.Played)
	}
	if diff := cmp.Diff([]int{8000, 16000, 8000, 16000}, r.rates); diff != "" {
		t.Errorf("rates (-want +got):\n%s", diff)
	}
}

// A reader that is slow to push packets is a jitter that their times do not tell of.
func TestPacketsPushedAfterTheirTime(t *testing.T) {
	r := newRig(t)
	for range 500 {
		p := r.make(20 * ms)
		r.play(20 * ms)
		r.b.Push(p, r.now-25*ms)
	}
	if s := r.expect(0, 0, 0, 0, 0, 0); s.Concealed > 20*ms || s.Delay > 50*ms {
		t.Errorf("concealed %v, delay %v", s.Concealed, s.Delay)
	}
}

func TestDisorder(t *testing.T) {
	r := newRig(t)
	r.send(50, 20*ms)
	r.play(20 * ms)
	a, b, c := r.make(20*ms), r.make(20*ms), r.make(20*ms)
	for _, p := range []jitter.Packet{c, a, a, b, c} {
		r.b.Push(p, r.now)
	}
	r.send(50, 20*ms)
	if r.expect(0, 0, 2, 2, 0, 0); !slices.IsSorted(r.dec.decoded) {
		t.Errorf("played in this order: %v", r.dec.decoded)
	}

	lost := r.make(20 * ms)
	before := r.b.Stats().Target
	r.play(20 * ms)
	r.send(5, 20*ms)
	r.expect(1, 0, 2, 2, 0, 0)
	for range 10 { // it turns up much too late, and so do others
		r.b.Push(lost, r.now-7*ms)
		lost = r.make(20 * ms)
		r.play(20 * ms)
		r.send(5, 20*ms)
	}
	s := r.b.Stats()
	if s.Lost > 1 || s.Late < 2 || s.Late > 10 || s.Target < before+50*ms || s.Reordered < 10 {
		t.Errorf("late %d, lost %d, reordered %d, target %v, %v before", s.Late, s.Lost, s.Reordered, s.Target, before)
	}
	account(t, s)
}

func TestPacketsBeforeAnybodyListens(t *testing.T) {
	r := newRig(t)
	for range 35 {
		r.now += 20 * ms
		r.b.Push(r.make(20*ms), r.now-7*ms)
	}
	r.send(100, 20*ms)
	if s := r.b.Stats(); s.Delay > 45*ms || s.Stretched > 20*ms || s.Concealed > 0 || s.Discarded < 30 {
		t.Errorf("delay %v, stretched %v, concealed %v, discarded %d", s.Delay, s.Stretched, s.Concealed, s.Discarded)
	}
}

func TestReset(t *testing.T) {
	r := newRig(t)
	r.send(50, 20*ms)
	r.b.Reset()
	r.next.Sequence, r.next.Timestamp = 7, 7
	from := len(r.heard)
	r.send(50, 20*ms)
	if s := r.expect(0, 0, 0, 0, 0, 0); s.Played < 96 || r.hole(from) > 60*ms {
		t.Errorf("played %d, a hole of %v", s.Played, r.hole(from))
	}
}

// After the network has stood still everything comes at once. The oldest is skipped, the rest is played faster.
func TestStall(t *testing.T) {
	r := newRig(t)
	r.send(100, 20*ms)
	r.play(5 * time.Second)
	for range 250 {
		r.b.Push(r.make(20*ms), r.now)
	}
	r.send(1, 20*ms)
	if s := r.b.Stats(); s.Buffered > 1100*ms {
		t.Errorf("%v are held", s.Buffered)
	}
	r.send(500, 20*ms)
	s := r.b.Stats()
	if s.Delay > 60*ms || s.Discarded == 0 || s.Played+s.Discarded < 848 {
		t.Errorf("delay %v, discarded %d, played %d", s.Delay, s.Discarded, s.Played)
	}
	account(t, s)
}

// repairer is a fake whose packets carry a copy of the one before.
type repairer struct {
	fake
	recovered int
}

func (r *repairer) Recover(pcm []int16, p []byte) bool {
	r.recovered++
	n, _ := r.Decode(pcm, p)
	return n > 0
}

func TestForwardErrorCorrection(t *testing.T) {
	r := newRig(t)
	dec := &repairer{fake: fake{rate: 8000}}
	r.b.SetFormat(0, jitter.Format{Decoder: dec, ClockRate: 8000, SampleRate: 8000})
	r.send(50, 20*ms)
	for i := range 20 {
		if i == 2 {
			r.dec = nil
		}
		r.make(20 * ms) // lost
		r.play(20 * ms)
		r.send(15, 20*ms)
	}
	s := r.b.Stats()
	if s.Lost != 20 || s.Recovered < 17 || s.Concealed > 60*ms {
		t.Errorf("lost %d, recovered %d, concealed %v", s.Lost, s.Recovered, s.Concealed)
	}
	account(t, s)
}

func TestSpreadOfLosses(t *testing.T) {
	r := newRig(t)
	lose := func(n int) {
		for range n {
			r.make(20 * ms)
			r.play(20 * ms)
		}
	}
	r.send(100, 20*ms)
	lose(1)
	r.send(99, 20*ms)
	lose(2)
	r.send(4, 20*ms)
	lose(2)
	r.send(4, 20*ms)
	lose(1) // 5 of 13 in a burst
	r.send(95, 20*ms)
	r.play(100 * ms)
	got := r.expect(6, 0, 0, 0, 0, 0).Gaps
	want := jitter.Gaps{BurstDensity: 5.0 / 13, GapDensity: 1.0 / 295, BurstDuration: 260 * ms, GapDuration: 147 * 20 * ms, Bursts: 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestFromManyGoroutines is for the race detector.
func TestFromManyGoroutines(t *testing.T) {
	b := jitter.New(jitter.Config{})
	dec := &fake{rate: 8000}
	b.SetFormat(0, jitter.Format{Decoder: dec, ClockRate: 8000, SampleRate: 8000})
	var work sync.WaitGroup
	for _, do := range []func(i int){
		func(i int) {
			b.Push(jitter.Packet{Sequence: uint16(i), Timestamp: uint32(i * 160), Payload: payload(uint32(i), 20*ms)}, time.Duration(i)*20*ms)
		},
		func(i int) { b.Pull(time.Duration(i) * 10 * ms) },
		func(int) { b.Stats() },
		func(i int) {
			if i%100 == 99 {
				b.Reset()
				b.SetFormat(0, jitter.Format{Decoder: dec, ClockRate: 8000, SampleRate: 8000})
			}
		},
	} {
		work.Go(func() {
			for i := range 1000 {
				do(i)
			}
		})
	}
	work.Wait()
}
