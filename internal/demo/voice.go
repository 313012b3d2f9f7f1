package demo

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"time"

	"offhook/audio"
	"offhook/audio/device"
	"offhook/internal/media"
)

// voice is what a robot has for microphone and speaker: it hears what is played to it and says something.
type voice struct {
	*device.Hub
	talk talk
}

// talk fills in what a robot says in the 10 ms after it has heard out.
type talk interface{ exchange(in, out []int16) }

// Exchange keeps the time of the null device that stands behind the voice.
func (v *voice) Exchange(in, out []int16) error {
	if err := v.Hub.Exchange(in, out); err != nil {
		return err
	}
	v.talk.exchange(in, out)
	return nil
}

// engine is a robot's sound.
type engine struct {
	*audio.Engine
	hub *device.Hub
}

// newEngine makes the sound of somebody who says what talk says; nil is silent.
func newEngine(says talk, log *slog.Logger) (*engine, error) {
	hub, err := device.Open(media.Selection{Capture: "silence", Playback: "discard"}, device.Options{Logger: log})
	if err != nil {
		return nil, err
	}
	cfg := audio.Config{Device: hub, Logger: log}
	if says != nil {
		cfg.Device = &voice{hub, says}
	}
	e, err := audio.New(cfg)
	if err != nil {
		return nil, errors.Join(err, hub.Close())
	}
	return &engine{e, hub}, nil
}

// Close ends it.
func (e *engine) Close() error { return errors.Join(e.Engine.Close(), e.hub.Close()) }

// serve makes sound until ctx ends.
func (e *engine) serve(ctx context.Context, log *slog.Logger) {
	stop := context.AfterFunc(ctx, func() { _ = e.Close() })
	defer stop()
	if err := e.Run(ctx); err != nil && ctx.Err() == nil {
		log.Error("sound", "err", err)
	}
}

// parrot repeats what it hears after a second.
type parrot struct {
	heard [audio.Rate]int16
	at    int
}

func (p *parrot) exchange(in, out []int16) {
	for i := range out {
		in[i], p.heard[p.at] = p.heard[p.at], out[i]
		p.at = (p.at + 1) % len(p.heard)
	}
}

// note is a pitch in semitones above a', and a length in eighths.
type note struct{ pitch, eighths int }

const pause = -100

// melody is Frère Jacques, in C.
var melody = []note{
	{3, 2},
	{5, 2},
	{7, 2},
	{3, 2},
	{3, 2},
	{5, 2},
	{7, 2},
	{3, 2},
	{7, 2},
	{8, 2},
	{10, 4},
	{7, 2},
	{8, 2},
	{10, 4},
	{10, 1},
	{12, 1},
	{10, 1},
	{8, 1},
	{7, 2},
	{3, 2},
	{10, 1},
	{12, 1},
	{10, 1},
	{8, 1},
	{7, 2},
	{3, 2},
	{3, 2},
	{-2, 2},
	{3, 4},
	{3, 2},
	{-2, 2},
	{3, 4},
	{pause, 8},
}

const (
	eighth   = audio.Rate / 4                 // in samples
	edge     = audio.Rate / 100               // samples in which a note comes and goes
	loudness = 0.2 * float64(math.MaxInt16)   // about 17 dB below full scale
	concertA = 440 * 2 * math.Pi / audio.Rate // radians a sample
)

// musicBox plays the melody again and again.
type musicBox struct {
	note, at int     // which note, and the sample of it
	phase    float64 // of the sine, in radians
	step     float64 // of the phase, for this note

	semitones int // how much higher than written
}

func (m *musicBox) exchange(in, _ []int16) {
	for i := range in {
		n := melody[m.note]
		length := n.eighths * eighth
		if m.at == 0 {
			m.step = concertA * math.Pow(2, float64(n.pitch+m.semitones)/12)
		}
		in[i] = 0
		if n.pitch != pause {
			swell := min(1, float64(m.at)/edge, float64(length-m.at)/edge)
			in[i] = int16(loudness * swell * math.Sin(m.phase))
			m.phase = math.Mod(m.phase+m.step, 2*math.Pi)
		}
		if m.at++; m.at == length {
			m.note, m.at = (m.note+1)%len(melody), 0
		}
	}
}

// tuneTime is how long the melody takes.
func tuneTime() time.Duration {
	eighths := 0
	for _, n := range melody {
		eighths += n.eighths
	}
	return time.Duration(eighths) * eighth * time.Second / audio.Rate
}
