package resample

import (
	"math"
	"sync"
)

// filter is a low-pass filter for a change of rate by a factor. Its coefficients reach from -reach*factor to reach*factor
// about the middle one, which is 1; those at multiples of the factor are zero.
type filter struct {
	factor, reach int
	// parts are the coefficients by their place between two samples of the lower rate, 1 to factor-1, each in the order in
	// which they meet the samples.
	parts [][]float32
}

// The filters. Their lengths are what the attenuation needs: about 4.4 divided by the width of the edge, as a share of the
// sampling rate.
var (
	sharpHalf  = sync.OnceValue(func() *filter { return design(2, 16, shape) }) // 16 to 8 kHz
	sharpThird = sync.OnceValue(func() *filter { return design(3, 19, shape) }) // 48 to 16 kHz
	wideThird  = sync.OnceValue(func() *filter { return design(3, 5, shape) })  // 48 to 16 kHz where only 4 kHz are wanted
)

// shape is the parameter of the Kaiser window: 0.1102 times (attenuation in dB minus 8.7), for 74 dB.
const shape = 7.2

func design(factor, reach int, shape float64) *filter {
	f := &filter{factor: factor, reach: reach}
	for p := 1; p < factor; p++ {
		taps := make([]float32, 2*reach)
		for j := range taps {
			k := p + factor*(reach-1-j)
			taps[j] = float32(sinc(float64(k)/float64(factor)) * kaiser(float64(k)/float64(factor*reach), shape))
		}
		f.parts = append(f.parts, taps)
	}
	return f
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// kaiser is the Kaiser window at x, -1 to 1.
func kaiser(x, shape float64) float64 {
	if x <= -1 || x >= 1 {
		return 0
	}
	return bessel(shape*math.Sqrt(1-x*x)) / bessel(shape)
}

// bessel is the modified Bessel function of the first kind and order zero, by its series.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-12*sum; k++ {
		term *= x / (2 * k) * x / (2 * k)
		sum += term
	}
	return sum
}
