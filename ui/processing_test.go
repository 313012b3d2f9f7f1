package ui

import (
	"context"
	"fmt"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"offhook/audio/echo"
	"offhook/internal/command"
)

// The switches of the chooser are pressed or clicked, show what others have switched, and fit into any screen.
func TestSoundSwitches(t *testing.T) {
	for _, w := range []int{50, 80} {
		s := calling(t, w, 24)
		s.press("ctrl+u", "/device", "enter")
		d := s.m.overlay.(*devices)
		row := func(echo, noise, gain string) {
			t.Helper()
			want := fmt.Sprintf(" e Echo cancel %-6s  n Noise cut %-6s  g Auto gain %s", echo, noise, gain)
			if w < 60 {
				want = fmt.Sprintf(" e echo %-5s n noise %-5s g gain %s", echo, noise, gain)
			}
			s.wants(want)
		}
		row("[on]", "[on]", "[off]")
		s.f.log()
		s.press("e", "n", "g")
		row("[off]", "[off]", "[on]")
		s.wantsCalls("audio.processing echo_cancellation=false", "audio.processing noise_suppression=false", "audio.processing auto_gain=true")
		s.wants("until the program ends")
		x, y := s.at(map[int]string{50: "noise ", 80: "Noise"}[w])
		s.update(tea.MouseClickMsg{X: x, Y: y, Button: tea.MouseLeft})
		row("[off]", "[on]", "[on]")
		s.wantsCalls("audio.processing noise_suppression=true")
		s.update(levelsMsg{of: d, processing: echo.Config{Echo: true}})
		row("[on]", "[off]", "[off]")
	}
}

// The switches are typed, too.
func TestSoundSwitchesTyped(t *testing.T) {
	s := calling(t, 160, 30)
	s.f.results = map[string]any{"audio.processing": command.Processing{Echo: true}}
	for line, call := range map[string]string{
		"/device echo off": "audio.processing echo_cancellation=false", "/device noise on": "audio.processing noise_suppression=true",
		"/device gain off": "audio.processing auto_gain=false", "/device gain": "audio.processing",
	} {
		s.f.log()
		s.press("ctrl+u", line, "enter")
		s.wantsCalls(call)
		s.wants("echo cancellation on, noise suppression off, auto gain off (until the program ends)")
	}
	s.press("ctrl+u", "/device loud on", "enter")
	s.wants("is not echo, noise, gain")
}

// watchedSound is devices that are watched.
type watchedSound struct {
	silentSound
	watched context.Context
	changed chan<- struct{}
}

func (w *watchedSound) Watch(ctx context.Context, changed chan<- struct{}) {
	w.watched, w.changed = ctx, changed
}

// While the chooser is open devices are watched; however it is closed, that ends.
func TestChooserWatches(t *testing.T) {
	for _, keys := range [][]string{{"esc"}, {"q"}, {"ctrl+c"}, {"f1"}, {"ctrl+x", "q"}, {"ctrl+x", "v"}} {
		s, w := calling(t, 80, 24, northwind()), &watchedSound{}
		s.m.sound = w
		s.press("ctrl+x", "v")
		d := s.m.overlay.(*devices)
		s.f.log()
		w.changed <- struct{}{}
		s.m.sleep = func(context.Context, time.Duration) bool { return true }
		msg := s.m.askLevels(d)()
		s.m.sleep = func(_ context.Context, d time.Duration) bool { return d <= 0 }
		s.update(msg) // a headset is plugged in
		s.wantsCalls("audio.devices", "audio.select")
		ctx := w.watched
		if ctx.Err() != nil {
			t.Error("nobody watches")
		}
		s.press(keys...)
		s.update(levelsMsg{of: d})
		if open := s.m.overlay == overlay(d); open != (ctx.Err() == nil) {
			t.Errorf("after %q the chooser is open: %v, watched: %v", keys, open, ctx.Err() == nil)
		}
	}
}
