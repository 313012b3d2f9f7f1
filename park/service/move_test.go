package service

import (
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sdp"
	"offhook/park"
)

var pcmaOnly = []sdp.Format{{PayloadType: 8, Name: "pcma", ClockRate: 8000}}

// A caller who is parked goes on with another device of his: for everybody else nothing has happened.
func TestParkedCallerMoves(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, other, carol := w.phone("bob"), w.phone("mary"), w.phone("mary"), w.phone("carol")
		p := w.park(bob, mary)
		before := w.orbit("701", park.Parked)
		lamp := w.changes("701")
		w.sleep(30 * time.Second)
		ear, _ := other.listen(t.Context())
		m := other.mustDialTo(p.mary.dialog.ReferTo())
		if reason := p.mary.expectEnd(); !reason.Elsewhere() {
			t.Errorf("the old device is told %v", reason)
		}
		if got := who(t, m.res); got.URI != "sip:park@"+domain || !isParked(m.res) {
			t.Errorf("the new device is told %v", got)
		}
		w.sleep(time.Second)
		if n := ear.count(0) + ear.count(8); n < 45 {
			t.Errorf("the new device hears %d packets of music in a second", n)
		}
		if o := w.orbit("701", park.Parked); o != before || w.changes("701") != lamp {
			t.Errorf("was %+v\nis  %+v, lamps changed %d times", before, o, w.changes("701")-lamp)
		}
		w.sleep(time.Minute)
		w.orbit("701", park.Recalling) // on time
		c := carol.mustDial(p.safe)
		if got := who(t, c.res); got != maryParty {
			t.Errorf("carol has %v", got)
		}
		understand(t, m, c)
		m.hangUp()
		c.expectEnd()
		w.sleep(time.Second)
		w.noCalls()
	}, withMusic)
}

// Who hangs up the device that he has moved to has left, and so has the caller's end of the park.
func TestMovedCallerHangsUp(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, other := w.phone("bob"), w.phone("mary"), w.phone("mary")
		p := w.park(bob, mary)
		m := other.mustDialTo(p.mary.dialog.ReferTo())
		p.mary.expectEnd()
		m.hangUp()
		w.sleep(time.Second)
		w.expectUnparked(p.safe, park.Abandoned, park.Party{})
		w.noCalls()
	})
}

// Somebody whom the caller has sent waits in her place, and is who is seen to wait: whoever picks up gets no stranger.
func TestCallerSendsSomebodyElse(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, dave, carol := w.phone("bob"), w.phone("mary"), w.phone("dave"), w.phone("carol")
		p := w.park(bob, mary)
		before, lamp := w.orbit("701", park.Parked), w.changes("701")
		d := dave.mustDialTo(p.mary.dialog.ReferTo(), referredBy(mary))
		p.mary.expectEnd()
		daves := park.Party{URI: dave.uri(), Display: "Dave"}
		if o := w.orbit("701", park.Parked); o.Caller != daves || o.Token != before.Token || o.RingBack != before.RingBack {
			t.Errorf("was %+v\nis  %+v", before, o)
		}
		if w.changes("701") == lamp {
			t.Error("the lamp does not show him")
		}
		c := carol.mustDial(p.safe)
		if got := who(t, c.res); got != daves {
			t.Errorf("carol has %v", got)
		}
		understand(t, d, c)
	})
}

// A move that fails leaves the caller where she was: not allowed, without a codec, without an ACK.
func TestMoveThatFails(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, other, mallory, carol := w.phone("bob"), w.phone("mary"), w.phone("mary"), w.phone("mallory"), w.phone("carol")
		hers, _ := mary.listen(t.Context())
		p := w.park(bob, mary)
		before := w.orbit("701", park.Parked)
		for _, headers := range [][]sip.Header{nil, {referredBy(bob)}} {
			if _, err := mallory.tryDialTo(p.mary.dialog.ReferTo(), headers...); failure(err) != park.ErrNotAllowed {
				t.Errorf("mallory is told %v", err)
			}
		}
		replaces := p.mary.dialog.Replaces()
		if _, err := other.dial(t.Context(), userPark, speexOnly, replaces.Header()); status(err) != 488 {
			t.Errorf("told %v", err)
		}
		w.net.Filter(func(p packet) bool { return p.From != other.at || !strings.HasPrefix(string(p.Data), "ACK ") })
		m := other.mustDialTo(p.mary.dialog.ReferTo())
		w.sleep(40 * time.Second)
		m.expectEnd()
		p.mary.alive()
		if o := w.orbit("701", park.Parked); o != before {
			t.Errorf("was %+v\nis  %+v", before, o)
		}
		stillParked(w, p.mary, hers, carol)
	}, withMusic)
}

// Either side of a call that was picked up goes on with another device. The other side is offered nothing, for it sees the
// same as before.
func TestTalkingSidesMove(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		_, _, _, m, c := pickedUp(w)
		moved := map[string]*call{"mary": m, "carol": c}
		for _, names := range [][2]string{{"mary", "carol"}, {"carol", "mary"}} {
			old, peer := moved[names[0]], moved[names[1]]
			peer.lastInvite()
			other := w.phone(names[0])
			d := other.mustDialTo(old.dialog.ReferTo())
			if got := who(t, d.res); got.URI != peer.p.uri() {
				t.Errorf("%s is told %v", names[0], got)
			}
			if reason := old.expectEnd(); !reason.Elsewhere() {
				t.Errorf("the old device is told %v", reason)
			}
			w.sleep(time.Second)
			if again := peer.lastInvite(); again != nil && again != peer.request {
				t.Errorf("%s is offered\n%s", names[1], again.Body())
			}
			understand(t, d, peer)
			moved[names[0]] = d
		}
		ear, _ := moved["mary"].p.listen(t.Context())
		carols, says := moved["carol"].p.listen(t.Context())
		carols.mu.Lock()
		carols.from = moved["carol"].media().Remote
		carols.mu.Unlock()
		says("hello", byte(moved["carol"].media().Send[0].PayloadType), 10)
		if n := ear.hears("hello"); n < 9 {
			t.Errorf("of ten packets %d cross", n)
		}
		moved["carol"].hangUp()
		moved["mary"].expectEnd()
		w.noCalls()
	})
}

// A side that moves to a device with fewer codecs: the other side follows.
func TestTalkingSideMovesToFewerCodecs(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		_, _, _, m, c := pickedUp(w)
		other := w.phone("mary")
		d, err := other.dial(t.Context(), userPark, pcmuOnly, m.dialog.Replaces().Header())
		if err != nil {
			t.Fatal(err)
		}
		m.expectEnd()
		w.sleep(time.Second)
		understand(t, d, c)
		if got := c.media().Send; len(got) != 1 || got[0].Name != "pcmu" {
			t.Errorf("carol has %v", got)
		}
	})
}

// The codec that the new device has agreed to is gone when its ACK comes: the two who talked go on.
func TestMoveLosesItsCodec(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		_, _, carol, m, c := pickedUp(w)
		other := w.phone("mary")
		w.net.Link(other.at.Addr(), serviceAddr, link(100*time.Millisecond))
		done := make(chan *call, 1)
		go func() {
			d, err := other.dial(t.Context(), userPark, pcmaOnly, m.dialog.Replaces().Header())
			if err != nil {
				t.Error(err)
			}
			done <- d
		}()
		time.Sleep(150 * time.Millisecond) // the 200 is under way
		c.description.SetLocal(carol.local(pcmuOnly...))
		c.offer(sdp.Both)
		if reason := (<-done).expectEnd(); reason.Cause != 480 {
			t.Errorf("the new device is told %v", reason)
		}
		w.sleep(time.Second)
		m.alive()
		c.alive()
		understand(t, m, c)
		if got := m.media().Send; len(got) != 1 || got[0].Name != "pcmu" {
			t.Errorf("mary has %v", got)
		}
		c.offer(sdp.Sending)
		w.sleep(100 * time.Millisecond)
		if !m.media().RemoteHold() {
			t.Error("the bridge is broken")
		}
	})
}

// While the parker's device rings the caller moves to one that has agreed to another codec than the parker answers with: it is
// brought to that.
func TestMoveDuringRecall(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, other := w.phone("bob"), w.phone("mary"), w.phone("mary")
		p := w.park(bob, mary)
		w.sleep(91 * time.Second)
		w.orbit("701", park.Recalling)
		m, err := other.dial(t.Context(), userPark, pcmuOnly, p.mary.dialog.Replaces().Header())
		if err != nil {
			t.Fatal(err)
		}
		p.mary.expectEnd()
		m.description.SetLocal(other.local())
		w.orbit("701", park.Recalling)
		b := bob.answer(pcmaOnly...)
		w.sleep(time.Second)
		m.alive()
		b.alive()
		understand(t, m, b)
		if got := who(t, m.lastInvite()); got.URI != bobParty.URI {
			t.Errorf("mary is told %v", got)
		}
		w.expectUnparked(p.safe, park.Ringback, bobParty)
	})
}

// Who is private remains so with another device, whatever that says of him.
func TestPrivateCallerMoves(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, other, carol := w.phone("bob"), w.phone("mary"), w.phone("mary"), w.phone("carol")
		m := mary.mustDial(userPark, referredBy(bob), sip.NewHeader("Privacy", "id"))
		w.sleep(time.Second)
		other.mustDialTo(m.dialog.ReferTo())
		m.expectEnd()
		if o := w.orbit("701", park.Parked); o.Caller != anonymous {
			t.Errorf("the lot knows %v", o.Caller)
		}
		if got := who(t, carol.mustDial("701").res); got != anonymous {
			t.Errorf("carol has %v", got)
		}
	}, toBob)
}

// Carol parks the call that she has picked up, and takes it to another device before Mary's has agreed: it is not parked, and
// Mary's device is told that it is not.
func TestMoveWhileParkedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		_, mary, carol, m, c := pickedUp(w)
		other := w.phone("carol")
		w.net.Link(mary.at.Addr(), serviceAddr, link(100*time.Millisecond))
		r := carol.refer(c, userPark, "Mary")
		if err := r.accepted(); err != nil {
			t.Fatal(err)
		}
		d := other.mustDialTo(c.dialog.ReferTo())
		c.expectEnd()
		if f := r.final(patience); f.Code == 200 {
			t.Errorf("told %d", f.Code)
		}
		w.sleep(time.Second)
		if last := m.lastInvite(); last == nil || isParked(last) || who(t, last) != carolParty {
			t.Errorf("mary is told %v", last)
		}
		w.orbit("702", park.Free)
		understand(t, m, d)
		m.hangUp()
		d.expectEnd()
	})
}
