//go:build interop

package interop

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	audiodevice "offhook/audio/device"
	"offhook/internal/testkit/sound"
)

// window is what is measured at once: long enough to tell a tone, short enough that a jitter buffer that changed its length
// spoils only that one.
const window = 100 * time.Millisecond

// measured is a tone in a recording: the medians of its windows.
type measured struct {
	hz, level, ratio float64
	clean            float64 // the share of windows that hold the tone and nothing else
	length           time.Duration
}

func (m measured) String() string {
	return fmt.Sprintf("%.2f Hz, %.2f dBov, %.0f dB above the rest, %.0f %% of %v clean", m.hz, m.level, m.ratio, 100*m.clean, m.length.Round(10*time.Millisecond))
}

// measure finds the tone near hz in a WAV file, between its first and its last loud sample, without the first second, in
// which jitter buffers find their length, and the last fifth of one.
func measure(t *testing.T, file string, hz float64) measured {
	t.Helper()
	samples, err := audiodevice.ReadWAV(file, 60*audiodevice.Rate)
	if err != nil {
		t.Fatal(err)
	}
	loud := func(v int16) bool { return v > 1000 }
	first := slices.IndexFunc(samples, loud)
	if first < 0 {
		return measured{level: -127}
	}
	last := len(samples)
	for !loud(samples[last-1]) {
		last--
	}
	first, last = first+audiodevice.Rate, last-audiodevice.Rate/5
	return measurePart(samples, first, last, hz)
}

func measurePart(samples []int16, first, last int, hz float64) measured {
	m := measured{level: -127, length: time.Duration(last-first) * time.Second / audiodevice.Rate}
	n := int(window * audiodevice.Rate / time.Second)
	var frequencies, levels, ratios []float64
	for ; first+n <= last; first += n {
		f, l, r := sound.Tone(samples[first:first+n], audiodevice.Rate, hz)
		frequencies, levels, ratios = append(frequencies, f), append(levels, l), append(ratios, r)
		if r > 15 {
			m.clean++
		}
	}
	if len(levels) == 0 {
		return m
	}
	m.hz, m.level, m.ratio, m.clean = median(frequencies), median(levels), median(ratios), m.clean/float64(len(levels))
	return m
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// expectTone fails unless a recording has a tone, as loud as it was played and whole but for what a busy machine costs.
func expectTone(t *testing.T, who, file string, hz, level float64) {
	t.Helper()
	m := measure(t, file, hz)
	t.Logf("%s: %v, %+.2f dB", who, m, m.level-level)
	if math.Abs(m.hz-hz) > 1 || math.Abs(m.level-level) > 0.7 || m.ratio < 20 || m.clean < 0.7 {
		t.Errorf("%s hears %v; want %.0f Hz, %.2f dBov", who, m, hz, level)
	}
}

// ourLevel is the level of our tone microphone.
var ourLevel = sound.Level(sound.Sine(toneHz, float64(audiodevice.ToneAmplitude)/math.MaxInt16, audiodevice.Rate, audiodevice.Rate))

// measureEnd is measure for the last seconds of a recording, without the last fifth of one.
func measureEnd(t *testing.T, file string, hz float64, length time.Duration) measured {
	t.Helper()
	samples, err := audiodevice.ReadWAV(file, 60*audiodevice.Rate)
	if err != nil {
		t.Fatal(err)
	}
	last := len(samples) - audiodevice.Rate/5
	return measurePart(samples, max(0, last-int(length*audiodevice.Rate/time.Second)), last, hz)
}

// loudness is the level of one tone among others in the last second of a recording.
func loudness(t *testing.T, file string, hz float64) float64 {
	t.Helper()
	samples, err := audiodevice.ReadWAV(file, 60*audiodevice.Rate)
	if err != nil {
		t.Fatal(err)
	}
	n := int(window * audiodevice.Rate / time.Second)
	var levels []float64
	for at := len(samples) - audiodevice.Rate; at >= 0 && at+n <= len(samples); at += n {
		var re, im float64
		for i, v := range samples[at : at+n] {
			s, c := math.Sincos(2 * math.Pi * hz * float64(i) / audiodevice.Rate)
			re, im = re+float64(v)*c, im+float64(v)*s
		}
		amplitude := math.Hypot(re, im) / float64(n) * 2 / 32768
		levels = append(levels, 20*math.Log10(max(amplitude, 1e-6))-3.01)
	}
	if len(levels) == 0 {
		return -127
	}
	return median(levels)
}

// expectEnd fails unless the last second of a recording is a tone, whatever was before.
func expectEnd(t *testing.T, who, file string, hz float64) {
	t.Helper()
	m := measureEnd(t, file, hz, time.Second)
	t.Logf("%s at the end: %v", who, m)
	if math.Abs(m.hz-hz) > 2 || m.level < -20 || m.ratio < 15 {
		t.Errorf("%s hears %v at the end; want %.0f Hz", who, m, hz)
	}
}

// expectSilence fails unless the last second of a recording is quiet.
func expectSilence(t *testing.T, who, file string) {
	t.Helper()
	if m := measureEnd(t, file, toneHz, 800*time.Millisecond); m.level > -50 {
		t.Errorf("%s hears %v; want silence", who, m)
	}
}
