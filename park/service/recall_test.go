package service

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"offhook/internal/sipua"
	"offhook/park"
)

// Row 6: nobody has picked up: the parker's device rings, and has the caller back.
func TestPark6_RecallAnswered(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary := w.phone("bob"), w.phone("mary")
		p := w.park(bob, mary)
		began := time.Now()
		w.sleep(89 * time.Second)
		back := bob.answer()
		if waited := time.Since(began).Round(time.Second); waited != 90*time.Second {
			t.Errorf("rung back after %v", waited)
		}
		invite := back.request
		if from := invite.From(); from.DisplayName != "Park 701: Mary" || from.Address.User != "701" {
			t.Errorf("From: %v", from)
		}
		if got := who(t, invite); got != maryParty {
			t.Errorf("bob is told %v", got)
		}
		if h := invite.GetHeader("Alert-Info"); h == nil || h.Value() != "<urn:alert:service:recall:hold>" {
			t.Errorf("Alert-Info: %v", h)
		}
		if h := invite.GetHeader("Call-Info"); h == nil || !strings.Contains(h.Value(), p.safe) || !strings.Contains(h.Value(), "701") {
			t.Errorf("Call-Info: %v", h)
		}
		if h := invite.GetHeader(headerMark); h == nil || h.Value() != mark(invite.CallID().Value()) {
			t.Errorf("%s: %v", headerMark, h)
		}
		w.sleep(100 * time.Millisecond)
		if again := p.mary.lastInvite(); who(t, again).URI != bobParty.URI || isParked(again) {
			t.Errorf("mary is told %v", who(t, again))
		}
		understand(t, p.mary, back)
		w.orbit("701", park.Quarantine)
		w.expectUnparked(p.safe, park.Ringback, bobParty)
		back.hangUp()
		p.mary.expectEnd()
		w.noCalls()
	})
}

// Row 6: nobody is there: two attempts, then the fallback.
func TestPark6_RecallUnansweredFallback(t *testing.T) {
	var fallback string
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, carol := w.phone("bob"), w.phone("mary"), w.phone("carol")
		if carol.contact() != fallback {
			t.Fatalf("the fallback is %s", carol.contact())
		}
		p := w.park(bob, mary)
		bob.set(func() { bob.mute = true })
		for attempt := range 2 {
			w.sleep(90 * time.Second)
			w.orbit("701", park.Recalling)
			w.sleep(30 * time.Second)
			if reason := <-bob.canceled; reason.Cause != 0 {
				t.Errorf("attempt %d is canceled with %v", attempt, reason)
			}
		}
		c := carol.answer()
		if h := c.request.GetHeader("Call-Info"); h == nil || strings.Contains(h.Value(), p.safe) {
			t.Errorf("Call-Info: %v", h)
		}
		w.sleep(time.Second)
		w.orbit("701", park.Quarantine)
		w.expectUnparked(p.safe, park.Fallback, park.Party{URI: fallback})
		p.mary.alive()
		c.hangUp()
		p.mary.expectEnd()
		w.noCalls()
	}, func(c *Config) { fallback = "sip:carol@127.0.1.3:5060"; c.Lot.Fallback = fallback })
}

// Row 6: without a fallback the caller is sent home, with the reason.
func TestPark6_RecallUnansweredDropped(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary := w.phone("bob"), w.phone("mary")
		p := w.park(bob, mary)
		bob.set(func() { bob.mute = true })
		w.sleep(4*time.Minute + time.Second)
		if reason := p.mary.expectEnd(); reason.Cause != 480 || reason.Text != "Park time expired" {
			t.Errorf("mary is sent home with %v", reason)
		}
		w.expectUnparked(p.safe, park.Dropped, park.Party{})
		bob.refused(p.safe, park.ErrStaleOrbit)
		w.noCalls()
	})
}

// Row 6: a parker who forwards his calls has the caller back all the same, or not at all.
func TestPark6_RecallIgnoresForwarding(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary := w.phone("bob"), w.phone("mary")
		w.park(bob, mary)
		away := w.phone("away")
		bob.set(func() { bob.forward = away.contact() })
		w.sleep(91 * time.Second)
		w.orbit("701", park.Parked)
		if len(away.invites) != 0 {
			t.Error("the call went where bob's calls are forwarded to")
		}
		bob.set(func() { bob.forward = "" })
		w.sleep(89 * time.Second)
		bob.answer()
	})
}

// Row 6: the caller hangs up while the parker's device rings: it stops.
func TestPark6_CallerHangsUpDuringRecall(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary := w.phone("bob"), w.phone("mary")
		p := w.park(bob, mary)
		bob.set(func() { bob.mute = true })
		w.sleep(95 * time.Second)
		p.mary.hangUp()
		w.sleep(time.Second)
		if len(bob.canceled) != 1 {
			t.Error("it rings for nobody")
		}
		w.expectUnparked(p.safe, park.Abandoned, park.Party{})
		w.noCalls()
	})
}

// Rows 5 and 6: during a recall somebody else picks up. The parker's device stops ringing and shows that it was answered.
func TestPark5_RetrieveDuringRecall(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, carol := w.phone("bob"), w.phone("mary"), w.phone("carol")
		p := w.park(bob, mary)
		bob.set(func() { bob.mute = true })
		w.sleep(95 * time.Second)
		w.orbit("701", park.Recalling)
		c := carol.mustDial("701")
		if reason := <-bob.canceled; !reason.Elsewhere() {
			t.Errorf("bob's device is told %v", reason)
		}
		w.sleep(time.Second)
		understand(t, p.mary, c)
		w.expectUnparked(p.safe, park.Retrieved, carolParty)
	})
}

// Row 5: recall answered, somebody retrieving and the caller hanging up within some milliseconds, in every order: there is
// one winner, everybody else is told, and nothing is left.
func TestPark5_RecallAgainstRetrieveAgainstAbandon(t *testing.T) {
	type order struct{ answer, retrieve, abandon time.Duration }
	var orders []order
	for a := range time.Duration(4) {
		for r := range time.Duration(4) {
			for h := range time.Duration(4) {
				orders = append(orders, order{a * 3 * time.Millisecond, r * 3 * time.Millisecond, h * 3 * time.Millisecond})
			}
		}
	}
	for _, o := range orders {
		t.Run(fmt.Sprintf("%v %v %v", o.answer, o.retrieve, o.abandon), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				bob, mary, carol := w.phone("bob"), w.phone("mary"), w.phone("carol")
				p := w.park(bob, mary)
				w.sleep(90 * time.Second)
				var inv *sipua.Invite
				select {
				case inv = <-bob.invites:
				case <-time.After(patience):
					t.Fatal("bob's device does not ring")
				}
				go func() {
					time.Sleep(o.answer)
					if c, err := bob.tryAccept(inv); err == nil {
						c.expectEnd()
					}
				}()
				go func() {
					time.Sleep(o.retrieve)
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					defer cancel()
					if c, err := carol.dial(ctx, "701", nil); err == nil {
						c.expectEnd()
					}
				}()
				time.Sleep(o.abandon)
				p.mary.hangUp()
				w.sleep(10 * time.Second)
				w.orbit("701", park.Quarantine)
				w.noCalls()
				if _, over := w.service.DialogInfo(p.safe, 0); !over {
					t.Error("the park is not over")
				}
			})
		})
	}
}
