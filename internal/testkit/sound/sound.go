// Package sound measures what tests have recorded: is it the tone that was played, is it as loud, is it whole, how late is it.
//
// Tone finds frequency and level of a steady tone by the phase that it gains from block to block, which is far more exact
// than a spectrum of the same length. Gaps finds where such a tone is missing. Delay finds a recording in a longer one by
// correlation.
//
// Samples are mono, 16 bits. Levels are in dBov, the mean square of a full-scale square wave being 0 dBov; a sine of full scale
// has -3.01 dBov.
package sound

import (
	"math"
	"time"
)

// Sine is a tone: amplitude 0 to 1.
func Sine(hz, amplitude float64, rate, n int) []int16 {
	out := make([]int16, n)
	for i := range out {
		out[i] = int16(math.Round(32767 * amplitude * math.Sin(2*math.Pi*hz*float64(i)/float64(rate))))
	}
	return out
}

// Level is the power of samples, -127 for none.
func Level(samples []int16) float64 {
	var sum float64
	for _, v := range samples {
		sum += float64(v) * float64(v)
	}
	if sum == 0 {
		return -127
	}
	return 10 * math.Log10(sum/float64(len(samples))/(32768*32768))
}

// Tone fits the one tone that is near hz to the samples. It returns the frequency, to a small fraction of a hertz with a
// second of sound, the level of the tone, and the ratio of the tone to all else, in dB.
func Tone(samples []int16, rate int, hz float64) (frequency, level, ratio float64) {
	// The phase of the tone against hz, block by block, turns with the difference of the frequencies.
	const blocks = 64
	n := len(samples) / blocks
	if n == 0 {
		return 0, -127, 0
	}
	var phase, last, turned float64
	var sx, sy, sxx, sxy float64
	for b := range blocks {
		re, im := project(samples[b*n:(b+1)*n], rate, hz, b*n)
		phase = math.Atan2(im, re)
		if b > 0 {
			turned += math.Remainder(phase-last, 2*math.Pi)
		}
		last = phase
		x := float64(b) * float64(n) / float64(rate)
		sx, sy, sxx, sxy = sx+x, sy+turned, sxx+x*x, sxy+x*turned
	}
	slope := (blocks*sxy - sx*sy) / (blocks*sxx - sx*sx)
	frequency = hz + slope/(2*math.Pi)
	re, im := project(samples, rate, frequency, 0)
	power := (re*re + im*im) / 2 / (32768 * 32768)
	total := math.Pow(10, Level(samples)/10)
	return frequency, 10 * math.Log10(power), 10 * math.Log10(power/max(total-power, 1e-15))
}

// project is the amplitude of the samples' part at hz, as a complex number. from is the index of the first sample.
func project(samples []int16, rate int, hz float64, from int) (re, im float64) {
	w := 2 * math.Pi * hz / float64(rate)
	for i, v := range samples {
		s, c := math.Sincos(w * float64(from+i))
		re += float64(v) * c
		im -= float64(v) * s
	}
	n := float64(len(samples)) / 2
	return re / n, im / n
}

// Gap is a stretch in which a tone is missing.
type Gap struct{ At, Length time.Duration }

// Gaps finds where a steady tone is missing for longer than limit: no sample reaches a fifth of amplitude (0 to 1). A tone
// of 1 kHz is that small for 0.06 ms at each of its zeros.
func Gaps(samples []int16, rate int, amplitude float64, limit time.Duration) []Gap {
	var gaps []Gap
	small := int16(32767 * amplitude / 5)
	begun := -1
	end := func(i int) {
		if begun >= 0 {
			if length := at(i-begun, rate); length > limit {
				gaps = append(gaps, Gap{at(begun, rate), length})
			}
		}
		begun = -1
	}
	for i, v := range samples {
		switch {
		case v > small || v < -small:
			end(i)
		case begun < 0:
			begun = i
		}
	}
	end(len(samples))
	return gaps
}

func at(i, rate int) time.Duration { return time.Duration(i) * time.Second / time.Duration(rate) }

// Delay is how much later part sounds in whole than it was played: the offset, from 0 to limit, at which they resemble
// each other most, and how much they do, 0 to 1.
func Delay(part, whole []int16, rate int, limit time.Duration) (delay time.Duration, alike float64) {
	best := 0
	energy := dot(part, part)
	for d := 0; d <= int(limit*time.Duration(rate)/time.Second) && d+len(part) <= len(whole); d++ {
		seg := whole[d : d+len(part)]
		other := dot(seg, seg)
		if energy == 0 || other == 0 {
			continue
		}
		if c := dot(part, seg) / math.Sqrt(energy*other); c > alike {
			best, alike = d, c
		}
	}
	return at(best, rate), alike
}

func dot(a, b []int16) float64 {
	var sum float64
	for i, v := range a {
		sum += float64(v) * float64(b[i])
	}
	return sum
}
