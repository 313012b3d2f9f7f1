package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"text/tabwriter"
	"time"

	"offhook/audio"
	"offhook/audio/codec"
	"offhook/audio/device"
	"offhook/audio/device/malgo"
	"offhook/audio/echo"
	"offhook/internal/config"
	"offhook/internal/headless"
	"offhook/internal/media"
	"offhook/session"
)

// soundCard is an engine with the devices that it works on.
type soundCard struct {
	*audio.Engine
	hub *device.Hub
}

// Close ends the streams and gives the devices back.
func (s *soundCard) Close() error { return errors.Join(s.Engine.Close(), s.hub.Close()) }

// soundOf makes the sound of an account with these settings. No device is opened by it: a machine without a sound card
// is a machine like any other until somebody calls.
func soundOf(settings config.Audio, log *slog.Logger) func(func(session.HealthChanged)) (headless.Sound, error) {
	return func(health func(session.HealthChanged)) (headless.Sound, error) {
		s := &soundCard{}
		ready := make(chan struct{})
		told := func(t device.Trouble) {
			select {
			case <-ready:
				s.trouble(t, log, health)
			default: // nothing sounds yet
			}
		}
		selection := media.Selection{Capture: settings.Capture, Playback: settings.Playback, Ringers: settings.Ringers}
		var err error
		s.hub, err = device.Open(selection, device.Options{Logger: log, Told: told, Backends: malgo.Backends()})
		if err != nil { // a name or a file that cannot be
			return nil, config.Problems{{Text: err.Error()}}
		}
		cfg := audio.Config{
			Device: s.hub, Codecs: settings.Codecs, RingTone: settings.RingTone, Logger: log,
			Processing: echo.Config{Echo: settings.Echo, Noise: settings.Noise, Gain: settings.Gain, Limiter: settings.Limiter},
		}
		if settings.MediaListen != "" {
			address, ports, err := config.ParseMediaListen(settings.MediaListen)
			if err != nil {
				return nil, errors.Join(err, s.hub.Close())
			}
			cfg.Listen, cfg.Ports = address, ports
		}
		if s.Engine, err = audio.New(cfg); err != nil {
			return nil, errors.Join(config.Problems{{Text: err.Error()}}, s.hub.Close())
		}
		close(ready)
		return s, nil
	}
}

// trouble tells the calls and the user what happened to a device.
func (s *soundCard) trouble(t device.Trouble, log *slog.Logger, health func(session.HealthChanged)) {
	h := session.HealthChanged{Code: "speaker", Severity: "warning", Text: t.Text}
	if t.Device.Capture {
		h.Code = "microphone"
	}
	switch t.Kind {
	case device.Lost:
		h.Severity = "error"
		log.Warn("device lost", "device", t.Device.Name, "capture", t.Device.Capture, "error", t.Err)
	case device.Moved:
		log.Info("device moved", "device", t.Device.Name, "capture", t.Device.Capture, "error", t.Err)
	case device.Back:
		h.Cleared = true
	}
	s.Engine.Trouble(t)
	health(h)
}

// listTime bounds the answer of a sound server.
const listTime = 5 * time.Second

// devicesCommand is offhook devices.
type devicesCommand struct {
	JSON bool `name:"json" help:"One JSON array."`
}

func (c *devicesCommand) Run(ctx context.Context, _ *Common, s *streams) error {
	hub, err := device.Open(media.Selection{}, device.Options{Backends: malgo.Backends()})
	if err != nil {
		return err
	}
	defer hub.Close()
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	all, err := hub.Devices(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		if all == nil {
			all = []media.Device{}
		}
		return json.NewEncoder(s.out).Encode(all)
	}
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	for _, d := range all {
		kind := "speaker"
		if d.Capture {
			kind = "microphone"
		}
		if d.Default {
			d.Name += " (default)"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", kind, d.Backend, d.ID, d.Name)
	}
	return table.Flush()
}

// codecs are those that are compiled in, best first.
func codecs() []string {
	var names []string
	for _, c := range codec.All {
		if c.NewEncoder == nil {
			names = append(names, c.Name+" (receive only)")
		} else {
			names = append(names, c.Name)
		}
	}
	return names
}

// backends are the ways to sound that are compiled in.
func backends() []string {
	var names []string
	for _, b := range malgo.Backends() {
		names = append(names, b.Name())
	}
	return append(names, "virtual")
}
