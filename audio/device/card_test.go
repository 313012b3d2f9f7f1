package device

import (
	"testing"
	"testing/synctest"
	"time"

	"offhook/internal/media"
)

var cardsSelected = media.Selection{Capture: "default", Playback: "default"}

// TestTwoClocks lets the speaker's clock be faster than the microphone's for two minutes: nothing may be missing, nothing
// may click, and the delay may not grow.
func TestTwoClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(mic("a"), speaker("b"))
		b := newBench(t, cardsSelected, server)
		b.Use(Microphone | Speaker)
		b.run(3 * time.Second)
		card := server.open(false)[0]
		card.take()
		player := b.route.Load().playback
		shortages := player.shortages.Load()
		n := b.run(2 * time.Minute)
		if n < 11_999 || n > 12_001 {
			t.Errorf("two minutes have %d blocks", n)
		}
		if got := player.shortages.Load() - shortages; got != 0 {
			t.Errorf("the speaker ran dry %d times", got)
		}
		// (2π·440/48000)² · 8000 = 27; a step of the tone's amplitude would be 8000.
		if r := roughness(card.take()); r > 60 {
			t.Errorf("the speaker clicks: %d", r)
		}
		if r := roughness(b.heard); r > 60 {
			t.Errorf("the microphone clicks: %d", r)
		}
		if left := duration(player.ring.Len()); left > 18*time.Millisecond {
			t.Errorf("the speaker holds %v", left)
		}
		if b.longest > 11*time.Millisecond {
			t.Errorf("a block took %v", b.longest)
		}
		b.expect()
	})
}

// TestWarpKeepsTheTone changes the length of blocks all the time.
func TestWarpKeepsTheTone(t *testing.T) {
	for _, change := range []int{-10, -1, 0, 1, 10} {
		var w warp
		b := &bench{t: t}
		src, dst := make([]int16, BlockSize), make([]int16, BlockSize+change)
		var got []int16
		for range 100 {
			b.tone(src)
			w.Stretch(dst, src)
			got = append(got, dst...)
		}
		if r := roughness(got[2*BlockSize:]); r > 40 {
			t.Errorf("blocks longer by %d click: %d", change, r)
		}
		hz := 440 * float64(BlockSize) / float64(BlockSize+change)
		if level := levelAt(got[BlockSize:], hz) * 32768; level < 7900 || level > 8100 {
			t.Errorf("blocks longer by %d: the tone has an amplitude of %.0f at %.1f Hz", change, level, hz)
		}
	}
}

// TestServerDies takes the sound server away in the middle of a call and brings it back.
func TestServerDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(mic("a"), speaker("b"))
		b := newBench(t, cardsSelected, server)
		b.Use(Microphone | Speaker)
		b.run(time.Second)
		if levelAt(b.heard[50*BlockSize:], 500) < 0.25 {
			t.Fatal("the microphone is not heard")
		}

		server.set(func() { server.dead = true })
		n := b.run(10 * time.Second)
		if n < 995 || n > 1001 {
			t.Errorf("10 s without a sound server have %d blocks", n)
		}
		if b.longest > grace+2*BlockTime {
			t.Errorf("a block took %v", b.longest)
		}
		if levelAt(b.heard[20*BlockSize:], 500) > 0 {
			t.Error("there is sound without a server")
		}
		b.expect(Lost, Lost)

		server.set(func() { server.dead = false })
		b.run(2500 * time.Millisecond)
		if levelAt(b.heard[220*BlockSize:], 500) < 0.25 {
			t.Error("the microphone has not come back")
		}
		if r := roughness(b.heard[220*BlockSize:]); r > 60 {
			t.Errorf("it clicks: %d", r)
		}
		cards := server.open(false)
		if len(cards) != 1 {
			t.Fatalf("%d speakers are open", len(cards))
		}
		cards[0].take()
		b.run(time.Second)
		if played := cards[0].take(); loudness(played, 440) < 0.2 {
			t.Errorf("the speaker has not come back: %v %d", loudness(played, 440), len(played))
		}
		b.expect(Back, Back)
	})
}

// TestStall lets the server hang for a moment, as they do.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(mic("a"), speaker("b"))
		b := newBench(t, cardsSelected, server)
		b.Use(Microphone | Speaker)
		b.run(3 * time.Second)
		go func() {
			server.set(func() { server.dead = true })
			time.Sleep(400 * time.Millisecond)
			server.set(func() { server.dead = false })
		}()
		if n := b.run(time.Second); n < 92 || n > 101 {
			t.Errorf("a second with a stall has %d blocks", n)
		}
		opens := server.opens
		b.run(5 * time.Second)
		if server.opens != opens {
			t.Error("the cards were opened anew")
		}
		if left := duration(b.route.Load().playback.ring.Len()); left > 18*time.Millisecond {
			t.Errorf("the speaker holds %v seconds after a stall", left)
		}
		b.expect()
	})
}

// TestOneStallIsNoStarvation lets a card stall for as long as it may before it is held for dead, at every moment of the
// periods in which it is watched: longer delays for the rest of the call would be the wrong answer to that. A card that
// takes too little all the time is another matter.
func TestOneStallIsNoStarvation(t *testing.T) {
	watch := func(taken func(passed time.Duration) time.Duration) bool {
		var p pace
		opened := time.Unix(0, 0)
		for passed := time.Duration(0); passed < 5*pacePeriod; passed += watchPeriod {
			if p.look(opened.Add(passed), int64(taken(passed)*Rate/time.Second)) {
				return true
			}
		}
		return false
	}
	for stall := time.Duration(0); stall < 2*pacePeriod; stall += BlockTime {
		if watch(func(passed time.Duration) time.Duration { return passed - min(max(passed-stall, 0), silenceLimit) }) {
			t.Errorf("a stall after %v is taken for starvation", stall)
		}
	}
	if !watch(func(passed time.Duration) time.Duration { return passed - passed/100 }) {
		t.Error("a hundredth too little is not noticed")
	}
}

// TestLateMicrophone lets what the microphone hears come late, all at once: what silence stood in for is not to be heard
// any more, or everybody would hear this user late for the rest of the call.
func TestLateMicrophone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(mic("a"), speaker("b"))
		b := newBench(t, cardsSelected, server)
		b.Use(Microphone | Speaker)
		for _, stall := range []time.Duration{50 * time.Millisecond, 150 * time.Millisecond, 320 * time.Millisecond} {
			b.run(time.Second)
			go func() {
				server.set(func() { server.late = true })
				time.Sleep(stall)
				server.set(func() { server.late = false })
			}()
			if n := b.run(time.Second); n < 98 || n > 102 {
				t.Errorf("a second with a stall of %v has %d blocks", stall, n)
			}
			if left := b.route.Load().capture.ring.Len(); left > BlockSize {
				t.Errorf("after a stall of %v the microphone is %v late", stall, duration(left))
			}
		}
		b.expect()
	})
}

// TestServerHangs lets calls not return.
func TestServerHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(mic("a"), speaker("b"))
		server.frozen = true
		b := newBench(t, cardsSelected, server)
		b.Use(Microphone | Speaker)
		if n := b.run(20 * time.Second); n < 1999 || n > 2001 {
			t.Errorf("20 s have %d blocks", n)
		}
		b.expect(Lost, Lost)
		server.set(func() { server.frozen = false })
		b.run(8 * time.Second)
		b.expect(Back, Back)
	})
}

// TestUnplugged pulls out the selected microphone and puts it in again.
func TestUnplugged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(mic("built-in"), mic("headset"), speaker("b"))
		b := newBench(t, media.Selection{Capture: "The headset", Playback: "default"}, server)
		b.Use(Microphone | Speaker)
		b.run(3 * time.Second)
		b.expect()
		if c := server.open(true); len(c) != 1 || c[0].id != "headset" {
			t.Fatalf("open: %+v", c)
		}
		all := server.devices
		server.set(func() { server.devices = []media.Device{mic("built-in"), speaker("b")} })
		b.run(3 * time.Second)
		b.expect(Moved)
		if c := server.open(true); len(c) != 1 || c[0].id != "" {
			t.Errorf("open: %+v", c)
		}
		if levelAt(b.heard[250*BlockSize:], 500) < 0.25 {
			t.Error("the stand-in is not heard")
		}
		server.set(func() { server.devices = all })
		b.run(3 * time.Second)
		b.expect(Back)
		if c := server.open(true); len(c) != 1 || c[0].id != "headset" {
			t.Errorf("open: %+v", c)
		}
		// A card that says that it has stopped is believed at once; that it is open again is no news.
		before := server.open(true)[0]
		before.stopped <- struct{}{}
		b.run(400 * time.Millisecond)
		b.expect()
		if c := server.open(true); len(c) != 1 || c[0] == before {
			t.Errorf("open: %+v", c)
		}
	})
}

// TestNothingAtAll is a machine without sound cards, and one without a microphone.
func TestNothingAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, cardsSelected)
		b.Use(Microphone | Speaker)
		if n := b.run(30 * time.Second); n < 2999 || n > 3001 {
			t.Errorf("30 s have %d blocks", n)
		}
		b.expect(Lost, Lost) // once each

		server := newFakeServer(speaker("b"))
		c := newBench(t, cardsSelected, server)
		c.Use(Microphone | Speaker)
		c.run(5 * time.Second)
		c.expect(Lost)
		if n := c.run(10 * time.Second); n < 999 || n > 1003 { // by the speaker's clock
			t.Errorf("10 s have %d blocks", n)
		}
		card := server.open(false)[0]
		card.take()
		c.run(2 * time.Second)
		if r := roughness(card.take()); r > 60 {
			t.Errorf("the speaker clicks: %d", r)
		}
	})
}

// TestOnlyWhatIsNeededIsOpen follows the cards through the life of a call.
func TestOnlyWhatIsNeededIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(mic("a"), speaker("b"), speaker("bell"))
		b := newBench(t, media.Selection{Ringers: []string{"The bell", "default"}}, server)
		ring := make([]int16, BlockSize)
		for i := range ring {
			ring[i] = int16(100 * (i % 48))
		}
		expect := func(mics, speakers int) {
			t.Helper()
			synctest.Wait()
			if m, s := len(server.open(true)), len(server.open(false)); m != mics || s != speakers {
				t.Errorf("%d microphones and %d speakers are open, want %d and %d", m, s, mics, speakers)
			}
		}
		time.Sleep(time.Hour)
		expect(0, 0)
		b.Use(Ringers)
		b.runWith(3*time.Second, func() { b.Ring(ring) })
		expect(0, 2)
		for _, c := range server.open(false) {
			c.take()
		}
		b.runWith(time.Second, func() { b.Ring(ring) })
		for _, c := range server.open(false) {
			if loudness(c.take(), 1000) < 0.02 {
				t.Errorf("ringer %q does not ring", c.id)
			}
		}
		b.Use(Microphone | Speaker)
		b.run(time.Second)
		expect(1, 2) // the bell may be needed again at once
		b.run(7 * time.Second)
		expect(1, 1)

		// Call waiting: the speaker has both.
		b.runWith(time.Second, func() { b.Ring(ring) })
		expect(1, 2)
		for _, c := range server.open(false) {
			c.take()
		}
		b.runWith(time.Second, func() { b.Ring(ring) })
		for _, c := range server.open(false) {
			played := c.take()
			if loudness(played, 1000) < 0.02 {
				t.Errorf("ringer %q does not ring", c.id)
			}
			if call := loudness(played, 440) > 0.2; call != (c.id == "") {
				t.Errorf("the call is heard on %q: %v", c.id, call)
			}
		}
		b.Use(0)
		time.Sleep(time.Second)
		expect(0, 0)
		polls := server.opens
		time.Sleep(time.Hour)
		if server.opens != polls {
			t.Error("something was opened without need")
		}
		b.expect()
	})
}

// TestSelectDuringACall changes to another speaker, to a file, and back.
func TestSelectDuringACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(mic("a"), speaker("b"), speaker("c"))
		b := newBench(t, cardsSelected, server)
		b.Use(Microphone | Speaker)
		b.run(time.Second)
		if err := b.Select(media.Selection{Playback: "c"}); err != nil {
			t.Fatal(err)
		}
		b.run(time.Second)
		if c := server.open(false); len(c) != 1 || c[0].id != "c" {
			t.Errorf("open: %+v", c)
		}
		for _, name := range []string{"nobody", "The "} {
			if err := b.Select(media.Selection{Playback: name}); err == nil {
				t.Errorf("%q was selected", name)
			}
		}
		if got := b.Selection().Playback; got != "c" {
			t.Errorf("the refused selection is in force: %q", got)
		}
		if err := b.Select(media.Selection{Capture: "tone:300", Playback: "discard"}); err != nil {
			t.Fatal(err)
		}
		b.run(time.Second)
		if len(server.open(true))+len(server.open(false)) != 0 {
			t.Error("a card is open although none is selected")
		}
		if levelAt(b.heard, 300) < 0.2 {
			t.Error("the tone is not heard")
		}
		if err := b.Select(cardsSelected); err != nil {
			t.Fatal(err)
		}
		b.run(time.Second)
		if levelAt(b.heard[50*BlockSize:], 500) < 0.25 {
			t.Error("the card is not heard")
		}
		devices, err := b.Devices(t.Context())
		if err != nil || len(devices) != 5 {
			t.Errorf("%d devices, %v", len(devices), err)
		}
		if capture, playback := b.Latency(); capture != 10*time.Millisecond || playback < 5*time.Millisecond || playback > 25*time.Millisecond {
			t.Errorf("latency %v, %v", capture, playback)
		}
		b.expect()
	})
}

// TestServerRestarts must not make the next backend take the card away from the server.
func TestServerRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, driver := newFakeServer(mic("a"), speaker("b")), newFakeServer(mic("a"), speaker("b"))
		driver.name = "driver"
		b := newBench(t, cardsSelected, server, driver)
		b.Use(Microphone | Speaker)
		b.run(time.Second)
		server.set(func() { server.dead = true })
		b.run(5 * time.Second)
		if driver.opens != 0 {
			t.Error("the driver was used while the server restarts")
		}
		b.run(10 * time.Second)
		if len(driver.open(true)) != 1 || len(driver.open(false)) != 1 {
			t.Error("the driver is not used although the server is gone")
		}
		if levelAt(b.heard[900*BlockSize:], 500) < 0.25 {
			t.Error("the microphone is not heard")
		}
	})
}

// TestBusyMachine lets the speaker take less than real time needs, as a sound server does that runs dry.
func TestBusyMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer(speaker("b"))
		b := newBench(t, media.Selection{Capture: "silence"}, server)
		b.Use(Speaker)
		b.run(20 * time.Second)
		if got := server.open(false)[0].period; got != minPeriod {
			t.Errorf("without need the period is %d", got)
		}
		server.set(func() { server.slow = 0.01 })
		b.run(30 * time.Second)
		if got := server.open(false)[0].period; got != maxPeriod {
			t.Errorf("the period is %d, want %d", got, maxPeriod)
		}
		server.set(func() { server.slow = 0 })
		b.Use(0)
		time.Sleep(time.Second)
		b.Use(Speaker)
		b.run(time.Second)
		if got := server.open(false)[0].period; got != maxPeriod/2 {
			t.Errorf("the next call begins with a period of %d, want %d", got, maxPeriod/2)
		}
		b.expect()
	})
}
