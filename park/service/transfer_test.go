package service

import (
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
	"offhook/park"
)

// toBob sends what the service sends to Bob's telephone, as the proxy would do with his address.
func toBob(c *Config) { c.Proxy = sip.Uri{Scheme: "sip", Host: "127.0.1.1", Port: 5060} }

func referredBy(p *phone) sip.Header { return sip.NewHeader("Referred-By", "<"+p.uri()+">") }

// Row 7: a plain telephone transfers a caller blindly to the service. The parker learns the orbit by a MESSAGE.
func TestPark7_BlindTransfer(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, carol := w.phone("bob"), w.phone("mary"), w.phone("carol")
		m := mary.mustDial(userPark, referredBy(bob))
		if got := who(t, m.res); got.URI != "sip:park@"+domain || !isParked(m.res) {
			t.Errorf("mary is told %v", got)
		}
		select {
		case text := <-bob.messages:
			if text != "Mary is parked on 701. Dial 701 to pick up the call." {
				t.Errorf("bob reads %q", text)
			}
		case <-time.After(patience):
			t.Fatal("bob is not told")
		}
		if o := w.orbit("701", park.Parked); o.Parker.URI != bob.uri() || o.Caller != maryParty {
			t.Errorf("parked: %+v", o)
		}
		c := carol.mustDial("701")
		understand(t, m, c)
	}, toBob)
}

// Row 7: with a number the caller is parked there, or nowhere.
func TestPark7_DirectedSlot(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, alice := w.phone("bob"), w.phone("mary"), w.phone("alice")
		mary.mustDial("703", referredBy(bob))
		w.sleep(100 * time.Millisecond)
		w.orbit("703", park.Parked)
		_, err := alice.dial(t.Context(), "703", nil, referredBy(bob))
		if status(err) != 486 || failure(err) != park.ErrOccupied {
			t.Errorf("told %v", err)
		}
		w.orbit("703", park.Parked)
	}, toBob)
}

// Row 7: nobody from elsewhere parks here, whoever he says has sent him.
func TestPark7_ReferredFromElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		mary := w.phone("mary")
		_, err := mary.dial(t.Context(), userPark, nil, sip.NewHeader("Referred-By", "<sip:bob@elsewhere.test>"))
		if failure(err) != park.ErrOutside {
			t.Errorf("told %v", err)
		}
	})
}

// Row 7: an attended transfer: the parker knows the orbit before he transfers anybody.
func TestPark7_AttendedTransfer(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, carol := w.phone("bob"), w.phone("mary"), w.phone("carol")
		consultation := bob.mustDial(userPark, referredBy(bob)) // as some telephones do for other services
		if got := who(t, consultation.res); got != (park.Party{URI: "sip:701@" + domain, Display: "Parked at 701"}) {
			t.Errorf("bob is told %v", got)
		}
		w.orbit("701", park.Reserved)
		m := mary.mustDialTo(consultation.dialog.ReferTo(), referredBy(bob))
		consultation.expectEnd()
		if o := w.orbit("701", park.Parked); o.Parker != bobParty || o.Caller != maryParty || o.Device != bob.contact() {
			t.Errorf("parked: %+v", o)
		}
		if told := w.sentTo(bob, "UPDATE"); len(told) == 0 || !strings.Contains(told[0], "purpose=x-park-retrieve;x-expires=90") {
			t.Errorf("bob is not told the safe address: %v", told)
		}
		c := carol.mustDial("701")
		understand(t, m, c)
	})
}

// Row 7: a parker who hangs up without transferring anybody has reserved nothing; one who does nothing loses it after a minute.
func TestPark7_ReservationEnds(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob := w.phone("bob")
		c := bob.mustDial(userPark)
		w.orbit("701", park.Reserved)
		c.hangUp()
		w.sleep(time.Second)
		w.orbit("701", park.Free)
		c = bob.mustDial(userPark)
		w.orbit("702", park.Reserved)
		w.sleep(59 * time.Second)
		c.alive()
		w.sleep(2 * time.Second)
		if reason := c.expectEnd(); reason.Cause != 480 {
			t.Errorf("ended with %v", reason)
		}
		w.orbit("702", park.Free)
		w.noCalls()
	})
}

// A transfer that fails leaves the reservation.
func TestReservationSurvivesATransferThatFails(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary := w.phone("bob"), w.phone("mary")
		c := bob.mustDial(userPark)
		target, headers, err := sipua.Referred(c.dialog.ReferTo())
		if err != nil {
			t.Fatal(err)
		}
		_, err = mary.dialTo(t.Context(), target, speexOnly, headers...)
		if status(err) != 488 {
			t.Errorf("told %v", err)
		}
		w.orbit("701", park.Reserved)
		c.alive()
		mary.mustDialTo(c.dialog.ReferTo())
		w.sleep(100 * time.Millisecond)
		w.orbit("701", park.Parked)
	})
}

// A caller arrives at a reserved orbit as its time ends, by a network that is slow with his ACK: he is parked, or stays with
// his parker, and nobody waits for him any longer.
func TestReservationEndsAsTheCallerArrives(t *testing.T) {
	parked, refused := 0, 0
	for offset := -240; offset <= 20; offset += 20 {
		bubble(t, func(t *testing.T, w *world) {
			bob, mary := w.phone("bob"), w.phone("mary")
			hers, his := w.talk(mary, bob)
			consultation := bob.mustDial(userPark)
			w.orbit("701", park.Reserved)
			ends, _ := w.service.lot.Next()
			w.net.Link(mary.at.Addr(), serviceAddr, link(100*time.Millisecond))
			time.Sleep(time.Until(ends.Add(time.Duration(offset)*time.Millisecond - 100*time.Millisecond)))
			m, err := mary.tryDialTo(consultation.dialog.ReferTo(), referredBy(bob))
			w.sleep(time.Second)
			if err == nil {
				parked++
				m.alive()
				if o := w.orbit("701", park.Parked); o.Caller != maryParty || o.Parker != bobParty {
					t.Errorf("parked: %+v", o)
				}
			} else {
				refused++
				w.orbit("701", park.Free)
				hers.alive()
				his.alive()
			}
			consultation.expectEnd()
		})
	}
	if parked == 0 || refused == 0 {
		t.Errorf("no race: %d are parked, %d refused", parked, refused)
	}
}

// The time of a reservation stands still while a caller arrives, and runs again if he does not come after all.
func TestReservationGoesOnAfterATransferThatFails(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary := w.phone("bob"), w.phone("mary")
		c := bob.mustDial(userPark)
		w.net.Filter(func(p packet) bool { return p.From != mary.at || !strings.HasPrefix(string(p.Data), "ACK ") })
		w.sleep(59 * time.Second)
		mary.mustDialTo(c.dialog.ReferTo()).expectEndWithin(40 * time.Second)
		w.orbit("701", park.Reserved)
		c.alive()
		w.sleep(11 * time.Second)
		w.orbit("701", park.Free)
		if reason := c.expectEnd(); reason.Cause != 480 {
			t.Errorf("ended with %v", reason)
		}
		w.sleep(time.Minute)
		w.noCalls()
	})
}

// The time of a reservation ends just before the caller arrives, and the parker has not been told yet: the caller stays with
// him, and he need not listen to the number any longer.
func TestReservationEndsBeforeTheCallerArrives(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary := w.phone("bob"), w.phone("mary")
		c := bob.mustDial(userPark)
		w.service.lot.Release(time.Now(), w.orbit("701", park.Reserved).ID)
		if _, err := mary.tryDialTo(c.dialog.ReferTo()); failure(err) != park.ErrParkTimeout {
			t.Errorf("told %v", err)
		}
		if reason := c.expectEnd(); reason.Cause != 480 {
			t.Errorf("ended with %v", reason)
		}
	})
}
