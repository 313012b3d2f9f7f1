package service

import (
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/park"
)

// Row 1: park, and pick up by the number of the orbit.
func TestPark1_FriendlyRetrieval(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, carol := w.phone("bob"), w.phone("mary"), w.phone("carol")
		p := w.park(bob, mary, sip.NewHeader("Subject", "order 77"))
		if p.orbit != "701" || p.expires != "90" {
			t.Errorf("parked at %s for %s s", p.orbit, p.expires)
		}
		invite := p.mary.request
		if got := who(t, invite); got.URI != "sip:park@"+domain || !isParked(invite) {
			t.Errorf("mary is told %v, Contact %v", got, invite.Contact())
		}
		for header, want := range map[string]string{
			"Referred-By": "<" + bob.uri() + ">", "Call-Info": `<sip:701@example.test>;purpose=x-park-orbit;x-friendly="701"`,
			"Require": "replaces",
		} {
			if h := invite.GetHeader(header); h == nil || h.Value() != want {
				t.Errorf("%s: %v", header, h)
			}
		}
		if from := invite.From(); from.DisplayName != "Park 701" || from.Address.User != "park" {
			t.Errorf("From: %v", from)
		}
		o := w.orbit("701", park.Parked)
		if o.Caller != maryParty || o.Parker != bobParty || o.Note != "order 77" || o.Device != bob.contact() {
			t.Errorf("parked: %+v", o)
		}
		c := carol.mustDial("701")
		if got := who(t, c.res); got != maryParty || isParked(c.res) {
			t.Errorf("carol is told %v", got)
		}
		if h := c.res.GetHeader("Call-Info"); h == nil || !strings.Contains(h.Value(), `x-friendly="701"`) {
			t.Errorf("Call-Info: %v", h)
		}
		again := p.mary.expect(sip.INVITE)
		if got := who(t, again); got != carolParty || isParked(again) {
			t.Errorf("mary is told %v, Contact %v", got, again.Contact())
		}
		understand(t, p.mary, c)
		w.sleep(100 * time.Millisecond)
		w.orbit("701", park.Quarantine)
		c.hangUp()
		p.mary.expectEnd()
		w.noCalls()
	})
}

// Row 1: pick up by the safe-retrieve URI; the caller hangs up.
func TestPark1_SafeRetrieval(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary := w.phone("bob"), w.phone("mary")
		p := w.park(bob, mary)
		b := bob.mustDial(p.safe)
		if got := who(t, b.res); got != maryParty {
			t.Errorf("bob is told %v", got)
		}
		p.mary.hangUp()
		b.expectEnd()
		w.noCalls()
	})
}

// Row 1: an A/V call loses its video when it is parked, and what a retriever offers beside audio is declined.
func TestPark1_OnlyAudio(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, carol := w.phone("bob"), w.phone("mary"), w.phone("carol")
		p := w.park(bob, mary)
		if got := string(p.mary.request.Body()); strings.Contains(got, "m=video") || !strings.Contains(got, "a=sendrecv") {
			t.Errorf("the service offers\n%s", got)
		}
		c := carol.mustDialVideo("701")
		if got := string(c.res.Body()); !strings.Contains(got, "m=video 0 ") {
			t.Errorf("the answer to video\n%s", got)
		}
	})
}

// Row 2: Mary hangs up, Steven is parked on the same orbit. Bob's safe URI is over; the number reaches Steven.
func TestPark2_MaryBobSteven(t *testing.T) {
	for name, quarantine := range map[string]time.Duration{"with quarantine": 0, "without": -1} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				bob, mary, michael, steven := w.phone("bob"), w.phone("mary"), w.phone("michael"), w.phone("steven")
				his := w.park(bob, mary)
				his.mary.hangUp()
				w.sleep(31 * time.Second)
				_, at := w.talk(steven, michael)
				r := michael.refer(at, his.orbit, "Steven")
				steven.answer()
				if p := parkedAs(t, r.final(patience)); p.orbit != his.orbit || p.safe == his.safe {
					t.Fatalf("steven is at %s", p.orbit)
				}
				bob.refused(his.safe, park.ErrStaleOrbit)
				w.orbit(his.orbit, park.Parked)
				b := bob.mustDial(his.orbit)
				if got := who(t, b.res); got.Display != "Steven" {
					t.Errorf("bob has %v", got)
				}
			}, func(c *Config) { c.Lot.Quarantine = quarantine; c.Lot.Last = 701 })
		})
	}
}

// Row 3: no free orbit: the REFER is refused at once, and the call goes on.
func TestPark3_NoFreeOrbit(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, alice := w.phone("bob"), w.phone("mary"), w.phone("alice")
		w.park(bob, mary)
		hers, his := w.talk(alice, bob)
		err := bob.refer(his, userPark, "Alice").accepted()
		if status(err) != 486 || failure(err) != park.ErrNoOrbit {
			t.Errorf("refused with %v", err)
		}
		err = bob.refer(his, "701", "Alice").accepted()
		if status(err) != 486 || failure(err) != park.ErrOccupied {
			t.Errorf("refused with %v", err)
		}
		hers.alive()
		his.alive()
	}, func(c *Config) { c.Lot.Last = 701 })
}

// Row 3: the caller's device refuses: its own status is told, the orbit is free, the call goes on.
func TestPark3_ParkeeRefuses(t *testing.T) {
	for _, code := range []int{481, 488, 420, 603} {
		bubble(t, func(t *testing.T, w *world) {
			bob, mary := w.phone("bob"), w.phone("mary")
			hers, his := w.talk(mary, bob)
			mary.set(func() { mary.refuse = code })
			r := bob.refer(his, userPark, "Mary")
			if f := r.final(patience); f.Code != code || park.FailureIn(f.Headers["Warning"][0]) != park.ErrReplaces {
				t.Errorf("told %d %v", f.Code, f.Headers)
			}
			w.orbit("701", park.Free)
			hers.alive()
			his.alive()
		})
	}
}

// Row 3: nobody answers: after 32 s parking has failed, and what the caller's device does later changes nothing.
func TestPark3_NoAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary := w.phone("bob"), w.phone("mary")
		hers, his := w.talk(mary, bob)
		mary.set(func() { mary.mute = true })
		began := time.Now()
		f := bob.refer(his, userPark, "Mary").final(40 * time.Second)
		if f.Code != 504 || time.Since(began).Round(time.Second) != 32*time.Second {
			t.Errorf("told %d after %v", f.Code, time.Since(began))
		}
		<-mary.canceled
		w.orbit("701", park.Free)
		hers.alive()
		his.alive()
	})
}

// Row 3: the caller hangs up while he is being parked.
func TestPark3_ParkeeHangsUpDuringParking(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary := w.phone("bob"), w.phone("mary")
		_, his := w.talk(mary, bob)
		r := bob.refer(his, userPark, "Mary")
		mary.answer().hangUp()
		_ = r.final(patience)
		w.sleep(time.Second)
		if o := w.service.lot.Orbits()[0]; occupied(o.State) {
			t.Errorf("orbit 701 is %s", o.State)
		}
		w.noCalls()
	})
}

// Row 4: a final NOTIFY that is lost comes again.
func TestPark4_FinalNotifyIsRepeated(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary := w.phone("bob"), w.phone("mary")
		lost := 0
		w.net.Filter(func(p packet) bool {
			if p.To == bob.at && strings.Contains(string(p.Data), "x-park-retrieve") {
				lost++
				return lost > 2
			}
			return true
		})
		w.park(bob, mary)
		if lost != 3 {
			t.Errorf("it was sent %d times", lost)
		}
	})
}

// Row 4: who does not want to be told any more has not canceled anything (RFC 3515 §2.4.4).
func TestPark4_UnsubscribingDoesNotCancel(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary := w.phone("bob"), w.phone("mary")
		_, his := w.talk(mary, bob)
		r := bob.refer(his, userPark, "Mary")
		<-r.frags // 100
		r.unsubscribe()
		if f := <-r.frags; f.Code != 100 || !strings.HasPrefix(r.last.GetHeader("Subscription-State").Value(), "terminated") {
			t.Errorf("told %d, %v", f.Code, r.last.GetHeader("Subscription-State"))
		}
		mary.answer()
		w.orbit("701", park.Parked)
		w.sleep(time.Minute)
		if len(r.frags) != 0 {
			t.Error("told all the same")
		}
	})
}

// Row 10: who is parked is not parked again, neither by his parker nor by anybody else.
func TestPark10_DoublePark(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary := w.phone("bob"), w.phone("mary")
		p := w.park(bob, mary)
		err := mary.refer(p.mary, userPark, "Park").accepted()
		if status(err) != 403 || failure(err) != park.ErrDoublePark {
			t.Errorf("refused with %v", err)
		}
		w.orbit("701", park.Parked)
		p.mary.alive()
	})
}

// Row 10: what does not come through the proxy, or not from a user of the domain, is refused, and no dialog is touched.
func TestPark10_Unauthorised(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary := w.phone("bob"), w.phone("mary")
		hers, his := w.talk(mary, bob)
		to := his.dialog.ReferTo()
		req := bob.agent.NewRequest(sip.REFER, at(userPark))
		req.AppendHeader(sip.NewHeader("Refer-To", "<"+to.String()+">"))
		if _, err := bob.agent.Do(t.Context(), req); status(err) != 403 {
			t.Errorf("without the mark: %v", err)
		}
		r := bob.referTo(userPark, "<"+to.String()+">", sip.NewHeader("Referred-By", "<sip:carol@"+domain+">"))
		if err := r.accepted(); status(err) != 403 {
			t.Errorf("in the name of somebody else: %v", err)
		}
		if err := bob.referTo(userPark, "<sip:mary@127.0.1.2>").accepted(); status(err) != 400 {
			t.Errorf("without Replaces: %v", err)
		}
		if err := bob.refer(his, "799", "Mary").accepted(); status(err) != 404 {
			t.Errorf("an orbit that does not exist: %v", err)
		}
		hers.alive()
		his.alive()
	})
}
