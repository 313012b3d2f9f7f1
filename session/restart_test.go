package session_test

import (
	"testing"
	"time"

	"offhook/internal/testkit"
	"offhook/session"
)

// The server restarts, from what it has on disk, while a session is up and presence is watched. The session goes on as
// if nothing had been; the first text of another session reaches everybody; what devices tell each other is back as soon
// as one of them learns of it.
func TestServerRestartsUnderASession(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob", testkit.Devices(2))
		carol := w.Endpoint("carol")
		alice.IM(bob, "before")
		d := bob.Device(1)
		call, _ := d.FindToast(d.ExpectToast("alice", "before").Toast)
		if err := call.Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.Sleep(time.Second)
		w.StopServer()
		w.Sleep(3 * time.Second)
		w.StartServer()
		began := time.Now()
		alice.IM(bob, "after").Expect(session.Delivered)
		if took := time.Since(began); took > time.Second {
			t.Errorf("the text in the session took %v", took)
		}
		if winner := bob.ExpectOne(); winner != d || d.Journal.Count("after") != 1 {
			t.Errorf("%s has the session", winner.Name)
		}
		carol.IM(bob, "new").Expect(session.Delivered)
		w.Sleep(30 * time.Second)
		for _, d := range bob.Devices() {
			if d.Journal.Count("new") != 1 {
				t.Errorf("%s has the new text %d times", d.Name, d.Journal.Count("new"))
			}
		}
		// Somebody uses a device: it finds its publication unknown, makes a new one, and all are back.
		bob.Device(0).Input(0)
		w.Sleep(time.Minute)
		for _, d := range bob.Devices() {
			if a := d.Snapshot().Account; len(a.Devices) != 2 || a.Devices[0].Name != "bob-0" || !a.Registered {
				t.Errorf("%s knows %+v", d.Name, a)
			}
		}
	}, testkit.StateDir(t.TempDir()))
}

// The server goes away and comes back without memory: everything is as before, by itself.
func TestServerRestarts(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob", testkit.Devices(2))
		w.StopServer()
		w.Sleep(11 * time.Minute)
		testkit.Await(bob.Device(0), time.Second, func(h session.HealthChanged) bool { return h.Code == "unregistered" })
		w.StartServer()
		w.Sleep(35 * time.Minute)
		testkit.Await(bob.Device(0), time.Second, func(h session.HealthChanged) bool { return h.Code == "unregistered" && h.Cleared })
		bob.Device(1).Input(0)
		w.Sleep(15 * time.Second)
		alice.IM(bob, "hello").Expect(session.Delivered)
		w.Sleep(20 * time.Second)
		if winner := bob.ExpectOne(); winner != bob.Device(1) {
			t.Errorf("%s has the session", winner.Name)
		}
	})
}
