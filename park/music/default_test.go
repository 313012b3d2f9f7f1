package music

import (
	"math"
	"testing"
	"time"

	"offhook/audio/codec"
	"offhook/audio/resample"
	"offhook/internal/testkit/sound"
)

func peak(samples []int16) float64 {
	top := 0.0
	for _, v := range samples {
		top = max(top, math.Abs(float64(v)))
	}
	return 20 * math.Log10(top/32768)
}

func TestDefaultIsAsLoudAsSpeech(t *testing.T) {
	loop := Default()
	if length := time.Duration(len(loop)) * time.Second / Rate; length < 30*time.Second {
		t.Errorf("the loop has %v", length)
	}
	level, top := sound.Level(loop), peak(loop)
	t.Logf("level %.1f dBov, peak %.1f dBov", level, top)
	if level < -21.5 || level > -18.5 || top > -9 {
		t.Errorf("level %.1f dBov, want about -20; peak %.1f dBov, want less than -9", level, top)
	}
	for i := 0; i+Rate/2 <= len(loop); i += Rate / 2 {
		if l := sound.Level(loop[i : i+Rate/2]); l < level-4 || l > level+3 {
			t.Errorf("at %v s the level is %.1f dBov, against %.1f of all", float64(i)/Rate, l, level)
		}
	}
}

// Nothing jumps at you: from one 10 ms to the next the power of what is new never grows by much.
func TestDefaultHasSoftAttacks(t *testing.T) {
	loop := Default()
	const block = Rate / 50
	worst := 0.0
	for i := block; i+block <= len(loop); i += block {
		worst = max(worst, sound.Level(loop[i:i+block])-sound.Level(loop[i-block:i]))
	}
	t.Logf("the steepest rise is %.1f dB in 20 ms", worst)
	if worst > 5 {
		t.Errorf("a rise of %.1f dB in 20 ms", worst)
	}
}

// The end goes over into the beginning: around the seam the sound is as smooth as anywhere else.
func TestDefaultIsSeamless(t *testing.T) {
	loop := Default()
	n := len(loop)
	bend := func(i int) float64 { // the second difference, which a click makes large
		a, b, c := loop[(i+n-1)%n], loop[i%n], loop[(i+1)%n]
		return math.Abs(float64(a) - 2*float64(b) + float64(c))
	}
	usual, seam := 0.0, 0.0
	for i := Rate; i < 2*Rate; i++ {
		usual = max(usual, bend(i))
	}
	for i := n - 300; i < n+300; i++ {
		seam = max(seam, bend(i))
	}
	if seam > usual {
		t.Errorf("bends by %v at the seam, by %v elsewhere", seam, usual)
	}
}

// A telephone takes nothing away: what comes out of G.711 is what went in.
func TestDefaultFitsTelephones(t *testing.T) {
	loop := Default()[:10*Rate]
	narrow, back := make([]int16, len(loop)/6), make([]int16, len(loop))
	resample.NewDown(6).Process(narrow, loop)
	resample.NewUp(6).Process(back, overPCMU(t, narrow))
	delay := 2 * resample.NewUp(6).Delay()
	rest := make([]int16, len(loop)-delay)
	for i := range rest {
		rest[i] = back[i+delay] - loop[i]
	}
	loss := sound.Level(loop) - sound.Level(rest)
	t.Logf("%.1f dB above what G.711 adds or takes", loss)
	if loss < 30 { // µ-law itself has 38 dB at best
		t.Errorf("only %.1f dB above what G.711 adds or takes", loss)
	}
}

// overPCMU is what is left of samples at 8 kHz after µ-law.
func overPCMU(t *testing.T, narrow []int16) []int16 {
	t.Helper()
	c, _ := codec.Find("pcmu")
	encoder, err := c.NewEncoder(codec.EncoderConfig{})
	if err != nil {
		t.Fatal(err)
	}
	decoder, err := c.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	var out []int16
	for i := 0; i+160 <= len(narrow); i += 160 {
		payload, err := encoder.Encode(nil, narrow[i:i+160])
		if err != nil {
			t.Fatal(err)
		}
		pcm := make([]int16, 160)
		if _, err := decoder.Decode(pcm, payload); err != nil {
			t.Fatal(err)
		}
		out = append(out, pcm...)
	}
	return out
}

func BenchmarkDefault(b *testing.B) {
	for b.Loop() {
		compose()
	}
}
