package jitter_test

import (
	"math"
	"math/cmplx"
	"testing"
	"time"

	"offhook/audio/jitter"
)

// linear is a codec of plain samples.
type linear struct{ rate int }

func (l linear) Duration(p []byte) int      { return len(p) / 2 }
func (linear) Conceal([]int16) bool         { return false }
func (linear) Recover([]int16, []byte) bool { return false }
func (linear) Decode(pcm []int16, p []byte) (int, error) {
	n := min(len(pcm), len(p)/2)
	for i := range n {
		pcm[i] = int16(uint16(p[2*i])<<8 | uint16(p[2*i+1]))
	}
	return n, nil
}

func raw(x []int16) []byte {
	p := make([]byte, 0, 2*len(x))
	for _, v := range x {
		p = append(p, byte(uint16(v)>>8), byte(v))
	}
	return p
}

// drifting plays a sound whose sender's clock is off by a share, and returns what is heard after the first half second.
func drifting(x []int16, rate int, share float64, ptime time.Duration) ([]int16, jitter.Stats) {
	b := jitter.New(jitter.Config{})
	b.SetFormat(0, jitter.Format{Decoder: linear{rate}, ClockRate: rate, SampleRate: rate})
	n := rate * int(ptime/ms) / 1000
	var heard []int16
	now := time.Duration(0)
	for i := 0; (i+1)*n <= len(x); {
		due := time.Duration(float64(i+1) * float64(ptime) * (1 - share))
		for ; due <= now; due = time.Duration(float64(i+1) * float64(ptime) * (1 - share)) {
			if (i+1)*n > len(x) {
				break
			}
			b.Push(jitter.Packet{Sequence: uint16(i), Timestamp: uint32(i * n), Payload: raw(x[i*n : (i+1)*n])}, due)
			i++
		}
		block, _ := b.Pull(now)
		heard = append(heard, block...)
		now += 10 * ms
	}
	return heard[rate/2:], b.Stats()
}

// TestToneStaysATone stretches tones by 0.3 % (fifteen times what clocks do): the frequency, the level and the smoothness stay.
func TestToneStaysATone(t *testing.T) {
	for _, rate := range []int{8000, 48000} {
		for _, hz := range []float64{440, 1234.5} {
			for _, share := range []float64{-0.003, 0.003} {
				x := make([]int16, rate*20)
				for i := range x {
					x[i] = int16(math.Round(10000 * math.Sin(2*math.Pi*hz*float64(i)/float64(rate))))
				}
				y, s := drifting(x, rate, share, 20*ms)
				// A tone's second difference is the tone times a constant: any click stands out of it.
				limit, worst := 10000*math.Pow(2*math.Sin(math.Pi*hz/float64(rate)), 2), 0.0
				for i := 2; i < len(y); i++ {
					worst = max(worst, math.Abs(float64(y[i])-2*float64(y[i-1])+float64(y[i-2])))
				}
				got := frequency(y, rate, hz)
				quietest, loudest := levels(y, rate)
				if math.Abs(got-hz) > 1 || worst > limit*1.3+30 || quietest < -0.5 || loudest > 0.5 || s.Concealed > 0 || s.Stretched < 40*ms {
					t.Errorf("%.1f Hz at %d Hz, off by %.1f %%: heard %.2f Hz, bend %.0f of %.0f, level %.2f to %.2f dB, concealed %v, stretched %v",
						hz, rate, 100*share, got, worst, limit, quietest, loudest, s.Concealed, s.Stretched)
				}
			}
		}
	}
}

// frequency finds the strongest frequency near hz in steps of 0.1 Hz.
func frequency(y []int16, rate int, hz float64) float64 {
	best, at := 0.0, 0.0
	for f := hz - 2; f <= hz+2; f += 0.1 {
		turn := cmplx.Exp(complex(0, 2*math.Pi*f/float64(rate)))
		// Short pieces: the phase may step a little where sound was joined, the frequency may not change.
		sum := 0.0
		for from := 0; from+rate/2 <= len(y); from += rate {
			c, w := complex(0, 0), complex(1, 0)
			for _, v := range y[from : from+rate/2] {
				c += complex(float64(v), 0) * w
				w *= turn
			}
			sum += real(c)*real(c) + imag(c)*imag(c)
		}
		if sum > best {
			best, at = sum, f
		}
	}
	return at
}

// levels are the quietest and the loudest 10 ms against the mean, in dB.
func levels(y []int16, rate int) (quietest, loudest float64) {
	power := func(x []int16) float64 {
		sum := 0.0
		for _, v := range x {
			sum += float64(v) * float64(v)
		}
		return sum / float64(len(x))
	}
	mean := power(y)
	for n := rate / 100; len(y) >= n; y = y[n:] {
		d := 10 * math.Log10(power(y[:n])/mean)
		quietest, loudest = min(quietest, d), max(loudest, d)
	}
	return quietest, loudest
}

// TestSpeechDoesNotClick stretches speech by 0.5 %. A click is a place that bends more than the speech ever does.
func TestSpeechDoesNotClick(t *testing.T) {
	x := speech(t)
	for range 3 {
		x = append(x, x...)
	}
	bend := func(y []int16) (worst float64) {
		for i := 2; i < len(y); i++ {
			worst = max(worst, math.Abs(float64(y[i])-2*float64(y[i-1])+float64(y[i-2])))
		}
		return worst
	}
	plain, _ := drifting(x, 16000, 0, 20*ms)
	for _, share := range []float64{-0.005, 0.005} {
		y, s := drifting(x, 16000, share, 20*ms)
		if bend(y) > 1.05*bend(plain) || s.Concealed > 0 || s.Stretched < 80*ms {
			t.Errorf("off by %.1f %%: bends by %.0f, plain speech by %.0f; concealed %v, stretched %v", 100*share, bend(y), bend(plain), s.Concealed, s.Stretched)
		}
	}
}
