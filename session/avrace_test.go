package session_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/testkit"
	"offhook/session"
)

// Both call at the same moment. One of them answers: that is the call, and nobody has missed anything.
func TestTelephonesOfBothRing(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice", audio), w.Endpoint("bob", audio)
		x, y := alice.Device(0).Dial(bob), bob.Device(0).Dial(alice)
		here := alice.Device(0).ExpectCall("bob")
		bob.Device(0).ExpectCall("alice")
		w.Sleep(time.Second)
		if err := here.Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := y.Wait(); err != nil {
			t.Fatal(err)
		}
		_ = x.Wait()
		w.Sleep(5 * time.Second)
		for _, d := range []*testkit.Device{alice.Device(0), bob.Device(0)} {
			if calls := d.Snapshot().Calls; len(calls) != 1 || calls[0].State != session.Established || calls[0].Hold != session.HoldNone {
				t.Errorf("%s: %+v", d.Name, calls)
			}
			for _, n := range testkit.All[session.Notice](d) {
				if strings.HasPrefix(n.Text, "missed") {
					t.Errorf("%s: %s", d.Name, n.Text)
				}
			}
		}
		here.Terminate(t.Context())
		w.Sleep(time.Minute)
		expectOver(t, alice, bob)
	})
}

// The program is closed with a call going on, one coming in and one on its way: the others are told.
func TestCloseWithCalls(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob, carol, dave := w.Endpoint("alice", audio), w.Endpoint("bob", audio), w.Endpoint("carol", audio), w.Endpoint("dave", audio)
		a := alice.Device(0)
		here, there := a.Talk(bob, 0)
		in := carol.Device(0).Dial(alice)
		a.ExpectCall("carol")
		out := a.Dial(dave)
		rings := dave.Device(0).ExpectCall("alice")
		w.Sleep(time.Second)
		a.Close()
		if err := in.Wait(); err == nil {
			t.Error("carol's call was answered")
		}
		if err := out.Wait(); err == nil {
			t.Error("the call to dave was established")
		}
		w.Sleep(time.Minute)
		for _, c := range []*session.AudioVideoCall{here, there, rings} {
			expectState(t, c, session.Terminated)
		}
		expectOver(t, bob, carol, dave)
		if open := a.Sound().OpenStreams(); len(open) != 0 {
			t.Errorf("%d streams are open", len(open))
		}
	})
}

// Ending the conversation ends its calls of both kinds.
func TestConversationEndsWithItsCalls(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice", audio), w.Endpoint("bob", audio)
		alice.IM(bob, "shall I call?").Expect(session.Delivered)
		here, there := alice.Device(0).Talk(bob, 0)
		c := here.Conversation()
		if c.Audio() != here || c.IM() == nil {
			t.Errorf("%v, %v", c.Audio(), c.IM())
		}
		if err := c.End(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.Sleep(time.Minute)
		expectState(t, here, session.Terminated)
		expectState(t, there, session.Terminated)
		if can, _ := c.Can("call"); can {
			t.Error("a conversation that has ended can call")
		}
		expectOver(t, alice, bob)
	})
}

// A call of ours that rings elsewhere is picked up by somebody with permission (RFC 3891 §3): ours is canceled, and theirs
// takes its place.
func TestReplacesWhatStillRings(t *testing.T) {
	inSwitch(t, func(t *testing.T, p *phone, sound *testkit.Sound, s *scripted) {
		call, done := dial(t, p, "sip:many@"+s.addr)
		inv := s.next(sip.INVITE)
		s.answer(inv, 180, "a", "")
		time.Sleep(time.Second)
		synctest.Wait()
		tag, _ := inv.From().Params.Get("tag")
		s.call(p, "Referred-By: <sip:many@"+s.addr+">\r\nRequire: replaces\r\nReplaces: "+inv.CallID().Value()+";to-tag="+tag+";from-tag=a;early-only\r\n",
			describeAt(switchHost, 4000))
		res := s.response()
		if res.StatusCode != 200 {
			t.Fatalf("answered %d", res.StatusCode)
		}
		to := res.To().Value()
		s.request("ACK", 1, p.addr, to, "", "")
		cancel := s.next("CANCEL")
		s.answer(cancel, 200, "a", "")
		s.answer(inv, 487, "a", "")
		if err := <-done; err == nil {
			t.Error("the call that was replaced came about")
		}
		time.Sleep(time.Second)
		expectState(t, call, session.Terminated)
		if n := sound.Talkers(); n != 1 {
			t.Errorf("%d hear bob", n)
		}
		s.request("BYE", 2, p.addr, to, "", "")
		time.Sleep(time.Second)
		if open := sound.OpenStreams(); len(open) != 0 {
			t.Errorf("%d streams are open", len(open))
		}
	})
}

// The machine slept while it rang: the call is missed, and not answered into the void.
func TestAsleepWhileItRings(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice", audio), w.Endpoint("bob", audio)
		b := bob.Device(0)
		var slept atomic.Int64
		b.SetWall(func() time.Time { return time.Now().Round(0).Add(time.Duration(slept.Load())) })
		x := alice.Device(0).Dial(bob)
		there := b.ExpectCall("alice")
		w.Sleep(2 * time.Second)
		slept.Store(int64(time.Hour))
		w.Sleep(2 * time.Second)
		expectState(t, there, session.Terminated)
		b.ExpectNotice("missed call")
		if err := x.Wait(); kindOf(err) != session.KindUnavailable {
			t.Errorf("%v", err)
		}
		w.Sleep(time.Minute)
		expectOver(t, alice, bob)
	})
}

// What Can says follows the calls, and every change is told once.
func TestAvailabilityOfAudioActions(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice", audio), w.Endpoint("bob", audio)
		a := alice.Device(0)
		c, err := a.Conversation(bob.AOR())
		if err != nil {
			t.Fatal(err)
		}
		check := func(want string) {
			t.Helper()
			w.Settle()
			var can []string
			for _, action := range []string{"call", "answer", "hangup", "hold", "resume", "mute", "dtmf", "transfer", "record", "conference", "park"} {
				ok, why := c.Can(action)
				if ok {
					can = append(can, action)
				}
				if ok == (why != "") {
					t.Errorf("%s: %v because %q", action, ok, why)
				}
			}
			if got := strings.Join(can, " "); got != want {
				t.Errorf("can %q, want %q", got, want)
			}
		}
		check("call")
		here, _ := a.Talk(bob, 0)
		check("hangup hold mute dtmf transfer record park")
		here.Hold(context.Background())
		check("hangup resume mute transfer record")
		here.Terminate(context.Background())
		check("call")
		last := map[string]bool{}
		for _, ev := range testkit.All[session.ActionAvailability](a) {
			if before, told := last[ev.Action]; told && before == ev.Available {
				t.Errorf("%+v was told twice", ev)
			}
			last[ev.Action] = ev.Available
		}
		if ok, why := c.Can("dance"); ok || why == "" {
			t.Error("it can dance")
		}
	})
}

// The caller's ACK never comes: the call that was answered ends by itself (RFC 3261 §13.3.1.4).
func TestAnswerIsNeverAcknowledged(t *testing.T) {
	inSwitch(t, func(t *testing.T, p *phone, sound *testkit.Sound, s *scripted) {
		s.call(p, "Subject: about the\tRMA\r\n", describeAt(switchHost, 4000))
		time.Sleep(time.Second)
		toast := p.Snapshot().Toasts[0]
		if toast.Text != "about the RMA" {
			t.Errorf("toast %+v", toast)
		}
		call, _ := p.FindAudio(toast.Call)
		began := time.Now()
		if err := call.Accept(t.Context()); err == nil {
			t.Error("Established without an ACK")
		}
		if took := time.Since(began); took > 33*time.Second {
			t.Errorf("after %v", took)
		}
		expectState(t, call, session.Terminated)
		if open := sound.OpenStreams(); len(open) != 0 {
			t.Errorf("%d streams are open", len(open))
		}
		s.answer(s.next(sip.BYE), 200, "s", "")
	})
}

// Somebody wants to take a call over and is gone before that has come about: the call goes on as it was.
func TestTakeoverComesToNothing(t *testing.T) {
	inSwitch(t, func(t *testing.T, p *phone, sound *testkit.Sound, s *scripted) {
		call, done := dial(t, p, "sip:many@"+s.addr)
		inv := s.next(sip.INVITE)
		s.answer(inv, 200, "a", describeAt(switchHost, 4000))
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		tag, _ := inv.From().Params.Get("tag")
		s.call(p, "Referred-By: <sip:many@"+s.addr+">\r\nRequire: replaces\r\nReplaces: "+inv.CallID().Value()+";to-tag="+tag+";from-tag=a\r\n",
			describeAt(switchHost, 4100))
		time.Sleep(time.Second)
		if n := sound.Talkers(); n != 1 {
			t.Errorf("%d hear bob", n)
		}
		s.answer(s.next(sip.BYE), 200, "s", "") // for want of an ACK
		time.Sleep(time.Second)
		expectState(t, call, session.Established)
		expectHold(t, call, session.HoldNone)
		open := sound.OpenStreams()
		if len(open) != 1 || !open[0].State().Sends() {
			t.Errorf("%d streams are open", len(open))
		}
		go func() { s.answer(s.next(sip.BYE), 200, "a", "") }()
		if err := call.Terminate(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
