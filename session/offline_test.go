package session_test

import (
	"errors"
	"testing"
	"time"

	"offhook/internal/testkit"
	"offhook/session"
)

// outbound lists what a device told of its own texts with this text, in order.
func outbound(d *testkit.Device, text string) (all []session.Message) {
	for _, m := range testkit.All[session.MessageChanged](d) {
		if m.Direction == session.Outbound && m.Text == text {
			all = append(all, m.Message)
		}
	}
	return all
}

// The server is away when texts are written, known to be so or not. They wait, say so, and go out once, in order, when it
// is back.
func TestTextsWaitForTheServer(t *testing.T) {
	for name, away := range map[string]time.Duration{
		"not noticed yet": 0, "noticed": 11 * time.Minute,
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, w *testkit.World) {
				alice, bob := w.Endpoint("alice"), w.Endpoint("bob")
				w.StopServer()
				w.Sleep(away)
				first := alice.IM(bob, "one")
				w.Sleep(10 * time.Millisecond)
				second := alice.IM(bob, "two")
				w.Sleep(50 * time.Second)
				told := outbound(alice.Device(0), "one")
				if last := told[len(told)-1]; last.Status != session.Sending || !last.Waiting {
					t.Errorf("without a server: %+v", last)
				}
				w.StartServer()
				m, _ := first.Wait()
				n, _ := second.Wait()
				if m.Status == session.Failed || n.Status == session.Failed || m.Waiting || n.Waiting {
					t.Errorf("%+v\n%+v", m, n)
				}
				if took := first.Since(); took > 3*time.Minute {
					t.Errorf("it took %v", took)
				}
				w.Sleep(15 * time.Minute) // bob's registration is refreshed, whatever was stored is delivered
				got := bob.Device(0).Journal.Messages()
				if len(got) != 2 || got[0].Text != "one" || got[1].Text != "two" {
					t.Errorf("bob has %+v", got)
				}
			})
		})
	}
}

// In a session, too.
func TestTextInASessionWaitsForTheServer(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob")
		alice.IM(bob, "one").Expect(session.Delivered)
		w.Net.Cut(w.ServerHost)
		sent := alice.IM(bob, "two")
		w.Sleep(55 * time.Second)
		w.Net.Heal(w.ServerHost)
		sent.Expect(session.Delivered)
		w.Sleep(time.Minute)
		if n := bob.Device(0).Journal.Count("two"); n != 1 {
			t.Errorf("it came %d times", n)
		}
	})
}

// Somebody who writes before the first registration has come through has not written in vain.
func TestTextBeforeSigningIn(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice", testkit.Absent()), w.Endpoint("bob")
		alice.Device(0).Start()
		alice.IM(bob, "hello").Expect(session.Delivered)
	})
}

// The server does not come back: after five minutes the text has failed, with the reason, and is not sent later.
func TestTextFailsWithoutServer(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice"), w.Endpoint("bob")
		w.StopServer()
		sent := alice.IM(bob, "hello")
		m, err := sent.Wait()
		if took := sent.Since(); took < 5*time.Minute || took > 6*time.Minute {
			t.Errorf("failed after %v", took)
		}
		var e *session.Error
		if !errors.As(err, &e) || e.Kind != session.KindUnreachable || m.Status != session.Failed || m.Waiting || m.Error == "" {
			t.Errorf("%+v, %v", m, err)
		}
		w.StartServer()
		w.Sleep(40 * time.Minute)
		if n := bob.Device(0).Journal.Count("hello"); n != 0 {
			t.Error("it went out after all")
		}
	})
}
