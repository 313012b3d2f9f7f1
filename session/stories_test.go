package session_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"offhook/internal/sipua"
	"offhook/internal/testkit"
	"offhook/internal/vnet"
	"offhook/session"
)

// Stories through the real server, in fake time.

func story(t *testing.T, tell func(t *testing.T, w *testkit.World), opts ...testkit.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { tell(t, testkit.NewWorld(t, opts...)) })
}

// established is when a device's session was Established, after began.
func established(d *testkit.Device, began time.Time) (time.Duration, bool) {
	for _, s := range d.Seen() {
		if ev, ok := s.Event.(session.CallStateChanged); ok && ev.State == session.Established {
			return s.At.Sub(began), true
		}
	}
	return 0, false
}

// lastRecord is what is finally said of an inbound text.
func lastRecord(t *testing.T, d *testkit.Device, text string) session.Message {
	t.Helper()
	var last session.Message
	for _, m := range testkit.All[session.MessageChanged](d) {
		if m.Direction == session.Inbound && m.Text == text {
			last = m.Message
		}
	}
	if last.Text == "" {
		t.Errorf("%s has no record of %q", d.Name, text)
	}
	return last
}

// One endpoint: accepted at once, no toast, no election.
func TestSoleEndpointAcceptsAtOnce(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob")
		began := time.Now()
		alice.IM(bob, "hello").Expect(session.Delivered)
		w.Sleep(time.Second)
		only := bob.Device(0)
		auto := only.ExpectAutoAccept()
		if !auto.Immediate || auto.Elected || auto.Rank != nil {
			t.Errorf("auto accept %+v", auto)
		}
		if at, ok := established(only, began); !ok || at > time.Second {
			t.Errorf("established after %v, %v", at, ok)
		}
		only.ExpectNoToast()
		if n := len(testkit.All[session.AutoAccept](only)); n != 1 {
			t.Errorf("auto accept was told %d times", n)
		}
		bob.ExpectJournaled("hello")
	})
}

// A message that comes in the moment after signing in waits for the count rather than for ten seconds.
func TestSoleEndpointRightAfterSigningIn(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob", testkit.Absent())
		bob.Device(0).SignIn()
		began := time.Now()
		alice.IM(bob, "hello").Expect(session.Delivered)
		if took := time.Since(began); took > time.Second {
			t.Errorf("accepted after %v", took)
		}
		bob.Device(0).ExpectNoToast()
	})
}

// Three endpoints, nobody clicks: the one that was used last accepts, and only that one.
func TestMostActiveEndpointIsElected(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob", testkit.Devices(3))
		w.Sleep(10 * time.Second)
		bob.Device(1).Input(0) // used last
		w.Sleep(time.Second)
		began := time.Now()
		sent := alice.IM(bob, "hello")
		for i, d := range bob.Devices() {
			shown := d.ExpectToast("alice", "hello")
			if shown.MostActive != "bob-1" || shown.ThisDevice != (i == 1) || len(shown.Devices) != 3 {
				t.Errorf("%s shows %+v", d.Name, shown)
			}
			if in := shown.Deadline.Sub(began); in < 10*time.Second || in > 10100*time.Millisecond {
				t.Errorf("%s: the window ends in %v", d.Name, in)
			}
		}
		w.Sleep(9 * time.Second)
		if n := len(bob.Established()); n != 0 {
			t.Fatalf("%d accepted before the window was over", n)
		}
		sent.Expect(session.Delivered)
		w.Sleep(20 * time.Second)
		winner := bob.ExpectOne()
		if winner != bob.Device(1) {
			t.Errorf("%s has the session", winner.Name)
		}
		if at, _ := established(winner, began); at < 10*time.Second || at > 11500*time.Millisecond {
			t.Errorf("accepted after %v", at)
		}
		if auto := winner.ExpectAutoAccept(); !auto.Elected || auto.Immediate || auto.Rank == nil || *auto.Rank != 0 {
			t.Errorf("auto accept %+v", auto)
		}
		winner.ExpectToastClosed("auto_accepted")
		if m := lastRecord(t, winner, "hello"); !m.Missed || m.Elsewhere {
			t.Errorf("on the elected device: %+v", m)
		}
		for _, d := range []*testkit.Device{bob.Device(0), bob.Device(2)} {
			if closed := d.ExpectToastClosed("answered_elsewhere"); closed.By != "bob-1" {
				t.Errorf("%s: %+v", d.Name, closed)
			}
			if m := lastRecord(t, d, "hello"); m.Missed || !m.Elsewhere {
				t.Errorf("on %s: %+v", d.Name, m)
			}
			if len(testkit.All[session.AutoAccept](d)) != 0 {
				t.Errorf("%s wanted to accept", d.Name)
			}
		}
		bob.ExpectJournaled("hello")
		if n := len(testkit.All[session.CallRinging](alice.Device(0))); n != 1 {
			t.Errorf("alice was told of ringing %d times", n)
		}
	})
}

// A click on the least active device decides at once.
func TestClickWins(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob", testkit.Devices(3))
		began := time.Now()
		alice.IM(bob, "hello")
		least := bob.Device(2)
		shown := least.ExpectToast("alice", "hello")
		w.Sleep(3*time.Second - time.Since(began))
		call, ok := least.FindToast(shown.Toast)
		if !ok {
			t.Fatal("no call for the toast")
		}
		if err := call.Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.Sleep(20 * time.Second)
		if winner := bob.ExpectOne(); winner != least {
			t.Errorf("%s has the session", winner.Name)
		}
		if at, _ := established(least, began); at < 3*time.Second || at > 3100*time.Millisecond {
			t.Errorf("established after %v", at)
		}
		for _, d := range bob.Devices()[:2] {
			if closed := d.ExpectToastClosed("answered_elsewhere"); closed.By != "bob-2" {
				t.Errorf("%s: taken by %q", d.Name, closed.By)
			}
		}
		if m := lastRecord(t, least, "hello"); m.Missed || m.Elsewhere {
			t.Errorf("after the click: %+v", m)
		}
		bob.ExpectJournaled("hello")
	})
}

// The elected device dies at 5 s: the next one takes over by 14 s.
func TestElectedEndpointDies(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob", testkit.Devices(3))
		began := time.Now()
		sent := alice.IM(bob, "hello")
		w.Sleep(5 * time.Second)
		bob.Device(0).Cut()
		w.Sleep(9 * time.Second)
		winner := bob.ExpectOne()
		if winner != bob.Device(1) {
			t.Errorf("%s has the session", winner.Name)
		}
		if at, _ := established(winner, began); at < 12*time.Second || at > 14*time.Second {
			t.Errorf("accepted after %v", at)
		}
		sent.Expect(session.Delivered)
	})
}

// Without device state each endpoint goes by its own idle time: exactly one session within 18 s.
func TestWithoutPublication(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob", testkit.Devices(3), testkit.Silent())
		sent := alice.IM(bob, "hello")
		for _, d := range bob.Devices() {
			if shown := d.ExpectToast("alice", "hello"); shown.MostActive != "" || shown.ThisDevice {
				t.Errorf("%s claims to know who will accept: %+v", d.Name, shown)
			}
		}
		w.Sleep(18 * time.Second)
		bob.ExpectOne()
		sent.Expect(session.Delivered)
		bob.ExpectJournaled("hello")
	})
}

// The user walks to another device while the toast is up: that one is elected, and not for the mere walking.
func TestActivityDuringTheWindow(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob", testkit.Devices(3))
		alice.IM(bob, "hello")
		w.Sleep(5 * time.Second)
		bob.Device(2).Input(0)
		w.Sleep(4 * time.Second)
		if n := len(bob.Established()); n != 0 {
			t.Errorf("%d accepted on mere activity", n)
		}
		w.Sleep(4 * time.Second)
		if winner := bob.ExpectOne(); winner != bob.Device(2) {
			t.Errorf("%s has the session", winner.Name)
		}
	})
}

// A screen that nobody sees is not active, however lately it was used.
func TestDetachedIsNotActive(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob", testkit.Devices(2))
		bob.Device(0).Attached(false)
		w.Sleep(time.Second)
		alice.IM(bob, "hello")
		w.Sleep(13 * time.Second)
		if winner := bob.ExpectOne(); winner != bob.Device(1) {
			t.Errorf("%s has the session", winner.Name)
		}
	})
}

// Two people, or one with two hands, click at the same moment.
func TestTwoAcceptAtOnce(t *testing.T) {
	for shift := range 8 {
		story(t, func(t *testing.T, w *testkit.World) {
			alice, bob := w.Endpoint("alice"), w.Endpoint("bob", testkit.Devices(2))
			sent := alice.IM(bob, "hello")
			var calls []session.Call
			for _, d := range bob.Devices() {
				call, _ := d.FindToast(d.ExpectToast("alice", "hello").Toast)
				calls = append(calls, call)
			}
			var wg sync.WaitGroup
			for i, call := range calls {
				wg.Go(func() {
					time.Sleep(time.Duration(i*shift) * time.Millisecond)
					_ = call.Accept(t.Context()) // one of them fails, or wins and is told later
				})
			}
			wg.Wait()
			w.Sleep(40 * time.Second)
			winner := bob.ExpectOne()
			sent.Expect(session.Delivered)
			for _, d := range bob.Devices() {
				if m := lastRecord(t, d, "hello"); m.Elsewhere != (d != winner) || m.Missed {
					t.Errorf("shift %d ms: on %s: %+v", shift, d.Name, m)
				}
			}
			if n := len(testkit.All[session.Notice](bob.Devices()[slices.IndexFunc(bob.Devices(), func(d *testkit.Device) bool { return d != winner })])); n != 1 {
				t.Errorf("shift %d ms: the loser was told %d times", shift, n)
			}
		})
	}
}

// Do not disturb on all devices: recorded as missed, nothing is shown twice although the text comes again by pager.
func TestDoNotDisturbEverywhere(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob", testkit.Devices(2))
		for _, d := range bob.Devices() {
			if err := d.SetPresence(t.Context(), "dnd", ""); err != nil {
				t.Fatal(err)
			}
		}
		alice.IM(bob, "urgent").Expect(session.Delivered)
		w.Sleep(time.Minute)
		for _, d := range bob.Devices() {
			d.ExpectNoToast()
			if d.Journal.Count("urgent") != 1 || len(testkit.All[session.MessageChanged](d)) != 1 {
				t.Errorf("%s: %+v", d.Name, testkit.All[session.MessageChanged](d))
			}
			if m := lastRecord(t, d, "urgent"); !m.Missed {
				t.Errorf("%s: %+v", d.Name, m)
			}
		}
	})
}

// Declining here leaves the call with the others; declining everywhere ends it.
func TestDeclineHereAndEverywhere(t *testing.T) {
	for _, everywhere := range []bool{false, true} {
		story(t, func(t *testing.T, w *testkit.World) {
			alice, bob := w.Endpoint("alice"), w.Endpoint("bob", testkit.Devices(2))
			sent := alice.IM(bob, "hello")
			first := bob.Device(0)
			call, _ := first.FindToast(first.ExpectToast("alice", "hello").Toast)
			if err := call.Decline(t.Context(), everywhere); err != nil {
				t.Fatal(err)
			}
			w.Sleep(20 * time.Second)
			if everywhere {
				m, err := sent.Wait()
				var e *session.Error
				if !errors.As(err, &e) || e.Kind != session.KindDeclined || m.Status != session.Failed {
					t.Errorf("%+v, %v", m, err)
				}
				if n := len(bob.Established()); n != 0 {
					t.Errorf("%d sessions", n)
				}
				closed := testkit.Await(bob.Device(1), testkit.Patience, func(session.ToastClosed) bool { return true })
				if closed.Reason != "declined" {
					t.Errorf("the other device's toast is closed as %s", closed.Reason)
				}
				return
			}
			if winner := bob.ExpectOne(); winner != bob.Device(1) {
				t.Errorf("%s has the session", winner.Name)
			}
		})
	}
}

// A conversation that goes on here stays here: the peer's new session is accepted at once where the old one was.
func TestNewSessionInAGoingConversation(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice", testkit.Devices(2)), w.Endpoint("bob", testkit.Devices(2))
		alice.Device(0).IM(bob, "from the desk")
		d := bob.Device(1)
		call, _ := d.FindToast(d.ExpectToast("alice", "from the desk").Toast)
		if err := call.Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.Sleep(5 * time.Second)
		began := time.Now()
		alice.Device(1).IM(bob, "from the laptop").Expect(session.Delivered)
		if took := time.Since(began); took > time.Second {
			t.Errorf("accepted after %v", took)
		}
		w.Sleep(20 * time.Second)
		if winner := bob.ExpectOne(); winner != d {
			t.Errorf("%s has the session", winner.Name)
		}
	})
}

// Closing with a dead server takes no longer than it may.
func TestCloseWithDeadServer(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob")
		alice.IM(bob, "hello").Expect(session.Delivered)
		w.Net.Cut(w.ServerHost)
		began := time.Now()
		alice.Device(0).Close()
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("closing took %v", took)
		}
	})
}

// A wrong password is an answer, not a reason to wait.
func TestRegistrationRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := vnet.New()
		registrar := newCaller(t, n, "nobody", "127.0.0.9", nil) // knows no REGISTER: 405
		e, err := session.New(session.Config{
			AOR: "sip:alice@example.test", Server: "sip:127.0.0.9:5062;transport=udp", ListenPacket: n.ListenPacket,
			Listen: []sipua.Listener{{Network: "udp", Address: "127.0.1.1:5062"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		_ = registrar
		if err := e.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if s := e.Snapshot(); s.Account.Registered || len(s.Health) != 1 || s.Health[0].Code != "unregistered" {
			t.Errorf("%+v", s)
		}
		if err := e.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A call to another address than the conversation's, with a toast.
func TestEstablishWithDestination(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob")
		conv, err := alice.Device(0).Conversation("sip:helpdesk@" + testkit.Domain)
		if err != nil {
			t.Fatal(err)
		}
		call := conv.NewIM()
		opt := session.EstablishOptions{Destination: bob.AOR(), Toast: &session.ToastMessage{ContentType: "text/plain", Text: "hello"}}
		if err := call.Establish(t.Context(), opt); err != nil || call.State() != session.Established {
			t.Fatalf("%v, %s", err, call.State())
		}
		bob.Device(0).ExpectMessage("alice", "hello")
		if conv.State() != session.ConversationActive {
			t.Errorf("conversation %s", conv.State())
		}
	})
}
