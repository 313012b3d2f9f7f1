package device

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Names of virtual devices that need no argument.
const (
	nameDefault = "default"
	nameNull    = "null"
	nameSilence = "silence"
	nameDiscard = "discard"
	nameLoop    = "loop"
)

const (
	prefixTone = "tone:"
	prefixFile = "file:"
	suffixLoop = ",loop"
)

// maxFile is the longest file that a microphone plays, in samples: ten minutes. It is kept in memory.
const maxFile = 600 * Rate

// ToneAmplitude is the peak of the tone microphone: -12.04 dB below a full-scale sine, -15.05 dBov.
const ToneAmplitude = 8192

// source is a virtual microphone.
type source interface {
	// Read fills a block. played is the block that the speaker is given at the same time.
	Read(block, played []int16)
	// Rewind begins anew: the microphone was opened.
	Rewind()
}

// sink is a virtual speaker.
type sink interface {
	Write(block []int16)
	Close() error
}

// isVirtual reports whether a name is one of ours, so that no sound card is looked for.
func isVirtual(name string) bool {
	switch name {
	case nameNull, nameSilence, nameDiscard, nameLoop:
		return true
	}
	return strings.HasPrefix(name, prefixTone) || strings.HasPrefix(name, prefixFile)
}

// newSource opens a virtual microphone.
func newSource(name string) (source, error) {
	switch {
	case name == nameSilence, name == nameNull:
		return silence{}, nil
	case name == nameLoop:
		return loop{}, nil
	case strings.HasPrefix(name, prefixTone):
		return newTone(strings.TrimPrefix(name, prefixTone))
	case strings.HasPrefix(name, prefixFile):
		path, again := strings.CutSuffix(strings.TrimPrefix(name, prefixFile), suffixLoop)
		return newPlayback(path, again)
	}
	return nil, fmt.Errorf("device: %q is no microphone; %s plays nothing", name, nameSilence)
}

// newSink opens a virtual speaker.
func newSink(name string) (sink, error) {
	switch {
	case name == nameDiscard, name == nameNull, name == nameLoop:
		return discard{}, nil
	case strings.HasPrefix(name, prefixFile):
		return newRecorder(strings.TrimPrefix(name, prefixFile))
	}
	return nil, fmt.Errorf("device: %q is no speaker; %s plays nothing", name, nameDiscard)
}

// silence is a microphone that hears nothing.
type silence struct{}

func (silence) Read(block, _ []int16) { clear(block) }
func (silence) Rewind()               {}

// loop is a microphone before the speaker, without any way between them.
type loop struct{}

func (loop) Read(block, played []int16) { copy(block, played) }
func (loop) Rewind()                    {}

// discard is a speaker that nobody hears.
type discard struct{}

func (discard) Write([]int16) {}
func (discard) Close() error  { return nil }

// tone is a microphone that hears a sine.
type tone struct {
	step  float64 // cycles per sample
	phase float64 // cycles, below 1
}

func newTone(arg string) (*tone, error) {
	hz, err := strconv.ParseFloat(arg, 64)
	if err != nil || !(hz > 0 && hz < Rate/2) {
		return nil, fmt.Errorf("device: %q is no frequency between 0 and %d Hz", arg, Rate/2)
	}
	return &tone{step: hz / Rate}, nil
}

func (t *tone) Read(block, _ []int16) {
	for i := range block {
		block[i] = int16(math.RoundToEven(ToneAmplitude * math.Sin(2*math.Pi*t.phase)))
		if t.phase += t.step; t.phase >= 1 {
			t.phase--
		}
	}
}

func (t *tone) Rewind() { t.phase = 0 }

// playback is a microphone that hears a file, once or again and again, and silence after it.
type playback struct {
	samples []int16
	at      int
	again   bool
}

func newPlayback(path string, again bool) (*playback, error) {
	samples, err := ReadWAV(path, maxFile)
	if err != nil {
		return nil, err
	}
	if len(samples) == 0 {
		again = false
	}
	return &playback{samples: samples, again: again}, nil
}

func (p *playback) Read(block, _ []int16) {
	for len(block) > 0 {
		n := copy(block, p.samples[p.at:])
		p.at += n
		block = block[n:]
		if p.at < len(p.samples) {
			continue
		}
		if !p.again {
			clear(block)
			return
		}
		p.at = 0
	}
}

func (p *playback) Rewind() { p.at = 0 }
