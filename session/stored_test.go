package session_test

import (
	"testing"
	"time"

	"offhook/internal/testkit"
	"offhook/session"
)

// Nobody is there: stored by the server, delivered later, once, in order, with the time of writing.
func TestStoredAndDeliveredLater(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob")
		bob.Device(0).Close()
		written := time.Now()
		alice.IM(bob, "one").Expect(session.Sent)
		alice.IM(bob, "two").Expect(session.Sent)
		w.Sleep(time.Hour)
		d := bob.AddDevice()
		d.SignIn()
		for _, text := range []string{"one", "two"} {
			m := d.ExpectMessage("alice", text)
			if off := m.Time.Sub(written); off < -time.Second || off > 2*time.Minute {
				t.Errorf("%q has the time %v, written %v", text, m.Time, written)
			}
		}
		w.Sleep(time.Minute)
		if got := d.Journal.Messages(); len(got) != 2 || got[0].Text != "one" || got[1].Text != "two" {
			t.Errorf("journal %+v", got)
		}
	})
}

// All machines are dead and the server does not know it yet: the text waits for the first that comes back.
func TestAllDevicesAreDead(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob", testkit.Devices(2))
		for _, d := range bob.Devices() {
			d.Cut()
		}
		alice.IM(bob, "hello").Expect(session.Sent)
		bob.Device(1).Heal()
		w.Sleep(15 * time.Minute) // the registration is refreshed
		if n := bob.Device(1).Journal.Count("hello"); n != 1 {
			t.Errorf("the text came %d times", n)
		}
	})
}
