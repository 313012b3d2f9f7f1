package music

import (
	"math"
	"sync"
	"time"

	"offhook/audio/resample"
)

// Default is the music that is played where nobody has chosen another: a loop of 40 s, computed when it is first wanted.
// It must not be changed.
func Default() []int16 { return defaultLoop() }

var defaultLoop = sync.OnceValue(compose)

const (
	composeRate = 8000 // nothing above 3 kHz is played
	composeUp   = Rate / composeRate
	highest     = 3000 // Hz, of any partial
	loudness    = 0.1  // root mean square of full scale: -20 dBov
	ceiling     = 0.32 // of full scale, for any sample: -10 dBov

	memory = 200 // samples, more than the filter keeps

	bar  = 5 * time.Second
	beat = bar / 8
)

// harmony is one bar: the chord that is held, and the order in which its notes are played an octave higher.
type harmony struct {
	chord  [4]int // notes by their MIDI numbers
	melody [8]int // indices into chord
}

// harmonies wander through C major without ever quite arriving, so that the beginning does not sound like one.
var harmonies = [...]harmony{
	{[4]int{60, 64, 67, 71}, [8]int{0, 1, 2, 3, 2, 1, 2, 1}}, // C
	{[4]int{57, 60, 64, 67}, [8]int{2, 3, 1, 2, 0, 1, 2, 3}}, // a
	{[4]int{53, 60, 64, 69}, [8]int{1, 3, 2, 1, 2, 3, 2, 1}}, // F
	{[4]int{55, 62, 64, 71}, [8]int{3, 2, 1, 2, 3, 2, 1, 2}}, // G
	{[4]int{52, 59, 62, 67}, [8]int{1, 2, 3, 2, 1, 3, 2, 1}}, // e
	{[4]int{57, 60, 64, 71}, [8]int{3, 2, 1, 2, 1, 2, 3, 2}}, // a
	{[4]int{50, 60, 65, 69}, [8]int{1, 2, 3, 2, 3, 2, 1, 2}}, // d
	{[4]int{55, 60, 65, 69}, [8]int{3, 2, 1, 2, 3, 1, 2, 1}}, // G, with the fourth
}

// compose computes the loop. What sounds beyond its end goes on at its beginning.
func compose() []int16 {
	c := canvas(make([]float32, len(harmonies)*samplesOf(bar)))
	chord, bell := held(), struck()
	for i, h := range harmonies {
		at := time.Duration(i) * bar
		for j, note := range h.chord {
			// Two strings are never quite in tune, which is what makes them warm. No two pairs swell alike.
			beating := 0.15 + 0.04*float64(j) // Hz
			for k, part := range [...]float64{0.3, 0.12, 0.04} {
				n, phase := float64(k+1), 0.2*float64(k)
				c.partial(at, n*(pitch(note)-beating), part, phase, chord)
				c.partial(at, n*(pitch(note)+beating), 0.4*part, phase+[...]float64{0.1, 0.65, 0.9, 0.4}[j], chord)
			}
		}
		for j, note := range h.melody {
			// Every other note is softer, and the first of a bar comes when the chord is there.
			at, level := at+time.Duration(j)*beat+beat/2, 0.48-0.14*float64(j%2)
			for k, part := range [...]float64{1, 0.22, 0.07} {
				n := float64(k + 1)
				c.partial(at, n*pitch(h.chord[note]+12), level*part, 0.25*float64(k), bell[k])
			}
		}
	}
	return c.render()
}

// pitch is the frequency of a note, tempered equally.
func pitch(note int) float64 { return 440 * math.Exp2(float64(note-69)/12) }

func samplesOf(d time.Duration) int { return int(d * composeRate / time.Second) }

// held is how a chord sounds: it swells for more than a second, and fades into the next bar.
func held() []float32 {
	swell, fade := samplesOf(1200*time.Millisecond), samplesOf(1800*time.Millisecond)
	envelope := make([]float32, samplesOf(bar)+fade-swell/2)
	for i := range envelope {
		envelope[i] = rise(i, swell) * rise(len(envelope)-i, fade)
	}
	return envelope
}

// struck is how a note of the melody sounds: like a bell, but struck by something soft. The higher a partial, the sooner it
// is gone.
func struck() (partials [3][]float32) {
	strike, end := samplesOf(30*time.Millisecond), samplesOf(3*time.Second)
	for k := range partials {
		envelope := make([]float32, end)
		decay, v := math.Exp(-float64(k+1)/(0.9*composeRate)), 1.0
		for i := range envelope {
			envelope[i] = float32(v) * rise(i, strike) * rise(end-i, strike)
			v *= decay
		}
		partials[k] = envelope
	}
	return partials
}

// rise goes from 0 to 1 while i goes from 0 to n, and has no edges.
func rise(i, n int) float32 {
	if i >= n {
		return 1
	}
	return float32(0.5 - 0.5*math.Cos(math.Pi*float64(i)/float64(n)))
}

// canvas is the loop as it grows, at composeRate.
type canvas []float32

// partial adds a sine under an envelope. phase is where it begins, in turns.
func (c canvas) partial(at time.Duration, hz, level, phase float64, envelope []float32) {
	if hz > highest {
		return
	}
	// A sine is a rotation by a constant angle.
	s, r := math.Sincos(2 * math.Pi * hz / composeRate)
	y, x := math.Sincos(2 * math.Pi * phase)
	x, y = level*x, level*y
	i := samplesOf(at) % len(c)
	for _, v := range envelope {
		c[i] += v * float32(y)
		x, y = x*r-y*s, x*s+y*r
		if i++; i == len(c) {
			i = 0
		}
	}
}

// render brings the loop to its loudness and to the rate of music.
func (c canvas) render() []int16 {
	var power float64
	for _, v := range c {
		power += float64(v) * float64(v)
	}
	c.multiply(loudness / math.Sqrt(power/float64(len(c))))
	c.calm()
	narrow := make([]int16, len(c))
	for i, v := range c {
		narrow[i] = int16(math.Round(32768 * float64(v)))
	}
	out := make([]int16, composeUp*len(c))
	up := resample.NewUp(composeUp)
	// The filter of the beginning has to remember the end.
	up.Process(out[:composeUp*memory], narrow[len(narrow)-memory:])
	up.Process(out, narrow)
	return out
}

func (c canvas) multiply(gain float64) {
	for i := range c {
		c[i] *= float32(gain)
	}
}

// calm turns down what is louder than ceiling, so slowly that nobody hears it: by a gain for each step of 50 ms, which has
// begun to fall four steps before.
func (c canvas) calm() {
	const near = 4
	step := samplesOf(50 * time.Millisecond)
	n := len(c) / step
	around := func(gains []float64, i, reach int, take func(v float64)) {
		for j := i - reach; j <= i+reach; j++ {
			take(gains[(j+n)%n])
		}
	}
	needed, low, gains := make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range needed {
		top := 0.0
		for _, v := range c[i*step : (i+1)*step] {
			top = max(top, math.Abs(float64(v)))
		}
		needed[i] = min(1, ceiling/max(top, ceiling))
	}
	for i := range low {
		low[i] = 1
		around(needed, i, near, func(v float64) { low[i] = min(low[i], v) })
	}
	for i := range gains {
		around(low, i, near-1, func(v float64) { gains[i] += v / (2*near - 1) })
	}
	for i := range c {
		k, part := i/step, float64(i%step)/float64(step)
		c[i] *= float32(gains[k]*(1-part) + gains[(k+1)%n]*part)
	}
}
