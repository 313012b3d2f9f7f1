package service

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sdp"
	"offhook/internal/sipua"
	"offhook/park"
)

// Row 5: of two who retrieve at once one has the caller; the other one is told that it was too late.
func TestPark5_TwoRetrievers(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, carol := w.phone("bob"), w.phone("mary"), w.phone("carol")
		p := w.park(bob, mary)
		results := make(chan error, 2)
		var both sync.WaitGroup
		for user, ph := range map[string]*phone{p.orbit: carol, p.safe: bob} {
			both.Go(func() {
				_, err := ph.dial(t.Context(), user, nil)
				results <- err
			})
		}
		both.Wait()
		a, b := <-results, <-results
		if (a == nil) == (b == nil) {
			t.Fatalf("%v and %v", a, b)
		}
		if lost := errors.Join(a, b); failure(lost) != park.ErrOccupied && failure(lost) != park.ErrStaleOrbit {
			t.Errorf("who was too late was told %v", lost)
		}
		p.mary.hangUp()
		w.sleep(time.Second)
		w.noCalls()
	})
}

// Row 5: a retriever who gives up leaves the caller parked.
func TestPark5_RetrieverCancels(t *testing.T) {
	for name, slow := range map[string]time.Duration{"before the caller answers": 300 * time.Millisecond, "as he answers": 0} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				bob, mary, carol := w.phone("bob"), w.phone("mary"), w.phone("carol")
				p := w.park(bob, mary)
				w.net.Link(mary.at.Addr(), serviceAddr, link(slow))
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
				defer cancel()
				if c, err := carol.dial(ctx, "701", nil); err == nil {
					t.Fatalf("carol has %v", c.dialog.ID())
				}
				w.sleep(3 * time.Second)
				o := w.orbit("701", park.Parked)
				if left := time.Until(o.RingBack); left < 10*time.Second {
					t.Errorf("%v are left", left)
				}
				p.mary.alive()
				if !isParked(p.mary.lastInvite()) {
					t.Error("mary is not told that she is parked on")
				}
				c := carol.mustDial(p.safe)
				understand(t, p.mary, c)
			})
		})
	}
}

// Row 5: who hangs up soon has had the call all the same.
func TestPark5_RetrieverHangsUpSoon(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, carol := w.phone("bob"), w.phone("mary"), w.phone("carol")
		w.park(bob, mary)
		c := carol.mustDial("701")
		time.Sleep(meant / 4)
		c.hangUp()
		w.sleep(time.Second)
		w.orbit("701", park.Quarantine)
		w.noCalls()
	})
}

// Row 5: a re-INVITE that crosses one of the caller's (491) is made again.
func TestPark5_Glare(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, carol := w.phone("bob"), w.phone("mary"), w.phone("carol")
		p := w.park(bob, mary)
		p.mary.set(func() { p.mary.status = 491 })
		go func() {
			time.Sleep(100 * time.Millisecond)
			p.mary.set(func() { p.mary.status = 0 })
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		c, err := carol.dial(ctx, "701", nil)
		if err != nil {
			t.Fatal(err)
		}
		understand(t, p.mary, c)
	})
}

// Row 5: a caller whose device cannot be connected stays parked.
func TestPark5_ParkeeRefusesTheRetriever(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, carol := w.phone("bob"), w.phone("mary"), w.phone("carol")
		p := w.park(bob, mary)
		p.mary.set(func() { p.mary.status = 488 })
		carol.refused("701", park.ErrRetrieve)
		w.orbit("701", park.Parked)
		p.mary.alive()
		p.mary.set(func() { p.mary.status = 0 })
		carol.mustDial("701")
	})
}

// Row 5: the caller hangs up while he is being connected.
func TestPark5_RetrieveAgainstAbandon(t *testing.T) {
	for _, safe := range []bool{false, true} {
		for after := 0 * time.Millisecond; after <= 10*time.Millisecond; after += time.Millisecond {
			t.Run(fmt.Sprintf("safe=%v after %v", safe, after), func(t *testing.T) {
				bubble(t, func(t *testing.T, w *world) {
					bob, mary, carol := w.phone("bob"), w.phone("mary"), w.phone("carol")
					p := w.park(bob, mary)
					what, want := "701", park.ErrRetrieve
					if safe {
						what, want = p.safe, park.ErrStaleOrbit
					}
					go func() {
						time.Sleep(after)
						p.mary.hangUp()
					}()
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					defer cancel()
					c, err := carol.dial(ctx, what, nil)
					if err == nil {
						c.expectEnd()
					} else if f := failure(err); f != want && f != park.ErrOrbitNotFound {
						t.Errorf("carol is told %v", err)
					}
					w.sleep(time.Second)
					w.orbit("701", park.Quarantine)
					w.noCalls()
				})
			})
		}
	}
}

// Row 7: who dials an empty orbit is not parked.
func TestPark7_EmptyOrbit(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		carol := w.phone("carol")
		carol.refused("701", park.ErrOrbitNotFound)
		w.orbit("701", park.Free)
		w.noCalls()
	})
}

// Row 10: ten thousand random tokens find nothing, and most are not even looked up. Then the right number has to wait, too.
func TestPark10_RandomTokens(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, mallory := w.phone("bob"), w.phone("mary"), w.phone("mallory")
		w.park(bob, mary)
		told, began := map[int]int{}, time.Now()
		for i := range 200 {
			_, err := mallory.dial(t.Context(), fmt.Sprintf("pk-%026d", i), nil)
			told[status(err)]++
		}
		for i := range 9_800 { // a subscription is as good for guessing
			if w.service.Watchable(fmt.Sprintf("pk-%026d", 200+i), "mallory") {
				t.Fatal("a token was guessed")
			}
		}
		if most := 20 + int(time.Since(began).Seconds()) + 1; told[404] < 20 || told[404] > most || told[404]+told[503] != 200 {
			t.Errorf("told %v in %v", told, time.Since(began))
		}
		_, err := mallory.dial(t.Context(), "701", nil)
		if failure(err) != park.ErrProbing || response(err).GetHeader("Retry-After") == nil {
			t.Errorf("told %v", err)
		}
		w.orbit("701", park.Parked)
		w.sleep(30 * time.Second)
		bob.mustDial("701")
	})
}

// Row 10: nobody from outside of the domain retrieves.
func TestPark10_Outside(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, stranger := w.phone("bob"), w.phone("mary"), w.phone("stranger")
		p := w.park(bob, mary)
		for _, user := range []string{"701", p.safe} {
			id := newCallID()
			_, _, err := stranger.agent.Invite(t.Context(), sipua.InviteOptions{
				Target: at(user), CallID: id, Headers: []sip.Header{sip.NewHeader(headerMark, mark(id))},
			})
			if status(err) != 403 || failure(err) != park.ErrOutside {
				t.Errorf("told %v", err)
			}
			_, _, err = stranger.agent.Invite(t.Context(), sipua.InviteOptions{
				Target: at(user), Headers: stranger.identity("another call"),
			})
			if status(err) != 403 || failure(err) != park.ErrNotAllowed {
				t.Errorf("told %v", err)
			}
		}
		w.orbit("701", park.Parked)
		p.mary.alive()
	})
}

// A token that only looks like one reaches nobody.
func TestNumberIsNoToken(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, carol := w.phone("bob"), w.phone("mary"), w.phone("carol")
		p := w.park(bob, mary)
		carol.refused("pk-701", park.ErrOrbitNotFound)
		carol.refused(strings.TrimPrefix(p.safe, tokenPrefix), park.ErrOrbitNotFound)
		w.orbit("701", park.Parked)
	})
}

// A retriever without an offer gets one, with what the caller has in use.
func TestRetrieveWithoutAnOffer(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, carol := w.phone("bob"), w.phone("mary"), w.phone("carol")
		p := w.park(bob, mary)
		c, err := carol.dialDelayed("701")
		if err != nil {
			t.Fatal(err)
		}
		w.sleep(100 * time.Millisecond)
		compatible(t, p.mary.media(), c)
		w.orbit("701", park.Quarantine)
	})
}

// A retriever with a codec that the caller lacks is refused; the caller waits on.
func TestRetrieveWithoutACodec(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, carol := w.phone("bob"), w.phone("mary"), w.phone("carol")
		w.park(bob, mary)
		_, err := carol.dial(t.Context(), "701", []sdp.Format{{PayloadType: 96, Name: "speex", ClockRate: 8000}})
		if status(err) != 488 {
			t.Errorf("told %v", err)
		}
		w.orbit("701", park.Parked)
		_, err = carol.dial(t.Context(), "701", []sdp.Format{{PayloadType: 9, Name: "g722", ClockRate: 8000}})
		if status(err) != 480 {
			t.Errorf("told %v", err)
		}
		w.orbit("701", park.Parked)
	})
}
