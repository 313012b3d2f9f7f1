package echo

import "math"

// Spectral gains work on frames of 256 samples of which 160 are new. The window rises over 96 samples, is flat over
// 64 and falls over 96; it is applied before and after, and the squares of the slopes of neighbouring frames add up
// to one, so that gains of one change nothing. The delay is the overlap, 6 ms; the usual half overlap would take 10.
const (
	frame     = 256
	overlap   = frame - lowBlock
	frameBins = frame/2 + 1
	binHz     = lowRate / frame // 62.5, rounded down
)

// framer cuts a signal into windowed frames and keeps their spectrum.
type framer struct {
	past   [frame]float32
	re, im [frameBins]float32
	power  [frameBins]float32
}

func (f *framer) process(t *fft, window *[frame]float32, block []float32) {
	copy(f.past[:], f.past[lowBlock:])
	copy(f.past[overlap:], block)
	var in [frame]float32
	for i, w := range window {
		in[i] = w * f.past[i]
	}
	t.forward(f.re[:], f.im[:], in[:])
	for k := range f.power {
		f.power[k] = f.re[k]*f.re[k] + f.im[k]*f.im[k]
	}
}

// spectral applies the gains of the residual echo suppressor and of the noise suppressor, which share their frames.
type spectral struct {
	fft           *fft
	window        [frame]float32
	mic, est, err framer
	residual      residual
	noise         noiseFloor
	denoise       wiener
	tail          [overlap]float32
	dice          uint32
	phase         [64][2]float32 // of comfort noise
	gain, comfort [frameBins]float32
	echoGain      [frameBins]float32
	upper         float32 // gain of the band above 8 kHz
	out           [lowBlock]float32
	inRe, inIm    [frameBins]float32
}

func newSpectral() *spectral {
	s := &spectral{fft: newFFT(frame), dice: 1}
	for i := range s.window {
		s.window[i] = 1
	}
	for i := range overlap {
		w := float32(math.Sin(math.Pi / 2 * (float64(i) + 0.5) / overlap))
		s.window[i], s.window[frame-1-i] = w, w
	}
	for i := range s.phase {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(len(s.phase)))
		s.phase[i] = [2]float32{float32(cos), float32(sin)}
	}
	s.reset()
	return s
}

func (s *spectral) reset() {
	s.mic, s.est, s.err = framer{}, framer{}, framer{}
	s.residual.reset()
	s.noise.reset()
	s.denoise.reset()
	clear(s.tail[:])
	s.upper = 1
}

// process makes out from what the canceller left of the microphone, delayed by overlap.
func (s *spectral) process(mic []float32, c *canceller, cancel, denoise bool) {
	s.err.process(s.fft, &s.window, c.err[:])
	for k := range s.echoGain {
		s.echoGain[k] = 1
	}
	if cancel {
		s.mic.process(s.fft, &s.window, mic)
		s.est.process(s.fft, &s.window, c.est[:])
		s.residual.process(&s.echoGain, &s.err.power, &s.est.power, &c.reverb.power)
	} else {
		s.mic.power = s.err.power
		s.residual.rest()
	}
	s.noise.process(&s.err.power, s.echoed(c.heard))
	s.gain = s.echoGain
	if denoise {
		s.denoise.process(&s.gain, &s.err.power, &s.noise.floor)
	}
	s.fill(denoise)
	s.follow()
	s.synthesize()
}

// echoed tells whether the frame cannot tell how loud the background is, because echo is left in it. A filter that
// has not proved itself may have missed the echo altogether.
func (s *spectral) echoed(heard bool) bool {
	return heard && !s.residual.proved || s.residual.sumPower > 0.1*s.residual.sumErr
}

// fill decides how much comfort noise stands in for what the echo suppressor has taken of the room's own noise.
// Without it the talker at the far end hears the room vanish with every word.
func (s *spectral) fill(denoise bool) {
	const spread = float32(frame) / lowBlock // the noise fills a whole frame, and then gets the window's shape
	for k, g := range s.echoGain {
		n := spread * s.noise.floor[k] * (1 - g*g)
		if denoise {
			n *= noiseGain * noiseGain
		}
		s.comfort[k] = n
	}
}

// follow sets the gain of the upper band, which has neither a filter nor a spectrum of its own, to what became of the
// power between 3 and 7 kHz, the filter's work included.
func (s *spectral) follow() {
	const from, to = 3000 / binHz, 7000 / binHz
	in, out := float32(1e-7), float32(1e-7)
	for k := from; k < to; k++ {
		in += s.mic.power[k]
		out += s.gain[k] * s.gain[k] * s.err.power[k]
	}
	s.upper = min(1, sqrt(out/in))
}

func (s *spectral) synthesize() {
	for k, g := range s.gain {
		s.inRe[k], s.inIm[k] = g*s.err.re[k], g*s.err.im[k]
		if n := s.comfort[k]; n > smallest {
			s.dice = s.dice*1664525 + 1013904223
			p := &s.phase[s.dice>>26]
			a := sqrt(n)
			s.inRe[k] += a * p[0]
			s.inIm[k] += a * p[1]
		}
	}
	s.inIm[0], s.inIm[frameBins-1] = 0, 0
	var x [frame]float32
	s.fft.inverse(x[:], s.inRe[:], s.inIm[:])
	for i, w := range s.window {
		x[i] *= w
	}
	for i, v := range s.tail {
		x[i] += v
	}
	copy(s.out[:], x[:])
	copy(s.tail[:], x[lowBlock:])
}

func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }
