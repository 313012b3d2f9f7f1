package jitter_test

import (
	"encoding/binary"
	"math"
	"math/cmplx"
	"os"
	"testing"
)

// speech is a few seconds of two voices at 16 kHz.
func speech(t testing.TB) []int16 {
	t.Helper()
	file, err := os.ReadFile("testdata/speech.wav")
	if err != nil {
		t.Fatal(err)
	}
	x := make([]int16, (len(file)-44)/2)
	for i := range x {
		x[i] = int16(binary.LittleEndian.Uint16(file[44+2*i:]))
	}
	return x
}

// speechAt is speech at the rate of a codec.
func speechAt(t testing.TB, rate int) []int16 {
	t.Helper()
	x := speech(t)
	switch rate {
	case 8000:
		x = half(x)
	case 48000:
		x = triple(x)
	}
	return x
}

// half brings 16 kHz to 8 kHz through a short low-pass filter.
func half(x []int16) []int16 {
	const taps = 31
	y := make([]int16, len(x)/2)
	for i := range y {
		sum := 0.0
		for k := -taps; k <= taps; k++ {
			if j := 2*i + k; j >= 0 && j < len(x) {
				h := 0.5
				if k != 0 {
					h = math.Sin(math.Pi*float64(k)/2) / (math.Pi * float64(k))
				}
				sum += float64(x[j]) * h * (0.5 + 0.5*math.Cos(math.Pi*float64(k)/(taps+1)))
			}
		}
		y[i] = int16(max(-32768, min(32767, math.Round(sum))))
	}
	return y
}

// distortion is how far the sound x is from what it should be, in dB: both are cut into overlapping frames of 32 ms, the
// power of each frame is summed in bands one Bark wide (about as the ear does it), and the root mean square difference of
// the levels of the bands is averaged over the frames in which there is speech. Levels below a floor 45 dB under the mean
// level of speech are taken as the floor, for nobody hears them behind it. It does not care for phase, as a difference of
// samples would: a made up waveform need not be the same, it has to sound the same.
func distortion(want, x []int16, rate int) float64 {
	n := rate * 32 / 1000
	size := 1
	for size < n {
		size *= 2
	}
	mean := 0.0
	for _, v := range want {
		mean += float64(v) * float64(v)
	}
	mean /= float64(len(want))
	floor := mean * float64(size) * float64(n) * 0.375 / 20 * math.Pow(10, -4.5)
	sum, frames := 0.0, 0
	for at := 0; at+n <= min(len(want), len(x)); at += n / 2 {
		a, pa := bark(want[at:at+n], size, rate)
		if pa < mean/100 {
			continue
		}
		b, _ := bark(x[at:at+n], size, rate)
		d := 0.0
		for i := range a {
			diff := 10 * math.Log10((a[i]+floor)/(b[i]+floor))
			d += diff * diff
		}
		sum += math.Sqrt(d / float64(len(a)))
		frames++
	}
	return sum / float64(frames)
}

// bark is the power in each Bark band of a frame, and the mean power of its samples.
func bark(x []int16, size, rate int) (bands []float64, mean float64) {
	f := make([]complex128, size)
	for i, v := range x {
		mean += float64(v) * float64(v)
		f[i] = complex(float64(v)*(0.5-0.5*math.Cos(2*math.Pi*float64(i)/float64(len(x)))), 0)
	}
	fft(f)
	number := func(hz float64) float64 { // Zwicker and Terhardt
		return 13*math.Atan(0.00076*hz) + 3.5*math.Atan(math.Pow(hz/7500, 2))
	}
	bands = make([]float64, int(number(float64(min(rate, 16000))/2))+1)
	for i := 1; i < size/2; i++ {
		k := int(number(float64(i) * float64(rate) / float64(size)))
		if k < len(bands) {
			bands[k] += real(f[i])*real(f[i]) + imag(f[i])*imag(f[i])
		}
	}
	return bands, mean / float64(len(x))
}

// segmental is the segmental signal-to-noise ratio in dB: of frames of 20 ms with speech, each held within -10 and 35.
func segmental(want, x []int16, rate int) float64 {
	n := rate / 50
	sum, frames := 0.0, 0
	for at := 0; at+n <= min(len(want), len(x)); at += n {
		s, e := 0.0, 0.0
		for i := at; i < at+n; i++ {
			d := float64(want[i]) - float64(x[i])
			s += float64(want[i]) * float64(want[i])
			e += d * d
		}
		if s/float64(n) < 1e4 {
			continue
		}
		sum += max(-10, min(35, 10*math.Log10(s/(e+1))))
		frames++
	}
	return sum / float64(frames)
}

// fft transforms in place; the length is a power of two.
func fft(x []complex128) {
	n := len(x)
	for i, j := 1, 0; i < n; i++ {
		bit := n >> 1
		for ; j&bit != 0; bit >>= 1 {
			j ^= bit
		}
		if j ^= bit; i < j {
			x[i], x[j] = x[j], x[i]
		}
	}
	for size := 2; size <= n; size *= 2 {
		turn := cmplx.Exp(complex(0, -2*math.Pi/float64(size)))
		for from := 0; from < n; from += size {
			w := complex(1, 0)
			for k := range size / 2 {
				a, b := x[from+k], w*x[from+k+size/2]
				x[from+k], x[from+k+size/2] = a+b, a-b
				w *= turn
			}
		}
	}
}

// third brings 48 kHz to 16 kHz, well enough for comparing.
func third(x []int16) []int16 {
	y := make([]int16, len(x)/3)
	for i := range y {
		y[i] = int16((int(x[3*i]) + int(x[3*i+1]) + int(x[3*i+2])) / 3)
	}
	return y
}
