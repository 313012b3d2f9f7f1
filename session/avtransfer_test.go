package session_test

import (
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
	"offhook/internal/testkit"
	"offhook/session"
)

// newest is the latest audio call of a device that is not over.
func newest(t *testing.T, d *testkit.Device) *session.AudioVideoCall {
	t.Helper()
	calls := d.Snapshot().Calls
	if len(calls) == 0 {
		t.Fatalf("%s has no call", d.Name)
	}
	c, ok := d.FindAudio(calls[len(calls)-1].Call)
	if !ok {
		t.Fatalf("%s has no audio call", d.Name)
	}
	return c
}

// All three roles: alice refers bob to carol.
func TestBlindTransfer(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob, carol := w.Endpoint("alice", audio), w.Endpoint("bob", audio), w.Endpoint("carol", audio)
		here, there := alice.Device(0).Talk(bob, 0)
		done := make(chan error, 1)
		go func() { done <- here.Transfer(t.Context(), "carol") }()
		rings := carol.Device(0).ExpectCall("bob")
		w.Sleep(3 * time.Second)
		expectState(t, here, session.Transferring)
		expectState(t, there, session.Established) // it goes on until the new one is up
		if n := bob.Device(0).Sound().Talkers(); n != 1 {
			t.Errorf("%d hear bob", n)
		}
		bob.Device(0).ExpectNotice("you are being transferred to sip:carol@")
		if toasts := carol.Device(0).Snapshot().Toasts; len(toasts) != 1 || toasts[0].Text != "sent by "+alice.AOR() {
			t.Errorf("carol is shown %+v", toasts)
		}
		if err := rings.Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Errorf("transfer: %v", err)
		}
		w.Sleep(10 * time.Second)
		expectState(t, here, session.Terminated)
		expectState(t, there, session.Terminated)
		moved := newest(t, bob.Device(0))
		expectState(t, moved, session.Established)
		expectHold(t, moved, session.HoldNone)
		if p := moved.Conversation().Peer().URI; p != carol.AOR() {
			t.Errorf("bob talks to %s", p)
		}
		bob.Device(0).ExpectNotice("call ended after 0:03 (opus, encrypted by sdes): it goes on with " + carol.AOR())
		expectState(t, rings, session.Established)
		rings.Terminate(t.Context())
		w.Sleep(time.Minute)
		expectOver(t, alice, bob, carol)
	})
}

// The target does not want: everything is as it was before.
func TestTransferFails(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob, carol := w.Endpoint("alice", audio), w.Endpoint("bob", audio), w.Endpoint("carol", audio)
		here, there := alice.Device(0).Talk(bob, 0)
		done := make(chan error, 1)
		go func() { done <- here.Transfer(t.Context(), "carol") }()
		carol.Device(0).ExpectCall("bob").Decline(t.Context(), false)
		if err := <-done; kindOf(err) != session.KindBusy {
			t.Errorf("transfer: %v", err)
		}
		w.Sleep(20 * time.Second)
		expectState(t, here, session.Established)
		expectState(t, there, session.Established)
		for _, d := range []*testkit.Device{alice.Device(0), bob.Device(0)} {
			if d.Sound().Talkers() != 1 {
				t.Errorf("%s: the sound did not go on", d.Name)
			}
		}
		if err := here.Transfer(t.Context(), "nobody-of-this-name"); kindOf(err) == "" {
			t.Error("a transfer to nobody succeeded")
		}
		expectState(t, here, session.Established)
		there.Terminate(t.Context())
		w.Sleep(time.Minute)
		expectOver(t, alice, bob, carol)
	})
}

// alice asks carol first, and then connects her with bob: carol's telephone does not ring again.
func TestAttendedTransfer(t *testing.T) {
	for _, devices := range []int{1, 3} {
		story(t, func(t *testing.T, w *testkit.World) {
			alice, bob := w.Endpoint("alice", audio), w.Endpoint("bob", audio)
			carol := w.Endpoint("carol", audio, testkit.Devices(devices))
			a := alice.Device(0)
			first, bobs := a.Talk(bob, 0)
			second, carols := a.Talk(carol, devices-1)
			w.Sleep(time.Second)
			expectHold(t, bobs, session.HoldRemote)
			if err := first.TransferTo(t.Context(), second); err != nil {
				t.Fatal(err)
			}
			w.Sleep(10 * time.Second)
			for _, c := range []*session.AudioVideoCall{first, second, bobs, carols} {
				expectState(t, c, session.Terminated)
			}
			b, c := newest(t, bob.Device(0)), newest(t, carol.Device(devices-1))
			for _, x := range []*session.AudioVideoCall{b, c} {
				expectState(t, x, session.Established)
				expectHold(t, x, session.HoldNone)
			}
			if b.Conversation().Peer().URI != carol.AOR() || c.Conversation().Peer().URI != bob.AOR() {
				t.Errorf("they talk to %s and %s", b.Conversation().Peer().URI, c.Conversation().Peer().URI)
			}
			for _, d := range []*testkit.Device{bob.Device(0), carol.Device(devices - 1)} {
				if d.Sound().Talkers() != 1 {
					t.Errorf("%s: %d hear it", d.Name, d.Sound().Talkers())
				}
			}
			calls := 0
			for _, toast := range testkit.All[session.ToastShown](carol.Device(devices - 1)) {
				if toast.Kind == "call" {
					calls++
				}
			}
			if calls != 1 {
				t.Errorf("carol's telephone rang %d times", calls)
			}
			b.Terminate(t.Context())
			w.Sleep(time.Minute)
			expectOver(t, alice, bob, carol)
		})
	}
}

// Who is referred to somebody that is gone hears so, and both calls are as they were.
func TestAttendedTransferFails(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice", audio), w.Endpoint("bob", audio)
		deaf := testkit.Audio(func(_ int, cfg *session.Config, s *testkit.Sound) { s.Formats = s.Formats[1:2] }) // PCMU only
		carol := w.Endpoint("carol", deaf)
		a := alice.Device(0)
		first, bobs := a.Talk(bob, 0)
		second, carols := a.Talk(carol, 0)
		w.Sleep(time.Second)
		carol.Device(0).Sound().Fail(errTest)
		if err := first.TransferTo(t.Context(), second); kindOf(err) != session.KindUnavailable {
			t.Errorf("transfer: %v", err)
		}
		w.Sleep(10 * time.Second)
		for _, c := range []*session.AudioVideoCall{first, second, bobs, carols} {
			expectState(t, c, session.Established)
		}
		expectHold(t, first, session.HoldLocal)
		expectHold(t, second, session.HoldNone)
		if n := a.Sound().Talkers(); n != 1 {
			t.Errorf("%d hear alice", n)
		}
		first.Terminate(t.Context())
		second.Terminate(t.Context())
		w.Sleep(time.Minute)
		expectOver(t, alice, bob, carol)
	})
}

// RFC 3891 §3: what does not name a call of ours is refused and disturbs nothing.
func TestReplacesThatFitsNothing(t *testing.T) {
	inPhones(t, func(t *testing.T, p *phones) {
		call, dlg := p.call(t)
		offer := p.describe(deskHost, "sendrecv")
		for _, c := range []struct {
			replaces string
			status   int
		}{
			{"unknown;to-tag=a;from-tag=b", 481},
			{"unknown;to-tag=a", 400},
			{dlg.Replaces().String() + ";early-only", 486},
		} {
			o := p.invite(t.Context(), offer, sip.NewHeader("Replaces", c.replaces), sip.NewHeader("Require", "replaces"))
			if got := o.status(); got != c.status {
				t.Errorf("%s: %d, want %d", c.replaces, got, c.status)
			}
		}
		expectState(t, call, session.Established)
		// And what fits takes the call over without ringing.
		o := p.invite(t.Context(), offer, sip.NewHeader("Replaces", dlg.Replaces().String()), sip.NewHeader("Require", "replaces"))
		if got := o.status(); got != 200 {
			t.Fatalf("status %d", got)
		}
		time.Sleep(time.Second)
		expectState(t, call, session.Terminated)
		select {
		case <-dlg.Done():
		default:
			t.Error("the call that was taken over was not ended")
		}
		if n := len(eventsOf[session.ToastShown](p.phone)); n != 0 {
			t.Errorf("it rang %d times", n)
		}
		_ = o.dlg.Bye(t.Context(), "")
	})
}

// A desk phone refers us: progress is told, and the old call is ended by whoever does it first.
func TestTransferee(t *testing.T) {
	inPhones(t, func(t *testing.T, p *phones) {
		call, dlg := p.call(t)
		if _, err := dlg.Do(t.Context(), sip.REFER, "", nil, sip.NewHeader("Refer-To", "<mailto:a@b>")); statusOf(err) != 400 {
			t.Errorf("a Refer-To that is no telephone: %v", err)
		}
		if _, err := dlg.Do(t.Context(), sip.REFER, "", nil, sip.NewHeader("Refer-To", "<"+p.desk.uri+">")); err != nil {
			t.Fatal(err)
		}
		second := <-p.dialogs
		time.Sleep(time.Second)
		var progress []string
		for _, n := range p.got(sip.NOTIFY) {
			progress = append(progress, string(n.Body()))
		}
		if len(progress) != 2 || progress[0] != "SIP/2.0 100 Trying\r\n" || progress[1] != "SIP/2.0 200 OK\r\n" {
			t.Errorf("progress %q", progress)
		}
		expectState(t, call, session.Established)
		if n := p.sound.Talkers(); n != 1 {
			t.Errorf("%d hear bob", n)
		}
		expectHold(t, call, session.HoldNone) // it is as good as over, and nobody is told anything else
		if n := len(p.got(sip.INVITE)); n != 0 {
			t.Errorf("%d re-INVITEs", n)
		}
		time.Sleep(6 * time.Second) // nobody ends it: we do
		expectState(t, call, session.Terminated)
		_ = second.Bye(t.Context(), "")
	})
}

// The old call ends by itself while the transfer is under way: the new one comes about all the same.
func TestTransferorLeavesAtOnce(t *testing.T) {
	inPhones(t, func(t *testing.T, p *phones) {
		call, dlg := p.call(t)
		picked := make(chan struct{})
		p.ring = func(inv *sipua.Invite) {
			<-picked
			p.pickUp(inv, p.describe(deskHost, "sendrecv"))
		}
		if _, err := dlg.Do(t.Context(), sip.REFER, "", nil, sip.NewHeader("Refer-To", "<"+p.desk.uri+">")); err != nil {
			t.Fatal(err)
		}
		_ = dlg.Bye(t.Context(), "")
		time.Sleep(time.Second)
		expectState(t, call, session.Terminated)
		close(picked)
		second := <-p.dialogs
		time.Sleep(time.Second)
		if n := p.sound.Talkers(); n != 1 {
			t.Errorf("%d hear bob", n)
		}
		_ = second.Bye(t.Context(), "")
		time.Sleep(time.Second)
	})
}

// Two desk phones, of which neither ends anything by itself.
func TestTransferorOfDeskPhones(t *testing.T) {
	for _, outcome := range []string{"SIP/2.0 200 OK\r\n", "SIP/2.0 486 Busy Here\r\n"} {
		inPhones(t, func(t *testing.T, p *phones) {
			first, one := p.call(t)
			second, two := p.call(t)
			time.Sleep(time.Second)
			done := make(chan error, 1)
			go func() { done <- first.TransferTo(t.Context(), second) }()
			time.Sleep(time.Second)
			refers := p.got(sip.REFER)
			if len(refers) != 1 {
				t.Fatalf("%d REFERs", len(refers))
			}
			to := refers[0].GetHeader("Refer-To").Value()
			want := two.ID().CallID + "%3Bto-tag%3D" + two.ID().LocalTag + "%3Bfrom-tag%3D" + two.ID().RemoteTag
			if !strings.Contains(to, "Replaces="+want) {
				t.Errorf("Refer-To: %s, want %s", to, want)
			}
			notify := func(state, frag string, want int) {
				_, err := one.Do(t.Context(), sip.NOTIFY, "message/sipfrag", []byte(frag),
					sip.NewHeader("Event", "refer"), sip.NewHeader("Subscription-State", state))
				if statusOf(err) != want {
					t.Errorf("NOTIFY %q: %v", frag, err)
				}
			}
			notify("active", "SIP/2.0 100 Trying\r\n", 0)
			expectState(t, first, session.Transferring)
			notify("active", "nonsense", 400)
			notify("terminated;reason=noresource", outcome, 0)
			err := <-done
			if ok := strings.Contains(outcome, "200"); ok != (err == nil) {
				t.Errorf("%q: %v", outcome, err)
			}
			wanted := session.Terminated
			if err != nil {
				wanted = session.Established
				expectHold(t, first, session.HoldLocal)
				expectHold(t, second, session.HoldNone)
			}
			expectState(t, first, wanted)
			expectState(t, second, wanted)
			if err != nil {
				notify("terminated", "SIP/2.0 200 OK\r\n", 481) // nothing is being transferred any more
				first.Terminate(t.Context())
				second.Terminate(t.Context())
			}
		})
	}
}
