package session_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"offhook/internal/media"
	"offhook/internal/sdp"
	"offhook/internal/testkit"
	"offhook/session"
)

func direction(d *testkit.Device) sdp.Direction {
	a, _ := d.Sound().Stream().State().Agreed()
	return a.Direction
}

func TestHoldAndResumeOfBothSides(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice", audio), w.Endpoint("bob", audio)
		a, b := alice.Device(0), bob.Device(0)
		here, there := a.Talk(bob, 0)
		for _, step := range []struct {
			who         *session.AudioVideoCall
			hold        bool
			here, there session.Hold
			a, b        sdp.Direction
		}{
			{here, true, session.HoldLocal, session.HoldRemote, sdp.Sending, sdp.Receiving},
			{here, true, session.HoldLocal, session.HoldRemote, sdp.Sending, sdp.Receiving}, // once more changes nothing
			{there, true, session.HoldBoth, session.HoldBoth, sdp.Inactive, sdp.Inactive},
			{here, false, session.HoldRemote, session.HoldLocal, sdp.Receiving, sdp.Sending},
			{there, false, session.HoldNone, session.HoldNone, sdp.Both, sdp.Both},
			{there, true, session.HoldRemote, session.HoldLocal, sdp.Receiving, sdp.Sending},
			{here, true, session.HoldBoth, session.HoldBoth, sdp.Inactive, sdp.Inactive},
			{there, false, session.HoldLocal, session.HoldRemote, sdp.Sending, sdp.Receiving},
			{here, false, session.HoldNone, session.HoldNone, sdp.Both, sdp.Both},
		} {
			do := step.who.Resume
			if step.hold {
				do = step.who.Hold
			}
			if err := do(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.Sleep(time.Second)
			expectHold(t, here, step.here)
			expectHold(t, there, step.there)
			if direction(a) != step.a || direction(b) != step.b {
				t.Errorf("directions %v and %v, want %v and %v", direction(a), direction(b), step.a, step.b)
			}
			if st := a.Sound().Stream().State(); st.Held != (step.here == session.HoldLocal || step.here == session.HoldBoth) {
				t.Errorf("alice's stream is held %v in %s", st.Held, step.here)
			}
		}
		if n := len(testkit.All[session.CallHold](a)); n != 8 {
			t.Errorf("%d changes of hold were told, want 8", n)
		}
		here.Terminate(t.Context())
		w.Sleep(time.Minute)
		expectOver(t, alice, bob)
	})
}

// Both press hold at the same moment, so that their re-INVITEs cross (RFC 3261 §14.1).
func TestHoldCrossesHold(t *testing.T) {
	for seed := range 12 {
		story(t, func(t *testing.T, w *testkit.World) {
			alice, bob := w.Endpoint("alice", audio), w.Endpoint("bob", audio)
			here, there := alice.Device(0).Talk(bob, 0)
			cross := func(a, b func(context.Context) error) {
				var wg sync.WaitGroup
				for _, f := range []func(context.Context) error{a, b} {
					wg.Go(func() {
						if err := f(context.Background()); err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
				w.Sleep(time.Second)
			}
			cross(here.Hold, there.Hold)
			expectHold(t, here, session.HoldBoth)
			expectHold(t, there, session.HoldBoth)
			cross(here.Resume, there.Resume)
			expectHold(t, here, session.HoldNone)
			expectHold(t, there, session.HoldNone)
			if direction(alice.Device(0)) != sdp.Both || direction(bob.Device(0)) != sdp.Both {
				t.Errorf("directions %v, %v", direction(alice.Device(0)), direction(bob.Device(0)))
			}
			cross(here.Hold, here.Resume) // one person with two hands
			cross(here.Terminate, there.Terminate)
			w.Sleep(time.Minute)
			expectOver(t, alice, bob)
		}, testkit.Seed(uint64(seed)))
	}
}

// A second call puts the first on hold: dialled, answered or resumed. One microphone has one listener.
func TestCallWaiting(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob, carol := w.Endpoint("alice", audio), w.Endpoint("bob", audio), w.Endpoint("carol", audio)
		a := alice.Device(0)
		first, bobs := a.Talk(bob, 0)
		x := carol.Device(0).Dial(alice)
		second := a.ExpectCall("carol")
		w.Sleep(time.Second)
		if !second.Info().Waiting || a.Sound().Tone() != media.CallWaiting {
			t.Errorf("%+v, tone %v", second.Info(), a.Sound().Tone())
		}
		if err := second.Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := x.Wait(); err != nil {
			t.Fatal(err)
		}
		w.Sleep(time.Second)
		expectHold(t, first, session.HoldLocal)
		expectHold(t, bobs, session.HoldRemote)
		expectHold(t, second, session.HoldNone)
		if n := a.Sound().Talkers(); n != 1 {
			t.Errorf("%d hear alice", n)
		}
		if err := first.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.Sleep(time.Second)
		expectHold(t, first, session.HoldNone)
		expectHold(t, second, session.HoldLocal)
		expectHold(t, x.AudioVideoCall, session.HoldRemote)
		if n := a.Sound().Talkers(); n != 1 {
			t.Errorf("%d hear alice", n)
		}
		dave := w.Endpoint("dave", audio)
		third, _ := a.Talk(dave, 0)
		w.Sleep(time.Second)
		expectHold(t, first, session.HoldLocal)
		expectHold(t, third, session.HoldNone)
		if n := a.Sound().Talkers(); n != 1 {
			t.Errorf("%d hear alice", n)
		}
		for _, c := range []*session.AudioVideoCall{first, second, third} {
			if err := c.Terminate(t.Context()); err != nil {
				t.Error(err)
			}
		}
		w.Sleep(time.Minute)
		expectOver(t, alice, bob, carol, dave)
	})
}

func TestConference(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob, carol := w.Endpoint("alice", audio), w.Endpoint("bob", audio), w.Endpoint("carol", audio)
		a := alice.Device(0)
		first, bobs := a.Talk(bob, 0)
		if err := a.Conference(t.Context(), first); kindOf(err) != session.KindState {
			t.Errorf("a conference of one: %v", err)
		}
		second, carols := a.Talk(carol, 0)
		w.Sleep(time.Second)
		if can, why := first.Conversation().Can("conference"); !can {
			t.Errorf("no conference: %s", why)
		}
		if err := a.Conference(t.Context(), first, second); err != nil {
			t.Fatal(err)
		}
		w.Sleep(time.Second)
		group := first.Info().Conference
		if group == "" || second.Info().Conference != group {
			t.Errorf("%q and %q", group, second.Info().Conference)
		}
		for i, c := range []*session.AudioVideoCall{first, second, bobs, carols} {
			if h := c.Info().Hold; h != session.HoldNone {
				t.Errorf("call %d is %s", i, h)
			}
		}
		for _, st := range a.Sound().OpenStreams() {
			if now := st.State(); now.Group != group || !now.Sends() {
				t.Errorf("%s: %+v", st.Name, now)
			}
		}
		if err := second.Leave(t.Context()); err != nil { // and back again
			t.Fatal(err)
		}
		w.Sleep(time.Second)
		expectHold(t, second, session.HoldLocal)
		expectHold(t, first, session.HoldNone)
		if first.Info().Conference != "" || a.Sound().Talkers() != 1 || a.Sound().Streams()[0].State().Group != "" {
			t.Errorf("%+v", first.Info())
		}
		if err := a.Conference(t.Context(), second, first); err != nil {
			t.Fatal(err)
		}
		carols.Terminate(t.Context())
		w.Sleep(time.Second)
		if first.Info().Conference != "" || first.Info().Hold != session.HoldNone || a.Sound().Streams()[0].State().Group != "" {
			t.Errorf("after carol left: %+v, %+v", first.Info(), a.Sound().Streams()[0].State())
		}
		first.Terminate(t.Context())
		w.Sleep(time.Minute)
		expectOver(t, alice, bob, carol)
	})
}

// A member that cannot be resumed is not joined, and the others go on.
func TestConferenceIsRefused(t *testing.T) {
	inPhones(t, func(t *testing.T, p *phones) {
		first, _ := p.call(t)
		second, _ := p.call(t)
		time.Sleep(time.Second)
		expectHold(t, first, session.HoldLocal)
		p.setRefuse(488)
		if err := p.Conference(t.Context(), first, second); kindOf(err) != session.KindUnsupported {
			t.Errorf("join: %v", err)
		}
		for _, c := range []*session.AudioVideoCall{first, second} {
			if info := c.Info(); info.Conference != "" || info.State != session.Established {
				t.Errorf("%+v", info)
			}
		}
		for _, st := range p.sound.OpenStreams() {
			if g := st.State().Group; g != "" {
				t.Errorf("%s is in %s", st.Name, g)
			}
		}
		if n := p.sound.Talkers(); n != 1 {
			t.Errorf("%d hear bob", n)
		}
		// Leaving one needs nobody's consent.
		p.setRefuse(0)
		if err := p.Conference(t.Context(), first, second); err != nil {
			t.Fatal(err)
		}
		p.setRefuse(488)
		if err := first.Leave(t.Context()); err != nil {
			t.Error(err)
		}
		if n := p.sound.Talkers(); n != 1 {
			t.Errorf("%d hear bob", n)
		}
		p.setRefuse(0)
		first.Terminate(t.Context())
		second.Terminate(t.Context())
	})
}

// What the other side refuses changes nothing.
func TestRefusedHold(t *testing.T) {
	inPhones(t, func(t *testing.T, p *phones) {
		call, dlg := p.call(t)
		p.setRefuse(488)
		err := call.Hold(t.Context())
		if kindOf(err) != session.KindUnsupported {
			t.Errorf("hold: %v", err)
		}
		expectState(t, call, session.Established)
		expectHold(t, call, session.HoldNone)
		if st := p.sound.Stream().State(); !st.Sends() {
			t.Errorf("the sound did not go on: %+v", st)
		}
		p.setRefuse(0)
		if err := call.Hold(t.Context()); err != nil {
			t.Error(err)
		}
		expectHold(t, call, session.HoldLocal)
		_ = dlg.Bye(t.Context(), "")
		time.Sleep(time.Second)
		synctest.Wait()
		expectState(t, call, session.Terminated)
	})
}

// 0.0.0.0 is how it was done before there was a=sendonly (RFC 3264 §8.4); a re-INVITE without an offer wants ours.
func TestOldHoldAndDelayedReinvite(t *testing.T) {
	inPhones(t, func(t *testing.T, p *phones) {
		call, dlg := p.call(t)
		if _, err := dlg.Reinvite(t.Context(), "application/sdp", []byte(p.describe("0.0.0.0", "sendrecv"))); err != nil {
			t.Fatal(err)
		}
		expectHold(t, call, session.HoldRemote)
		if _, err := dlg.Reinvite(t.Context(), "application/sdp", []byte(p.describe("127.0.9.1", "sendrecv"))); err != nil {
			t.Fatal(err)
		}
		expectHold(t, call, session.HoldNone)
		for _, wish := range []string{"sendonly", "inactive", "sendrecv"} {
			if _, err := dlg.Update(t.Context(), "application/sdp", []byte(p.describe("127.0.9.1", wish))); err != nil {
				t.Fatal(err)
			}
			want := session.HoldRemote
			if wish == "sendrecv" {
				want = session.HoldNone
			}
			expectHold(t, call, want)
		}
		if _, err := dlg.Reinvite(t.Context(), "application/sdp", []byte("v=0\r\nm=audio 4000 RTP/AVP 18\r\n")); statusOf(err) != 488 {
			t.Errorf("an offer that does not fit: %v", err)
		}
		expectState(t, call, session.Established)
		video := p.describe("127.0.9.1", "sendrecv") + "m=video 5000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
		res, err := dlg.Reinvite(t.Context(), "application/sdp", []byte(video))
		if err != nil {
			t.Fatal(err)
		}
		if s, err := sdp.Parse(res.Body()); err != nil || len(s.Media) != 2 || s.Media[0].Port == 0 || s.Media[1].Port != 0 {
			t.Errorf("video was answered %q, %v", res.Body(), err)
		}
		if err := call.Terminate(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// The order in which calls become active is of no account: however they are dialled, answered and resumed, one listens.
func TestOneListener(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice := w.Endpoint("alice", audio)
		var others []*testkit.User
		for i := range 4 {
			others = append(others, w.Endpoint(fmt.Sprintf("peer%d", i), testkit.Audio(func(_ int, cfg *session.Config, _ *testkit.Sound) {
				cfg.AutoAnswer = true
			})))
		}
		a := alice.Device(0)
		var calls []*testkit.Dialing
		for _, u := range others { // all at once
			calls = append(calls, a.Dial(u))
		}
		for _, c := range calls {
			if err := c.Wait(); err != nil {
				t.Error(err)
			}
		}
		w.Sleep(2 * time.Second)
		if n := a.Sound().Talkers(); n != 1 {
			t.Errorf("%d hear alice", n)
		}
		var wg sync.WaitGroup
		for _, c := range calls {
			wg.Go(func() { _ = c.Resume(context.Background()) })
		}
		wg.Wait()
		w.Sleep(2 * time.Second)
		if n := a.Sound().Talkers(); n != 1 {
			t.Errorf("%d hear alice after all were resumed at once", n)
		}
		for _, c := range calls {
			c.Terminate(t.Context())
		}
		w.Sleep(time.Minute)
		expectOver(t, append(others, alice)...)
	})
}
