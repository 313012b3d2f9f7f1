package sipua

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/vnet"
)

// The races of RFC 5407, each named by its section. §3.1.2, CANCEL against 200, is with the forks.

func linkDelay(d time.Duration) vnet.Link { return vnet.Link{Delay: d} }

// §3.1.1: the INVITE is repeated although the 200 has left.
func TestRFC5407_3_1_1_RepeatedInviteInMoratorium(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		bob, caller := w.agent("bob", bobHost), w.peer(peerHost)
		s := caller.dialing(bobHost)
		s.sendBranch("z9hG4bK1", sip.INVITE, 1, "")
		in := answering(t.Context(), within(t, bob.invites, time.Second, "INVITE"))
		res := caller.response(200, sip.INVITE, time.Second)
		s.sendBranch("z9hG4bK1", sip.INVITE, 1, "")
		if again := caller.response(200, sip.INVITE, time.Second); toTag(again) != toTag(res) {
			t.Error("another dialog")
		}
		s.remote = toTag(res)
		s.send(sip.ACK, 1, "")
		if o := within(t, in, time.Second, "ACK"); o.err != nil || len(bob.invites) != 0 {
			t.Errorf("%v, %d more INVITEs", o.err, len(bob.invites))
		}
	})
}

// §3.1.2 at the callee: a CANCEL that comes after the 200 has no effect.
func TestRFC5407_3_1_2_CancelAfter200(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		bob, caller := w.agent("bob", bobHost), w.peer(peerHost)
		s := caller.dialing(bobHost)
		s.sendBranch("z9hG4bK1", sip.INVITE, 1, "")
		inv := within(t, bob.invites, time.Second, "INVITE")
		in := answering(t.Context(), inv)
		res := caller.response(200, sip.INVITE, time.Second)
		s.sendBranch("z9hG4bK1", sip.CANCEL, 1, "")
		caller.response(200, sip.CANCEL, time.Second)
		s.remote = toTag(res)
		s.send(sip.ACK, 1, "")
		o := within(t, in, time.Second, "ACK")
		if o.err != nil || o.dialog.End() != nil {
			t.Error(o.err)
		}
		select {
		case <-inv.Canceled():
			t.Error("the INVITE counts as canceled")
		default:
		}
	})
}

// §3.1.3: the caller ends the early dialog with BYE, which ends the INVITE too.
func TestRFC5407_3_1_3_ByeInEarlyState(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		bob, caller := w.agent("bob", bobHost), w.peer(peerHost)
		s := caller.dialing(bobHost)
		s.send(sip.INVITE, 1, "")
		inv := within(t, bob.invites, time.Second, "INVITE")
		_ = inv.Ringing()
		s.remote = toTag(caller.response(180, sip.INVITE, time.Second))
		s.send(sip.BYE, 2, "", "Reason: SIP;cause=200")
		caller.response(200, sip.BYE, time.Second)
		caller.response(487, sip.INVITE, time.Second)
		within(t, inv.Canceled(), time.Second, "Canceled")
		if !inv.CancelReason().Elsewhere() {
			t.Error("the reason is lost")
		}
	})
}

// §3.1.4 and §3.1.5: a re-INVITE comes while the 200 waits for its ACK, which is lost. The first exchange is complete
// when the INVITE held the offer, so it waits for nothing but its reader; otherwise it has to wait for the answer.
func TestRFC5407_3_1_4_ReinviteInMoratorium(t *testing.T) {
	for _, offered := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			w := newWorld(t)
			bob, caller := w.agent("bob", bobHost), w.peer(peerHost)
			s := caller.dialing(bobHost)
			body, header := "", "Subject: none"
			if offered {
				body, header = string(offerBody), "Content-Type: application/sdp"
			}
			s.send(sip.INVITE, 1, body, header)
			in := answering(t.Context(), within(t, bob.invites, time.Second, "INVITE"))
			s.remote = toTag(caller.response(200, sip.INVITE, time.Second))
			s.send(sip.INVITE, 2, string(offerBody), "Content-Type: application/sdp")
			if !offered {
				caller.response(491, sip.INVITE, 400*time.Millisecond)
			}
			s.send(sip.ACK, 1, "")
			o := within(t, in, time.Second, "ACK")
			if o.err != nil {
				t.Fatal(o.err)
			}
			if offered {
				req, err := o.dialog.Next(t.Context())
				if err != nil || req.Method != sip.INVITE {
					t.Fatal(req, err)
				}
				_ = req.Respond(488, "Not Acceptable Here")
			}
		})
	}
}

// §3.1.6: the caller's BYE overtakes its ACK. The 200 is repeated until the ACK comes.
func TestRFC5407_3_1_6_ByeBeforeAck(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		bob, caller := w.agent("bob", bobHost), w.peer(peerHost)
		s := caller.dialing(bobHost)
		s.send(sip.INVITE, 1, "")
		in := answering(t.Context(), within(t, bob.invites, time.Second, "INVITE"))
		s.remote = toTag(caller.response(200, sip.INVITE, time.Second))
		s.send(sip.BYE, 2, "")
		caller.response(200, sip.BYE, time.Second)
		var end *EndError
		if o := within(t, in, time.Second, "Answer"); !errors.As(o.err, &end) || !end.Remote {
			t.Fatalf("got %v", o.err)
		}
		caller.response(200, sip.INVITE, time.Second)
		s.send(sip.ACK, 1, "")
		time.Sleep(40 * time.Second)
		if n := len(w.times(bobHost+":5060", "BYE")); n != 0 {
			t.Error("a BYE for a dialog that had one")
		}
	})
}

// §3.2.1 and §3.2.2: our BYE crosses their re-INVITE, or another request: the dialog is mortal.
func TestRFC5407_3_2_1_RequestsInMortalState(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		caller, s, d := takenCall(t, w, w.agent("bob", bobHost))
		go func() { _ = d.Bye(t.Context(), "") }()
		bye := caller.request(sip.BYE, time.Second)
		for _, m := range []sip.RequestMethod{sip.INVITE, sip.UPDATE, sip.MESSAGE, sip.REFER} { // REFER: §3.3.3
			s.send(m, 0, "")
			caller.response(481, m, time.Second)
		}
		caller.reply(bye, 200, "")
	})
}

// §3.2.3: both sides send BYE.
func TestRFC5407_3_2_3_ByeCrossesBye(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, alice, bob := pair(t)
		a, b := call(t, alice, bob)
		w.net.Default(linkDelay(50 * time.Millisecond))
		done := make(chan error, 2)
		for _, d := range []*Dialog{a, b} {
			go func() { done <- d.Bye(t.Context(), "") }()
		}
		for range 2 {
			if err := within(t, done, time.Second, "Bye"); err != nil {
				t.Error(err)
			}
		}
		for _, addr := range []string{aliceHost, bobHost} {
			for _, p := range w.sentBy(addr + ":5060") {
				if strings.HasPrefix(p, "SIP/2.0 4") {
					t.Errorf("%s answered %.40q", addr, p)
				}
			}
		}
	})
}

// §3.2.4: the 200 to their BYE is lost, so the BYE comes again when the dialog is over.
func TestRFC5407_3_2_4_RepeatedBye(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		caller, s, d := takenCall(t, w, w.agent("bob", bobHost))
		s.sendBranch("z9hG4bKbye", sip.BYE, 2, "")
		caller.response(200, sip.BYE, time.Second)
		<-d.Done()
		s.sendBranch("z9hG4bKbye", sip.BYE, 2, "")
		caller.response(200, sip.BYE, time.Second)
	})
}

// §3.3.1: their re-INVITE crosses ours.
func TestRFC5407_3_3_1_ReinvitesCross(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		caller, s, d := takenCall(t, w, w.agent("bob", bobHost))
		done := make(chan error, 1)
		go func() { _, err := d.Reinvite(t.Context(), offerType, offerBody); done <- err }()
		ours := caller.request(sip.INVITE, time.Second)
		s.send(sip.INVITE, 0, string(offerBody), "Content-Type: application/sdp")
		caller.response(491, sip.INVITE, time.Second)
		caller.reply(ours, 491, "")
		caller.request(sip.ACK, time.Second)
		start := time.Now()
		again := caller.request(sip.INVITE, 3*time.Second)
		if waited := time.Since(start); waited > 2*time.Second || again.CSeq().SeqNo <= ours.CSeq().SeqNo {
			t.Errorf("again after %s with CSeq %d", waited, again.CSeq().SeqNo) // the Call-ID is the caller's
		}
		caller.reply(again, 200, "x")
		caller.request(sip.ACK, time.Second)
		if err := within(t, done, time.Second, "Reinvite"); err != nil {
			t.Error(err)
		}
	})
}

// §3.3.2: their UPDATE with an offer crosses our re-INVITE; one without refreshes all the same.
func TestRFC5407_3_3_2_UpdateCrossesReinvite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		caller, s, d := takenCall(t, w, w.agent("bob", bobHost))
		go func() { _, _ = d.Reinvite(t.Context(), offerType, offerBody) }()
		ours := caller.request(sip.INVITE, time.Second)
		s.send(sip.UPDATE, 0, string(offerBody), "Content-Type: application/sdp")
		caller.response(491, sip.UPDATE, time.Second)
		s.send(sip.UPDATE, 0, "")
		caller.response(200, sip.UPDATE, time.Second)
		caller.reply(ours, 488, "")
		caller.request(sip.ACK, time.Second)
	})
}
