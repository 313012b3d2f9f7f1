package resample

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

const rate = 48000

// tone is a sine of amplitude a.
func tone(n int, hz, rate, a float64) []int16 {
	x := make([]int16, n)
	for i := range x {
		x[i] = int16(math.Round(a * math.Sin(2*math.Pi*hz*float64(i)/rate)))
	}
	return x
}

// amplitude measures the part of x at hz, through a window (Blackman and Harris, -92 dB) that keeps out what is some tens
// of Hz away.
func amplitude(x []int16, hz, rate float64) float64 {
	turn := cmplx.Exp(complex(0, -2*math.Pi*hz/rate))
	step := cmplx.Exp(complex(0, 2*math.Pi/float64(len(x))))
	z, w := complex(1, 0), complex(1, 0)
	var sum complex128
	for _, v := range x {
		c := real(w) // of the angle; those of its multiples follow
		window := 0.35875 - 0.48829*c + 0.14128*(2*c*c-1) - 0.01168*(4*c*c*c-3*c)
		sum += complex(window*float64(v), 0) * z
		z *= turn
		w *= step
	}
	return 2 * cmplx.Abs(sum) / (0.35875 * float64(len(x)))
}

func dB(ratio float64) float64 { return 20 * math.Log10(ratio) }

// band is what the package doc promises for a factor.
type band struct {
	factor     int
	pass, stop float64 // Hz
	delay      int
}

var bands = []band{{6, 3400, 4600, 111}, {3, 7000, 9000, 57}}

const (
	ripple      = 0.01 // dB
	attenuation = 73   // dB
	loud        = 30000
)

func TestDownPassband(t *testing.T) {
	for _, b := range bands {
		low := rate / float64(b.factor)
		for hz := 50.0; hz <= b.pass; hz += 111 {
			got := dB(amplitude(down(b.factor, tone(rate/4, hz, rate, loud))[100:], hz, low) / loud)
			if math.Abs(got) > ripple {
				t.Errorf("factor %d: %.0f Hz comes out at %.4f dB", b.factor, hz, got)
			}
		}
	}
}

func TestUpPassband(t *testing.T) {
	for _, b := range bands {
		low := rate / float64(b.factor)
		for hz := 50.0; hz <= b.pass; hz += 111 {
			got := dB(amplitude(up(b.factor, tone(int(low)/4, hz, low, loud))[600:], hz, rate) / loud)
			if math.Abs(got) > ripple {
				t.Errorf("factor %d: %.0f Hz comes out at %.4f dB", b.factor, hz, got)
			}
		}
	}
}

// What lies above the edge must not fold into the band.
func TestDownAliases(t *testing.T) {
	for _, b := range bands {
		low := rate / float64(b.factor)
		worst := 200.0
		for hz := b.stop; hz < rate/2; hz += 97 {
			alias := math.Abs(hz - low*math.Round(hz/low))
			got := -dB(amplitude(down(b.factor, tone(rate/4, hz, rate, loud))[100:], alias, low) / loud)
			worst = min(worst, got)
			if got < attenuation {
				t.Errorf("factor %d: %.0f Hz folds to %.0f Hz at -%.1f dB", b.factor, hz, alias, got)
			}
		}
		t.Logf("factor %d: aliases are %.1f dB down or more", b.factor, worst)
	}
}

// Every image of the band has to go.
func TestUpImages(t *testing.T) {
	for _, b := range bands {
		low := rate / float64(b.factor)
		worst := 200.0
		for hz := 100.0; hz <= b.pass; hz += 137 {
			out := up(b.factor, tone(int(low)/4, hz, low, loud))[600:]
			for k := 1.0; k*low-hz < rate/2; k++ {
				for _, image := range []float64{k*low - hz, k*low + hz} {
					if image >= rate/2 {
						continue
					}
					got := -dB(amplitude(out, image, rate) / loud)
					worst = min(worst, got)
					if got < attenuation {
						t.Errorf("factor %d: %.0f Hz has an image at %.0f Hz, -%.1f dB", b.factor, hz, image, got)
					}
				}
			}
		}
		t.Logf("factor %d: images are %.1f dB down or more", b.factor, worst)
	}
}

// Between the edges, what folds stays between the edges: this is the trade that the package doc tells.
func TestEdgeFoldsOntoItself(t *testing.T) {
	for _, b := range bands {
		low := rate / float64(b.factor)
		for hz := low / 2; hz < b.stop; hz += 50 {
			if alias := low - hz; alias < b.pass {
				t.Errorf("factor %d: %.0f Hz would fold to %.0f Hz, into the band", b.factor, hz, alias)
			}
		}
	}
}

func TestDelay(t *testing.T) {
	for _, b := range bands {
		u, d := NewUp(b.factor), NewDown(b.factor)
		if u.Delay() != b.delay || d.Delay() != b.delay {
			t.Errorf("factor %d: delays %d and %d, want %d", b.factor, u.Delay(), d.Delay(), b.delay)
		}
		click := make([]int16, 100)
		click[0] = 20000
		if at := loudest(up(b.factor, click)); at != b.delay {
			t.Errorf("factor %d: a click comes out of Up after %d samples, want %d", b.factor, at, b.delay)
		}
		early := (b.factor - b.delay%b.factor) % b.factor // where it comes out on a whole sample
		click = make([]int16, 100*b.factor)
		click[early] = 20000
		if at := b.factor*loudest(down(b.factor, click)) - early; at != b.delay {
			t.Errorf("factor %d: a click comes out of Down after %d samples, want %d", b.factor, at, b.delay)
		}
	}
	if NewUp(1).Delay() != 0 || NewDown(1).Delay() != 0 {
		t.Error("a copy has a delay")
	}
}

func loudest(x []int16) int {
	at := 0
	for i, v := range x {
		if math.Abs(float64(v)) > math.Abs(float64(x[at])) {
			at = i
		}
	}
	return at
}

// Up and then down gives back what was in the band.
func TestThereAndBack(t *testing.T) {
	for _, b := range bands {
		low := rate / float64(b.factor)
		src := speechBand(4000, b.pass, low)
		back := down(b.factor, up(b.factor, src))
		shift := 2 * b.delay / b.factor
		var signal, noise float64
		for i := 200; i < len(src); i++ {
			e := float64(back[i]) - float64(src[i-shift])
			signal += float64(src[i-shift]) * float64(src[i-shift])
			noise += e * e
		}
		got := 10 * math.Log10(signal/noise)
		t.Logf("factor %d: SNR %.1f dB", b.factor, got)
		if got < 60 {
			t.Errorf("factor %d: SNR %.1f dB, want 60", b.factor, got)
		}
	}
}

// speechBand is many sines up to the edge of the band.
func speechBand(n int, edge, rate float64) []int16 {
	r := rand.New(rand.NewPCG(1, 2))
	sum := make([]float64, n)
	const parts = 60
	for k := range parts {
		hz, phase := edge*float64(k+1)/parts, 2*math.Pi*r.Float64()
		for i := range sum {
			sum[i] += 1500 * math.Sin(2*math.Pi*hz*float64(i)/rate+phase)
		}
	}
	x := make([]int16, n)
	for i, v := range sum {
		x[i] = round(float32(v))
	}
	return x
}

func up(factor int, src []int16) []int16 {
	dst := make([]int16, factor*len(src))
	NewUp(factor).Process(dst, src)
	return dst
}

func down(factor int, src []int16) []int16 {
	dst := make([]int16, len(src)/factor)
	NewDown(factor).Process(dst, src[:len(dst)*factor])
	return dst
}

// What comes out does not depend on how the sound was cut into blocks.
func TestCuts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		factor := rapid.SampledFrom([]int{1, 3, 6}).Draw(t, "factor")
		n := rapid.IntRange(1, 700).Draw(t, "samples")
		cuts := rapid.SliceOfN(rapid.IntRange(0, n), 0, 6).Draw(t, "cuts")
		cuts = append(cuts, 0, n)
		slices.Sort(cuts)
		src := noise(n*factor, uint64(n))

		whole, parts := down(factor, src), make([]int16, n)
		d := NewDown(factor)
		for i := range len(cuts) - 1 {
			from, to := cuts[i], cuts[i+1]
			d.Process(parts[from:to], src[from*factor:to*factor])
		}
		if !slices.Equal(whole, parts) {
			t.Errorf("Down: cut at %v it differs", cuts)
		}

		whole, parts = up(factor, src[:n]), make([]int16, n*factor)
		u := NewUp(factor)
		for i := range len(cuts) - 1 {
			from, to := cuts[i], cuts[i+1]
			u.Process(parts[from*factor:to*factor], src[from:to])
		}
		if !slices.Equal(whole, parts) {
			t.Errorf("Up: cut at %v it differs", cuts)
		}
	})
}

func noise(n int, seed uint64) []int16 {
	r := rand.New(rand.NewPCG(seed, 0))
	x := make([]int16, n)
	for i := range x {
		x[i] = int16(r.IntN(65536) - 32768)
	}
	return x
}

// Full scale stays full scale, with its sign: an overflow would be heard as a click.
func TestSaturation(t *testing.T) {
	for _, b := range bands {
		square := make([]int16, 4800)
		for i := range square {
			square[i] = math.MaxInt16
			if i/600%2 == 1 {
				square[i] = math.MinInt16
			}
		}
		for name, out := range map[string][]int16{"up": up(b.factor, square), "down": down(b.factor, square)} {
			if slices.Max(out) != math.MaxInt16 || slices.Min(out) != math.MinInt16 {
				t.Errorf("factor %d %s: a square wave of full scale gives %d to %d", b.factor, name, slices.Min(out), slices.Max(out))
			}
			settled := out[len(out)/8/2 : len(out)/8*3/4] // in the middle of the first half wave
			for _, v := range settled {
				if v < 32000 {
					t.Fatalf("factor %d %s: %d in the middle of a positive half wave", b.factor, name, v)
				}
			}
		}
	}
}

func TestRound(t *testing.T) {
	for _, c := range []struct {
		in   float32
		want int16
	}{
		{0, 0},
		{0.4, 0},
		{-0.4, 0},
		{0.6, 1},
		{-0.6, -1},
		{1.5, 2},
		{32766.4, 32766},
		{32766.6, 32767},
		{32767, 32767},
		{32768, 32767},
		{1e9, 32767},
		{-32767.6, -32768},
		{-32768, -32768},
		{-32769, -32768},
		{-1e9, -32768},
	} {
		if got := round(c.in); got != c.want {
			t.Errorf("round(%v) is %d, want %d", c.in, got, c.want)
		}
	}
}

func TestLengths(t *testing.T) {
	for name, f := range map[string]func(){
		"up":          func() { NewUp(3).Process(make([]int16, 5), make([]int16, 2)) },
		"down":        func() { NewDown(6).Process(make([]int16, 2), make([]int16, 11)) },
		"factor up":   func() { NewUp(4) },
		"factor down": func() { NewDown(2) },
		"rate":        func() { NewRatio(0, 48000) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic for a mistake of the caller")
				}
			}()
			f()
		})
	}
}

func TestNoAllocations(t *testing.T) {
	for _, b := range bands {
		high, low := noise(480, 1), noise(480/b.factor, 2)
		u, d := NewUp(b.factor), NewDown(b.factor)
		if n := testing.AllocsPerRun(100, func() { u.Process(high, low); d.Process(low, high) }); n != 0 {
			t.Errorf("factor %d: %v allocations", b.factor, n)
		}
	}
	r, src, dst := NewRatio(44100, 48000), noise(441, 1), make([]int16, 0, 600)
	r.Process(dst, src)
	if n := testing.AllocsPerRun(100, func() { r.Process(dst, src) }); n != 0 {
		t.Errorf("ratio: %v allocations", n)
	}
}

func BenchmarkUp8000(b *testing.B)    { benchmarkUp(b, 6) }
func BenchmarkUp16000(b *testing.B)   { benchmarkUp(b, 3) }
func BenchmarkDown8000(b *testing.B)  { benchmarkDown(b, 6) }
func BenchmarkDown16000(b *testing.B) { benchmarkDown(b, 3) }

func benchmarkUp(b *testing.B, factor int) {
	u, src, dst := NewUp(factor), noise(480/factor, 1), make([]int16, 480)
	b.ReportAllocs()
	for b.Loop() {
		u.Process(dst, src)
	}
}

func benchmarkDown(b *testing.B, factor int) {
	d, src, dst := NewDown(factor), noise(480, 1), make([]int16, 480/factor)
	b.ReportAllocs()
	for b.Loop() {
		d.Process(dst, src)
	}
}

// BenchmarkDesign is what the first Up and Down of a program cost.
func BenchmarkDesign(b *testing.B) {
	for b.Loop() {
		design(2, 16, shape)
		design(3, 19, shape)
		design(3, 5, shape)
	}
}

func BenchmarkRatio44100(b *testing.B) {
	r, src, dst := NewRatio(44100, 48000), noise(441, 1), make([]int16, 0, 600)
	b.ReportAllocs()
	for b.Loop() {
		r.Process(dst, src)
	}
}
