package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"offhook/audio/echo"
	"offhook/internal/media"
	"offhook/session"
)

// Audio is what the table needs of the sound devices; audio.Engine implements it.
type Audio interface {
	Devices(ctx context.Context) ([]media.Device, error)
	Select(ctx context.Context, sel media.Selection) error
	Selection() media.Selection
	// Watch sends on changed, which has room for one, at once and when Devices would tell something else. It returns when ctx
	// ends.
	Watch(ctx context.Context, changed chan<- struct{})
	Processing() echo.Config
	SetProcessing(cfg echo.Config)
	// Meter keeps the devices open for Levels until ctx ends, and returns then.
	Meter(ctx context.Context) error
	Levels() media.Levels
	// Test plays a test tone on a speaker, "" on the one in use.
	Test(ctx context.Context, playback string) error
}

var errNoAudio = errors.New("this instance has no sound")

func audioCommands() []Command {
	return []Command{
		{
			Method:  "audio.devices",
			Summary: "microphones and speakers",
			run:     immediate(listDevices),
		}, {
			Method:  "audio.select",
			Summary: "choose microphone, speaker and ringers; without parameters tell which they are",
			Params: []Param{
				{Name: "capture", Type: String, Help: "id or part of the name of a microphone, or default"},
				{Name: "playback", Type: String, Help: "id or part of the name of a speaker, or default"},
				{Name: "ringers", Type: Strings, Help: "speakers that ring"},
			},
			Forms: []Form{
				{Name: "mic", Args: []Arg{{Param: "capture", Show: "DEVICE", Kind: Microphone}}, Summary: "choose the microphone"},
				{Name: "speaker", Args: []Arg{{Param: "playback", Show: "DEVICE", Kind: Speaker}}, Summary: "choose the speaker"},
				{Name: "ringer", Args: []Arg{{Param: "ringers", Show: "DEVICE", Kind: Speaker, List: true}}, Summary: "choose the speakers that ring"},
			},
			run: immediate(selectDevices),
		}, {
			Method:  "audio.processing",
			Summary: "what is done to the sound of the microphone; what is given is changed, until the program ends",
			Params: []Param{
				{Name: "echo_cancellation", Type: Boolean, Help: "take the sound of the speaker out of it"},
				{Name: "noise_suppression", Type: Boolean, Help: "take steady noise out of it"},
				{Name: "auto_gain", Type: Boolean, Help: "bring it to an even level"},
			},
			run: immediate(process),
		}, {
			Method:  "audio.levels",
			Summary: "levels of microphone and speaker, in dB below full scale",
			run:     immediate(levels),
		}, {
			Method:  "audio.test",
			Summary: "play a test tone",
			Params:  []Param{{Name: "playback", Type: String, Help: "a speaker; by default the one in use"}},
			Forms:   []Form{{Name: "test", Args: []Arg{{Param: "playback", Show: "SPEAKER", Kind: Speaker, Optional: true}}}},
			run:     immediate(testTone),
		},
	}
}

func listDevices(ctx context.Context, e *Env, _ none) (any, error) {
	if e.Audio == nil {
		return nil, errNoAudio
	}
	devices, err := e.Audio.Devices(ctx)
	if err != nil {
		return nil, deviceError("list devices", err)
	}
	e.known.set(devices)
	return list(devices), nil
}

type selectParams struct {
	Capture  string    `json:"capture"`
	Playback string    `json:"playback"`
	Ringers  *[]string `json:"ringers"`
}

// selectDevices changes what is given and answers with the devices that are chosen then.
func selectDevices(ctx context.Context, e *Env, p selectParams) (any, error) {
	if e.Audio == nil {
		return nil, errNoAudio
	}
	sel := media.Selection{Capture: p.Capture, Playback: p.Playback}
	if p.Ringers != nil {
		sel.Ringers = list(*p.Ringers) // an empty list rings nowhere, nil leaves it
	}
	if sel.Capture != "" || sel.Playback != "" || sel.Ringers != nil {
		if err := e.Audio.Select(ctx, sel); err != nil {
			return nil, deviceError("select device", err)
		}
	}
	return e.Audio.Selection(), nil
}

// Processing is the result of audio.processing.
type Processing struct {
	Echo  bool `json:"echo_cancellation"`
	Noise bool `json:"noise_suppression"`
	Gain  bool `json:"auto_gain"`
}

// String says it to who has typed a command.
func (p Processing) String() string {
	word := map[bool]string{true: "on", false: "off"}
	return fmt.Sprintf("echo cancellation %s, noise suppression %s, auto gain %s (until the program ends)", word[p.Echo], word[p.Noise], word[p.Gain])
}

// process switches what is given, and answers with what is on then.
func process(_ context.Context, e *Env, p struct {
	Echo  *bool `json:"echo_cancellation"`
	Noise *bool `json:"noise_suppression"`
	Gain  *bool `json:"auto_gain"`
},
) (any, error) {
	if e.Audio == nil {
		return nil, errNoAudio
	}
	e.processing.Lock() // of two who switch something else both get it
	defer e.processing.Unlock()
	was := e.Audio.Processing()
	now := was
	for _, s := range []struct{ stage, to *bool }{{&now.Echo, p.Echo}, {&now.Noise, p.Noise}, {&now.Gain, p.Gain}} {
		if s.to != nil {
			*s.stage = *s.to
		}
	}
	if now != was {
		e.Audio.SetProcessing(now)
	}
	return Processing{now.Echo, now.Noise, now.Gain}, nil
}

// levelsFor is how long the devices stay open for somebody who asked for levels: meters ask again and again.
const levelsFor = 2 * time.Second

func levels(ctx context.Context, e *Env, _ none) (any, error) {
	if e.Audio == nil {
		return nil, errNoAudio
	}
	e.lease.renew(ctx, e)
	return e.Audio.Levels(), nil
}

func testTone(ctx context.Context, e *Env, p struct {
	Playback string `json:"playback"`
},
) (any, error) {
	if e.Audio == nil {
		return nil, errNoAudio
	}
	return none{}, deviceError("play the test tone", e.Audio.Test(ctx, p.Playback))
}

func deviceError(op string, err error) error {
	var known *session.Error
	if err == nil || errors.As(err, &known) || errors.Is(err, context.Canceled) {
		return err
	}
	return &session.Error{Op: op, Kind: "Device", Err: err}
}

// lease keeps the devices open while somebody asks for levels.
type lease struct {
	mu     sync.Mutex
	timer  *time.Timer        // Guarded by mu; ends the metering, nil before the first.
	cancel context.CancelFunc // Guarded by mu; what the timer calls.
}

// renew opens the devices for a while, or keeps them open for another.
func (l *lease) renew(ctx context.Context, e *Env) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil && l.timer.Stop() {
		l.timer.Reset(levelsFor)
		return
	}
	metering, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.timer, l.cancel = time.AfterFunc(levelsFor, cancel), cancel
	e.ops.Go(func() { _ = e.Audio.Meter(metering) }) // without the devices there is silence to be seen
}

// end gives the devices free at once.
func (l *lease) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil && l.timer.Stop() {
		l.cancel()
	}
}

// knownDevices are the devices as they were listed last. Completion looks here: asking the sound server takes too long
// for a key.
type knownDevices struct {
	mu      sync.Mutex
	devices []media.Device // Guarded by mu.
	asked   time.Time      // Guarded by mu; when completion asked last for a new list.
}

const (
	devicesFor  = 5 * time.Second // how old a list may be that completion uses
	devicesTime = 5 * time.Second // how long a sound server may take to list them
)

func (k *knownDevices) set(devices []media.Device) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.devices = slices.Clone(devices)
}

// devices completes names of devices from the last list, and has a new one made for the next time.
func (e *Env) devices(capture bool) []string {
	if e.Audio == nil {
		return nil
	}
	k := &e.known
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Since(k.asked) > devicesFor {
		k.asked = time.Now()
		e.ops.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), devicesTime)
			defer cancel()
			if devices, err := e.Audio.Devices(ctx); err == nil {
				k.set(devices)
			}
		})
	}
	names := []string{"default"}
	for _, d := range k.devices {
		if d.Capture == capture {
			names = append(names, nameOf(d, k.devices))
		}
	}
	return names
}

// nameOf is what a device is called: its name, or its id where another has the same name.
func nameOf(d media.Device, among []media.Device) string {
	twin := func(o media.Device) bool { return o.Capture == d.Capture && o.Name == d.Name && o.ID != d.ID }
	if d.Name == "" || slices.ContainsFunc(among, twin) {
		return d.ID
	}
	return d.Name
}
