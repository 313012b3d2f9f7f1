package jitter_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// The traces are models of what networks do to a stream of voice, each with its own seed:
//
//	constant    40 ms, nothing else
//	uniform20   20 ms more or less than that at random, packets overtake
//	uniform60   the same with 60 ms
//	wifi        1 ms, every second or so a stop of 40 to 120 ms (a scan, another station) after which all comes at once
//	ramp        a cell link whose queue grows by up to 300 ms over two seconds and drains again, every ten seconds
//	burstloss   Gilbert-Elliott: good for 2 s on average, bad for 100 ms in which half is lost
//	reorder     every tenth packet is overtaken by the next
//	handover    after half the time the path is 150 ms longer, at once
//	handback    after half the time the path is 150 ms shorter, at once
func traces() map[string]network {
	const base = 40 * ms
	uniform := func(width time.Duration) network {
		rnd := rand.New(rand.NewPCG(1, uint64(width)))
		return func(int, time.Duration) (time.Duration, bool) {
			return base + time.Duration(rnd.Float64()*float64(width)), false
		}
	}
	wifi := func() network {
		rnd := rand.New(rand.NewPCG(2, 2))
		var stop, resume time.Duration
		return func(_ int, sent time.Duration) (time.Duration, bool) {
			if sent > resume+time.Duration(rnd.ExpFloat64()*float64(50*time.Second)) {
				stop = sent
				resume = stop + 40*ms + time.Duration(rnd.Float64()*float64(80*ms))
			}
			if sent < resume {
				return resume - sent + base, false
			}
			return base + time.Duration(rnd.Float64()*float64(ms)), false
		}
	}
	ramp := func() network {
		rnd := rand.New(rand.NewPCG(3, 3))
		return func(_ int, sent time.Duration) (time.Duration, bool) {
			t := math.Mod(sent.Seconds(), 10)
			queue := max(0, 1-math.Abs(t-5)/2) * 300
			return base + time.Duration((queue+5*rnd.Float64())*float64(ms)), false
		}
	}
	bursts := func() network {
		rnd := rand.New(rand.NewPCG(4, 4))
		bad := false
		return func(int, time.Duration) (time.Duration, bool) {
			if bad {
				bad = rnd.Float64() > 20.0/100
			} else {
				bad = rnd.Float64() < 20.0/2000
			}
			return base + time.Duration(rnd.Float64()*float64(3*ms)), bad && rnd.Float64() < 0.5
		}
	}
	reorder := func(i int, _ time.Duration) (time.Duration, bool) {
		if i%10 == 5 {
			return base + 25*ms, false
		}
		return base, false
	}
	move := func(before, after time.Duration) network {
		return func(_ int, sent time.Duration) (time.Duration, bool) {
			if sent < 60*time.Second {
				return before, false
			}
			return after, false
		}
	}
	return map[string]network{
		"constant":  func(int, time.Duration) (time.Duration, bool) { return base, false },
		"uniform20": uniform(20 * ms),
		"uniform60": uniform(60 * ms),
		"wifi":      wifi(),
		"ramp":      ramp(),
		"burstloss": bursts(),
		"reorder":   reorder,
		"handover":  move(base, base+150*ms),
		"handback":  move(base+150*ms, base),
	}
}

// bounds of what a trace may cost in two minutes: delay from mouth to play-out with 20 ms packets, on average and at the
// end, and sound made up beyond what was lost.
var bounds = map[string]struct{ mean, last, concealed time.Duration }{
	"constant":  {80 * ms, 80 * ms, 0},
	"uniform20": {100 * ms, 100 * ms, 60 * ms},
	"uniform60": {145 * ms, 145 * ms, 150 * ms},
	"wifi":      {200 * ms, 200 * ms, 400 * ms},
	"ramp":      {370 * ms, 390 * ms, 600 * ms},
	"burstloss": {90 * ms, 90 * ms, 0},
	"reorder":   {110 * ms, 110 * ms, 40 * ms},
	"handover":  {155 * ms, 230 * ms, 170 * ms},
	"handback":  {180 * ms, 80 * ms, 10 * ms},
}

func TestTraces(t *testing.T) {
	for name, net := range traces() {
		t.Run(name, func(t *testing.T) {
			r := world{
				seed: 1, ptime: 20 * ms, rate: 8000, clock: 8000, network: net, tick: 2 * ms, device: 2 * ms, phase: 3 * ms,
				length: 2 * time.Minute,
			}.run(nil)
			made := r.Concealed - time.Duration(r.Lost)*20*ms
			t.Logf("delay %v (5 %% %v, 95 %% %v, last 10 s %v), target %v; lost %d of %d, late %d, concealed %v, %v of it not lost; stretched %v",
				r.mean.Round(ms), r.low.Round(ms), r.high.Round(ms), r.end.Round(ms), r.Target.Round(ms), r.Lost, r.sent, r.Late,
				r.Concealed.Round(ms), made.Round(ms), r.Stretched.Round(ms))
			if b := bounds[name]; r.mean > b.mean || r.end > b.last || made > b.concealed {
				t.Errorf("want a delay of at most %v, %v at the end, and %v concealed", b.mean, b.last, b.concealed)
			}
			if r.Played+r.Lost+r.Late+r.Discarded < uint64(r.sent)-20 {
				t.Errorf("%d packets were sent: %+v", r.sent, r.Stats)
			}
			account(t, r.Stats)
		})
	}
}

// TestDelayOnAQuietMachine is the same with what a good clock and a quiet machine do.
func TestDelayOnAQuietMachine(t *testing.T) {
	var sum time.Duration
	const phases = 20
	for i := range time.Duration(phases) {
		r := world{
			seed: uint64(i), ptime: 20 * ms, rate: 8000, clock: 8000, tick: ms / 5, device: ms / 5,
			network: func(int, time.Duration) (time.Duration, bool) { return 50 * time.Microsecond, false },
			phase:   i*ms/2 + 300*time.Microsecond, length: 20 * time.Second,
		}.run(nil)
		sum += r.Delay - 20*ms
		if r.Concealed > 0 {
			t.Errorf("phase %v: %v were made up", i*ms/2, r.Concealed)
		}
	}
	t.Logf("%v on average beyond the packet", sum/phases)
	if sum/phases > 9*ms {
		t.Error("want 9 ms")
	}
}

// TestDelayWithoutJitter is two processes on one machine: both tick with up to 3 ms of scheduling noise, the phase between
// them is anything. On top of the packet itself the buffer may add 11 ms on average, and nothing may ever be missing.
func TestDelayWithoutJitter(t *testing.T) {
	for _, c := range []struct{ ptime, period, mean, most time.Duration }{
		{20 * ms, 10 * ms, 11 * ms, 16 * ms},
		{20 * ms, 20 * ms, 23 * ms, 28 * ms}, // the device takes two blocks at once
		{10 * ms, 10 * ms, 18 * ms, 23 * ms}, // Config.Min
		{40 * ms, 10 * ms, 11 * ms, 16 * ms},
		{60 * ms, 10 * ms, 11 * ms, 16 * ms},
	} {
		var sum, most time.Duration
		const phases = 10
		for i := range time.Duration(phases) {
			r := world{
				seed: uint64(i), ptime: c.ptime, rate: 8000, clock: 8000, tick: 3 * ms, device: 3 * ms, period: c.period,
				network: func(int, time.Duration) (time.Duration, bool) { return 50 * time.Microsecond, false },
				phase:   i*ms + 300*time.Microsecond, length: time.Minute,
			}.run(nil)
			sum += r.Delay - c.ptime
			most = max(most, r.Delay-c.ptime)
			if r.Concealed > 0 {
				t.Errorf("packets of %v, phase %v: %v were made up", c.ptime, i*ms, r.Concealed)
			}
		}
		t.Logf("packets of %v, device period %v: %v on average beyond the packet, %v at most", c.ptime, c.period, sum/phases, most)
		if sum/phases > c.mean || most > c.most {
			t.Errorf("want %v and %v", c.mean, c.most)
		}
	}
}
