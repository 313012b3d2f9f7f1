package device

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"offhook/internal/media"
)

var virtual = media.Selection{Capture: "silence", Playback: "discard"}

func TestClockPacing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, virtual)
		b.Use(Microphone | Speaker)
		in, out := make([]int16, BlockSize), make([]int16, BlockSize)
		start := time.Now()
		for i := range 1000 {
			time.Sleep(time.Duration(i%9) * time.Millisecond) // the engine works
			if err := b.Exchange(in, out); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(start); d < 9990*time.Millisecond || d > 10*time.Second {
			t.Errorf("1000 blocks took %v", d)
		}
		for _, c := range []struct {
			stall     time.Duration
			immediate int
		}{{150 * time.Millisecond, 15}, {5 * time.Second, 1}} {
			time.Sleep(c.stall)
			start, n := time.Now(), 0
			for ; time.Since(start) < time.Millisecond; n++ {
				if err := b.Exchange(in, out); err != nil {
					t.Fatal(err)
				}
			}
			if n-1 != c.immediate {
				t.Errorf("after a stall of %v %d blocks came at once, want %d", c.stall, n-1, c.immediate)
			}
		}
	})
}

func TestStoppedHubWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, virtual)
		blocks := make(chan error)
		go func() {
			in, out := make([]int16, BlockSize), make([]int16, BlockSize)
			for {
				err := b.Exchange(in, out)
				blocks <- err
				if err != nil {
					return
				}
			}
		}()
		nothing := func() {
			t.Helper()
			time.Sleep(time.Hour)
			select {
			case err := <-blocks:
				t.Fatalf("a block although nothing is in use (%v)", err)
			default:
			}
		}
		nothing()
		b.Use(Microphone | Speaker)
		for range 10 {
			if err := <-blocks; err != nil {
				t.Fatal(err)
			}
		}
		b.Use(0)
		select {
		case <-blocks: // that had been made before
		case <-time.After(time.Second):
		}
		nothing()
		_ = b.Close()
		if err := <-blocks; !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestNames(t *testing.T) {
	dir := t.TempDir()
	wav := filepath.Join(dir, "a.wav")
	if err := os.WriteFile(wav, makeWAV(formatPCM, 8000, 1, 16, false, make([]byte, 320)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sel  media.Selection
		good bool
	}{
		{media.Selection{}, true},
		{media.Selection{Capture: "default", Playback: "default"}, true},
		{media.Selection{Capture: "null", Playback: "null"}, true},
		{media.Selection{Capture: "loop", Playback: "discard"}, true},
		{media.Selection{Capture: "tone:1000"}, true},
		{media.Selection{Capture: "tone:0.5"}, true},
		{media.Selection{Capture: "tone:"}, false},
		{media.Selection{Capture: "tone:-3"}, false},
		{media.Selection{Capture: "tone:24000"}, false},
		{media.Selection{Capture: "tone:NaN"}, false},
		{media.Selection{Capture: "discard"}, false},
		{media.Selection{Playback: "silence"}, false},
		{media.Selection{Playback: "tone:440"}, false},
		{media.Selection{Capture: "file:" + wav}, true},
		{media.Selection{Capture: "file:" + wav + ",loop"}, true},
		{media.Selection{Capture: "file:" + dir}, false},
		{media.Selection{Capture: "file:/does/not/exist.wav"}, false},
		{media.Selection{Playback: "file:" + dir}, false},
		{media.Selection{Playback: "file:" + filepath.Join(dir, "new.wav")}, true},
		{media.Selection{Ringers: []string{"file:" + filepath.Join(dir, "ring.wav"), "discard"}}, true},
		{media.Selection{Ringers: []string{"tone:3"}}, false},
		{media.Selection{Capture: "a card that is not there"}, true}, // it may come
	} {
		h, err := Open(c.sel, Options{})
		if (err == nil) != c.good {
			t.Errorf("%+v: %v", c.sel, err)
		}
		if err == nil {
			if err := h.Close(); err != nil {
				t.Errorf("%+v: close: %v", c.sel, err)
			}
		}
	}
}

// TestVirtualDevices runs the microphones and speakers that are no cards.
func TestVirtualDevices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		b := newBench(t, media.Selection{Capture: "tone:1000", Playback: "file:" + filepath.Join(dir, "out.wav")})
		b.Use(Microphone | Speaker)
		b.run(time.Second)
		if level := levelAt(b.heard, 1000) * 32768; level < ToneAmplitude-1 || level > ToneAmplitude+1 {
			t.Errorf("the tone has an amplitude of %.1f, want %d", level, ToneAmplitude)
		}
		if r := roughness(b.heard); r > 150 { // (2π·1000/48000)² · 8192 = 140
			t.Errorf("the tone clicks: %d", r)
		}

		if err := b.Select(media.Selection{Capture: "loop", Playback: "discard"}); err != nil {
			t.Fatal(err)
		}
		got, err := ReadWAV(filepath.Join(dir, "out.wav"), maxFile)
		if err != nil || len(got) < 99*BlockSize || len(got) > 102*BlockSize {
			t.Errorf("a second is %d samples in the file (%v)", len(got), err)
		}
		if level := levelAt(got[:90*BlockSize], 440) * 32768; level < 7950 || level > 8050 {
			t.Errorf("the file has the tone with an amplitude of %.0f, want 8000", level)
		}

		b.run(100 * time.Millisecond)
		if level := levelAt(b.heard, 440) * 32768; level < 7900 || level > 8100 {
			t.Errorf("the loop gives back the tone with an amplitude of %.0f, want 8000", level)
		}

		in := filepath.Join(dir, "out.wav") // 1.0 s, now as a microphone
		if err := b.Select(media.Selection{Capture: "file:" + in}); err != nil {
			t.Fatal(err)
		}
		b.run(1500 * time.Millisecond)
		if levelAt(b.heard[:40*BlockSize], 440) < 0.2 || levelAt(b.heard[110*BlockSize:], 440) > 0.001 {
			t.Error("a file is to be played once, and silence after it")
		}
		b.Use(Speaker)
		b.run(50 * time.Millisecond)
		if roughness(b.heard) != 0 {
			t.Error("a microphone that is not needed was heard")
		}
		b.Use(Microphone)
		b.run(100 * time.Millisecond)
		if levelAt(b.heard, 440) < 0.2 {
			t.Error("the file does not begin anew with the next use")
		}
		if err := b.Select(media.Selection{Capture: "file:" + in + ",loop"}); err != nil {
			t.Fatal(err)
		}
		b.run(5 * time.Second)
		if levelAt(b.heard[450*BlockSize:460*BlockSize], 440) < 0.2 {
			t.Error("the file is not looped")
		}
		if got := b.Selection(); got.Capture != "file:"+in+",loop" || got.Playback != "discard" {
			t.Errorf("selection %+v", got)
		}
		if b.Microphone() {
			t.Error("a file counts as a microphone")
		}
		b.expect()
	})
}

// TestExchangeDoesNotAllocate with virtual devices and with cards.
func TestExchangeDoesNotAllocate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, b := range map[string]*bench{
			"virtual": newBench(t, media.Selection{Capture: "tone:1000", Playback: "file:" + filepath.Join(t.TempDir(), "out.wav")}),
			"cards":   newBench(t, media.Selection{}, newFakeServer(mic("a"), speaker("b"))),
		} {
			b.Use(Microphone | Speaker)
			b.run(time.Second)
			in, out := make([]int16, BlockSize), make([]int16, BlockSize)
			allocs := testing.AllocsPerRun(200, func() {
				if err := b.Exchange(in, out); err != nil {
					t.Fatal(err)
				}
			})
			// The fake cards' clocks allocate a timer each period.
			if limit := map[string]float64{"virtual": 0, "cards": 20}[name]; allocs > limit {
				t.Errorf("%s: %.0f allocations a block", name, allocs)
			}
			b.Use(0)
		}
	})
}

// BenchmarkExchange is the cost of a block with two sound cards, apart from waiting for them.
func BenchmarkExchange(b *testing.B) {
	var h Hub
	l, p := newListener(), newPlayer()
	h.route.Store(&route{need: Microphone | Speaker, cards: cards{capture: l, playback: p}})
	h.beats.init()
	in, out, buf := make([]int16, BlockSize), make([]int16, BlockSize), make([]int16, BlockSize)
	for i := range out {
		out[i] = int16(i * 50)
	}
	b.ReportAllocs()
	for b.Loop() {
		l.data(buf)
		if err := h.Exchange(in, out); err != nil {
			b.Fatal(err)
		}
		p.data(buf)
	}
}
