package audio

import (
	"context"
	"fmt"

	"offhook/audio/device"
	"offhook/audio/echo"
	"offhook/internal/media"
)

// Devices lists the microphones and speakers that there are now.
func (e *Engine) Devices(ctx context.Context) ([]media.Device, error) {
	all, err := e.cfg.Device.Devices(ctx)
	if err != nil {
		return nil, fmt.Errorf("audio: %w", err)
	}
	return all, nil
}

// Select changes to other devices, also during a call.
func (e *Engine) Select(_ context.Context, sel media.Selection) error {
	if err := e.cfg.Device.Select(sel); err != nil {
		return fmt.Errorf("audio: %w", err)
	}
	return nil
}

// Selection names the devices in use.
func (e *Engine) Selection() media.Selection { return e.cfg.Device.Selection() }

// Watch sends on changed, which should have room for one, at once and when Devices would tell something else, until ctx ends.
func (e *Engine) Watch(ctx context.Context, changed chan<- struct{}) {
	e.cfg.Device.Watch(ctx, changed)
}

// Processing is what is done to the sound of a microphone.
func (e *Engine) Processing() echo.Config { return e.voice.Config() }

// SetProcessing switches echo canceller, noise suppression, gain control and limiter, also during a call.
func (e *Engine) SetProcessing(cfg echo.Config) { e.voice.Set(cfg) }

// Trouble tells every call that a device has gone or come back. The calls go on.
func (e *Engine) Trouble(t device.Trouble) {
	ev := media.Event{Kind: media.DeviceTrouble, Text: t.Text}
	switch t.Kind {
	case device.Back:
		ev.Text = ""
	case device.Lost, device.Moved:
	}
	for _, s := range *e.streams.Load() {
		s.tell(ev)
	}
}
