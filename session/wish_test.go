package session_test

import (
	"testing"
	"time"

	"offhook/internal/testkit"
	"offhook/internal/vnet"
	"offhook/session"
)

// wishes is what each of a user's devices believes the user wants.
func wishes(u *testkit.User) (all []string) {
	for _, d := range u.Devices() {
		a := d.Snapshot().Account
		all = append(all, a.Availability+" "+a.Note)
	}
	return all
}

func expectWish(t *testing.T, u *testkit.User, want string) {
	t.Helper()
	for i, got := range wishes(u) {
		if got != want {
			t.Errorf("device %d believes %q, want %q", i, got, want)
		}
	}
}

func setPresence(t *testing.T, d *testkit.Device, availability, note string) {
	t.Helper()
	if err := d.SetPresence(t.Context(), availability, note); err != nil {
		t.Fatal(err)
	}
}

// What is set on one device holds on all, the newest word counts, and then there is peace on the wire.
func TestAvailabilityFollowsTheUser(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob", testkit.Devices(3))
		if err := alice.Device(0).Watch(bob.AOR()); err != nil {
			t.Fatal(err)
		}
		// The clock of device 2 is an hour behind: what is said there later is later all the same.
		skewClock(w.Net, bob.Device(2).Host, -time.Hour)
		for i, tt := range []struct{ availability, note string }{
			{"busy", "writing"}, {"dnd", ""}, {"available", ""}, {"away", "lunch"}, {"available", "back"}, {"offline", ""}, {"available", ""},
		} {
			setPresence(t, bob.Device(i%3), tt.availability, tt.note)
			w.Sleep(2 * time.Second)
			expectWish(t, bob, tt.availability+" "+tt.note)
			p, err := alice.Device(0).Presence(t.Context(), "bob")
			if err != nil || p.Availability != tt.availability || p.Note != tt.note {
				t.Errorf("alice sees %+v, %v, want %v", p, err, tt)
			}
		}
		before := w.Net.Stats().Sent
		w.Sleep(20 * time.Second)
		if sent := w.Net.Stats().Sent - before; sent > 10 {
			t.Errorf("%d packets while nothing happens", sent)
		}
	})
}

// A wish outlives the device on which it was made, and who signs in later learns of it.
func TestWishOutlivesItsDevice(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		bob := w.Endpoint("bob", testkit.Devices(2))
		setPresence(t, bob.Device(0), "dnd", "exam")
		w.Sleep(2 * time.Second)
		bob.Device(0).Close()
		w.Sleep(time.Second)
		late := bob.AddDevice()
		late.SignIn()
		w.Sleep(2 * time.Second)
		if a := late.Snapshot().Account; a.Availability != "dnd" || a.Note != "exam" {
			t.Errorf("the new device believes %+v", a)
		}
	})
}

// Do-not-disturb on one device holds on all: no toast, no election, on record as missed.
func TestDoNotDisturbOnOneHoldsOnAll(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob", testkit.Devices(3))
		setPresence(t, bob.Device(1), "dnd", "")
		w.Sleep(2 * time.Second)
		alice.IM(bob, "urgent").Expect(session.Delivered)
		w.Sleep(time.Minute)
		for _, d := range bob.Devices() {
			d.ExpectNoToast()
			if m := lastRecord(t, d, "urgent"); !m.Missed {
				t.Errorf("%s: %+v", d.Name, m)
			}
		}
		bob.ExpectJournaled("urgent")
	})
}

// Two devices are told different things in the same moment, on links that are slow and lose: they agree in the end.
func TestWishesAtOnce(t *testing.T) {
	for seed := range uint64(10) {
		story(t, func(t *testing.T, w *testkit.World) {
			bob := w.Endpoint("bob", testkit.Devices(3))
			w.Net.Default(vnet.Link{Delay: 40 * time.Millisecond, Jitter: 60 * time.Millisecond, Loss: 0.1})
			done := make(chan error, 2)
			for i, availability := range []string{"busy", "away"} {
				go func() { done <- bob.Device(i).SetPresence(t.Context(), availability, "") }()
			}
			for range 2 {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			bob.Device(2).Input(0)
			w.Sleep(20 * time.Second)
			got := wishes(bob)
			if got[0] != got[1] || got[1] != got[2] || got[0] == "available " {
				t.Errorf("seed %d: they believe %q", seed, got)
			}
		}, testkit.Seed(seed))
	}
}

// Presence crosses the server: availability, note, devices.
func TestPresenceIsWatched(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob", testkit.Devices(2))
		if err := alice.Device(0).Watch(bob.AOR()); err != nil {
			t.Fatal(err)
		}
		is := func(availability, note string) func(session.PresenceChanged) bool {
			return func(p session.PresenceChanged) bool {
				return p.URI == bob.AOR() && p.Availability == availability && p.Note == note
			}
		}
		testkit.Await(alice.Device(0), 5*time.Second, is("available", ""))
		if err := bob.Device(0).SetPresence(t.Context(), "busy", "in a meeting"); err != nil {
			t.Fatal(err)
		}
		testkit.Await(alice.Device(0), 5*time.Second, is("busy", "in a meeting"))
		p, err := alice.Device(0).Presence(t.Context(), "bob")
		if err != nil || p.Availability != "busy" {
			t.Errorf("%+v, %v", p, err)
		}
		own := bob.Device(0).Snapshot().Account
		if len(own.Devices) != 2 || !own.Devices[0].Self || own.Devices[0].Class != "active" || own.Endpoints != 2 {
			t.Errorf("account %+v", own)
		}
		for _, d := range bob.Devices() {
			d.Close()
		}
		testkit.Await(alice.Device(0), 5*time.Second, is("offline", ""))
	})
}
