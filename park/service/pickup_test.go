package service

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sdp"
	"offhook/park"
)

var g722Only = []sdp.Format{{PayloadType: 9, Name: "g722", ClockRate: 8000}}

// stillParked says that a caller whose pick-up has failed knows that she is parked, hears the music, and can be picked up.
func stillParked(w *world, m *call, hers *ear, carol *phone) {
	w.t.Helper()
	w.orbit("701", park.Parked)
	before := hers.count(0) + hers.count(8)
	w.sleep(time.Second)
	if n := hers.count(0) + hers.count(8) - before; n < 45 {
		w.t.Errorf("mary hears %d packets of music in a second", n)
	}
	if last := m.lastInvite(); last != nil && !isParked(last) {
		w.t.Error("mary is not told that she is parked on")
	}
	c := carol.mustDial("701")
	understand(w.t, m, c)
}

func withMusic(c *Config) { c.NoMusic = false; c.Music = tone() }

// A retriever whose codec the caller lacks is refused, and the caller hears the music on.
func TestPickUpWithoutACodecLeavesTheMusic(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, carol := w.phone("bob"), w.phone("mary"), w.phone("carol")
		hers, _ := mary.listen(t.Context())
		p := w.park(bob, mary)
		if _, err := carol.dial(t.Context(), "701", g722Only); status(err) != 480 {
			t.Errorf("told %v", err)
		}
		p.mary.lastInvite() // she has refused it
		stillParked(w, p.mary, hers, carol)
	}, withMusic)
}

// A caller's device that answers nonsense believes that it is picked up: it is told otherwise.
func TestPickUpWithNonsense(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, carol := w.phone("bob"), w.phone("mary"), w.phone("carol")
		hers, _ := mary.listen(t.Context())
		p := w.park(bob, mary)
		p.mary.set(func() { p.mary.garble = true })
		carol.refused("701", park.ErrRetrieve)
		w.sleep(time.Second)
		stillParked(w, p.mary, hers, carol)
	}, withMusic)
}

// A caller's device that does not answer any more: the retriever is refused after half a minute, and nothing is left.
func TestPickUpOfSomebodyWhoIsGone(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, carol := w.phone("bob"), w.phone("mary"), w.phone("carol")
		p := w.park(bob, mary)
		w.net.Cut(mary.at.Addr())
		began := time.Now()
		_, err := carol.dial(t.Context(), p.safe, nil)
		if code := status(err); code != 480 && code != 410 || time.Since(began) > 33*time.Second {
			t.Errorf("told %v after %v", err, time.Since(began))
		}
		w.sleep(10 * time.Minute)
		w.noCalls()
		w.net.Heal(mary.at.Addr())
	}, func(c *Config) { c.Lot.Timeout = 10 * time.Minute })
}

// Who picks up and holds at once is seen to hold; a caller who holds while she is picked up is, too.
func TestHoldDuringPickUp(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, carol := w.phone("bob"), w.phone("mary"), w.phone("carol")
		p := w.park(bob, mary)
		done := make(chan struct{})
		go func() { // crosses the re-INVITE of the service
			defer close(done)
			time.Sleep(3 * time.Millisecond)
			p.mary.offer(sdp.Sending)
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		c, err := carol.dial(ctx, "701", nil)
		if err != nil {
			t.Fatal(err)
		}
		<-done
		w.sleep(10 * time.Second)
		if got := c.media(); !got.RemoteHold() {
			t.Errorf("carol has %v", got.Direction)
		}
		p.mary.offer(sdp.Both)
		w.sleep(time.Second)
		if a, b := p.mary.media().Direction, c.media().Direction; a != sdp.Both || b != sdp.Both {
			t.Errorf("in the end mary has %v and carol %v", a, b)
		}
		understand(t, p.mary, c)
	})
}

// Both sides of a bridge offer at the same moment: one of them gives way, and in the end both see what the other wants.
func TestOffersFromBothSidesAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		_, _, _, m, c := pickedUp(w)
		done := make(chan struct{})
		go func() {
			defer close(done)
			m.offer(sdp.Sending)
		}()
		c.offer(sdp.Sending)
		<-done
		w.sleep(20 * time.Second)
		if a, b := m.media().Direction, c.media().Direction; a != sdp.Inactive || b != sdp.Inactive {
			t.Errorf("both hold, but mary has %v and carol %v", a, b)
		}
		c.offer(sdp.Both)
		m.offer(sdp.Both)
		w.sleep(20 * time.Second)
		if a, b := m.media().Direction, c.media().Direction; a != sdp.Both || b != sdp.Both {
			t.Errorf("in the end mary has %v and carol %v", a, b)
		}
	})
}

// Each leg is protected for itself: a retriever who insists on it has it with a caller who cannot. Where the service must
// not, he is refused, and the caller waits on.
func TestPickUpEncrypted(t *testing.T) {
	for policy, want := range map[sdp.Policy]int{sdp.Opportunistic: 0, sdp.Off: 488} {
		bubble(t, func(t *testing.T, w *world) {
			bob, mary, carol := w.phone("bob"), w.phone("mary"), w.phone("carol")
			carol.policy = sdp.Required
			p := w.park(bob, mary)
			c, err := carol.dial(t.Context(), "701", nil)
			if status(err) != want {
				t.Fatalf("told %v", err)
			}
			if want != 0 {
				w.orbit("701", park.Parked)
				return
			}
			understand(t, p.mary, c)
			if a, b := c.media().Protection.Method, p.mary.media().Protection.Method; a != sdp.SDES || b != sdp.Plain {
				t.Errorf("carol has %v, mary %v", a, b)
			}
		}, func(c *Config) { c.Policy = policy })
	}
}

// A telephone that is transferred without an offer gets one, and is parked.
func TestTransferredWithoutAnOffer(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary := w.phone("bob"), w.phone("mary")
		if _, err := mary.dialDelayed(userPark, referredBy(bob)); err != nil {
			t.Fatal(err)
		}
		w.sleep(100 * time.Millisecond)
		w.orbit("701", park.Parked)
	}, toBob)
}

// A parker who hangs up before his telephone has acknowledged the orbit does not take the caller with him, who is on his
// way there.
func TestParkerHangsUpBeforeHisACK(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary := w.phone("bob"), w.phone("mary")
		w.net.Filter(func(p packet) bool {
			return p.From != bob.at || !strings.HasPrefix(string(p.Data), "ACK ")
		})
		c := bob.mustDial(userPark)
		w.net.Link(mary.at.Addr(), serviceAddr, link(100*time.Millisecond))
		go func() {
			time.Sleep(150 * time.Millisecond)
			c.hangUp()
		}()
		m := mary.mustDialTo(c.dialog.ReferTo(), referredBy(bob))
		w.sleep(time.Second)
		m.alive()
		w.orbit("701", park.Parked)
	})
}

// The caller's device is called at once, whether or not the parker's acknowledges that it will be.
func TestParkingDoesNotWaitForTheParker(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary := w.phone("bob"), w.phone("mary")
		_, at := w.talk(mary, bob)
		began := time.Now()
		w.net.Filter(func(p packet) bool {
			return p.To != bob.at || !strings.HasPrefix(string(p.Data), "NOTIFY ") || time.Since(began) > 10*time.Second
		})
		r := bob.refer(at, userPark, "Mary")
		mary.answer()
		w.sleep(100 * time.Millisecond)
		w.orbit("701", park.Parked)
		parkedAs(t, r.final(20*time.Second))
	})
}

// A service that closes while somebody is being parked parks nobody.
func TestCloseWhileParking(t *testing.T) {
	for after := time.Duration(0); after < 12*time.Millisecond; after += time.Millisecond {
		bubble(t, func(t *testing.T, w *world) {
			bob, mary := w.phone("bob"), w.phone("mary")
			_, at := w.talk(mary, bob)
			bob.refer(at, userPark, "Mary")
			go func() {
				select {
				case inv := <-mary.invites:
					_, _ = mary.tryAccept(inv)
				case <-t.Context().Done():
				}
			}()
			time.Sleep(after)
			if err := w.service.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			w.noCalls()
			for _, o := range w.service.lot.Orbits() {
				if occupied(o.State) {
					t.Errorf("after %v: orbit %s is %s", after, o.Number, o.State)
				}
			}
		})
	}
}

// Referred-By can name anybody. Who has himself parked in the names of others does not fill the lot with it.
func TestCallerCannotFillTheLot(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		mallory, mary := w.phone("mallory"), w.phone("mary")
		for i, by := range []string{"alice", "bob", "carol"} {
			_, err := mallory.dial(t.Context(), userPark, nil, sip.NewHeader("Referred-By", "<sip:"+by+"@"+domain+">"))
			if i < 2 && err != nil || i == 2 && failure(err) != park.ErrTooMany {
				t.Errorf("call %d: %v", i, err)
			}
		}
		mary.mustDial(userPark, sip.NewHeader("Referred-By", "<sip:bob@"+domain+">"))
	}, toBob, func(c *Config) { c.Lot.PerUser = 2 })
}

// Nobody is called what he calls himself, if that is a user whom the proxy would have known.
func TestFromIsNoIdentity(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		mallory := w.phone("mary") // as he says
		to := at(userPark)
		req := mallory.agent.NewRequest(sip.INVITE, to)
		req.AppendHeader(sip.NewHeader(headerMark, mark(req.CallID().Value())))
		if who, user := w.service.sender(req); user != "" || who != anonymous {
			t.Errorf("he is %v, user %q", who, user)
		}
		req.From().Address.Host = "elsewhere.test"
		if who, user := w.service.sender(req); user != "" || who.URI != "sip:mary@elsewhere.test" {
			t.Errorf("he is %v, user %q", who, user)
		}
	})
}

// Who wants to be private is known to the service alone: neither the lamp nor who picks up learns who is parked, nor the
// caller who has picked up.
func TestPrivacy(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, carol := w.phone("bob"), w.phone("mary"), w.phone("carol")
		private := sip.NewHeader("Privacy", "id; critical")
		m := mary.mustDial(userPark, referredBy(bob), private)
		select {
		case text := <-bob.messages:
			if !strings.HasPrefix(text, "Anonymous is parked on 701.") {
				t.Errorf("bob reads %q", text)
			}
		case <-time.After(patience):
			t.Error("bob is not told")
		}
		doc, _ := w.service.DialogInfo("701", 0)
		if text := string(doc.Marshal()); strings.Contains(text, "mary") || strings.Contains(text, "Mary") {
			t.Errorf("the lamp shows\n%s", text)
		}
		safe := tokenPrefix + w.orbit("701", park.Parked).Token
		c := carol.mustDial("701", private)
		if got := who(t, c.res); got != anonymous {
			t.Errorf("carol is told %v", got)
		}
		w.sleep(time.Second)
		if got := who(t, m.lastInvite()); got != anonymous {
			t.Errorf("mary is told %v", got)
		}
		w.expectUnparked(safe, park.Retrieved, anonymous)
	}, toBob)
}

// A caller whose media cannot be joined with those of the parker is not left where nobody can reach him.
func TestRecallThatCannotBeJoined(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary := w.phone("bob"), w.phone("mary")
		p := w.park(bob, mary)
		w.sleep(90 * time.Second)
		w.service.mu.Lock()
		for _, parked := range w.service.parkeds {
			parked.caller.close()
		}
		w.service.mu.Unlock()
		if c, err := bob.tryAccept(<-bob.invites); err == nil {
			c.expectEnd()
		}
		p.mary.expectEnd()
		w.sleep(time.Second)
		w.noCalls()
	})
}

// A retriever who hangs up before his telephone has acknowledged the call has not had it: the caller waits on.
func TestRetrieverHangsUpBeforeHisACK(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, carol, dave := w.phone("bob"), w.phone("mary"), w.phone("carol"), w.phone("dave")
		hers, _ := mary.listen(t.Context())
		p := w.park(bob, mary)
		w.net.Filter(func(p packet) bool {
			return p.From != carol.at || !strings.HasPrefix(string(p.Data), "ACK ")
		})
		c := carol.mustDial("701")
		w.orbit("701", park.Retrieving)
		c.hangUp()
		w.sleep(time.Second)
		stillParked(w, p.mary, hers, dave)
		w.sleep(time.Minute)
	}, withMusic)
}
