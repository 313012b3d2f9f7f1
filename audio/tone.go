package audio

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"offhook/audio/device"
	"offhook/internal/media"
)

// A signal is a tone with its cadence: parts that repeat.
type signal struct {
	parts  []part
	repeat bool
}

// part is some time of one or two frequencies; 0 Hz is silence.
type part struct {
	hz     [2]float64
	length time.Duration
}

// toneLevel is the peak of each frequency of a tone, about -20 dBov: it informs and does not startle.
const toneLevel = 0.1

// signals are the tones as most of Europe has them (ITU-T E.180): 425 Hz, told apart by cadence.
var signals = map[media.Tone]signal{
	media.Ringback:    {[]part{{[2]float64{425}, time.Second}, {length: 4 * time.Second}}, true},
	media.Busy:        {[]part{{[2]float64{425}, 480 * time.Millisecond}, {length: 480 * time.Millisecond}}, true},
	media.Congestion:  {[]part{{[2]float64{425}, 240 * time.Millisecond}, {length: 240 * time.Millisecond}}, true},
	media.Hangup:      {[]part{{[2]float64{425}, 120 * time.Millisecond}, {length: 80 * time.Millisecond}, {[2]float64{425}, 120 * time.Millisecond}}, false},
	media.CallWaiting: {[]part{{[2]float64{425}, 200 * time.Millisecond}, {length: 200 * time.Millisecond}, {[2]float64{425}, 200 * time.Millisecond}, {length: 6 * time.Second}}, true},
	media.Ring: {[]part{
		{[2]float64{660, 830}, 180 * time.Millisecond},
		{[2]float64{550, 660}, 180 * time.Millisecond},
		{[2]float64{660, 830}, 180 * time.Millisecond},
		{[2]float64{550, 660}, 360 * time.Millisecond},
		{length: 2600 * time.Millisecond},
	}, true},
}

// testTone is what a device is tried with.
var testTone = signal{[]part{{[2]float64{440}, time.Second}}, false}

// ramp is how long a part takes to come and go, so that it does not click.
const ramp = 8 * time.Millisecond

// render computes one period of a signal.
func (s signal) render() []int16 {
	var all []int16
	for _, p := range s.parts {
		n := int(p.length * Rate / time.Second)
		edge := int(ramp * Rate / time.Second)
		for i := range n {
			v := 0.0
			for _, hz := range p.hz {
				if hz > 0 {
					v += toneLevel * math.Sin(2*math.Pi*hz*float64(i)/Rate)
				}
			}
			fade := min(1, float64(min(i, n-1-i))/float64(edge))
			all = append(all, int16(32767*v*fade))
		}
	}
	// Whole blocks, so that a period ends where a block does.
	for len(all)%Block != 0 {
		all = append(all, 0)
	}
	return all
}

// player is a rendered signal in progress.
type player struct {
	samples []int16
	repeat  bool
	ring    bool   // to the ringers instead of the speaker
	ended   func() // called once, when it is no longer played
	at      int    // Owned by Run.
}

// next is the next block, nil at the end.
func (p *player) next() []int16 {
	if p.at+Block > len(p.samples) {
		if !p.repeat {
			return nil
		}
		p.at = 0
	}
	block := p.samples[p.at : p.at+Block]
	p.at += Block
	return block
}

// tones is what is played beside the calls.
type tones struct {
	ringTone []int16 // of a file; nil: our own
	playing  atomic.Pointer[player]
	test     atomic.Pointer[player]
	cached   map[media.Tone][]int16 // Guarded by the engine's mu.
}

// maxRingTone bounds a ring tone that is read from a file.
const maxRingTone = 30 * Rate

func (t *tones) init(ringTone string) error {
	t.cached = map[media.Tone][]int16{}
	if ringTone == "" {
		return nil
	}
	samples, err := device.ReadWAV(ringTone, maxRingTone)
	if err != nil {
		return fmt.Errorf("audio: ring tone: %w", err)
	}
	for len(samples)%Block != 0 {
		samples = append(samples, 0)
	}
	t.ringTone = samples
	return nil
}

// next adds what is played to the speaker's block. What is for the ringers is returned.
func (t *tones) next(speaker []int16) (ring []int16) {
	for _, slot := range []*atomic.Pointer[player]{&t.playing, &t.test} {
		p := slot.Load()
		if p == nil {
			continue
		}
		block := p.next()
		switch {
		case block == nil:
			if slot.CompareAndSwap(p, nil) {
				p.ended()
			}
		case p.ring:
			ring = block
		default:
			for i, v := range block {
				speaker[i] = saturate(int32(speaker[i]) + int32(v))
			}
		}
	}
	return ring
}

// Ring plays a tone until the next Ring.
func (e *Engine) Ring(t media.Tone) {
	next := e.player(t)
	if next != nil {
		need := device.Speaker
		if next.ring {
			need = device.Ringers
		}
		release, err := e.use(need)
		if err != nil {
			return
		}
		next.ended = release
	}
	if old := e.tones.playing.Swap(next); old != nil {
		old.ended()
	}
}

// player makes a tone ready to play; nil for NoTone.
func (e *Engine) player(t media.Tone) *player {
	if t == media.NoTone {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	p := &player{repeat: signals[t].repeat, ring: t == media.Ring}
	if t == media.Ring && e.tones.ringTone != nil {
		p.samples = e.tones.ringTone
		return p
	}
	if _, ok := e.tones.cached[t]; !ok {
		e.tones.cached[t] = signals[t].render()
	}
	p.samples = e.tones.cached[t]
	return p
}

// Test plays a tone of a second and returns when it has been played: on a speaker, which is selected for as long, or with
// "" on the one in use.
func (e *Engine) Test(ctx context.Context, speaker string) (err error) {
	release, err := e.use(device.Speaker)
	if err != nil {
		return err
	}
	defer release()
	if used := e.Selection().Playback; speaker != "" && speaker != used {
		if err := e.Select(ctx, media.Selection{Playback: speaker}); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, e.Select(context.WithoutCancel(ctx), media.Selection{Playback: used})) }()
	}
	done := make(chan struct{})
	p := &player{samples: testTone.render(), ended: func() { close(done) }}
	if !e.tones.test.CompareAndSwap(nil, p) {
		return errors.New("audio: a test tone is being played already")
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		e.tones.test.CompareAndSwap(p, nil)
		return context.Cause(ctx)
	}
}

// Meter keeps the device open until ctx ends, so that Levels shows something.
func (e *Engine) Meter(ctx context.Context) error {
	release, err := e.use(device.Microphone | device.Speaker)
	if err != nil {
		return err
	}
	defer release()
	<-ctx.Done()
	return nil
}
