package ui

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"offhook/internal/history"
	"offhook/internal/media"
	"offhook/internal/testkit"
	"offhook/session"
)

// A call comes in while a line is half typed, is answered, held, resumed, muted, has keys pressed, is recorded, and ended.
func TestStoryOfCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := history.Open(filepath.Join(t.TempDir(), "history.db"), "sip:alice@"+testkit.Domain, slog.New(slog.DiscardHandler))
		defer store.Close()
		w := testkit.NewWorld(t)
		bob := w.Endpoint("bob", testkit.Audio(), testkit.Configure(func(_ int, cfg *session.Config) { cfg.DisplayName = "Bob Martin" }))
		alice := w.Endpoint("alice", testkit.Audio(), testkit.Configure(func(_ int, cfg *session.Config) { cfg.Journal = store }))
		k := sit(t, alice.Device(0), store)
		sound := alice.Device(0).Sound()

		x := bob.Device(0).Dial(alice)
		time.Sleep(2 * time.Second)
		k.keys("half a wo")
		k.sees("CALL from Bob Martin")
		k.sees("F3 not here (486)")
		k.sees("00:02 ┐")
		k.sees("RING│")
		k.sees("[1] home") // the focus stayed
		k.keys("rd")
		k.sees("half a word") // and so did the keys
		k.keys(f2)
		if err := x.Wait(); err != nil {
			t.Fatal(err)
		}
		k.settle()
		k.sees("[2] Bob Martin")
		k.sees("> Bob Martin 00:00 Opus SRTP")
		k.sees("TALK│")
		k.sees("call answered here")

		stream := sound.Stream()
		stream.SetStats(media.Stats{MOS: 4.2, SendLevel: -18})
		time.Sleep(65 * time.Second)
		k.settle()
		k.sees("01:05 Opus SRTP q4.2 mic###-")
		k.sees("IN CALL 01:05")

		k.keys(f4)
		k.sees("HELD Opus")
		k.sees("HELD│")
		k.sees("F4 Resume")
		if !stream.State().Held {
			t.Error("not on hold")
		}
		k.keys(f4)
		k.seesNot("HELD")
		k.keys(f8)
		k.sees("MUTE Opus")
		if !stream.State().Muted {
			t.Error("not muted")
		}
		k.keys("\x18u")
		k.seesNot("MUTE")
		k.keys("\x18d12#")
		k.sees("sent: 12#")
		k.keys("\x1b")
		k.seesNot("KEYPAD")
		if digits := stream.State().Digits; digits != "12#" {
			t.Errorf("sent %q", digits)
		}
		k.keys("\x18r")
		k.sees("REC")
		k.sees("recording started:")
		k.keys("\x18r")
		k.sees("recording ended:")
		stream.Tell(media.Event{Kind: media.Silent})
		k.settle()
		k.sees(" ! nothing arrives from them: ")
		stream.Tell(media.Event{Kind: media.Heard})
		k.settle()
		k.seesNot(" ! nothing arrives from them: ")
		k.keys("\x18q")
		k.sees("mouth to ear")

		// Ctrl-C asks, and names the call.
		k.keys("\x03")
		k.sees("quit and hang up on Bob Martin (01:")
		k.keys("\x1b")
		k.keys(f3)
		time.Sleep(time.Second)
		k.settle()
		k.seesNot("> Bob Martin 0")
		k.seesNot("mouth to ear")
		k.sees("call ended after 1:")
		k.leave()
	})
}

// A call nobody takes, one that is taken elsewhere, one that is declined with a message, and one that is called back.
func TestStoryOfMissedCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := history.Open(filepath.Join(t.TempDir(), "history.db"), "sip:alice@"+testkit.Domain, slog.New(slog.DiscardHandler))
		defer store.Close()
		w := testkit.NewWorld(t)
		bob := w.Endpoint("bob", testkit.Audio())
		alice := w.Endpoint("alice", testkit.Devices(2), testkit.Audio(), testkit.Configure(func(i int, cfg *session.Config) {
			if i == 0 {
				cfg.Journal = store
			}
		}))
		k := sit(t, alice.Device(0), store)

		x := bob.Device(0).Dial(alice)
		time.Sleep(21 * time.Second)
		x.GiveUp()
		_ = x.Wait() // canceled
		time.Sleep(time.Second)
		k.settle()
		k.sees("MISSED from bob")
		k.sees("rang 0:21")
		k.sees("Ctrl-X c call back")
		k.sees("Act: 2(1)")

		// Called back.
		k.keys("\x18c")
		k.sees("RINGING 00:0")
		k.sees("DIAL│")
		k.seesNot("MISSED from")
		if err := bob.Device(0).ExpectCall("alice").Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		k.settle()
		k.sees("IN CALL 00:0")
		k.keys(f3)
		time.Sleep(2 * time.Second)
		k.settle()
		k.seesNot("IN CALL")

		// Taken on the other device.
		x = bob.Device(0).Dial(alice)
		there := alice.Device(1).ExpectCall("bob")
		k.settle()
		k.sees("CALL from bob")
		if err := there.Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		k.settle()
		k.seesNot("CALL from bob")
		k.sees("taken by " + alice.Device(1).Name)
		k.sees("call answered on another device")
		k.seesNot("CALL 3>")
		if err := x.Wait(); err != nil {
			t.Fatal(err)
		}
		if err := x.Terminate(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)

		// Declined with a message.
		x = bob.Device(0).Dial(alice)
		alice.Device(1).ExpectCall("bob")
		k.settle()
		k.keys("\x18i")
		k.sees("I cannot talk now. I will call you back.")
		k.keys("\r")
		if err := x.Wait(); err == nil || !strings.Contains(err.Error(), "declined") {
			t.Errorf("bob was told %v", err)
		}
		time.Sleep(2 * time.Second)
		k.settle()
		bob.Device(0).ExpectMessage("alice", "I cannot talk now. I will call you back.")
		k.sees("call declined everywhere")
		k.leave()
	})
}

// Two calls: answering the second puts the first on hold, and they are swapped, joined, and connected with each other.
func TestStoryOfTwoCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := history.Open(filepath.Join(t.TempDir(), "history.db"), "sip:alice@"+testkit.Domain, slog.New(slog.DiscardHandler))
		defer store.Close()
		w := testkit.NewWorld(t)
		bob, carol := w.Endpoint("bob", testkit.Audio()), w.Endpoint("carol", testkit.Audio())
		alice := w.Endpoint("alice", testkit.Audio())
		k := sit(t, alice.Device(0), store)

		k.keys("/call bob\r")
		if err := bob.Device(0).ExpectCall("alice").Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		k.sees("[2] bob")
		x := carol.Device(0).Dial(alice)
		alice.Device(0).ExpectCall("carol")
		k.settle()
		k.sees("goes on hold")
		k.keys(f2)
		if err := x.Wait(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		k.settle()
		k.sees("HELD bob")
		k.keys("\x18n") // the next call, and resume it
		k.sees("[2] bob")
		k.keys(f4)
		time.Sleep(time.Second)
		k.settle()
		k.sees("HELD carol")
		k.keys("/conf\r")
		time.Sleep(time.Second)
		k.settle()
		k.sees("> bob, carol")
		k.sees("CONF")
		k.keys("/leave\r")
		time.Sleep(time.Second)
		k.settle()
		k.seesNot("CONF")
		k.keys("\x1b[18~") // F7
		k.sees("TRANSFER bob")
		k.sees("carol  on the line")
		k.keys("\r")
		time.Sleep(5 * time.Second)
		k.settle()
		k.seesNot("CALL")
		k.leave()
	})
}

// Function keys as a terminal sends them.
const (
	f2 = "\x1bOQ"
	f3 = "\x1bOR"
	f4 = "\x1bOS"
	f8 = "\x1b[19~"
)
