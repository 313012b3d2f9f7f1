package jitter_test

import (
	"flag"
	"runtime"
	"testing"
	"time"

	"offhook/audio/jitter"
)

var hours = flag.Float64("hours", 0.5, "of call time in TestDrift; 8 take about ten seconds")

// TestDrift lets the clocks of the two sides differ for hours. The delay stays where it is, nothing is made up, nothing is
// skipped, and memory does not grow.
func TestDrift(t *testing.T) {
	for _, ppm := range []float64{-200, 200, -1000, 1000} {
		w := world{
			seed: 3, ptime: 20 * ms, rate: 8000, clock: 8000, ppm: ppm, tick: 2 * ms, device: 2 * ms, phase: 4 * ms,
			network: func(int, time.Duration) (time.Duration, bool) { return ms, false },
			length:  time.Duration(*hours * float64(time.Hour)),
		}
		if ppm < -200 || ppm > 200 {
			w.length /= 4
		}
		var low, high time.Duration = time.Hour, 0
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		began := time.Now()
		r := w.run(func(now time.Duration, b *jitter.Buffer) {
			if now > 10*time.Second && now%(100*ms) == 0 {
				d := b.Stats().Delay
				low, high = min(low, d), max(high, d)
			}
		})
		runtime.GC()
		runtime.ReadMemStats(&after)
		grown := int64(after.HeapAlloc) - int64(before.HeapAlloc)
		t.Logf("%+5.0f ppm, %v in %v: delay %v to %v, concealed %v, late %d, discarded %d, stretched %v, memory %+d bytes",
			ppm, w.length, time.Since(began).Round(ms), low.Round(ms), high.Round(ms), r.Concealed, r.Late, r.Discarded, r.Stretched.Round(ms), grown)
		want := time.Duration(float64(w.length) * max(ppm, -ppm) * 1e-6)
		if r.Concealed > 0 || r.Late > 0 || r.Discarded > 0 || r.Lost > 0 {
			t.Errorf("%.0f ppm: sound was lost", ppm)
		}
		if high > 60*ms {
			t.Errorf("%.0f ppm: a delay of %v", ppm, high)
		}
		if r.Stretched > want*11/10+100*ms {
			t.Errorf("%.0f ppm: stretched %v to make up for %v", ppm, r.Stretched, want)
		}
		if grown > 64<<10 {
			t.Errorf("%.0f ppm: memory grew by %d bytes", ppm, grown)
		}
		account(t, r.Stats)
	}
}
