package sound

import (
	"math"
	"testing"
	"time"
)

func TestTone(t *testing.T) {
	for _, hz := range []float64{1000, 1000.4, 998.7, 440} {
		near := math.Round(hz)
		f, level, ratio := Tone(Sine(hz, 0.25, 48000, 48000), 48000, near)
		if math.Abs(f-hz) > 0.01 || math.Abs(level-(20*math.Log10(0.25)-3.01)) > 0.05 || ratio < 40 {
			t.Errorf("%v Hz: measured %v Hz, %v dBov, %v dB over the rest", hz, f, level, ratio)
		}
	}
}

func TestGaps(t *testing.T) {
	tone := Sine(1000, 0.5, 48000, 48000)
	if gaps := Gaps(tone, 48000, 0.5, 200*time.Microsecond); len(gaps) > 0 {
		t.Errorf("an unbroken tone has gaps: %v", gaps)
	}
	clear(tone[4800 : 4800+96])
	gaps := Gaps(tone, 48000, 0.5, time.Millisecond)
	if len(gaps) != 1 || gaps[0].Length < 1900*time.Microsecond || gaps[0].At.Round(time.Millisecond) != 100*time.Millisecond {
		t.Errorf("2 ms are missing at 100 ms: found %v", gaps)
	}
}

func TestDelay(t *testing.T) {
	part := Sine(700, 0.5, 8000, 400)
	for i := range part {
		part[i] = int16(float64(part[i]) * float64(i) / 400)
	}
	whole := make([]int16, 4000)
	copy(whole[800:], part)
	if d, alike := Delay(part, whole, 8000, 300*time.Millisecond); d != 100*time.Millisecond || alike < 0.999 {
		t.Errorf("got %v, %v alike", d, alike)
	}
}
