package echo

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// The levels of these tests: the far end speaks at -20 dBFS and comes back 6 dB lower; the microphone's own noise
// lies at -75 dBFS. Times are in seconds.
const (
	farLevel  = -20
	pathLevel = -6
	ownNoise  = -75
)

// cut keeps the part of x between two times.
func cut(x []float32, from, to float64) []float32 {
	out := make([]float32, len(x))
	a, b := int(from*Rate), min(int(to*Rate), len(x))
	copy(out[a:b], x[a:b])
	return out
}

// level is that of the part of x between two times, in dBFS.
func level(x []float32, from, to float64) float64 {
	return dB(energy(x[int(from*Rate):int(to*Rate)]))
}

// scene is a call at one end.
type scene struct {
	far, echo, near []float32
	noise           float64 // level of the room; 0 means ownNoise
}

// play returns what is sent, aligned with what came in.
func (s scene) play(p *Processor) []float32 {
	if s.near == nil {
		s.near = make([]float32, len(s.far))
	}
	if s.noise == 0 {
		s.noise = ownNoise
	}
	return call(p, mixed(s.echo, s.near, noise(len(s.far), s.noise, 11)), s.far)
}

func farSpeech(t testing.TB, seconds float64) []float32 {
	return wide(speech(t, "far.wav"), seconds, farLevel)
}

// expect checks that the echo is reduced by at least want dB between two times.
func expect(t *testing.T, s scene, out []float32, from, to, want float64) {
	t.Helper()
	got := level(s.echo, from, to) - level(out, from, to)
	t.Logf("%.1f to %.1f s: echo reduced by %.1f dB", from, to, got)
	if !(got >= want) {
		t.Errorf("%.1f to %.1f s: echo reduced by %.1f dB, want %.0f", from, to, got, want)
	}
}

func TestEchoIsGoneWithinThreeSeconds(t *testing.T) {
	for seed, delay := range []float64{20, 40, 60, 2, 150, 490} {
		t.Run(fmt.Sprintf("%g ms", delay), func(t *testing.T) {
			t.Parallel()
			far := farSpeech(t, 6)
			s := scene{far: far, echo: heard(far, room(0.1, pathLevel, uint64(seed)), int(delay*48))}
			p := New(Config{Echo: true})
			out := s.play(p)
			expect(t, s, out, 1.5, 3, 20)
			expect(t, s, out, 3, 6, 30)
			st := p.Stats()
			t.Logf("%+v", st)
			if off := st.Delay.Seconds()*1000 - delay; math.Abs(off) > 5 {
				t.Errorf("estimated delay %v, want %g ms", st.Delay, delay)
			}
			if st.ERLE < 30 || st.DoubleTalk > 0.05 {
				t.Errorf("%+v: the echo is alone and suppressed", st)
			}
		})
	}
}

// loss is how much fainter the near end comes out, between two times, in dB. The echo has no part in it: only what
// has the shape of near is counted.
func loss(near, out []float32, from, to float64) float64 {
	var both, one float64
	for i := int(from * Rate); i < int(to*Rate); i++ {
		both += float64(near[i]) * float64(out[i])
		one += float64(near[i]) * float64(near[i])
	}
	return -20 * math.Log10(both/one)
}

func TestDoubleTalk(t *testing.T) {
	for _, nearLevel := range []float64{-20, -26, -32} {
		t.Run(fmt.Sprintf("near %g dBFS", nearLevel), func(t *testing.T) {
			t.Parallel()
			far := farSpeech(t, 13)
			s := scene{
				far: far, echo: heard(far, room(0.1, pathLevel, 1), 40*48),
				near: cut(wide(speech(t, "near.wav"), 13, nearLevel), 4, 11),
			}
			p := New(Config{Echo: true})
			out := s.play(p)
			shape, energy := loss(s.near, out, 4, 11), level(s.near, 4, 11)-level(out, 4, 11)
			t.Logf("near end loses %.2f dB in shape, %.2f dB in level; %+v", shape, energy, p.Stats())
			if shape > 2 || energy > 2 {
				t.Errorf("near end loses %.2f dB in shape, %.2f dB in level", shape, energy)
			}
			expect(t, s, out, 11.2, 12, 25)
			expect(t, s, out, 12, 13, 35)
		})
	}
}

// Both ends speak from the first moment, and the filter has to learn in spite of it.
func TestDoubleTalkFromTheStart(t *testing.T) {
	t.Parallel()
	far := farSpeech(t, 12)
	s := scene{far: far, echo: heard(far, room(0.1, pathLevel, 1), 40*48), near: wide(speech(t, "near.wav"), 12, -26)}
	p := New(Config{Echo: true})
	out := s.play(p)
	lost := level(s.near, 2, 11.9) - level(out, 2, 11.9)
	t.Logf("near end loses %.2f dB in shape, %.2f dB in level; %+v", loss(s.near, out, 2, 11.9), lost, p.Stats())
	if lost > 3 {
		t.Errorf("near end loses %.2f dB", lost)
	}
	if c := p.canceller; c.careful.errMean > c.micMean*0.9 {
		t.Errorf("the filter has not learned: it leaves %.2f of the power", c.careful.errMean/c.micMean)
	}
	if st := p.Stats(); st.DoubleTalk < 0.2 {
		t.Errorf("%+v: all of the call was double talk", st)
	}
}

// The near end alone, after a converged filter has fallen silent, loses nothing.
func TestNearEndAlone(t *testing.T) {
	t.Parallel()
	far := cut(farSpeech(t, 10), 0, 5)
	s := scene{
		far: far, echo: heard(far, room(0.1, pathLevel, 1), 40*48), near: cut(wide(speech(t, "near.wav"), 10, -26), 5.5, 10),
	}
	out := s.play(New(Config{Echo: true}))
	if l := loss(s.near, out, 5.5, 9.9); l > 0.2 || l < -0.2 {
		t.Errorf("near end loses %.2f dB", l)
	}
}

// Nobody's echo is nobody's loss: with a headset there is nothing to cancel, however much both speak.
func TestNoEchoPath(t *testing.T) {
	t.Parallel()
	far := farSpeech(t, 12)
	s := scene{far: far, echo: make([]float32, len(far)), near: wide(speech(t, "near.wav"), 12, -26)}
	p := New(Config{Echo: true})
	out := s.play(p)
	l := loss(s.near, out, 0.5, 11.9)
	t.Logf("near end loses %.2f dB; %+v", l, p.Stats())
	if l > 0.5 {
		t.Errorf("near end loses %.2f dB", l)
	}
}

func TestRoomChange(t *testing.T) {
	t.Parallel()
	far := farSpeech(t, 10)
	s := scene{far: far, echo: mixed(
		heard(cut(far, 0, 5), room(0.1, pathLevel, 1), 40*48),
		heard(cut(far, 5, 10), room(0.1, pathLevel, 2), 40*48),
	)}
	out := s.play(New(Config{Echo: true}))
	expect(t, s, out, 4, 5, 30)
	expect(t, s, out, 6.5, 8, 25)
	expect(t, s, out, 8, 9.9, 35)

	// The suppressor would hide for a while that the filter learns slowly.
	p := New(Config{Echo: true})
	scene{far: far[:8*Rate], echo: s.echo[:8*Rate]}.play(p)
	if got := dB(float64(p.canceller.micMean / p.canceller.careful.errMean)); got < 26 {
		t.Errorf("three seconds after the change the filter takes %.1f dB", got)
	} else {
		t.Logf("three seconds after the change the filter takes %.1f dB", got)
	}
}

// A near end that is much louder than the echo neither spoils the filter nor moves its input.
func TestLoudNearEnd(t *testing.T) {
	t.Parallel()
	far := farSpeech(t, 15)
	s := scene{
		far: far, echo: heard(far, room(0.2, -20, 1), 40*48),
		near: cut(wide(speech(t, "near.wav"), 15, -17), 4, 13),
	}
	p := New(Config{Echo: true})
	out := s.play(p)
	if l := loss(s.near, out, 4, 13); l > 1 {
		t.Errorf("near end loses %.2f dB", l)
	}
	if d := p.Stats().Delay; d < 35*time.Millisecond || d > 45*time.Millisecond || p.Stats().Resets > 0 {
		t.Errorf("%+v: the echo comes after 40 ms", p.Stats())
	}
	expect(t, s, out, 13.3, 14, 20)
}

// A tone looks alike at every delay, and must not move the input of a filter that works.
func TestToneAfterSpeech(t *testing.T) {
	t.Parallel()
	far := mixed(cut(farSpeech(t, 16), 0, 4), cut(tone(16*Rate, 440, farLevel), 4, 16))
	s := scene{far: far, echo: heard(far, room(0.1, pathLevel, 1), 300*48)}
	p := New(Config{Echo: true})
	out := s.play(p)
	expect(t, s, out, 5, 15.9, 35)
	if d := p.canceller.delay; d < 270*lowRate/1000 || d > 300*lowRate/1000 {
		t.Errorf("the filter's input is delayed by %d samples, the echo comes after %d", d, 300*lowRate/1000)
	}
}

func TestDelayJump(t *testing.T) {
	for _, jump := range [][2]int{{40, 80}, {80, 40}, {40, 55}, {40, 340}} {
		t.Run(fmt.Sprintf("%d to %d ms", jump[0], jump[1]), func(t *testing.T) {
			t.Parallel()
			far := farSpeech(t, 10)
			h := room(0.1, pathLevel, 1)
			s := scene{far: far, echo: mixed(heard(cut(far, 0, 5), h, jump[0]*48), heard(cut(far, 5, 10), h, jump[1]*48))}
			p := New(Config{Echo: true})
			out := s.play(p)
			expect(t, s, out, 7, 8, 20)
			expect(t, s, out, 8, 9.9, 30)
			if off := p.Stats().Delay - time.Duration(jump[1])*time.Millisecond; off.Abs() > 5*time.Millisecond {
				t.Errorf("estimated delay %v, want %d ms", p.Stats().Delay, jump[1])
			}
		})
	}
}

// drifted is x recorded by a clock that is slower by some parts per million.
func drifted(x []float32, ppm float64) []float32 {
	out := make([]float32, len(x))
	for i := range out {
		at := float64(i) * (1 + ppm*1e-6)
		j := int(at)
		if j < 1 || j+2 >= len(x) {
			continue
		}
		f := float32(at - float64(j))
		a, b, c, d := x[j-1], x[j], x[j+1], x[j+2] // cubic interpolation
		out[i] = b + f/2*(c-a+f*(2*a-5*b+4*c-d+f*(3*(b-c)+d-a)))
	}
	return out
}

func TestClockDrift(t *testing.T) {
	for _, ppm := range []float64{50, -50, 200} {
		t.Run(fmt.Sprintf("%g ppm", ppm), func(t *testing.T) {
			t.Parallel()
			far := farSpeech(t, 16)
			s := scene{far: far, echo: drifted(heard(far, room(0.1, pathLevel, 1), 40*48), ppm)}
			out := s.play(New(Config{Echo: true}))
			want := 30.0
			if math.Abs(ppm) > 50 {
				want = 15 // a clock so bad is broken; it is only to be survived
			}
			expect(t, s, out, 3, 9, want)
			expect(t, s, out, 9, 15.9, want)
		})
	}
}

// A slow drift moves the echo out of the filter's reach in the end. The filter's input is moved while it works, and
// nothing is heard of that.
func TestInputMovesWithTheFilter(t *testing.T) {
	t.Parallel()
	far := farSpeech(t, 12)
	s := scene{far: far, echo: heard(far, room(0.1, pathLevel, 1), 60*48)}
	p := New(Config{Echo: true})
	s.play(p)
	c := p.canceller
	before, at := dB(float64(c.micMean/c.careful.errMean)), c.delay
	c.follow(c.delay + slack/8) // nearer than expected
	if c.delay >= at {
		t.Fatalf("the input was not moved: %d, was %d", c.delay, at)
	}
	// The call goes on where far.wav began; what counts is that the weights still fit.
	tail := scene{far: far[:Rate], echo: s.echo[:Rate]}
	out := tail.play(p)
	after := dB(float64(c.micMean / c.careful.errMean))
	t.Logf("linear part %.1f dB before, %.1f dB after", before, after)
	expect(t, tail, out, 0.3, 0.95, 25)
}

func TestOtherFarEnds(t *testing.T) {
	alone(t)
	const seconds = 6
	square := tone(seconds*Rate, 320, -20)
	for i, v := range square {
		square[i] = 0.1 * float32(math.Copysign(1, float64(v)))
	}
	for name, far := range map[string][]float32{
		"white noise": noise(seconds*Rate, farLevel, 5), "tone": tone(seconds*Rate, 440, farLevel), "square wave": square,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := scene{far: far, echo: heard(far, room(0.1, pathLevel, 1), 40*48)}
			p := New(Config{Echo: true})
			out := s.play(p)
			expect(t, s, out, 3, 5.9, 35)
			// The suppressor would hide a filter that cannot follow what the band split folds over.
			if got := dB(float64(p.canceller.micMean / p.canceller.careful.errMean)); got < 30 {
				t.Errorf("the filter takes %.1f dB", got)
			}
			if st := p.Stats(); st.DoubleTalk > 0.05 {
				t.Errorf("%+v: the echo is alone", st)
			}
		})
	}
}

// A far end that never changes gives the suppressor no ups and downs to recognise its echo by.
func TestSteadyFarEnd(t *testing.T) {
	alone(t)
	t.Parallel()
	far := noise(8*Rate, farLevel, 5)
	s := scene{far: far, echo: drifted(heard(far, room(0.3, pathLevel, 1), 40*48), 50)}
	out := s.play(New(Config{Echo: true}))
	expect(t, s, out, 4, 7.9, 35)
}

// A big room rings on for long after the filter's last tap.
func TestReverberantRoom(t *testing.T) {
	t.Parallel()
	far := farSpeech(t, 10)
	s := scene{far: far, echo: heard(far, room(0.5, pathLevel, 1), 40*48)}
	out := s.play(New(Config{Echo: true}))
	expect(t, s, out, 5, 9.9, 25)
}

// A small loudspeaker at full volume distorts: no linear filter can follow.
func TestDistortingLoudspeaker(t *testing.T) {
	t.Parallel()
	far := farSpeech(t, 10)
	bent := make([]float32, len(far))
	for i, v := range far {
		bent[i] = float32(math.Tanh(8*float64(v)) / 8)
	}
	s := scene{far: far, echo: heard(bent, room(0.1, pathLevel, 1), 40*48)}
	out := s.play(New(Config{Echo: true}))
	expect(t, s, out, 3, 9.9, 18)
}

// Below 7 kHz the far end hears the room's noise whether its echo is suppressed or not: no holes.
func TestComfortNoise(t *testing.T) {
	t.Parallel()
	far := cut(farSpeech(t, 12), 2, 9)
	s := scene{far: far, echo: heard(far, room(0.1, pathLevel, 1), 40*48), noise: -55}
	out := s.play(New(Config{Echo: true}))
	d := newSplit()
	below := make([]float32, len(out)/ratio)
	for i := 0; i+Block <= len(out); i += Block {
		d.process(below[i/ratio:][:lowBlock], out[i:i+Block])
	}
	during, after := dB(energy(below[5*lowRate:9*lowRate])), dB(energy(below[10*lowRate:11*lowRate]))
	t.Logf("noise is at %.1f dBFS while echo is suppressed, and at %.1f dBFS else", during, after)
	if math.Abs(during-after) > 3 {
		t.Errorf("noise is at %.1f dBFS while echo is suppressed, and at %.1f dBFS else", during, after)
	}
}

// The band above 8 kHz has no filter, and still does not let the echo through.
func TestUpperBand(t *testing.T) {
	alone(t)
	t.Parallel()
	far := noise(5*Rate, farLevel, 5)
	s := scene{far: far, echo: heard(far, room(0.1, pathLevel, 1), 40*48)}
	out := s.play(New(Config{Echo: true}))
	f := newFFT(4096)
	upper := func(x []float32) (sum float64) {
		re, im := make([]float32, 2049), make([]float32, 2049)
		for at := 3 * Rate; at < 4*Rate; at += 4096 {
			f.forward(re, im, x[at:])
			for k := 9000 * 4096 / Rate; k < 2049; k++ {
				sum += float64(re[k]*re[k] + im[k]*im[k])
			}
		}
		return dB(sum)
	}
	if got := upper(s.echo) - upper(out); got < 30 {
		t.Errorf("echo above 9 kHz reduced by %.1f dB", got)
	}
}
