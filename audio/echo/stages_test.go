package echo

import (
	"fmt"
	"math"
	"testing"
)

// pauses is speech with a second of silence after each sentence.
func pauses(t testing.TB, seconds, level float64) []float32 {
	s := append(speech(t, "near.wav"), make([]float32, lowRate)...)
	return wide(s, seconds, level)
}

// sorted adds up the powers of the 20 ms pieces in which near speaks, and of those in which it does not.
func sorted(near, x []float32, from float64) (speech, pause float64) {
	const piece = Rate / 50
	for i := int(from * Rate); i+piece < len(near); i += piece {
		switch e := energy(near[i : i+piece]); {
		case e > 1e-3:
			speech += energy(x[i : i+piece])
		case e < 1e-9:
			pause += energy(x[i : i+piece])
		}
	}
	return speech, pause
}

func TestNoiseSuppression(t *testing.T) {
	for _, at := range []float64{-60, -50, -40} {
		t.Run(fmt.Sprintf("noise at %g dBFS", at), func(t *testing.T) {
			t.Parallel()
			near := pauses(t, 14, -24)
			hiss := noise(len(near), at, 5)
			out := call(New(Config{Noise: true}), mixed(near, hiss), make([]float32, len(near)))
			speech, pause := sorted(near, out, 5)
			was, hissed := sorted(near, mixed(near, hiss), 5)
			quieter, lost := dB(hissed/pause), loss(near, out, 5, 13.9)
			t.Logf("noise falls by %.1f dB, speech by %.2f dB in level and %.2f dB in shape", quieter, dB(was/speech), lost)
			if quieter < 12 || quieter > 16 {
				t.Errorf("noise falls by %.1f dB, want 12 to 16", quieter)
			}
			if lost > 0.5 || dB(was/speech) > 0.5 {
				t.Errorf("speech loses %.2f dB in shape, %.2f dB in level", lost, dB(was/speech))
			}
		})
	}
}

// A fan that starts in the middle of a call is noticed, and so is one that stops.
func TestNoiseChanges(t *testing.T) {
	alone(t)
	t.Parallel()
	fan := mixed(noise(12*Rate, -70, 1), cut(noise(12*Rate, -45, 2), 3, 9))
	out := call(New(Config{Noise: true}), fan, make([]float32, len(fan)))
	if got := level(fan, 7, 9) - level(out, 7, 9); got < 12 {
		t.Errorf("the fan falls by %.1f dB, want 12", got)
	}
	if got := level(fan, 10, 11.9) - level(out, 10, 11.9); got < 12 {
		t.Errorf("the silence after falls by %.1f dB, want 12", got)
	}
}

func TestGain(t *testing.T) {
	for _, at := range []float64{-42, -34, -22, -14} {
		t.Run(fmt.Sprintf("speech at %g dBFS", at), func(t *testing.T) {
			t.Parallel()
			near := pauses(t, 24, at)
			p := New(Config{Gain: true, Limiter: true})
			out := call(p, mixed(near, noise(len(near), -75, 1)), make([]float32, len(near)))
			want := max(leastGain, min(mostGain, targetLevel-at))
			got := level(out, 15.6, 23.9) - level(near, 15.6, 23.9)
			t.Logf("gain %.1f dB, told as %.1f dB", got, p.Stats().Gain)
			if math.Abs(got-want) > 3 {
				t.Errorf("gain %.1f dB, want %.0f", got, want)
			}
			if quick := level(out, 0.5, 1.5) - level(near, 0.5, 1.5); quick > 5 || quick < -10 {
				t.Errorf("gain is %.1f dB after a second, which is not slow", quick)
			}
		})
	}
}

// The echo of the far end is not speech of this one.
func TestGainIgnoresEcho(t *testing.T) {
	l := newLeveler()
	x := wide(speech(t, "near.wav"), 4, -40)
	for i := 0; i < len(x); i += Block {
		l.process(x[i:i+Block], true, true)
	}
	if l.gain != 0 {
		t.Errorf("gain went to %.1f dB", l.gain)
	}
}

// What is not speech of this end does not move the gain.
func TestGainRests(t *testing.T) {
	alone(t)
	const seconds = 10
	silent := make([]float32, seconds*Rate)
	far := farSpeech(t, seconds)
	for _, c := range []struct {
		name     string
		mic, far []float32
	}{
		{"hiss", noise(seconds*Rate, -60, 1), silent},
		{"fan", noise(seconds*Rate, -50, 1), silent},
		{"echo", heard(far, room(0.1, -20, 1), 40*48), far},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := New(Default)
			call(p, mixed(c.mic, noise(seconds*Rate, -75, 2)), c.far)
			if g := p.Stats().Gain; math.Abs(g) > 1 {
				t.Errorf("gain went to %.1f dB", g)
			}
		})
	}
}

func TestLimiter(t *testing.T) {
	var in []float32
	for _, l := range []float64{-20, -3, 3, -20} {
		in = append(in, tone(Rate/2, 997, l)...)
	}
	l := newLimiter()
	out := append([]float32{}, in...)
	for i := 0; i < len(out); i += Block {
		l.process(out[i:i+Block], true)
	}
	for i, v := range out {
		if v > ceiling+1e-6 || v < -ceiling-1e-6 {
			t.Fatalf("sample %d is %g, above the ceiling", i, v)
		}
	}
	// What is below the ceiling passes as it is, before the peaks and after.
	for _, from := range []int{0, len(out) - Rate/10} {
		for i := from; i < from+Rate/20; i++ {
			if j := i - lookAhead; j >= 0 && out[i] != in[j] {
				t.Fatalf("sample %d is %g, was %g", i, out[i], in[j])
			}
		}
	}
	// After the peaks the gain comes back slowly enough to be no wave of its own.
	after := 3*Rate/2 + lookAhead
	if early, late := energy(out[after:after+480])/energy(in[3*Rate/2:3*Rate/2+480]), 0.9; early > late {
		t.Errorf("10 ms after the peaks the gain is %.2f already", math.Sqrt(early))
	}
	// The gain moves in straight lines: no sample of a steady loud tone is far from the tone.
	loud := out[Rate/2+Rate/4 : Rate]
	g := float32(math.Sqrt(energy(loud) / energy(in[Rate/2:Rate])))
	worst := float32(0)
	for i, v := range loud {
		worst = max(worst, v-g*in[Rate/2+Rate/4+i-lookAhead], g*in[Rate/2+Rate/4+i-lookAhead]-v)
	}
	if worst > 0.02 {
		t.Errorf("a limited tone is off by %.3f", worst)
	}
}

func TestSplitIsTransparent(t *testing.T) {
	d, u, l := newSplit(), newUp(), newLine(splitDelay, Block)
	in := noise(40*Block, -20, 1)
	low, wide, late := make([]float32, lowBlock), make([]float32, Block), make([]float32, Block)
	f := newFFT(4096)
	var both []float32
	for i := 0; i < len(in); i += Block {
		d.process(low, in[i:i+Block])
		u.process(wide, low)
		l.process(late, in[i:i+Block])
		for j := range late {
			both = append(both, late[j]-wide[j]) // the upper band
		}
	}
	re, im := make([]float32, 2049), make([]float32, 2049)
	f.forward(re, im, both[Rate/10:])
	var below, above float64
	for k := range re {
		switch hz := k * Rate / 4096; {
		case hz > 300 && hz < 5500:
			below += float64(re[k]*re[k]+im[k]*im[k]) / 5200
		case hz > 9000:
			above += float64(re[k]*re[k]+im[k]*im[k]) / 15000
		}
	}
	if got := dB(above / below); got < 40 {
		t.Errorf("the upper band has %.1f dB less below 5.5 kHz than above 9 kHz, want 40", got)
	}
}

func TestShift(t *testing.T) {
	f, b := &filter{}, newFFT(fftSize)
	want := room(float64(tailTaps)/Rate, 0, 1)
	f.reset()
	for p := range f.w {
		clear(f.padded[:])
		copy(f.padded[:], want[p*partTaps:(p+1)*partTaps])
		b.forward(f.w[p].re[:], f.w[p].im[:], f.padded[:])
	}
	f.shift(b, 500)
	f.shift(b, -300)
	for p := range f.w {
		b.inverse(f.padded[:], f.w[p].re[:], f.w[p].im[:])
		for i, got := range f.padded[:partTaps] {
			at := p*partTaps + i
			w := float32(0)
			if from := at + 200; at >= 300 && from < tailTaps {
				w = want[from]
			}
			if math.Abs(float64(got-w)) > 1e-5 {
				t.Fatalf("tap %d is %g, want %g", at, got, w)
			}
		}
	}
}
