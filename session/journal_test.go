package session_test

import (
	"errors"
	"testing"
	"time"

	"offhook/internal/testkit"
	"offhook/session"
)

// What cannot be recorded is shown and not acknowledged: the server keeps it, and brings it again when there is room.
func TestJournalFails(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob")
		d := bob.Device(0)
		d.Journal.Fail(errors.New("disk full"))
		alice.IM(bob, "hello").Expect(session.Sent)
		alice.IM(bob, longText).Expect(session.Sent)
		if h := testkit.Await[session.HealthChanged](d, time.Second, nil); h.Code != "journal" || h.Cleared {
			t.Errorf("health %+v", h)
		}
		w.Sleep(time.Minute)
		if m := lastRecord(t, d, "hello"); !m.Missed || len(inbound(d)) != 3 || inbound(d)[2].Text != longText {
			t.Errorf("shown: %+v", inbound(d))
		}
		if n := len(bob.Established()); n != 0 {
			t.Error("it took a session")
		}
		d.Journal.Fail(nil)
		w.Sleep(10 * time.Minute) // the registration is refreshed
		if len(inbound(d)) != 3 || d.Journal.Count("hello") != 1 || d.Journal.Count(longText) != 1 {
			t.Errorf("shown %+v, on record %+v", inbound(d), d.Journal.Messages())
		}
		testkit.Await(d, time.Second, func(h session.HealthChanged) bool { return h.Code == "journal" && h.Cleared })
		alice.IM(bob, "again").Expect(session.Delivered)
	})
}

// A device that cannot write leaves the session to one that can.
func TestJournalFailsOnOneDevice(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob", testkit.Devices(2))
		bob.Device(0).Journal.Fail(errors.New("disk full")) // the most active one
		alice.IM(bob, "hello").Expect(session.Delivered)
		w.Sleep(time.Second)
		if winner := bob.ExpectOne(); winner != bob.Device(1) || winner.Journal.Count("hello") != 1 {
			t.Errorf("%s has the session", winner.Name)
		}
		bob.Device(0).ExpectMessage("alice", "hello")
	})
}
