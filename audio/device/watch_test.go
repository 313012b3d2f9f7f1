package device

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"offhook/internal/media"
)

// TestHotPlugIsSeen without a call, while a chooser is open.
func TestHotPlugIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(mic("a"))
		b := newBench(t, cardsSelected, server)
		ctx, closeChooser := context.WithCancel(t.Context())
		defer closeChooser()
		changed, other := make(chan struct{}, 1), make(chan struct{}, 1)
		go b.Watch(ctx, changed)
		go b.Watch(ctx, other) // a second chooser, in which nobody looks: it holds nobody up
		told := func(within time.Duration) bool {
			t.Helper()
			select {
			case <-changed:
				return true
			case <-time.After(within + time.Millisecond):
				return false
			}
		}
		listed := func(want ...string) {
			t.Helper()
			devices, err := b.Devices(t.Context())
			var names []string
			for _, d := range devices {
				if d.Backend != "virtual" {
					names = append(names, d.Name)
				}
			}
			if err != nil || !slices.Equal(names, want) {
				t.Errorf("%q, %v, want %q", names, err, want)
			}
		}
		if !told(0) {
			t.Error("the first list is not told of")
		}
		for told(3 * time.Second) { // the keeper reads it after us, and the other chooser is opened
		}
		for _, step := range []struct {
			change func()
			names  []string
		}{
			{func() { server.devices = append(server.devices, mic("\x1b[31mheadset\r")) }, []string{"The a", "The headset"}},
			{func() { server.devices = server.devices[:1] }, []string{"The a"}},
			{func() { server.dead = true }, nil},
			{func() { server.dead = false }, []string{"The a"}},
		} {
			server.set(step.change)
			if !told(3 * time.Second) {
				t.Errorf("%q are not told within 3 s", step.names)
			}
			listed(step.names...)
			if told(10 * time.Second) {
				t.Error("told, and nothing is new")
			}
		}
		closeChooser()
		synctest.Wait()
		lists := server.lists
		server.set(func() { server.devices = nil })
		if told(time.Minute) || server.lists > lists+1 {
			t.Errorf("the list is read %d times though nobody looks", server.lists-lists)
		}
		b.expect()
	})
}

// TestInUseIsSeen by a chooser when a card is opened, and when it is not needed any more.
func TestInUseIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, media.Selection{Capture: "silence"}, newFakeServer(speaker("b")))
		changed := make(chan struct{}, 1)
		go b.Watch(t.Context(), changed)
		time.Sleep(3 * time.Second)
		<-changed
		for _, inUse := range []bool{true, false} {
			if inUse {
				b.Use(Speaker)
			} else {
				b.Use(0)
			}
			<-changed
			if open := len(b.route.Load().inUse) > 0; open != inUse {
				t.Errorf("in use: %v, want %v", open, inUse)
			}
		}
	})
}
