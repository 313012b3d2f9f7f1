package command

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"offhook/audio/echo"
	"offhook/internal/media"
	"offhook/session"
)

// fakeAudio is two devices of which one has a twin.
type fakeAudio struct {
	selection media.Selection
	metering  int // how often the devices were opened for meters
	open      func() bool
	listed    int
	set       []echo.Config // all there have been
}

func (f *fakeAudio) Devices(context.Context) ([]media.Device, error) {
	f.listed++
	return []media.Device{
		{ID: "m1", Name: "USB Headset", Capture: true},
		{ID: "m2", Name: "Webcam", Capture: true},
		{ID: "m3", Name: "Webcam", Capture: true},
		{ID: "s1", Name: "USB Headset"},
	}, nil
}

func (f *fakeAudio) Select(_ context.Context, sel media.Selection) error {
	if sel.Capture == "broken" {
		return errors.New("no device is called \"broken\"")
	}
	if sel.Capture != "" {
		f.selection.Capture = sel.Capture
	}
	if sel.Ringers != nil {
		f.selection.Ringers = sel.Ringers
	}
	return nil
}

func (f *fakeAudio) Watch(context.Context, chan<- struct{}) {}

func (f *fakeAudio) Processing() echo.Config {
	if len(f.set) == 0 {
		return echo.Config{Echo: true, Limiter: true}
	}
	return f.set[len(f.set)-1]
}

func (f *fakeAudio) SetProcessing(cfg echo.Config) { f.set = append(f.set, cfg) }

func (f *fakeAudio) Selection() media.Selection { return f.selection }
func (f *fakeAudio) Levels() media.Levels       { return media.Levels{Capture: -20.5, Playback: -127} }

func (f *fakeAudio) Meter(ctx context.Context) error {
	f.metering++
	f.open = func() bool { return ctx.Err() == nil }
	<-ctx.Done()
	return nil
}

func (f *fakeAudio) Test(_ context.Context, playback string) error {
	if playback != "" {
		return errors.New("no such speaker")
	}
	return nil
}

func result(t *testing.T, e *Env, method, params string) string {
	t.Helper()
	result, err := e.Call(t.Context(), method, json.RawMessage(params))
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	data, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestDevices(t *testing.T) {
	e, f := newEnv(t), &fakeAudio{selection: media.Selection{Capture: "default", Playback: "default"}}
	if _, err := e.Call(t.Context(), "audio.devices", nil); err == nil || !strings.Contains(err.Error(), "has no sound") {
		t.Errorf("without sound: %v", err)
	}
	e.Audio = f
	if got := result(t, e, "audio.devices", `{}`); !strings.HasPrefix(got, `[{"id":"m1","name":"USB Headset","backend":"","capture":true}`) {
		t.Error(got)
	}
	if got := result(t, e, "audio.select", `{"capture":"USB"}`); got != `{"capture":"USB","playback":"default"}` {
		t.Error(got)
	}
	if got := result(t, e, "audio.select", `{"ringers":["a","b"]}`); got != `{"capture":"USB","playback":"default","ringers":["a","b"]}` {
		t.Error(got)
	}
	if got := result(t, e, "audio.select", `{"ringers":[]}`); got != `{"capture":"USB","playback":"default"}` {
		t.Error(got)
	}
	for method, params := range map[string]string{"audio.select": `{"capture":"broken"}`, "audio.test": `{"playback":"broken"}`} {
		_, err := e.Call(t.Context(), method, json.RawMessage(params))
		var known *session.Error
		if !errors.As(err, &known) || known.Kind != session.KindDevice {
			t.Errorf("%s: %v", method, err)
		}
	}
	if got := result(t, e, "audio.test", `{}`); got != "{}" {
		t.Error(got)
	}
}

// What is given is switched, the rest stays, also the limiter, which cannot be switched here.
func TestProcessing(t *testing.T) {
	e, f := newEnv(t), &fakeAudio{}
	if _, err := e.Call(t.Context(), "audio.processing", nil); err == nil || !strings.Contains(err.Error(), "has no sound") {
		t.Errorf("without sound: %v", err)
	}
	e.Audio = f
	for _, step := range []struct{ params, result string }{
		{`{}`, `{"echo_cancellation":true,"noise_suppression":false,"auto_gain":false}`},
		{`{"echo_cancellation":true}`, `{"echo_cancellation":true,"noise_suppression":false,"auto_gain":false}`},
		{`{"noise_suppression":true,"auto_gain":true}`, `{"echo_cancellation":true,"noise_suppression":true,"auto_gain":true}`},
		{`{"echo_cancellation":false,"auto_gain":false}`, `{"echo_cancellation":false,"noise_suppression":true,"auto_gain":false}`},
	} {
		if got := result(t, e, "audio.processing", step.params); got != step.result {
			t.Errorf("%s: %s", step.params, got)
		}
	}
	want := []echo.Config{{Echo: true, Noise: true, Gain: true, Limiter: true}, {Noise: true, Limiter: true}}
	if !slices.Equal(f.set, want) {
		t.Errorf("set %+v", f.set)
	}
	var wrong *ParamError
	if _, err := e.Call(t.Context(), "audio.processing", json.RawMessage(`{"auto_gain":"on"}`)); !errors.As(err, &wrong) {
		t.Errorf("%v", err)
	}
}

// Completion never waits for the sound server: it uses the last list and has a new one made.
func TestDevicesComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, f := newEnv(t), &fakeAudio{}
		e.Audio = f
		if c := e.Complete("/mic "); !slices.Equal(c.Candidates, []string{"default "}) {
			t.Errorf("%q", c.Candidates)
		}
		synctest.Wait()
		for line, want := range map[string][]string{
			"/mic ": {"default ", `"USB Headset" `, "m2 ", "m3 "}, "/mic u": {`"USB Headset" `}, "/speaker ": {"default ", `"USB Headset" `},
		} {
			if c := e.Complete(line); !slices.Equal(c.Candidates, want) {
				t.Errorf("%s: %q", line, c.Candidates)
			}
		}
		if f.listed != 1 {
			t.Errorf("listed %d times", f.listed)
		}
		e.Wait()
	})
}

// The devices are open for meters while somebody asks for levels, and not for longer.
func TestLevels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, f := newEnv(t), &fakeAudio{}
		e.Audio = f
		for range 10 {
			if got := result(t, e, "audio.levels", `{}`); got != `{"capture":-20.5,"playback":-127}` {
				t.Error(got)
			}
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if f.metering != 1 || !f.open() {
			t.Errorf("opened %d times, open %v", f.metering, f.open())
		}
		time.Sleep(2 * levelsFor)
		if f.open() {
			t.Error("the devices are left open")
		}
		result(t, e, "audio.levels", `{}`)
		synctest.Wait()
		if f.metering != 2 || !f.open() {
			t.Errorf("opened %d times, open %v", f.metering, f.open())
		}
		e.Wait()
		if f.open() {
			t.Error("the devices are open at the end")
		}
	})
}

func TestStatsAreJSON(t *testing.T) {
	s := statsOf(media.Stats{
		SendCodec: "opus", Security: "sdes", Loss: 0.01234567, Jitter: 12345 * time.Microsecond, Delay: 61 * time.Millisecond,
		Concealed: 1500 * time.Millisecond, MOS: 4.2049, SendLevel: math.Inf(-1), ReceiveLevel: -23.456,
	})
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"codec":"opus"`, `"security":"sdes"`, `"loss":0.0123,`, `"jitter":12.35,`, `"delay":61,`, `"concealed_ms":1500,`, `"mos":4.2,`,
		`"levels":{"send":-127,"receive":-23.5}`,
	} {
		if !strings.Contains(string(data), want) {
			t.Errorf("no %s in %s", want, data)
		}
	}
}
