package echo

// noiseFloor estimates the power of the background in every bin by minimum statistics, after Martin: speech has gaps
// between its syllables and its harmonics, so that the least power of the last two seconds is that of the noise,
// times a constant because the minimum lies below the mean.
//
// Some talkers leave no gaps. What has not been steady for a second is therefore believed to be louder only by a few
// decibels per second; a fan that starts to run is believed at once.
type noiseFloor struct {
	smooth [frameBins]float32
	least  [frameBins]float32          // of the window that is filling
	ring   [windows][frameBins]float32 // of the windows before
	floor  [frameBins]float32
	at     int
	n      int // frames in the window that is filling; -1 before the first of all
	sum    float32
	steady int // windows in a row without speech
}

const (
	windows      = 8
	windowFrames = 25   // 250 ms
	minimumBias  = 1.5  // of the least of so many smoothed powers, found by experiment with white noise
	firstGuess   = 1e-3 // -52 dBFS: the first frame may be speech
)

func (f *noiseFloor) reset() { *f = noiseFloor{n: -1} }

// process takes the powers of a frame. With echo in it, the frame can show that the background is fainter than
// believed, but not that it is louder: time stands still for the windows. Such frames cannot be left out altogether,
// for those that remain while both ends speak are just the loud ones.
func (f *noiseFloor) process(power *[frameBins]float32, echoed bool) {
	const smooth = 0.15
	if f.n < 0 {
		f.begin(power)
	}
	for k, p := range power {
		f.smooth[k] += smooth*(p-f.smooth[k]) + smallest
		f.least[k] = min(f.least[k], f.smooth[k])
		f.floor[k] = min(f.floor[k], minimumBias*f.least[k])
	}
	if echoed {
		return
	}
	for _, p := range f.smooth {
		f.sum += p
	}
	if f.n++; f.n == windowFrames {
		f.turn()
	}
}

func (f *noiseFloor) begin(power *[frameBins]float32) {
	f.n = 0
	for k, p := range power {
		f.smooth[k] = min(p, firstGuess)
	}
	f.least = f.smooth
	for w := range f.ring {
		f.ring[w] = f.smooth
	}
	for k, p := range f.smooth {
		f.floor[k] = minimumBias * p
	}
}

// turn ends a window.
func (f *noiseFloor) turn() {
	const (
		even   = 3    // the mean of noise is at most so many times its minimum
		long   = 4    // windows
		slowly = 1.19 // 3 dB/s
	)
	var least float32
	for _, p := range f.least {
		least += p
	}
	count(&f.steady, f.sum/windowFrames < even*least)
	f.ring[f.at] = f.least
	f.at = (f.at + 1) % windows
	for k, was := range f.floor {
		m := f.ring[0][k]
		for w := 1; w < windows; w++ {
			m = min(m, f.ring[w][k])
		}
		f.floor[k] = minimumBias * m
		if f.steady < long {
			f.floor[k] = min(f.floor[k], was*slowly)
		}
	}
	f.n, f.sum, f.least = 0, 0, f.smooth
}

// noiseGain is the least gain of the noise suppressor, -15 dB. What remains masks the musical tones of what comes and
// goes, and a call without any background sounds dead.
const noiseGain = 0.178

// wiener is the gain of Wiener's filter with a signal-to-noise ratio that trusts the frame before (the
// decision-directed estimate of Ephraim and Malah), which keeps single bins from flickering.
type wiener struct {
	before [frameBins]float32 // speech power of the frame before
}

func (w *wiener) reset() { *w = wiener{} }

// process multiplies gain.
func (w *wiener) process(gain, power, floor *[frameBins]float32) {
	const directed = 0.96
	for k, p := range power {
		n := floor[k] + smallest
		prior := directed*w.before[k]/n + (1-directed)*max(0, p/n-1)
		g := max(noiseGain, prior/(1+prior))
		w.before[k] = g*g*p + smallest
		gain[k] *= g
	}
}
