package session_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/media"
	"offhook/internal/sipua"
	"offhook/internal/testkit"
	"offhook/park"
	"offhook/server"
	"offhook/session"
)

// quick is a park service that loses patience soon.
var quick = testkit.Park(func(cfg *server.ParkConfig) {
	cfg.Timeout, cfg.RingFor, cfg.Attempts = 20*time.Second, 15*time.Second, 2
})

// parked is mary, called by her name, whom bob has parked.
func parkedMary(t *testing.T, w *testkit.World) (mary, bob *testkit.User, conv *session.Conversation, o park.CallParkOrbit) {
	t.Helper()
	named := testkit.Configure(func(_ int, cfg *session.Config) { cfg.DisplayName = "Mary Poppins" })
	mary, bob = w.Endpoint("mary", audio, named), w.Endpoint("bob", audio, testkit.Devices(2))
	mary.Device(0).Talk(bob, 0)
	here := newest(t, bob.Device(0))
	conv = here.Conversation()
	o = parkIn(t, here)
	w.Sleep(3 * time.Second)
	return mary, bob, conv, o
}

// ringsBack waits for the call that comes back.
func ringsBack(t *testing.T, d *testkit.Device) (*session.AudioVideoCall, session.ToastShown) {
	t.Helper()
	toast := testkit.Await(d, 2*time.Minute, func(e session.ToastShown) bool { return e.Kind == "ringback" })
	c, ok := d.FindToast(toast.Toast)
	if !ok {
		t.Fatal("it does not ring any more")
	}
	return c.(*session.AudioVideoCall), toast
}

// Nobody comes: it rings at the device that has parked, and nowhere else, under the caller's name, and answering it goes on
// in the same conversation.
func TestRingbackIsAnswered(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		mary, bob, conv, o := parkedMary(t, w)
		b := bob.Device(0)
		call, toast := ringsBack(t, b)
		if toast.Text != "BACK from park "+o.FriendlyOrbit+", waited 0:20" || toast.From.Display != "Mary Poppins" ||
			toast.From.URI != mary.AOR() || toast.Orbit != o.FriendlyOrbit || toast.Conversation != conv.ID() {
			t.Errorf("%+v", toast)
		}
		w.Sleep(time.Second)
		if tone := b.Sound().Tone(); tone != media.Ring {
			t.Errorf("tone %v", tone)
		}
		for _, e := range testkit.All[session.ToastShown](bob.Device(1)) {
			if e.Kind == "ringback" {
				t.Error("it rings at the other device, too")
			}
		}
		if rows := b.Board(); len(rows) != 1 || rows[0].State != park.RowRecalling {
			t.Errorf("%+v", rows)
		}
		if err := call.Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.Sleep(time.Second)
		if call.Conversation() != conv {
			t.Error("it is in another conversation")
		}
		expectConversation(t, conv, session.ConversationActive)
		news := lastUnparked(t, b)
		if news.Reason != park.Ringback || news.Target.URI != bob.AOR() {
			t.Errorf("%+v", news)
		}
		b.ExpectNotice("came back to you after 0:2")
		mary.Device(0).ExpectNotice("sip:bob@example.test is back")
		if p, parked := newest(t, mary.Device(0)).Party(); parked || p.URI != bob.AOR() {
			t.Errorf("mary is with %v", p)
		}
		if b.Sound().Talkers() != 1 || mary.Device(0).Sound().Talkers() != 1 {
			t.Error("they do not hear each other")
		}
		call.Terminate(t.Context())
		w.Sleep(time.Minute)
		expectOver(t, mary, bob)
	}, quick)
}

// Nobody answers: it is no missed call from an orbit. In the end the service gives up, and says so.
func TestRingbackIsNotAnswered(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		mary, bob, conv, o := parkedMary(t, w)
		b := bob.Device(0)
		ringsBack(t, b)
		w.Sleep(16 * time.Second)
		b.ExpectNotice("came back from park " + o.FriendlyOrbit + " and was not taken")
		expectConversation(t, conv, session.ConversationParked)
		w.Sleep(2 * time.Minute)
		for _, e := range testkit.All[session.ToastShown](b) {
			if e.Kind == "missed" {
				t.Errorf("%+v", e)
			}
		}
		if news := lastUnparked(t, b); news.Reason != park.Dropped {
			t.Errorf("%+v", news)
		}
		expectConversation(t, conv, session.ConversationTerminated)
		expectOver(t, mary, bob)
	}, quick)
}

// Declining sends it back to the orbit; then it goes to the fallback address.
func TestRingbackIsDeclinedAndFallback(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		night := w.Endpoint("night", audio)
		mary, bob, _, _ := parkedMary(t, w)
		b := bob.Device(0)
		for range 2 {
			var call *session.AudioVideoCall
			testkit.Await(b, time.Minute, func(e session.ToastShown) bool {
				c, ok := b.FindToast(e.Toast)
				if ok && e.Kind == "ringback" {
					call = c.(*session.AudioVideoCall)
				}
				return call != nil
			})
			if err := call.Decline(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			w.Sleep(time.Second)
		}
		var rings *session.AudioVideoCall
		testkit.Await(night.Device(0), time.Minute, func(e session.ToastShown) bool {
			c, ok := night.Device(0).FindToast(e.Toast)
			if ok && e.Kind == "call" {
				rings = c.(*session.AudioVideoCall)
			}
			return rings != nil
		})
		if err := rings.Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.Sleep(2 * time.Second)
		if news := lastUnparked(t, b); news.Reason != park.Fallback || news.Target.URI != night.AOR() {
			t.Errorf("%+v", news)
		}
		rings.Terminate(t.Context())
		w.Sleep(time.Minute)
		expectOver(t, mary, bob, night)
	}, testkit.Park(func(cfg *server.ParkConfig) {
		cfg.Timeout, cfg.RingFor, cfg.Attempts, cfg.Fallback = 20*time.Second, 15*time.Second, 2, "sip:night@"+testkit.Domain
	}))
}

// It rings, and is picked up by number meanwhile: by its parker, or by somebody else.
func TestRetrieveWhileRecalling(t *testing.T) {
	for _, own := range []bool{true, false} {
		story(t, func(t *testing.T, w *testkit.World) {
			mary, bob, conv, o := parkedMary(t, w)
			carol := w.Endpoint("carol", audio)
			b, who := bob.Device(0), bob.Device(0)
			if !own {
				who = carol.Device(0)
			}
			ringing, _ := ringsBack(t, b)
			got := retrieve(t, who, o.FriendlyOrbit)
			w.Sleep(3 * time.Second)
			expectState(t, got, session.Established)
			expectState(t, ringing, session.Terminated)
			news := lastUnparked(t, b)
			if news.Reason != park.Retrieved {
				t.Errorf("%+v", news)
			}
			if own {
				expectConversation(t, conv, session.ConversationActive)
			} else {
				expectConversation(t, conv, session.ConversationTerminated)
			}
			for _, n := range testkit.All[session.Notice](b) {
				if n.Text == "missed call" || n.Text == "call answered on another device" {
					t.Errorf("%+v", n)
				}
			}
			got.Terminate(t.Context())
			w.Sleep(time.Minute)
			expectOver(t, mary, bob, carol)
		}, quick)
	}
}

// Two type the number at the same moment: one has it, the other hears why not.
func TestTwoRetrieveAtOnce(t *testing.T) {
	for seed := range 6 {
		story(t, func(t *testing.T, w *testkit.World) {
			mary, bob, _, o := parkedMary(t, w)
			carol, dave := w.Endpoint("carol", audio), w.Endpoint("dave", audio)
			type outcome struct {
				call *session.AudioVideoCall
				err  error
			}
			done := make(chan outcome, 3)
			for _, d := range []*testkit.Device{carol.Device(0), dave.Device(0), bob.Device(0)} {
				go func() {
					c, err := d.Retrieve(context.Background(), o.FriendlyOrbit, false)
					done <- outcome{c, err}
				}()
			}
			won := 0
			var winner *session.AudioVideoCall
			for range 3 {
				switch x := <-done; kindOf(x.err) {
				case "":
					won++
					winner = x.call
				case session.KindBusy, session.KindOrbitNotFound, session.KindStaleOrbit:
				default:
					t.Errorf("%v", x.err)
				}
			}
			if won != 1 {
				t.Fatalf("%d have mary", won)
			}
			w.Sleep(5 * time.Second)
			expectState(t, winner, session.Established)
			winner.Terminate(t.Context())
			w.Sleep(time.Minute)
			expectOver(t, mary, bob, carol, dave)
		}, testkit.Seed(uint64(seed)))
	}
}

// Who only says that a parked call comes back is a caller like any other.
func TestForgedRingback(t *testing.T) {
	inPark(t, func(p *parkPeers, req *sipua.Request) {
		n := p.notifier(req)
		_ = n.Accept(req)
		_ = p.dlg.Bye(context.Background(), "")
		_ = notify(n, parkedFrag)
	}, func(t *testing.T, p *parkPeers) {
		o := parkIn(t, p.call)
		mallory := newCaller(t, p.net, "701", "127.0.6.6", nil)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() {
			_, _, err := mallory.Invite(ctx, sipua.InviteOptions{
				Target: parse(t, p.addr), ContentType: "application/sdp", Body: []byte(p.describe("127.0.6.6", "sendrecv")),
				Headers: []sip.Header{
					sip.NewHeader("Alert-Info", "<urn:alert:service:recall:hold>"),
					sip.NewHeader("Call-Info", "<"+o.SafeRetrieveURI+">;purpose=x-park-retrieve"),
					sip.NewHeader("P-Asserted-Identity", `"Mary" <sip:mary@example.test>`),
				},
			})
			done <- err
		}()
		time.Sleep(time.Second)
		toasts := p.Snapshot().Toasts
		if len(toasts) != 1 || toasts[0].Kind != "call" || strings.Contains(toasts[0].Text, "BACK") {
			t.Fatalf("%+v", toasts)
		}
		if err := p.incoming(t).Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		expectConversation(t, p.call.Conversation(), session.ConversationParked)
	})
}
