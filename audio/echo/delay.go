package echo

import "math"

// A device keeps what it is given for a while, and so does the sound server; so the echo comes up to half a second
// after the block was handed over. Taps are too precious to be spent on that time: the delay is looked for, and the
// filter's input is moved by it.
//
// The search correlates the microphone with the last half second of the far end, at 4 kHz, in the frequency domain,
// with each bin divided by the mean powers of both signals. Speech is so periodic that otherwise the peak might sit a
// pitch period off, and loud bins would be the only ones that count; bins in which the two are not coherent average
// to little. A room smears the peak, and what the filter needs is where it begins.

const (
	coarse       = 4 // the search runs at a quarter of lowRate
	coarseBlock  = lowBlock / coarse
	searchBlocks = 12                             // blocks between two searches, 120 ms
	searchTime   = 2 * searchBlocks * coarseBlock // two searches overlap by half
	searchLags   = 2000                           // 500 ms
	searchSize   = 4096                           // holds searchPast and searchLags without wrapping around
	searchBins   = searchSize/2 + 1
	searchPast   = 2048 + searchTime

	// Peaks, as a multiple of the mean. Where there is no echo they reach the first now and then. The sum over
	// searches in a row that agree must reach the second for the first decision, and the third to revise it: a near
	// end that is much louder than the echo can look like one for half a second.
	clearPeak = 11
	certain   = 40
	certainly = 100

	coarseTaps = 33
)

// locator looks for the delay. A search is spread over several blocks, one transform each, so that no block is late.
type locator struct {
	fft          *fft
	farDown      *down
	micDown      *down
	far          [searchPast]float32 // the past at 4 kHz
	mic          [searchTime]float32
	window       [searchTime]float32 // Hann's: the hard ends of a cut-out tone look like an echo without delay
	micCopy      [searchTime]float32 // mic under the window, as it was when the search began
	farRe, farIm []float32
	re, im       []float32 // of mic, then of the correlation
	padded       []float32
	cross        spectrumSum
	step         int  // block of the search
	heard        bool // the far end said something in this search

	searches int     // in which it did
	sure     float32 // sum of peaks that agree
	last     int     // where the last search found it, in samples of 4 kHz; -1: nowhere
	found    int     // where searches in a row found it; -1: nowhere yet
}

// spectrumSum is a smoothed cross spectrum with the powers of both sides.
type spectrumSum struct{ re, im, far, mic []float32 }

func newLocator() *locator {
	quarter := func() *down { return newDown(coarse, coarseTaps, lowBlock, 0.5/coarse) }
	room := func() []float32 { return make([]float32, searchBins) }
	l := &locator{
		fft: newFFT(searchSize), farDown: quarter(), micDown: quarter(), padded: make([]float32, searchSize),
		farRe: room(), farIm: room(), re: room(), im: room(),
		cross: spectrumSum{re: room(), im: room(), far: room(), mic: room()},
	}
	for i := range l.window {
		l.window[i] = float32(0.5 - 0.5*math.Cos(2*math.Pi*(float64(i)+0.5)/searchTime))
	}
	l.reset()
	return l
}

// reset forgets what was heard.
func (l *locator) reset() {
	clear(l.far[:])
	clear(l.mic[:])
	for _, s := range [][]float32{l.cross.re, l.cross.im, l.cross.far, l.cross.mic} {
		clear(s)
	}
	l.step, l.searches, l.sure, l.last, l.found = 0, 0, 0, -1, -1
}

// process takes a block of both ends and returns the delay in samples of lowRate, or -1 while it is unknown. It is
// the beginning of the echo, not its peak.
func (l *locator) process(mic, far []float32) int {
	copy(l.far[:], l.far[coarseBlock:])
	copy(l.mic[:], l.mic[coarseBlock:])
	l.farDown.process(l.far[searchPast-coarseBlock:], far)
	l.micDown.process(l.mic[searchTime-coarseBlock:], mic)

	switch l.step {
	case 0:
		const quiet = 1e-7 // -70 dBFS
		if l.heard = power(l.far[:]) > quiet && power(l.mic[:]) > quiet/100; l.heard {
			// Every search counts the same: otherwise one loud word of the near end would be remembered for seconds.
			norm := 1 / sqrt(power(l.mic[:]))
			for i, w := range l.window {
				l.micCopy[i] = norm * w * l.mic[i]
			}
			clear(l.padded)
			copy(l.padded, l.far[:])
			l.fft.forward(l.farRe, l.farIm, l.padded)
		}
	case 1:
		if l.heard {
			clear(l.padded)
			copy(l.padded[searchPast-searchTime:], l.micCopy[:])
			l.fft.forward(l.re, l.im, l.padded)
			l.accumulate()
		}
	case 2:
		if l.heard {
			l.correlate()
			l.decide()
		}
	}
	l.step = (l.step + 1) % searchBlocks
	return l.delay()
}

// delay is what process returned last.
func (l *locator) delay() int {
	if l.found < 0 {
		return -1
	}
	return l.found * coarse
}

func (l *locator) accumulate() {
	const smooth = 0.2 // the memory is 0.6 s
	c := &l.cross
	for k := range c.re {
		fr, fi, mr, mi := l.farRe[k], l.farIm[k], l.re[k], l.im[k]
		c.re[k] += smooth * (mr*fr + mi*fi - c.re[k])
		c.im[k] += smooth * (mi*fr - mr*fi - c.im[k])
		c.far[k] += smooth * (fr*fr + fi*fi - c.far[k])
		c.mic[k] += smooth * (mr*mr + mi*mi - c.mic[k])
	}
}

func (l *locator) correlate() {
	const (
		from = 200 * searchSize / (lowRate / coarse) // below is hum
		to   = 1900 * searchSize / (lowRate / coarse)
	)
	clear(l.re)
	clear(l.im)
	for k := from; k < to; k++ {
		weight := float32(1 / math.Sqrt(float64(l.cross.far[k]*l.cross.mic[k])+1e-12))
		l.re[k], l.im[k] = l.cross.re[k]*weight, l.cross.im[k]*weight
	}
	l.fft.inverse(l.padded, l.re, l.im)
}

// decide finds the beginning of the echo in the correlation.
func (l *locator) decide() {
	const (
		half  = 4   // of the window over which energy is taken: 2 ms
		reach = 160 // the strongest part of an echo comes at most 40 ms after its begin
		near  = 12  // two searches agree within 3 ms
	)
	c := l.padded[:searchLags]
	for i, v := range c {
		c[i] = v * v
	}
	var sum, window, best float32
	peak := 0
	for i, v := range c {
		sum += v
		window += v
		if i >= 2*half {
			window -= c[i-2*half]
		}
		if window > best {
			best, peak = window, i
		}
	}
	mean := sum / searchLags * 2 * half
	if l.searches++; l.searches < 3 || best < clearPeak*mean { // a few transforms agree by chance
		l.last, l.sure = -1, 0
		return
	}
	window = 0
	begin := max(0, peak-reach)
	for i := begin; i <= peak; i++ {
		window += c[i]
		if i-begin >= 2*half {
			window -= c[i-2*half]
		}
		if window > best/4 {
			begin = max(0, i-2*half)
			break
		}
	}
	if abs(begin-l.last) > near {
		l.sure = 0
	}
	l.sure += best / mean
	l.last = begin
	need := float32(certain)
	if l.found >= 0 && abs(begin-l.found) > near {
		need = certainly
	}
	if l.sure > best/mean && l.sure >= need {
		l.found = begin
	}
}

func abs(x int) int { return max(x, -x) }
