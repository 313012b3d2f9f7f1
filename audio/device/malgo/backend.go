//go:build cgo

package malgo

import (
	"context"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"github.com/gen2brain/malgo"

	"offhook/audio/device"
	"offhook/internal/media"
)

// closeLimit is how long a card may take to stop.
const closeLimit = 2 * time.Second

// Backends lists the backends of this platform, best first.
func Backends() []device.Backend {
	quiet()
	switch runtime.GOOS {
	case "darwin":
		return []device.Backend{&backend{"coreaudio", malgo.BackendCoreaudio, 2}}
	case "windows":
		return []device.Backend{&backend{"wasapi", malgo.BackendWasapi, 2}}
	}
	// PulseAudio aims at one period; eight are what it keeps for a reader that comes late. ALSA has nothing but its buffer
	// to help it over a thread that comes late.
	return []device.Backend{&backend{"pulse", malgo.BackendPulseaudio, 8}, &backend{"alsa", malgo.BackendAlsa, 3}}
}

// backend is one of the library's backends.
type backend struct {
	name    string
	id      malgo.Backend
	periods int // that a card holds
}

func (b *backend) Name() string { return b.name }

func (b *backend) context() (*malgo.AllocatedContext, error) {
	ctx, err := malgo.InitContext([]malgo.Backend{b.id}, malgo.ContextConfig{}, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.name, err)
	}
	return ctx, nil
}

func release(ctx *malgo.AllocatedContext) {
	_ = ctx.Uninit() // it is freed in any case
	ctx.Free()
}

// Devices lists the cards.
func (b *backend) Devices(ctx context.Context) ([]media.Device, error) {
	return abandon(ctx, b.list, func([]media.Device) {})
}

func (b *backend) list() ([]media.Device, error) {
	c, err := b.context()
	if err != nil {
		return nil, err
	}
	defer release(c)
	var all []media.Device
	for _, kind := range []malgo.DeviceType{malgo.Capture, malgo.Playback} {
		infos, err := c.Devices(kind)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.name, err)
		}
		for _, info := range infos {
			d := media.Device{
				ID: idText(info.ID[:]), Name: info.Name(), Backend: b.name, Capture: kind == malgo.Capture, Default: info.IsDefault != 0,
			}
			if b.id == malgo.BackendAlsa && isPseudo(d.ID) {
				continue
			}
			all = append(all, d)
		}
	}
	return all, nil
}

// Open starts a card.
func (b *backend) Open(ctx context.Context, id string, capture bool, period int, data func([]int16)) (device.Card, error) {
	open := func() (device.Card, error) { return b.open(id, capture, period, data) }
	return abandon(ctx, open, func(c device.Card) { _ = c.Close() })
}

func (b *backend) open(id string, capture bool, period int, data func([]int16)) (device.Card, error) {
	c, err := b.context()
	if err != nil {
		return nil, err
	}
	kind := malgo.Playback
	if capture {
		kind = malgo.Capture
	}
	cfg := malgo.DefaultDeviceConfig(kind)
	cfg.SampleRate = device.Rate
	cfg.PeriodSizeInFrames = uint32(period)
	cfg.Periods = uint32(b.periods)
	cfg.PerformanceProfile = malgo.LowLatency
	cfg.NoFixedSizedCallback = 1
	cfg.NoPreSilencedOutputBuffer = 1 // all of it is written
	cfg.Pulse.StreamNameCapture, cfg.Pulse.StreamNamePlayback = "microphone", "speaker"
	end := &cfg.Playback
	if capture {
		end = &cfg.Capture
	}
	end.Format, end.Channels = malgo.FormatS16, 1

	var pin runtime.Pinner // the configuration, which C reads, points to it
	defer pin.Unpin()
	if id != "" {
		raw := new(malgo.DeviceID)
		if !idBytes(raw[:], id) {
			release(c)
			return nil, fmt.Errorf("%s: no device has the id %q", b.name, id)
		}
		pin.Pin(raw)
		end.DeviceID = unsafe.Pointer(raw)
	}

	k := &card{context: c, stopped: make(chan struct{}, 1), latency: b.latency(capture, period)}
	k.device, err = malgo.InitDevice(c.Context, cfg, malgo.DeviceCallbacks{Data: k.process(data, capture), Stop: k.stop})
	if err != nil {
		release(c)
		return nil, fmt.Errorf("%s: %w", b.name, err)
	}
	if err := k.device.Start(); err != nil {
		k.free()
		return nil, fmt.Errorf("%s: %w", b.name, err)
	}
	return k, nil
}

// latency estimates what a card holds: a period, but for ALSA on the way out, which has all of its buffer full.
func (b *backend) latency(capture bool, period int) time.Duration {
	held := 1
	if !capture && b.id == malgo.BackendAlsa {
		held = b.periods
	}
	return time.Duration(held*period) * time.Second / device.Rate
}

// card is a device that runs.
type card struct {
	context *malgo.AllocatedContext
	device  *malgo.Device
	stopped chan struct{} // capacity 1
	latency time.Duration
}

// process makes of a callback of the library, which knows bytes, one of ours. It runs on the card's thread.
func (k *card) process(data func([]int16), capture bool) malgo.DataProc {
	return func(out, in []byte, frames uint32) {
		buf := out
		if capture {
			buf = in
		}
		if len(buf) >= 2 {
			data(unsafe.Slice((*int16)(unsafe.Pointer(&buf[0])), len(buf)/2))
		}
	}
}

// stop is called by the card's thread, also when it stops because we want it to.
func (k *card) stop() {
	select {
	case k.stopped <- struct{}{}:
	default:
	}
}

func (k *card) free() {
	// Uninit waits for the thread, which waits for a server that may be dead. Stop wakes it up.
	_ = k.device.Stop()
	k.device.Uninit()
	release(k.context)
}

// Latency is what the card holds.
func (k *card) Latency() time.Duration { return k.latency }

// Stopped tells once that the card has stopped.
func (k *card) Stopped() <-chan struct{} { return k.stopped }

// Close stops the card.
func (k *card) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	_, err := abandon(ctx, func() (struct{}, error) {
		k.free()
		return struct{}{}, nil
	}, func(struct{}) {})
	return err
}

// abandon calls f and waits for it until ctx ends. What f returns after that is undone.
func abandon[T any](ctx context.Context, f func() (T, error), undo func(T)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result)
	go func() {
		v, err := f()
		select {
		case done <- result{v, err}:
		case <-ctx.Done():
			if err == nil {
				undo(v)
			}
		}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("the sound server does not answer: %w", ctx.Err())
	}
}
