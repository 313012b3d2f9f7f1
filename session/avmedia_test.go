package session_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/media"
	"offhook/internal/sdp"
	"offhook/internal/testkit"
	"offhook/internal/vnet"
	"offhook/session"
)

var errTest = errors.New("test")

func lossy(share float64) vnet.Link {
	return vnet.Link{Delay: 20 * time.Millisecond, Jitter: 10 * time.Millisecond, Loss: share, Duplicate: share / 3}
}

func TestDigits(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice", audio), w.Endpoint("bob", audio)
		here, _ := alice.Device(0).Talk(bob, 0)
		if err := here.Digits(t.Context(), "12#,a*"); err != nil {
			t.Fatal(err)
		}
		if got := alice.Device(0).Sound().Stream().State().Digits; got != "12#,A*" {
			t.Errorf("pressed %q", got)
		}
		for _, bad := range []string{"", "x", "1 2", "１"} {
			if err := here.Digits(t.Context(), bad); kindOf(err) != session.KindConfig {
				t.Errorf("%q: %v", bad, err)
			}
		}
		here.Hold(t.Context())
		if err := here.Digits(t.Context(), "1"); kindOf(err) != session.KindState {
			t.Errorf("on hold: %v", err)
		}
		bob.Device(0).Sound().Stream().Tell(media.Event{Kind: media.Digit, Text: "7"})
		if d := testkit.Await[session.CallDigit](bob.Device(0), testkit.Patience, nil); d.Digit != "7" {
			t.Errorf("%+v", d)
		}
		here.Terminate(t.Context())
	})
}

// A telephone that takes no telephone events gets INFO, and may send some.
func TestDigitsByInfo(t *testing.T) {
	inPhones(t, func(t *testing.T, p *phones) {
		call, dlg := p.call(t)
		if err := call.Digits(t.Context(), "5#"); err != nil {
			t.Fatal(err)
		}
		var keys string
		for _, r := range p.got(sip.INFO) {
			key, _, _ := strings.Cut(strings.TrimPrefix(string(r.Body()), "Signal="), "\r\n")
			keys += key
		}
		if keys != "5#" {
			t.Errorf("pressed %q", keys)
		}
		for _, c := range []struct {
			kind, body, digit string
			status            int
		}{
			{"application/dtmf-relay", "Signal=9\r\nDuration=100\r\n", "9", 0},
			{"application/dtmf-relay", "signal= 11 \nDuration=100", "#", 0},
			{"application/dtmf", "d", "D", 0},
			{"application/dtmf-relay", "Signal=x\r\n", "", 400},
			{"text/html", "1", "", 415},
			{"", "", "", 0},
		} {
			before := len(eventsOf[session.CallDigit](p.phone))
			_, err := dlg.Do(t.Context(), sip.INFO, c.kind, []byte(c.body))
			if statusOf(err) != c.status {
				t.Errorf("%q: %v", c.body, err)
			}
			got := eventsOf[session.CallDigit](p.phone)[before:]
			if c.digit != "" && (len(got) != 1 || got[0].Digit != c.digit) || c.digit == "" && len(got) != 0 {
				t.Errorf("%q: %+v", c.body, got)
			}
		}
		_ = dlg.Bye(t.Context(), "")
	})
}

func TestSilence(t *testing.T) {
	for _, c := range []struct {
		stats media.Stats
		cause string
	}{
		{media.Stats{}, "never_heard"},
		{media.Stats{Received: 10, SinceHeard: 5 * time.Second}, "stopped"},
		{media.Stats{Received: 10, SinceHeard: time.Second}, "muted"},
		{media.Stats{Rejected: 10}, "rejected"},
	} {
		story(t, func(t *testing.T, w *testkit.World) {
			alice, bob := w.Endpoint("alice", audio), w.Endpoint("bob", audio)
			a := alice.Device(0)
			here, there := a.Talk(bob, 0)
			stream := a.Sound().Stream()
			stream.SetStats(c.stats)
			stream.Tell(media.Event{Kind: media.Silent})
			told := testkit.Await[session.CallSilence](a, testkit.Patience, nil)
			if !told.Silent || told.Cause != c.cause || here.Info().Silence != told.Text || told.Text == "" {
				t.Errorf("%+v, %+v", told, here.Info())
			}
			w.Sleep(3 * time.Minute) // they are asked and are there
			expectState(t, here, session.Established)
			stream.Tell(media.Event{Kind: media.Heard})
			w.Settle()
			if all := testkit.All[session.CallSilence](a); len(all) != 2 || all[1].Silent || here.Info().Silence != "" {
				t.Errorf("%+v", all)
			}
			there.Hold(t.Context()) // of who holds us nothing is expected
			stream.Tell(media.Event{Kind: media.Silent})
			w.Settle()
			if all := testkit.All[session.CallSilence](a); len(all) != 2 {
				t.Errorf("%+v", all)
			}
			here.Terminate(t.Context())
			w.Sleep(time.Minute)
			expectOver(t, alice, bob)
		})
	}
}

// The other side's machine is gone: silence leads to the question, and no answer to the end.
func TestDeadPeer(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice", audio), w.Endpoint("bob", audio)
		here, _ := alice.Device(0).Talk(bob, 0)
		bob.Device(0).Cut()
		alice.Device(0).Sound().Stream().Tell(media.Event{Kind: media.Silent})
		began := time.Now()
		for here.State() != session.Terminated && time.Since(began) < 10*time.Minute {
			w.Sleep(time.Second)
		}
		if took := time.Since(began); took > 2*time.Minute {
			t.Errorf("ended after %v", took)
		}
		alice.Device(0).ExpectNotice("call ended after")
		w.Sleep(time.Minute)
		expectOver(t, alice)
		w.Sleep(40 * time.Minute) // without a silence the session timer says it
		expectOver(t, bob)
	})
}

func TestSecurityFails(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice", audio), w.Endpoint("bob", audio)
		here, there := alice.Device(0).Talk(bob, 0)
		alice.Device(0).Sound().Stream().Tell(media.Event{Kind: media.SecurityFailed, Err: errTest})
		w.Sleep(time.Second)
		expectState(t, here, session.Terminated)
		expectState(t, there, session.Terminated)
		if tr := testkit.Await[session.CallTrouble](alice.Device(0), 0, nil); tr.Kind != session.KindEncryption {
			t.Errorf("%+v", tr)
		}
		w.Sleep(time.Minute)
		expectOver(t, alice, bob)
	})
}

func TestStreamNews(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice", audio), w.Endpoint("bob", audio)
		a := alice.Device(0)
		here, _ := a.Talk(bob, 0)
		stream := a.Sound().Stream()
		stream.SetStats(media.Stats{ReceiveCodec: "pcmu"})
		for _, ev := range []media.Event{
			{Kind: media.FirstAudio},
			{Kind: media.Secured, Text: "dtls AEAD_AES_128_GCM"},
			{Kind: media.FormatChanged, Text: "pcmu"}, // the stream is asked which way
			{Kind: media.PeerMoved, Text: "10.0.0.1:4000"},
			{Kind: media.DeviceTrouble, Text: "the microphone is gone"},
		} {
			stream.Tell(ev)
		}
		w.Settle()
		all := testkit.All[session.CallMedia](a)
		last := all[len(all)-1]
		if !last.Heard || last.Security != "dtls" || last.Suite != "AEAD_AES_128_GCM" || last.ReceiveCodec != "pcmu" || last.Remote != "10.0.0.1:4000" {
			t.Errorf("%+v", last)
		}
		if info := here.Info(); info.Security != "dtls" || info.Suite != "AEAD_AES_128_GCM" {
			t.Errorf("%+v", info)
		}
		if tr := testkit.Await[session.CallTrouble](a, 0, nil); tr.Kind != session.KindDevice || tr.Text != "the microphone is gone" {
			t.Errorf("%+v", tr)
		}
		expectState(t, here, session.Established)
		if h := a.Snapshot().Health; len(h) != 1 || h[0].Code != "sound" || h[0].Severity != "error" || h[0].Text == "" {
			t.Errorf("health %+v", h)
		}
		here.Terminate(t.Context())
		w.Settle()
		if h := a.Snapshot().Health; len(h) != 0 {
			t.Errorf("health %+v", h)
		}
	})
}

func TestRecording(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "there.wav"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice", audio), w.Endpoint("bob", audio)
		a := alice.Device(0)
		here, there := a.Talk(bob, 0)
		for _, bad := range []string{"", "x.mp3", filepath.Join(dir, "there.wav"), filepath.Join(dir, "no", "x.wav"), "a\n.wav"} {
			if err := here.Record(bad); kindOf(err) != session.KindConfig {
				t.Errorf("%q: %v", bad, err)
			}
		}
		file := filepath.Join(dir, "call.wav")
		if err := here.Record(file); err != nil {
			t.Fatal(err)
		}
		if here.Info().Recording != file || a.Sound().Stream().State().Recording != file {
			t.Errorf("%+v", here.Info())
		}
		if got, err := here.StopRecording(); got != file || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if got, err := here.StopRecording(); got != "" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if err := here.Record(file); err != nil {
			t.Fatal(err)
		}
		there.Terminate(t.Context()) // ends a recording, too
		w.Sleep(time.Minute)
		var on []bool
		for _, ev := range testkit.All[session.CallRecording](a) {
			on = append(on, ev.Recording)
		}
		if len(on) != 4 || !on[0] || on[1] || !on[2] || on[3] {
			t.Errorf("recording was told %v", on)
		}
		if err := here.Record(file); kindOf(err) != session.KindState {
			t.Errorf("after the end: %v", err)
		}
		expectOver(t, alice, bob)
	})
}

func TestMute(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice", audio), w.Endpoint("bob", audio)
		a := alice.Device(0)
		here, _ := a.Talk(bob, 0)
		for _, on := range []bool{true, true, false} {
			if err := here.Mute(on); err != nil {
				t.Fatal(err)
			}
			if here.Info().Muted != on || a.Sound().Stream().State().Muted != on {
				t.Errorf("muted %v: %+v", on, here.Info())
			}
		}
		if n := len(testkit.All[session.CallMuted](a)); n != 2 {
			t.Errorf("told %d times", n)
		}
		here.Terminate(t.Context())
		if err := here.Mute(true); kindOf(err) != session.KindState {
			t.Errorf("after the end: %v", err)
		}
	})
}

// The endpoint gets another address: the other side is told where its voice goes.
func TestNetworkChange(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob := w.Endpoint("alice", audio), w.Endpoint("bob", audio)
		a, b := alice.Device(0), bob.Device(0)
		here, there := a.Talk(bob, 0)
		moved := netip.MustParseAddr("127.0.1.77")
		a.SetLocal(func() netip.Addr { return moved })
		w.Sleep(10 * time.Second)
		got, _ := b.Sound().Stream().State().Agreed()
		if got.Remote.Addr() != moved || got.Direction != sdp.Both {
			t.Errorf("bob sends to %v, %v", got.Remote, got.Direction)
		}
		if err := here.Hold(t.Context()); err != nil {
			t.Fatal(err)
		}
		a.SetLocal(func() netip.Addr { return a.Host })
		w.Sleep(10 * time.Second)
		expectHold(t, here, session.HoldLocal) // moving is not resuming
		expectHold(t, there, session.HoldRemote)
		here.Terminate(t.Context())
		w.Sleep(time.Minute)
		expectOver(t, alice, bob)
	})
}

// The 200 and the ACK are lost on a bad line; the call comes about all the same.
func TestLostAnswers(t *testing.T) {
	for seed := range 6 {
		story(t, func(t *testing.T, w *testkit.World) {
			alice, bob := w.Endpoint("alice", audio), w.Endpoint("bob", audio)
			w.Net.Default(lossy(0.15))
			x := alice.Device(0).Dial(bob)
			var there *session.AudioVideoCall
			for range 40 {
				if there == nil {
					w.Sleep(time.Second)
					for _, toast := range bob.Device(0).Snapshot().Toasts {
						there, _ = bob.Device(0).FindAudio(toast.Call)
					}
				}
			}
			if there == nil {
				t.Fatal("it never rang")
			}
			if err := there.Accept(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := x.Wait(); err != nil {
				t.Fatal(err)
			}
			w.Net.Default(lossy(0))
			w.Sleep(time.Minute)
			expectState(t, there, session.Established)
			expectState(t, x.AudioVideoCall, session.Established)
			x.Terminate(t.Context())
			w.Sleep(time.Minute)
			expectOver(t, alice, bob)
		}, testkit.Seed(uint64(seed)))
	}
}

// Two accounts in one process know nothing of each other.
func TestTwoAccounts(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		sound := testkit.NewSound()
		shared := testkit.Configure(func(_ int, cfg *session.Config) { cfg.Media = sound })
		home, work, bob := w.Endpoint("home", shared), w.Endpoint("work", shared), w.Endpoint("bob", audio)
		first, _ := home.Device(0).Talk(work, 0)
		second, _ := home.Device(0).Talk(bob, 0)
		w.Sleep(time.Second)
		expectHold(t, first, session.HoldLocal)
		expectHold(t, second, session.HoldNone)
		first.Terminate(t.Context())
		second.Terminate(t.Context())
		w.Sleep(time.Minute)
		expectOver(t, home, work, bob)
	})
}

// Who offers messages and audio at once gets messages.
func TestBothKindsOffered(t *testing.T) {
	inPhones(t, func(t *testing.T, p *phones) {
		both := p.describe(deskHost, "sendrecv") + "m=message 5060 sip null\r\n"
		o := p.invite(t.Context(), both, toastHeader("hello"), manual)
		toasts := p.Snapshot().Toasts
		if len(toasts) != 1 || toasts[0].Kind != "im" {
			t.Fatalf("%+v", toasts)
		}
		call, _ := p.FindToast(toasts[0].Toast)
		if err := call.Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-o.done
		if s, err := sdp.Parse(o.res.Body()); err != nil || s.Media[0].Port != 0 || s.Media[1].Port == 0 {
			t.Errorf("answered %q", o.res.Body())
		}
		_ = o.dlg.Bye(t.Context(), "")
	})
}

func TestNoOfferWithoutAudio(t *testing.T) {
	inPhones(t, func(t *testing.T, p *phones) {
		if got := p.invite(t.Context(), "v=0\r\nm=video 4000 RTP/AVP 96\r\n").status(); got != 488 {
			t.Errorf("video alone: %d", got)
		}
		o := p.invite(t.Context(), p.describe(deskHost, "sendrecv"))
		call := p.incoming(t)
		if err := call.Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-o.done
		if _, err := o.dlg.Do(t.Context(), sip.MESSAGE, body.TypeText, []byte("beside the call")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if m := eventsOf[session.MessageChanged](p.phone); len(m) != 1 || m[0].Text != "beside the call" {
			t.Errorf("%+v", m)
		}
		if err := call.Terminate(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// Who asks is told of both kinds of session (RFC 3261 §11.2).
func TestOptions(t *testing.T) {
	inPhones(t, func(t *testing.T, p *phones) {
		for range 2 {
			res, err := p.desk.Do(t.Context(), p.desk.NewRequest(sip.OPTIONS, parse(t, p.addr)))
			if err != nil {
				t.Fatal(err)
			}
			s, err := sdp.Parse(res.Body())
			if err != nil || len(s.Media) != 2 || s.Media[0].Kind != "message" || s.Media[0].Port == 0 {
				t.Fatalf("%q, %v", res.Body(), err)
			}
			if m := s.Media[1]; m.Kind != "audio" || m.Port != 0 || strings.Join(m.Formats, " ") != "111 0 101" {
				t.Errorf("audio: %+v", m)
			}
			if strings.Contains(string(res.Body()), "crypto") {
				t.Errorf("keys are told: %q", res.Body())
			}
		}
		if all := p.sound.Streams(); len(all) != 1 || !all[0].State().Closed {
			t.Errorf("%d streams were opened", len(all))
		}
	})
}
