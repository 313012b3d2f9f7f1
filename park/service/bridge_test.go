package service

import (
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/sdp"
	"offhook/park"
)

var (
	speexOnly = []sdp.Format{{PayloadType: 96, Name: "speex", ClockRate: 8000}}
	pcmuOnly  = []sdp.Format{{PayloadType: 0, Name: "pcmu", ClockRate: 8000}}
)

// pickedUp is a call that Bob has parked and Carol has picked up.
func pickedUp(w *world) (bob, mary, carol *phone, m, c *call) {
	w.t.Helper()
	bob, mary, carol = w.phone("bob"), w.phone("mary"), w.phone("carol")
	p := w.park(bob, mary)
	c = carol.mustDial("701")
	w.sleep(100 * time.Millisecond)
	p.mary.lastInvite()
	return bob, mary, carol, p.mary, c
}

// Who holds on one side is heard and seen to hold on the other.
func TestHoldCrossesTheBridge(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		_, _, _, m, c := pickedUp(w)
		c.offer(sdp.Sending)
		w.sleep(100 * time.Millisecond)
		if got := m.media(); !got.RemoteHold() || got.Direction != sdp.Receiving {
			t.Errorf("mary sees %v", got.Direction)
		}
		m.offer(sdp.Sending) // both hold
		w.sleep(100 * time.Millisecond)
		if got := m.media().Direction; got != sdp.Inactive {
			t.Errorf("mary, who holds too, has %v", got)
		}
		c.offer(sdp.Both)
		w.sleep(100 * time.Millisecond)
		if got := c.media().Direction; got != sdp.Receiving {
			t.Errorf("carol, who is held, has %v", got)
		}
		m.offer(sdp.Both)
		w.sleep(100 * time.Millisecond)
		if a, b := m.media().Direction, c.media().Direction; a != sdp.Both || b != sdp.Both {
			t.Errorf("in the end mary has %v and carol %v", a, b)
		}
	})
}

// To take a call back from hold needs one offer on each side, and nobody sees anything in between.
func TestResumeIsOneStep(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		_, _, _, m, c := pickedUp(w)
		c.offer(sdp.Sending)
		w.sleep(time.Second)
		c.offer(sdp.Both)
		if got := c.media().Direction; got != sdp.Both {
			t.Errorf("carol has %v", got)
		}
		w.sleep(time.Second)
		if got := m.media().Direction; got != sdp.Both {
			t.Errorf("mary has %v", got)
		}
		if c.lastInvite() != nil {
			t.Error("carol is offered something after it")
		}
	})
}

// When one side comes down to one codec the other side follows.
func TestCodecCrossesTheBridge(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		_, _, carol, m, c := pickedUp(w)
		c.description.SetLocal(carol.local(pcmuOnly...))
		c.offer(sdp.Both)
		w.sleep(100 * time.Millisecond)
		understand(t, m, c)
		if got := m.media().Send; len(got) != 1 || got[0].Name != "pcmu" {
			t.Errorf("mary has %v", got)
		}
	})
}

// Requests in the dialog go to the other side, and so does what it answers.
func TestRequestsCrossTheBridge(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		_, _, _, m, c := pickedUp(w)
		if _, err := c.dialog.Do(t.Context(), sip.INFO, "application/dtmf-relay", []byte("Signal=5\r\n")); err != nil {
			t.Error(err)
		}
		if got := m.expect(sip.INFO); string(got.Body()) != "Signal=5\r\n" || got.ContentType().Value() != "application/dtmf-relay" {
			t.Errorf("mary gets %v", got)
		}
		if _, err := m.dialog.Do(t.Context(), sip.MESSAGE, "text/plain", []byte("hello")); err != nil {
			t.Error(err)
		}
		if got := c.expect(sip.MESSAGE); string(got.Body()) != "hello" {
			t.Errorf("carol gets %v", got)
		}
		_, err := c.dialog.Do(t.Context(), sip.REFER, "", nil,
			sip.NewHeader("Refer-To", "<sip:dave@"+domain+">"), sip.NewHeader("Referred-By", "<sip:carol@"+domain+">"))
		if err != nil {
			t.Error(err)
		}
		refer := m.expect(sip.REFER)
		if refer.GetHeader("Refer-To").Value() != "<sip:dave@"+domain+">" || refer.GetHeader("Referred-By") == nil {
			t.Errorf("mary gets %v", refer)
		}
		frag := body.Sipfrag{Code: 200, Reason: "OK"}
		_, err = m.dialog.Do(t.Context(), sip.NOTIFY, body.TypeSipfrag, frag.Marshal(),
			sip.NewHeader("Event", "refer;id=93809824"), sip.NewHeader("Subscription-State", "terminated;reason=noresource"))
		if err != nil {
			t.Error(err)
		}
		notify := c.expect(sip.NOTIFY)
		if notify.GetHeader("Event").Value() != "refer" || string(notify.Body()) != string(frag.Marshal()) {
			t.Errorf("carol gets %v", notify)
		}
	})
}

// The reason of a BYE is told to the other side.
func TestByeCrossesTheBridge(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		_, _, _, m, c := pickedUp(w)
		if err := c.dialog.Bye(t.Context(), `Q.850;cause=16;text="done"`); err != nil {
			t.Fatal(err)
		}
		if reason := m.expectEnd(); reason.Cause != 16 || reason.Text != "done" {
			t.Errorf("mary is told %v", reason)
		}
		w.noCalls()
	})
}

// A call that was picked up is parked again: by who picked it up, and on another orbit.
func TestParkAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, _, carol, m, c := pickedUp(w)
		r := carol.refer(c, userPark, "Mary")
		again := parkedAs(t, r.final(patience))
		if again.orbit != "702" {
			t.Errorf("parked at %s", again.orbit)
		}
		c.expectEnd()
		told := m.lastInvite()
		if got := who(t, told); got.URI != "sip:park@"+domain || !isParked(told) {
			t.Errorf("mary is told %v", got)
		}
		if o := w.orbit("702", park.Parked); o.Caller != maryParty || o.Parker != carolParty {
			t.Errorf("parked: %+v", o)
		}
		b := bob.mustDial(again.safe)
		w.sleep(100 * time.Millisecond)
		if got := who(t, m.lastInvite()); got != bobParty {
			t.Errorf("mary is told %v", got)
		}
		understand(t, m, b)
		b.hangUp()
		m.expectEnd()
		w.noCalls()
	})
}

// The other side of a call that was picked up may park, too; a stranger may not.
func TestParkAgainFromTheOtherSide(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, _, m, c := pickedUp(w)
		if err := bob.refer(c, userPark, "Mary").accepted(); failure(err) != park.ErrNotAllowed {
			t.Errorf("bob is told %v", err)
		}
		c.alive()
		r := mary.refer(m, userPark, "Carol")
		again := parkedAs(t, r.final(patience))
		m.expectEnd()
		if o := w.orbit(again.orbit, park.Parked); o.Caller != carolParty || o.Parker != maryParty {
			t.Errorf("parked: %+v", o)
		}
		c.alive()
	})
}

// Parking again that fails leaves the two talking.
func TestParkAgainFails(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		_, _, carol, m, c := pickedUp(w)
		m.set(func() { m.status = 488 })
		if f := carol.refer(c, userPark, "Mary").final(patience); f.Code != 488 {
			t.Errorf("told %d", f.Code)
		}
		w.orbit("702", park.Free)
		m.set(func() { m.status = 0 })
		c.offer(sdp.Sending)
		w.sleep(100 * time.Millisecond)
		if !m.media().RemoteHold() {
			t.Error("the bridge is broken")
		}
	})
}

// An attended transfer of a call that was picked up: Dave takes Carol's place.
func TestSomebodyTakesAPlaceInTheBridge(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		_, _, carol, m, c := pickedUp(w)
		dave := w.phone("dave")
		d := dave.mustDialTo(c.dialog.ReferTo(), referredBy(carol))
		if got := who(t, d.res); got != maryParty {
			t.Errorf("dave is told %v", got)
		}
		c.expectEnd()
		w.sleep(100 * time.Millisecond)
		if got := who(t, m.lastInvite()); got.Display != "Dave" {
			t.Errorf("mary is told %v", got)
		}
		understand(t, m, d)
		m.hangUp()
		d.expectEnd()
		w.noCalls()
	})
}

// Row 10: who was not sent by the one whose place he takes is refused, and the call goes on.
func TestPark10_UnauthorisedReplaces(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, _, _, m, c := pickedUp(w)
		mallory := w.phone("mallory")
		for _, headers := range [][]sip.Header{nil, {referredBy(bob)}} {
			_, err := mallory.tryDialTo(c.dialog.ReferTo(), headers...)
			if failure(err) != park.ErrNotAllowed {
				t.Errorf("told %v", err)
			}
		}
		c.alive()
		m.alive()
		p := w.park(bob, w.phone("alice"))
		if _, err := mallory.tryDialTo(p.mary.dialog.ReferTo()); failure(err) != park.ErrNotAllowed {
			t.Errorf("told %v", err)
		}
		p.mary.alive()
	})
}
