package session_test

import (
	"sync/atomic"
	"testing"
	"time"

	"offhook/internal/testkit"
	"offhook/session"
)

// The lid is closed while the toast is up and opened an hour later. Timers go on where they stopped; the device must not
// accept a call that is long over, nor hold up the others.
func TestAsleepWhileTheToastIsUp(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob", testkit.Devices(2))
		d := bob.Device(0) // the most active one
		var slept atomic.Int64
		d.SetWall(func() time.Time { return time.Now().Round(0).Add(time.Duration(slept.Load())) })
		sent := alice.IM(bob, "hello")
		d.ExpectToast("alice", "hello")
		w.Sleep(5 * time.Second)
		slept.Store(int64(time.Hour))
		w.Sleep(2 * time.Second)
		if closed := d.ExpectToastClosed("missed"); closed.By != "" {
			t.Errorf("%+v", closed)
		}
		if m := lastRecord(t, d, "hello"); !m.Missed || m.Elsewhere {
			t.Errorf("%+v", m)
		}
		w.Sleep(15 * time.Second)
		if winner := bob.ExpectOne(); winner != bob.Device(1) {
			t.Errorf("%s has the session", winner.Name)
		}
		sent.Expect(session.Delivered)
		if n := len(testkit.All[session.AutoAccept](d)); n != 0 {
			t.Error("it wanted to accept")
		}
	})
}

// A short pause of the machine changes nothing.
func TestShortSleepDoesNotMatter(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob", testkit.Devices(2))
		d := bob.Device(0)
		var slept atomic.Int64
		d.SetWall(func() time.Time { return time.Now().Round(0).Add(time.Duration(slept.Load())) })
		alice.IM(bob, "hello")
		w.Sleep(5 * time.Second)
		slept.Store(int64(20 * time.Second))
		w.Sleep(10 * time.Second)
		if winner := bob.ExpectOne(); winner != d {
			t.Errorf("%s has the session", winner.Name)
		}
	})
}
