package jitter_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"offhook/audio/codec"
	"offhook/internal/testkit/sound"
)

// TestBusyMachine sends a tone through two programs that both stall for 5 to 25 ms every few seconds, nothing being lost.
// The tone has no gap and keeps its level, and the buffer soon holds enough that little is made up.
func TestBusyMachine(t *testing.T) {
	const length = 30 * time.Second
	for _, name := range []string{"pcmu", "g722", "opus"} {
		c, _ := codec.Find(name)
		if c.NewEncoder == nil {
			continue
		}
		stalls := func(seed uint64, per float64) trouble {
			rnd := rand.New(rand.NewPCG(seed, 9))
			return func(int) (time.Duration, bool) {
				if rnd.Float64() < per {
					return time.Duration(5+20*rnd.Float64()) * ms, false
				}
				return 0, false
			}
		}
		packets := coded(t, c, codec.EncoderConfig{Ptime: 20 * ms}, 0, tones(c.SampleRate, length, 1000))
		heard, s := through(t, c, packets, stalls(1, 0.01), stalls(2, 0.005))
		whole := heard[c.SampleRate:]
		hz, level, _ := sound.Tone(whole, c.SampleRate, 1000)
		level -= sound.Level(tones(c.SampleRate, time.Second, 1000))
		quietest, loudest := envelope(whole, c.SampleRate/200)
		t.Logf("%s: %.3f Hz, %+.2f dB, %+.2f to %+.2f dB; concealed %v, stretched %v, delay %v", name, hz, level, quietest, loudest,
			s.Concealed, s.Stretched.Round(ms), s.Delay.Round(ms))
		if gaps := sound.Gaps(whole, c.SampleRate, 8000.0/32767, ms/2); len(gaps) > 0 {
			t.Errorf("%s: gaps %v", name, gaps)
		}
		if math.Abs(hz-1000) > 0.1 || math.Abs(level) > 0.3 || quietest < -1 || loudest > 1 {
			t.Errorf("%s: the tone is not what it was", name)
		}
		if s.Concealed > 40*ms {
			t.Errorf("%s: %v were made up", name, s.Concealed)
		}
		account(t, s)
	}
}

// TestLateSpeechDoesNotClick lets a packet of speech come late every second. A click is a place that bends more than the
// speech ever does.
func TestLateSpeechDoesNotClick(t *testing.T) {
	bend := func(y []int16) (worst float64) {
		for i := 2; i < len(y); i++ {
			worst = max(worst, math.Abs(float64(y[i])-2*float64(y[i-1])+float64(y[i-2])))
		}
		return worst
	}
	for _, name := range []string{"pcmu", "g722", "opus"} {
		c, _ := codec.Find(name)
		if c.NewEncoder == nil {
			continue
		}
		x := speechAt(t, c.SampleRate)
		x = append(x, x...)
		packets := coded(t, c, codec.EncoderConfig{Ptime: 20 * ms}, 0, append(x, x...))
		plain, _ := through(t, c, packets, none, none)
		for _, late := range []time.Duration{15 * ms, 30 * ms} {
			for places := 30; places < 50; places += 7 {
				heard, s := through(t, c, packets, every(places, 1, func(int) (time.Duration, bool) { return late, false }), none)
				if b, p := bend(heard), bend(plain); b > 1.1*p {
					t.Errorf("%s, %v late: bends by %.0f, plain speech by %.0f; concealed %v", name, late, b, p, s.Concealed)
				}
				account(t, s)
			}
		}
	}
}

// TestStallIsLearned stalls a sender for 12 ms every six seconds: too seldom for a quantile, too little for a spike. Sound is
// made up once, and then no more. When the stalls end the delay goes back.
func TestStallIsLearned(t *testing.T) {
	c, _ := codec.Find("pcmu")
	packets := coded(t, c, codec.EncoderConfig{Ptime: 20 * ms}, 0, tones(8000, 70*time.Second, 300))
	stall := func(i int) (time.Duration, bool) {
		if i > 100 && i < 2200 && i%300 == 0 {
			return 12 * ms, false
		}
		return 0, false
	}
	_, s := through(t, c, packets, stall, none)
	if s.Concealed == 0 || s.Concealed > 10*ms || s.Delay > 36*ms {
		t.Errorf("concealed %v, stretched %v, delay %v", s.Concealed, s.Stretched, s.Delay)
	}
}
