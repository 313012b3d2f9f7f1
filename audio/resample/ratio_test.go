package resample

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

var ratios = []struct{ from, to int }{
	{44100, 48000},
	{48000, 44100},
	{22050, 48000},
	{11025, 48000},
	{8000, 48000},
	{48000, 8000},
	{32000, 48000},
	{96000, 48000},
	{192000, 48000},
	{44101, 48000},
	{8000, 16000},
}

func convert(from, to int, src []int16) []int16 {
	r := NewRatio(from, to)
	return r.Flush(r.Process(nil, src))
}

func TestRatioPassband(t *testing.T) {
	for _, c := range ratios {
		low := float64(min(c.from, c.to))
		for share := 0.05; share <= 0.90; share += 0.17 {
			hz := share * low / 2
			out := convert(c.from, c.to, tone(c.from/8, hz, float64(c.from), loud))
			if got := dB(amplitude(out[300:len(out)-300], hz, float64(c.to)) / loud); math.Abs(got) > ripple {
				t.Errorf("%d to %d: %.0f Hz comes out at %.4f dB", c.from, c.to, hz, got)
			}
		}
	}
}

// Aliases of a lower rate and images of a higher one: all that is not the tone.
func TestRatioStopband(t *testing.T) {
	for _, c := range ratios {
		from, to := float64(c.from), float64(c.to)
		worst := 200.0
		for share := 0.1; share <= 0.90; share += 0.2 {
			hz := share * min(from, to) / 2
			if c.to < c.from { // a tone as far above the cut-off
				hz = to - hz
			}
			if hz >= from/2 {
				continue
			}
			out := convert(c.from, c.to, tone(c.from/8, hz, from, loud))
			for k := 1.0; k < 4; k++ { // where the tone could come out again
				for _, f := range []float64{k*from - hz, k*from + hz, to - hz} {
					f = math.Abs(f - to*math.Round(f/to))
					if math.Abs(f-hz) < 100 || c.to > c.from && f < from/2 {
						continue
					}
					worst = min(worst, -dB(amplitude(out[300:len(out)-300], f, to)/loud))
				}
			}
		}
		t.Logf("%d to %d: %.1f dB", c.from, c.to, worst)
		if worst < 70 {
			t.Errorf("%d to %d: only %.1f dB down", c.from, c.to, worst)
		}
	}
}

// Nothing is shifted in time, lost or added.
func TestRatioAlignment(t *testing.T) {
	for _, c := range ratios {
		src := make([]int16, 2*c.from/100)
		src[c.from/100] = 20000
		out := convert(c.from, c.to, src)
		if want := (len(src)*c.to + c.from - 1) / c.from; len(out) != want {
			t.Errorf("%d to %d: %d samples, want %d", c.from, c.to, len(out), want)
		}
		want := float64(c.from/100) * float64(c.to) / float64(c.from)
		if at := loudest(out); math.Abs(float64(at)-want) > 0.51 {
			t.Errorf("%d to %d: a click at %.1f comes out at %d", c.from, c.to, want, at)
		}
	}
}

func TestRatioOfEqualRates(t *testing.T) {
	src := noise(100, 1)
	if got := convert(48000, 48000, src); !slices.Equal(got, src) {
		t.Error("a copy is not one")
	}
}

// What comes out does not depend on how the sound was cut, and Flush begins anew.
func TestRatioCuts(t *testing.T) {
	const n = 3000
	src := noise(n, 7)
	type way struct {
		*Ratio
		whole []int16
	}
	ways := map[string]way{}
	for _, c := range ratios {
		ways[fmt.Sprintf("%d-%d", c.from, c.to)] = way{NewRatio(c.from, c.to), convert(c.from, c.to, src)}
	}
	names := make([]string, 0, len(ways))
	for name := range ways {
		names = append(names, name)
	}
	slices.Sort(names)
	rapid.Check(t, func(t *rapid.T) {
		w := ways[rapid.SampledFrom(names).Draw(t, "rates")]
		cuts := append(rapid.SliceOfN(rapid.IntRange(0, n), 0, 5).Draw(t, "cuts"), 0, n)
		slices.Sort(cuts)
		var parts []int16
		for i := range len(cuts) - 1 {
			parts = w.Process(parts, src[cuts[i]:cuts[i+1]])
		}
		if parts = w.Flush(parts); !slices.Equal(parts, w.whole) {
			t.Errorf("cut at %v it differs", cuts)
		}
	})
}

func TestRatioSaturation(t *testing.T) {
	square := make([]int16, 4410)
	for i := range square {
		square[i] = math.MaxInt16
		if i/441%2 == 1 {
			square[i] = math.MinInt16
		}
	}
	out := convert(44100, 48000, square)
	if slices.Max(out) != math.MaxInt16 || slices.Min(out) != math.MinInt16 || out[240] < 32000 || out[720] > -32000 {
		t.Errorf("a square wave of full scale gives %d to %d, and %d and %d in the middle of its halves",
			slices.Min(out), slices.Max(out), out[240], out[720])
	}
}
