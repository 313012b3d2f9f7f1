package echo

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"testing"
)

// speech reads a µ-law file of testdata as samples of lowRate, 1 being full scale.
func speech(t testing.TB, name string) []float32 {
	t.Helper()
	alone(t)
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for at := 12; at+8 <= len(data); {
		size := int(binary.LittleEndian.Uint32(data[at+4:]))
		if string(data[at:at+4]) == "data" {
			out := make([]float32, size)
			for i, b := range data[at+8 : at+8+size] {
				out[i] = mulaw(b)
			}
			return out
		}
		at += 8 + size + size&1
	}
	t.Fatal(name + " has no data chunk")
	return nil
}

func mulaw(b byte) float32 {
	b = ^b
	v := (int(b&15)<<3+132)<<(b>>4&7) - 132
	if b&128 != 0 {
		v = -v
	}
	return float32(v) / 32768
}

// wide repeats low for the given seconds at 48 kHz, at the given level of its speech in dBFS.
func wide(low []float32, seconds float64, level float64) []float32 {
	u := newUp()
	out := make([]float32, int(seconds*Rate)/Block*Block)
	in := make([]float32, lowBlock)
	at := 0
	for i := 0; i < len(out); i += Block {
		for j := range in {
			in[j] = low[at]
			at = (at + 1) % len(low)
		}
		u.process(out[i:i+Block], in)
	}
	return scaled(out, level)
}

// scaled brings x to a level, in dBFS of a mean square of 1.
func scaled(x []float32, level float64) []float32 {
	g := float32(math.Sqrt(math.Pow(10, level/10) / energy(x)))
	for i := range x {
		x[i] *= g
	}
	return x
}

func energy(x []float32) float64 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return sum/float64(len(x)) + 1e-15
}

func dB(x float64) float64 { return 10 * math.Log10(x) }

// noise is white and of the given level.
func noise(n int, level float64, seed uint64) []float32 {
	dice := rand.New(rand.NewPCG(seed, 7))
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(dice.NormFloat64())
	}
	return scaled(out, level)
}

// room is an impulse response at 48 kHz that decays by 60 dB in the given seconds, with a level in dB.
func room(seconds float64, level float64, seed uint64) []float32 {
	n := int(seconds * Rate)
	dice := rand.New(rand.NewPCG(seed, 3))
	h := make([]float32, n)
	sum := 0.0
	for i := range h {
		v := dice.NormFloat64() * math.Pow(10, -3*float64(i)/float64(n))
		h[i] = float32(v)
		sum += v * v
	}
	g := float32(math.Sqrt(math.Pow(10, level/10) / sum))
	for i := range h {
		h[i] *= g
	}
	return h
}

// heard is x after a delay in samples and a room.
func heard(x, h []float32, delay int) []float32 {
	const n = 1 << 15 // block convolution: rooms are long
	f := newFFT(n)
	hp, xp := make([]float32, n), make([]float32, n)
	copy(hp, h)
	hr, hi, xr, xi := make([]float32, n/2+1), make([]float32, n/2+1), make([]float32, n/2+1), make([]float32, n/2+1)
	f.forward(hr, hi, hp)
	out := make([]float32, len(x)+delay+n)
	step := n - len(h)
	for at := 0; at < len(x); at += step {
		clear(xp)
		copy(xp[:step], x[at:])
		f.forward(xr, xi, xp)
		for k := range xr {
			xr[k], xi[k] = xr[k]*hr[k]-xi[k]*hi[k], xr[k]*hi[k]+xi[k]*hr[k]
		}
		f.inverse(xp, xr, xi)
		for i, v := range xp {
			out[at+delay+i] += v
		}
	}
	return out[:len(x)]
}

func mixed(xs ...[]float32) []float32 {
	out := make([]float32, len(xs[0]))
	for _, x := range xs {
		for i := range out {
			if i < len(x) {
				out[i] += x[i]
			}
		}
	}
	return out
}

// call runs a processor over a call and returns what the far end would hear, aligned with mic.
func call(p *Processor, mic, far []float32) []float32 {
	m, f := make([]int16, Block), make([]int16, Block)
	out := make([]float32, len(mic)+Block)
	for i := 0; i+Block <= len(mic); i += Block {
		for j := range m {
			m[j], f[j] = toInt(mic[i+j]), toInt(far[i+j])
		}
		p.Process(m, f)
		for j, v := range m {
			out[i+j] = float32(v) / 32768
		}
	}
	return out[Delay:][:len(mic)]
}

// tone is a sine.
func tone(n int, hz, level float64) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(math.Sin(2 * math.Pi * hz * float64(i) / Rate))
	}
	return scaled(out, level)
}
