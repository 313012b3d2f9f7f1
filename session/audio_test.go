package session_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/media"
	"offhook/internal/sdp"
	"offhook/internal/testkit"
	"offhook/session"
)

// Audio calls through the real server, in fake time, with sound that is noted instead of heard.

var audio = testkit.Audio()

// kindOf is the kind of an error of this package, "" for none.
func kindOf(err error) session.Kind {
	var e *session.Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

// expectOver fails unless a device has no calls left and all its streams are closed.
func expectOver(t *testing.T, users ...*testkit.User) {
	t.Helper()
	for _, u := range users {
		for _, d := range u.Devices() {
			if calls := d.Snapshot().Calls; len(calls) != 0 {
				t.Errorf("%s still has %+v", d.Name, calls)
			}
			if open := d.Sound().OpenStreams(); len(open) != 0 {
				t.Errorf("%s has %d open streams", d.Name, len(open))
			}
			if tone := d.Sound().Tone(); tone != media.NoTone {
				t.Errorf("%s plays tone %d in the end", d.Name, tone)
			}
		}
	}
}

func expectState(t *testing.T, c *session.AudioVideoCall, want session.State) {
	t.Helper()
	if got := c.State(); got != want {
		t.Errorf("the call is %s, want %s", got, want)
	}
}

func expectHold(t *testing.T, c *session.AudioVideoCall, want session.Hold) {
	t.Helper()
	if got := c.Info().Hold; got != want {
		t.Errorf("hold is %s, want %s", got, want)
	}
}

func TestCallFromRingingToHangup(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice", audio), w.Endpoint("bob", audio)
		a, b := alice.Device(0), bob.Device(0)
		x := a.Dial(bob)
		there := b.ExpectCall("alice")
		w.Sleep(time.Second)
		if a.Sound().Tone() != media.Ringback || b.Sound().Tone() != media.Ring {
			t.Errorf("tones %v and %v", a.Sound().Tone(), b.Sound().Tone())
		}
		if n := len(testkit.All[session.CallRinging](a)); n != 1 {
			t.Errorf("ringing was told %d times", n)
		}
		w.Sleep(30 * time.Second)
		expectState(t, there, session.Incoming) // it never answers by itself
		if err := there.Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := x.Wait(); err != nil {
			t.Fatal(err)
		}
		w.Settle()
		b.ExpectToastClosed("accepted")
		for _, d := range []*testkit.Device{a, b} {
			st := d.Sound().Stream().State()
			if !st.Sends() || d.Sound().Tone() != media.NoTone {
				t.Errorf("%s: %+v, tone %v", d.Name, st, d.Sound().Tone())
			}
			m := testkit.Await[session.CallMedia](d, 0, nil)
			if m.Codec != "opus" || m.Security != "sdes" || m.Remote == "" || m.Local == "" {
				t.Errorf("%s: %+v", d.Name, m)
			}
			c := d.Snapshot().Calls[0]
			if c.Codec != "opus" || c.Hold != session.HoldNone || c.Since.IsZero() || c.Kind != "audio" {
				t.Errorf("%s: %+v", d.Name, c)
			}
			if state := d.Snapshot().Conversations[0].State; state != session.ConversationActive {
				t.Errorf("%s: the conversation is %s", d.Name, state)
			}
		}
		w.Sleep(192 * time.Second)
		if err := x.Terminate(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.Settle()
		expectState(t, there, session.Terminated)
		if b.Sound().Tone() != media.Hangup {
			t.Errorf("bob hears tone %v", b.Sound().Tone())
		}
		w.Sleep(time.Minute)
		for _, d := range []*testkit.Device{a, b} {
			d.ExpectNotice("call ended after 3:12 (opus, encrypted by sdes)")
		}
		expectOver(t, alice, bob)
	})
}

func TestCalleeHangsUp(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice", audio), w.Endpoint("bob", audio)
		here, there := alice.Device(0).Talk(bob, 0)
		if err := there.Terminate(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.Sleep(time.Minute)
		expectState(t, here, session.Terminated)
		expectOver(t, alice, bob)
	})
}

func TestCallIsGivenUp(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice", audio), w.Endpoint("bob", audio)
		a, b := alice.Device(0), bob.Device(0)
		x := a.Dial(bob)
		there := b.ExpectCall("alice")
		w.Sleep(20 * time.Second)
		x.GiveUp()
		if err := x.Wait(); !errors.Is(err, context.Canceled) {
			t.Errorf("the caller is told %v", err)
		}
		w.Sleep(time.Second)
		expectState(t, there, session.Terminated)
		b.ExpectToastClosed("missed")
		b.ExpectNotice("missed call (0:20)")
		toast := testkit.Await(b, 0, func(e session.ToastShown) bool { return e.Kind == "missed" })
		if toast.Text != "0:20" || toast.Call != there.ID() {
			t.Errorf("toast %+v", toast)
		}
		if n := len(b.Snapshot().Toasts); n != 1 {
			t.Errorf("%d toasts are shown", n)
		}
		call, ok := b.FindToast(toast.Toast)
		if !ok || call.Dismiss() != nil || len(b.Snapshot().Toasts) != 0 {
			t.Errorf("the toast of a missed call could not be dismissed")
		}
		w.Sleep(time.Minute)
		expectOver(t, alice, bob)
	})
}

func TestNobodyAnswers(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice", audio), w.Endpoint("bob", audio)
		began := time.Now()
		x := alice.Device(0).Dial(bob)
		err := x.Wait()
		if took := time.Since(began); took < time.Minute || took > 4*time.Minute || err == nil {
			t.Errorf("after %v: %v", took, err)
		}
		w.Sleep(time.Minute)
		bob.Device(0).ExpectNotice("missed call")
		expectOver(t, alice, bob)
	})
}

func TestDeclinedHereAndEverywhere(t *testing.T) {
	for _, everywhere := range []bool{false, true} {
		story(t, func(t *testing.T, w *testkit.World) {
			alice, bob := w.Endpoint("alice", audio), w.Endpoint("bob", audio, testkit.Devices(3))
			x := alice.Device(0).Dial(bob)
			for _, d := range bob.Devices() {
				d.ExpectCall("alice")
			}
			w.Sleep(time.Second)
			if err := bob.Device(0).ExpectCall("alice").Decline(t.Context(), everywhere); err != nil {
				t.Fatal(err)
			}
			w.Sleep(time.Second)
			if !everywhere {
				for _, d := range bob.Devices()[1:] {
					expectState(t, d.ExpectCall("alice"), session.Incoming)
				}
				bob.Device(1).ExpectCall("alice").Decline(t.Context(), false)
				bob.Device(2).ExpectCall("alice").Decline(t.Context(), false)
			} else {
				for _, d := range bob.Devices()[1:] {
					d.ExpectToastClosed("declined")
					d.ExpectNotice("call declined on another device")
				}
			}
			want := session.KindBusy
			if everywhere {
				want = session.KindDeclined
			}
			if err := x.Wait(); kindOf(err) != want {
				t.Errorf("the caller is told %v", err)
			}
			w.Settle()
			if tone := alice.Device(0).Sound().Tone(); tone != media.Busy {
				t.Errorf("the caller hears %v", tone)
			}
			w.Sleep(time.Minute)
			expectOver(t, alice, bob)
		})
	}
}

// Answered on another device is not missed.
func TestAnsweredElsewhere(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice", audio), w.Endpoint("bob", audio, testkit.Devices(3))
		x := alice.Device(0).Dial(bob)
		for _, d := range bob.Devices() {
			d.ExpectCall("alice")
		}
		w.Sleep(20 * time.Second)
		for _, d := range bob.Devices() {
			if d.Sound().Tone() != media.Ring {
				t.Errorf("%s does not ring any more", d.Name)
			}
		}
		if err := bob.Device(2).ExpectCall("alice").Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := x.Wait(); err != nil {
			t.Fatal(err)
		}
		w.Sleep(time.Second)
		for _, d := range bob.Devices()[:2] {
			if closed := d.ExpectToastClosed("answered_elsewhere"); closed.By != "bob-2" {
				t.Errorf("%s: by %q", d.Name, closed.By)
			}
			d.ExpectNotice("call answered on another device (bob-2)")
			if d.Sound().Tone() != media.NoTone || len(d.Snapshot().Toasts) != 0 {
				t.Errorf("%s: tone %v, toasts %v", d.Name, d.Sound().Tone(), d.Snapshot().Toasts)
			}
		}
		x.Terminate(t.Context())
		w.Sleep(time.Minute)
		expectOver(t, alice, bob)
	})
}

func TestForwarded(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob, carol := w.Endpoint("alice", audio), w.Endpoint("bob", audio), w.Endpoint("carol", audio)
		x := alice.Device(0).Dial(bob)
		if err := bob.Device(0).ExpectCall("alice").Forward(t.Context(), "carol"); err != nil {
			t.Fatal(err)
		}
		there := carol.Device(0).ExpectCall("alice")
		if err := there.Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := x.Wait(); err != nil {
			t.Fatal(err)
		}
		x.Terminate(t.Context())
		w.Sleep(time.Minute)
		expectOver(t, alice, bob, carol)
	})
}

func TestNotToBeDisturbed(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice", audio), w.Endpoint("bob", audio)
		if err := bob.Device(0).SetPresence(t.Context(), "dnd", ""); err != nil {
			t.Fatal(err)
		}
		if err := alice.Device(0).Dial(bob).Wait(); kindOf(err) != session.KindBusy {
			t.Errorf("the caller is told %v", err)
		}
		bob.Device(0).ExpectNotice("missed call: not to be disturbed")
		if tones := bob.Device(0).Sound().Tones(); len(tones) != 0 {
			t.Errorf("it rang: %v", tones)
		}
		w.Sleep(time.Minute)
		expectOver(t, alice, bob)
	})
}

func TestWithoutAudio(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice", audio), w.Endpoint("bob")
		err := alice.Device(0).Dial(bob).Wait()
		if kindOf(err) != session.KindUnsupported || !strings.Contains(err.Error(), "audio calls are not available") {
			t.Errorf("the caller is told %v", err)
		}
		c, err := bob.Device(0).Conversation("alice")
		if err != nil {
			t.Fatal(err)
		}
		if can, why := c.Can("call"); can || why != "this endpoint has no audio" {
			t.Errorf("can call: %v %q", can, why)
		}
		av, err := c.Dial(t.Context())
		if kindOf(err) != session.KindDevice || av.State() != session.Terminated {
			t.Errorf("%v, %v", err, av.State())
		}
		w.Sleep(time.Minute)
		expectOver(t, alice)
	})
}

// What both sides bring does not fit: nobody's telephone rings, and the caller is told in a sentence what does not.
func TestUnsuitable(t *testing.T) {
	g722 := testkit.Audio(func(_ int, _ *session.Config, s *testkit.Sound) {
		s.Formats = []sdp.Format{{PayloadType: 9, Name: "g722", ClockRate: 8000, Channels: 1}}
	})
	policy := func(p sdp.Policy) testkit.UserOption {
		return testkit.Audio(func(_ int, cfg *session.Config, _ *testkit.Sound) { cfg.Encryption = p })
	}
	for _, c := range []struct {
		name           string
		caller, callee testkit.UserOption
		kind           session.Kind
		says           string
	}{
		{"codecs", audio, g722, session.KindUnsupported, "no codec in common"},
		{"required here", policy(sdp.Required), policy(sdp.Off), session.KindEncryption, "encrypt"},
		{"required there", policy(sdp.Off), policy(sdp.Required), session.KindEncryption, "encrypt"},
	} {
		t.Run(c.name, func(t *testing.T) {
			story(t, func(t *testing.T, w *testkit.World) {
				alice, bob := w.Endpoint("alice", c.caller), w.Endpoint("bob", c.callee)
				err := alice.Device(0).Dial(bob).Wait()
				if kindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
					t.Errorf("the caller is told %v", err)
				}
				bob.Device(0).ExpectNotice("call refused: ")
				if n := alice.Device(0).ExpectNotice("call failed ("); !strings.Contains(n.Text, c.says) {
					t.Errorf("the caller reads %q", n.Text)
				}
				bob.Device(0).ExpectNoToast()
				w.Sleep(time.Minute)
				expectOver(t, alice, bob)
			})
		})
	}
}

func TestAutoAnswer(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, carol := w.Endpoint("alice", audio), w.Endpoint("carol", audio)
		bob := w.Endpoint("bob", testkit.Audio(func(_ int, cfg *session.Config, _ *testkit.Sound) { cfg.AutoAnswer = true }))
		x := alice.Device(0).Dial(bob)
		if err := x.Wait(); err != nil {
			t.Fatal(err)
		}
		bob.Device(0).ExpectNoToast()
		second := carol.Device(0).Dial(bob) // a call that goes on is never interrupted by policy
		waiting := bob.Device(0).ExpectCall("carol")
		w.Sleep(5 * time.Second)
		expectState(t, waiting, session.Incoming)
		if !waiting.Info().Waiting || bob.Device(0).Sound().Tone() != media.CallWaiting {
			t.Errorf("%+v, tone %v", waiting.Info(), bob.Device(0).Sound().Tone())
		}
		second.GiveUp()
		x.Terminate(t.Context())
		w.Sleep(time.Minute)
		expectOver(t, alice, bob, carol)
	})
}

func TestMediaCannotBeOpened(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice", audio), w.Endpoint("bob", audio)
		alice.Device(0).Sound().Fail(errors.New("no port is free"))
		if err := alice.Device(0).Dial(bob).Wait(); kindOf(err) != session.KindDevice {
			t.Errorf("the caller is told %v", err)
		}
		alice.Device(0).Sound().Fail(nil)
		bob.Device(0).Sound().Fail(errors.New("no port is free"))
		if err := alice.Device(0).Dial(bob).Wait(); kindOf(err) != session.KindUnavailable {
			t.Errorf("the caller is told %v", err)
		}
		w.Sleep(time.Minute)
		expectOver(t, alice, bob)
	})
}

// RFC 5373: who wants a person gets a person, or nobody.
func TestAutoAnswerIsNotWanted(t *testing.T) {
	for mode, want := range map[string]session.State{"": session.Established, "Manual": session.Incoming, "Auto": session.Established} {
		inPhonesWith(t, func(cfg *session.Config) { cfg.AutoAnswer = true }, func(t *testing.T, p *phones) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var headers []sip.Header
			if mode != "" {
				headers = append(headers, sip.NewHeader("Answer-Mode", mode))
			}
			p.invite(ctx, p.describe(deskHost, "sendrecv"), headers...)
			if calls := p.Snapshot().Calls; len(calls) != 1 || calls[0].State != want {
				t.Errorf("%q: %+v", mode, calls)
			}
		})
	}
}
