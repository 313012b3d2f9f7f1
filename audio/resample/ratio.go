package resample

import "math"

// Ratio changes between any two rates, for files. Its output begins with the first sample of the input: it has no delay,
// but what it returns lags behind what it got until Flush. It belongs to one goroutine.
//
// The position between two samples of the input is an exact fraction, and the filter is looked up there in a table, with
// a straight line between entries.
type Ratio struct {
	from, to int
	reach    int         // samples of the input on either side of a position
	table    [][]float32 // coefficients for positions 0, 1/phases, … 1 between two samples
	line     []float32   // input from the first sample still needed
	position int         // of the next output after line[reach-1], in units of 1/to samples
}

const (
	// phases is how finely the table divides the time between two samples: the line between two entries is off by less than
	// -100 dB.
	phases = 512
	// ratioReach is how many samples of the lower rate the filter reaches to either side, for an edge from 0.9 to 1.1 times
	// the cut-off.
	ratioReach = 24
)

// NewRatio returns a resampler between two rates in Hz.
func NewRatio(from, to int) *Ratio {
	if from <= 0 || to <= 0 {
		panic("resample: a rate has to be positive")
	}
	divisor := gcd(from, to)
	r := &Ratio{from: from / divisor, to: to / divisor}
	if from == to {
		return r
	}
	cutoff := min(1, float64(to)/float64(from)) // of half the input's rate
	r.reach = int(math.Ceil(ratioReach / cutoff))
	for p := range phases + 1 {
		taps := make([]float32, 2*r.reach)
		sum := 0.0
		for j := range taps {
			x := float64(j-r.reach+1) - float64(p)/phases
			c := cutoff * sinc(cutoff*x) * kaiser(x/float64(r.reach), shape)
			sum += c
			taps[j] = float32(c)
		}
		for j := range taps { // the same gain at every position
			taps[j] /= float32(sum)
		}
		r.table = append(r.table, taps)
	}
	r.line = make([]float32, r.reach-1, 4*r.reach) // silence before the beginning
	return r
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// Process appends to dst what src adds to the sound.
func (r *Ratio) Process(dst, src []int16) []int16 {
	if r.table == nil {
		return append(dst, src...)
	}
	for len(src) > 0 {
		n := min(len(src), 1024)
		for _, v := range src[:n] {
			r.line = append(r.line, float32(v))
		}
		src = src[n:]
		dst = r.drain(dst)
	}
	return dst
}

// Flush appends the end of the sound, after which the Ratio begins anew.
func (r *Ratio) Flush(dst []int16) []int16 {
	if r.table == nil {
		return dst
	}
	// Every position before the last sample's end is due; the silence after it is only as long as that needs.
	for range r.reach {
		r.line = append(r.line, 0)
	}
	dst = r.drain(dst)
	r.line = r.line[:r.reach-1]
	clear(r.line)
	r.position = 0
	return dst
}

// drain appends what the line is long enough for, and drops what is no longer needed.
func (r *Ratio) drain(dst []int16) []int16 {
	start := 0
	for start+2*r.reach <= len(r.line) {
		dst = append(dst, round(r.at(r.line[start:][:2*r.reach])))
		r.position += r.from
		start += r.position / r.to
		r.position %= r.to
	}
	rest := copy(r.line, r.line[start:])
	r.line = r.line[:rest]
	return dst
}

// at filters the samples about the position.
func (r *Ratio) at(x []float32) float32 {
	place := float32(r.position) * phases / float32(r.to)
	p := min(int(place), phases-1)
	share := place - float32(p)
	before, after := r.table[p][:len(x)], r.table[p+1][:len(x)]
	var s, t float32
	for j, v := range x {
		s += before[j] * v
		t += after[j] * v
	}
	return s + share*(t-s)
}
