package echo

import "math"

// The echo canceller and the noise suppressor work on the band below 8 kHz, at a third of the sample rate: speech has
// nearly all its energy there, and an adaptive filter at 48 kHz would cost nine times as much.
//
// One low-pass serves both directions. It is short, 61 taps, because taps are delay: 0.6 ms on the way down and as
// much on the way up. The upper band has no filter of its own: it is the delayed input minus what the way down and up
// has made of it. So both bands add up to the input exactly, whatever the low-pass is like, and a stage that changes
// nothing is transparent. The cut-off lies below 8 kHz so that little is left to fold over: the echo canceller cannot
// follow what has.
const (
	ratio     = 3
	lowBlock  = Block / ratio
	splitTaps = 61
	lowRate   = Rate / ratio

	splitCutoff = 7200.0 / Rate
	splitDelay  = splitTaps - 1 // of down and up together, in samples of 48 kHz
)

// lowPass returns n taps of a linear-phase low-pass with the given cut-off, a share of the sample rate: a sinc under
// a Kaiser window. β = 5 gives 53 dB of stop band.
func lowPass(n int, cutoff float64) []float32 {
	const beta = 5
	taps := make([]float64, n)
	mid, sum := float64(n-1)/2, 0.0
	for i := range taps {
		t := float64(i) - mid
		sinc := 2 * cutoff
		if t != 0 {
			sinc = math.Sin(2*math.Pi*cutoff*t) / (math.Pi * t)
		}
		u := t / mid
		taps[i] = sinc * bessel(beta*math.Sqrt(max(0, 1-u*u))) / bessel(beta)
		sum += taps[i]
	}
	out := make([]float32, n)
	for i, v := range taps {
		out[i] = float32(v / sum)
	}
	return out
}

// bessel is the modified Bessel function of the first kind and order zero.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-12; k++ {
		term *= x / (2 * k) * x / (2 * k)
		sum += term
	}
	return sum
}

// down filters and takes every factor-th sample.
type down struct {
	factor int
	taps   []float32
	buf    []float32 // len(taps)-1 old samples, then a block
}

func newDown(factor, taps, block int, cutoff float64) *down {
	return &down{factor, lowPass(taps, cutoff), make([]float32, taps-1+block)}
}

// newSplit is the way from 48 kHz down.
func newSplit() *down { return newDown(ratio, splitTaps, Block, splitCutoff) }

func (d *down) process(dst, src []float32) {
	old := len(d.taps) - 1
	copy(d.buf[old:], src)
	for m := range dst {
		dst[m] = dot(d.taps, d.buf[m*d.factor:])
	}
	copy(d.buf, d.buf[len(src):])
}

func (d *down) reset() { clear(d.buf) }

// up is the way back to 48 kHz: each of the three phases of the low-pass makes every third sample.
type up struct {
	phases [ratio][]float32 // reversed, so that a phase is a dot product with the past
	buf    []float32
}

func newUp() *up {
	taps := lowPass(splitTaps, splitCutoff)
	u := &up{}
	const n = (splitTaps + ratio - 1) / ratio
	for r := range u.phases {
		u.phases[r] = make([]float32, n)
		for j := range n {
			if ratio*j+r < splitTaps {
				u.phases[r][n-1-j] = ratio * taps[ratio*j+r]
			}
		}
	}
	u.buf = make([]float32, n-1+lowBlock)
	return u
}

func (u *up) process(dst, src []float32) {
	old := len(u.phases[0]) - 1
	copy(u.buf[old:], src)
	for m := range src {
		at := u.buf[m : m+old+1]
		for r := range u.phases {
			dst[ratio*m+r] = dot(u.phases[r], at)
		}
	}
	copy(u.buf, u.buf[len(src):])
}

func (u *up) reset() { clear(u.buf) }

// dot has four sums because one would make every addition wait for the one before.
func dot(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float32
	for len(a) >= 4 && len(b) >= 4 {
		s0 += a[0] * b[0]
		s1 += a[1] * b[1]
		s2 += a[2] * b[2]
		s3 += a[3] * b[3]
		a, b = a[4:], b[4:]
	}
	for i := range a {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + (s2 + s3)
}

// line delays a signal by a fixed number of samples.
type line struct{ buf []float32 } // the delayed samples, then room for a block

func newLine(delay, block int) *line { return &line{make([]float32, delay+block)} }

// process delays src into dst, which may be the same slice.
func (l *line) process(dst, src []float32) {
	delay := len(l.buf) - len(src)
	copy(l.buf[delay:], src)
	copy(dst, l.buf[:len(src)])
	copy(l.buf, l.buf[len(src):])
}

func (l *line) reset() { clear(l.buf) }
