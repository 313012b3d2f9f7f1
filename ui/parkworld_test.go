package ui

import (
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"offhook/internal/history"
	"offhook/internal/testkit"
	"offhook/session"
)

// parkDesk is alice at her desk, in a call that bob has made.
func parkDesk(t *testing.T) (k *desk, alice *testkit.User, carol *testkit.User, w *testkit.World) {
	t.Helper()
	store := history.Open(filepath.Join(t.TempDir(), "history.db"), "sip:alice@"+testkit.Domain, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { store.Close() })
	w = testkit.NewWorld(t)
	bob := w.Endpoint("bob", testkit.Audio(), testkit.Configure(func(_ int, cfg *session.Config) { cfg.DisplayName = "Bob Martin" }))
	carol = w.Endpoint("carol", testkit.Audio())
	alice = w.Endpoint("alice", testkit.Audio(), testkit.Configure(func(_ int, cfg *session.Config) { cfg.Journal = store }))
	k = sit(t, alice.Device(0), store)
	x := bob.Device(0).Dial(alice)
	time.Sleep(2 * time.Second)
	k.keys(f2)
	if err := x.Wait(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second)
	k.settle()
	k.sees("F5 Park")
	return k, alice, carol, w
}

// A call is parked with one key, is on the board, others are told of it, and one of them picks it up.
func TestStoryOfPark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, _, carol, _ := parkDesk(t)
		there := sit(t, carol.Device(0), k.store)
		k.keys("half a wo")
		k.keys(f5)
		time.Sleep(time.Second)
		k.settle()
		k.sees("PARKED 701  Bob Martin")
		k.sees("half a wo")
		k.sees("PARKED 1 mine")
		k.sees("PARK│")
		k.sees("Parked 1, next 1:")
		time.Sleep(8 * time.Second)
		k.settle()
		k.seesNot("Ctrl-X B tell others   1:")
		k.keys(f9)
		k.sees("PARK BOARD")
		k.sees("> 701")
		k.sees("orbits 701-720")
		k.sees("safe pick-up: yes")
		k.keys("norder 77\r")
		k.sees("order 77")
		k.keys("t" + "carol@" + testkit.Domain + "\r")
		time.Sleep(2 * time.Second)
		k.settle()
		k.sees("told: carol")

		there.settle()
		there.sees("PARK 701 told by alice")
		there.sees("F2 pick up 701")
		there.keys(f6)
		there.sees("> 701")
		there.keys("\x1b")
		there.keys(f2)
		time.Sleep(2 * time.Second)
		there.settle()
		there.sees("> Bob Martin 00:0")
		there.sees("IN CALL")

		k.settle()
		k.sees("RECENT")
		k.sees("picked up by carol")
		k.keys("q")
		k.sees("picked up by ")
		k.sees("half a wo")
		there.leave()
		k.leave()
	})
}

// Nobody picks up: the call comes back, says so, and is answered.
func TestStoryOfRingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, _, _, _ := parkDesk(t)
		k.keys("\x18p")
		time.Sleep(time.Second)
		k.settle()
		k.sees("PARKED 701  Bob Martin")
		time.Sleep(80 * time.Second)
		k.settle()
		k.sees("! 701")
		time.Sleep(12 * time.Second)
		k.settle()
		k.sees("BACK from park 701, waited 1:30")
		k.sees("Bob Martin")
		k.keys(f2)
		time.Sleep(2 * time.Second)
		k.settle()
		k.sees("IN CALL 00:0")
		k.sees("came back to you after 1:3")
		k.seesNot("PARKED 1 mine")
		k.keys(f9)
		k.sees("rang back, answered here")
		k.keys(f9)
		k.leave()
	})
}

// The parker takes the call back, which no other caller can be in the way of.
func TestStoryOfTakingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, _, _, _ := parkDesk(t)
		k.keys(f5)
		time.Sleep(time.Second)
		k.settle()
		k.keys(f6)
		k.sees("mine, safe")
		k.keys("\r")
		time.Sleep(2 * time.Second)
		k.settle()
		k.sees("> Bob Martin 00:0")
		k.sees("picked up by you after 0:0")
		k.sees("TALK│")
		k.seesNot("PARKED 1 mine")
		k.leave()
	})
}

// Function keys as a terminal sends them.
const (
	f5 = "\x1b[15~"
	f6 = "\x1b[17~"
	f9 = "\x1b[20~"
)
