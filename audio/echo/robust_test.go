package echo

import (
	"math"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// floats calls f with every number in v.
func floats(v reflect.Value, path string, f func(path string, x float64)) {
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		f(path, v.Float())
	case reflect.Pointer:
		if !v.IsNil() {
			floats(v.Elem(), path, f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			floats(v.Field(i), path+"."+v.Type().Field(i).Name, f)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			floats(v.Index(i), path, f)
		}
	}
}

// sound checks that all state is numbers.
func sound(t interface {
	Helper()
	Errorf(string, ...any)
}, p *Processor,
) {
	t.Helper()
	seen := map[string]bool{}
	floats(reflect.ValueOf(p), "", func(path string, x float64) {
		if (math.IsNaN(x) || math.IsInf(x, 0)) && !seen[path] {
			seen[path] = true
			t.Errorf("%s is %g", path, x)
		}
	})
}

func TestFullScaleSquareWaves(t *testing.T) {
	alone(t)
	const seconds = 4
	loud := func(hz float64) []float32 {
		x := tone(seconds*Rate, hz, 0)
		for i, v := range x {
			x[i] = float32(math.Copysign(1, float64(v)))
		}
		return x
	}
	p := New(Default)
	for _, c := range [][2][]float32{
		{loud(300), loud(300)},
		{loud(300), loud(317)},
		{loud(3000), noise(seconds*Rate, -3, 1)},
		{noise(seconds*Rate, 0, 2), loud(50)},
	} {
		out := call(p, c[0], c[1])
		if l := level(out, 0.1, seconds-0.1); l > 0 {
			t.Errorf("output at %.1f dBFS", l)
		}
		sound(t, p)
	}
	// It still works, and as soon as a new one.
	far := farSpeech(t, 8)
	p.Set(Config{Echo: true})
	s := scene{far: far, echo: heard(far, room(0.1, pathLevel, 1), 40*48)}
	out := s.play(p)
	expect(t, s, out, 4, 7.9, 30)
}

// A diverged or poisoned filter is noticed and begins anew; what goes out is never louder than what came in for long.
func TestWatchdog(t *testing.T) {
	for name, harm := range map[string]func(*canceller){
		"not a number":      func(c *canceller) { c.careful.w[2].re[40] = float32(math.NaN()) },
		"bold not a number": func(c *canceller) { c.bold.w[2].re[40] = float32(math.NaN()) },
		"infinite":          func(c *canceller) { c.careful.w[0].im[7] = float32(math.Inf(1)) },
		"huge":              func(c *canceller) { c.careful.w[0].im[7] = 1e30 },
		"diverged": func(c *canceller) {
			dice := rand.New(rand.NewPCG(1, 2))
			for p := range c.careful.w {
				for k := range c.careful.w[p].re {
					c.careful.w[p].re[k], c.bold.w[p].re[k] = float32(dice.NormFloat64()), float32(dice.NormFloat64())
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			far := farSpeech(t, 8)
			s := scene{far: far, echo: heard(far, room(0.1, pathLevel, 1), 40*48)}
			p := New(Config{Echo: true})
			first := scene{far: far[:3*Rate], echo: s.echo[:3*Rate]}
			first.play(p)
			harm(p.canceller)
			out := s.play(p)
			sound(t, p)
			if p.Stats().Resets == 0 {
				t.Errorf("%+v: no reset", p.Stats())
			}
			for at := 0.0; at < 7.5; at += 0.5 {
				if in, o := level(s.echo, at, at+0.5), level(out, at, at+0.5); o > in+1 {
					t.Errorf("at %.1f s the output is at %.1f dBFS, the echo at %.1f dBFS", at, o, in)
				}
			}
			expect(t, s, out, 4, 7.9, 30)
		})
	}
}

// Until a filter that went astray is given up, its estimate is not subtracted.
func TestBadEstimateIsNotHeard(t *testing.T) {
	c := newCanceller()
	mic := noise(lowBlock, -30, 1)
	copy(c.careful.est[:], noise(lowBlock, -30, 2))
	c.mix, c.micMean, c.careful.errMean = 1, 1e-3, 2e-3
	c.output(mic, true)
	c.output(mic, true)
	for i, v := range mic {
		if c.err[i] != v || c.est[i] != 0 {
			t.Fatalf("sample %d is %g, the microphone gave %g", i, c.err[i], v)
		}
	}
}

// Numbers that decay for ever end in denormals, with which a processor is many times slower: a silent call would take
// more power than a busy one.
func TestSilenceLeavesNoDenormals(t *testing.T) {
	alone(t)
	far := farSpeech(t, 3)
	s := scene{far: far, echo: heard(far, room(0.1, pathLevel, 1), 40*48), near: wide(speech(t, "near.wav"), 3, -26)}
	silent := make([]float32, 30*Rate)
	for name, rest := range map[string][2][]float32{
		"both silent": {silent, silent}, "mic silent": {silent, wide(speech(t, "far.wav"), 30, farLevel)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := New(Default)
			s.play(p)
			call(p, rest[0], rest[1])
			count := map[string]int{}
			floats(reflect.ValueOf(p), "", func(path string, x float64) {
				if x != 0 && math.Abs(x) < 0x1p-126 {
					count[path]++
				}
			})
			for path, n := range count {
				t.Errorf("%s: %d denormal numbers", path, n)
			}
		})
	}
}

func TestNothingOnIsBitExact(t *testing.T) {
	p := New(Config{})
	dice := rand.New(rand.NewPCG(1, 2))
	mic, was, far := make([]int16, Block), make([]int16, Block), make([]int16, Block)
	for range 20 {
		for i := range mic {
			mic[i] = int16(dice.Uint32())
			was[i], far[i] = mic[i], int16(dice.Uint32())
		}
		p.Process(mic, far)
		for i := range mic {
			if mic[i] != was[i] {
				t.Fatalf("sample %d is %d, was %d", i, mic[i], was[i])
			}
		}
	}
}

// With every stage on, and nothing to do for any, the microphone passes unchanged but for the delay.
func TestNothingToDoIsTransparent(t *testing.T) {
	near := mixed(wide(speech(t, "near.wav"), 4, targetLevel), noise(4*Rate, -70, 1))
	for _, cfg := range []Config{{Echo: true}, {Limiter: true}, {Echo: true, Limiter: true}} {
		out := call(New(cfg), near, make([]float32, len(near)))
		for i := Rate / 10; i < len(near)-Rate/10; i++ {
			if d := out[i]*32768 - float32(toInt(near[i])); d > 1 || d < -1 {
				t.Fatalf("%+v: sample %d is off by %g", cfg, i, d)
			}
		}
	}
}

// Stages are switched in the middle of a tone, all ways, without a click.
func TestSwitching(t *testing.T) {
	alone(t)
	in := tone(20*Rate, 300, -20)
	far := make([]int16, Block)
	mic := make([]int16, Block)
	p := New(Config{})
	dice := rand.New(rand.NewPCG(5, 6))
	var out []float64
	bits := 0
	for i := 0; i+Block <= len(in); i += Block {
		if i/Block%20 == 0 {
			bits = dice.IntN(16)
			p.Set(Config{bits&1 != 0, false, bits&4 != 0, bits&8 != 0})
		}
		for j := range mic {
			mic[j] = toInt(in[i+j])
		}
		p.Process(mic, far)
		for _, v := range mic {
			out = append(out, float64(v)/32768)
		}
	}
	// A tone's third difference is tiny; a step or a bend of the wave shows.
	worst, at := 0.0, 0
	for i := Rate; i < len(out); i++ {
		d := math.Abs(out[i] - 3*out[i-1] + 3*out[i-2] - out[i-3])
		if d > worst {
			worst, at = d, i
		}
	}
	if worst > 0.003 {
		t.Errorf("a click of %.4f at sample %d, %d of its block", worst, at, at%Block)
	}
}

func TestNoAllocation(t *testing.T) {
	far := farSpeech(t, 2)
	mic, f := make([]int16, Block), make([]int16, Block)
	p := New(Default)
	i := 0
	if n := testing.AllocsPerRun(300, func() {
		for j := range mic {
			mic[j], f[j] = toInt(far[i+j]/2), toInt(far[i+j])
		}
		switch i / Block % 50 {
		case 10:
			p.Set(Config{})
		case 20:
			p.Set(Config{Noise: true})
		case 30:
			p.Set(Default)
		case 40:
			p.canceller.follow(4000 + i/Block)
		}
		p.Process(mic, f)
		p.Stats()
		i = (i + Block) % len(far)
	}); n != 0 {
		t.Errorf("%g allocations per block", n)
	}
}

func TestSetAndStatsFromElsewhere(t *testing.T) {
	p := New(Default)
	var wait sync.WaitGroup
	done := make(chan struct{})
	wait.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
				p.Set(Config{i&1 != 0, i&2 != 0, i&4 != 0, i&8 != 0})
				p.Stats()
			}
		}
	})
	mic, far := make([]int16, Block), make([]int16, Block)
	for range 200 {
		p.Process(mic, far)
	}
	close(done)
	wait.Wait()
}

// Whatever comes in, at whatever switches, all state stays numbers.
func TestAnyInput(t *testing.T) {
	alone(t)
	rapid.Check(t, func(t *rapid.T) {
		p := New(Default)
		dice := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		mic, far := make([]int16, Block), make([]int16, Block)
		fill := func(x []int16, kind int) {
			for i := range x {
				switch kind {
				case 0:
					x[i] = 0
				case 1:
					x[i] = int16(dice.Uint32())
				case 2:
					x[i] = math.MinInt16
				case 3:
					x[i] = int16(dice.IntN(3) - 1)
				case 4:
					x[i] = int16(math.MaxInt16 - 65535*(i/40%2))
				}
			}
		}
		for range rapid.IntRange(1, 6).Draw(t, "phases") {
			a, b := rapid.IntRange(0, 4).Draw(t, "mic"), rapid.IntRange(0, 4).Draw(t, "far")
			on := rapid.IntRange(0, 15).Draw(t, "on")
			p.Set(Config{on&1 != 0, on&2 != 0, on&4 != 0, on&8 != 0})
			for range rapid.IntRange(1, 60).Draw(t, "blocks") {
				fill(mic, a)
				fill(far, b)
				p.Process(mic, far)
			}
		}
		sound(t, p)
	})
}
