package session_test

import (
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
	"offhook/internal/testkit"
	"offhook/park"
	"offhook/session"
)

// An orbit is announced to several, each in the conversation with that one; clients like this one offer to pick up with
// one key, and all are told when it is taken.
func TestBroadcast(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		carol, dave := w.Endpoint("carol", audio), w.Endpoint("dave", audio)
		absent := w.Endpoint("absent", audio, testkit.Absent())
		mary, bob, _, o := parkedMary(t, w)
		b := bob.Device(0)
		if err := b.SetParkNote(o.FriendlyOrbit, "order 77"); err != nil {
			t.Fatal(err)
		}
		text, err := b.Announcement(o.FriendlyOrbit)
		if err != nil || !strings.Contains(text, "Mary Poppins") || !strings.Contains(text, "order 77") || !strings.Contains(text, "within 1:2") {
			t.Errorf("%q, %v", text, err)
		}
		sent, err := b.Broadcast(t.Context(), o.FriendlyOrbit, []string{"carol", "dave", "absent", "bob", "sip:carol@example.test"}, "")
		if err != nil || len(sent) != 3 {
			t.Fatalf("%+v, %v", sent, err)
		}
		if sent[0].URI != carol.AOR() || sent[0].Status != "delivered" || sent[1].Status != "delivered" || sent[2].Status != "sent" {
			t.Errorf("%+v", sent)
		}
		if told := testkit.All[session.BroadcastChanged](b); len(told) != 3 || told[0].Orbit != o.FriendlyOrbit {
			t.Errorf("%+v", told)
		}
		if r := b.ParkHistory()[0]; len(r.Sent) != 3 {
			t.Errorf("%+v", r)
		}
		toasts := map[string]session.ToastShown{}
		for _, u := range []*testkit.User{carol, dave} {
			d := u.Device(0)
			toasts[u.Name] = testkit.Await(d, testkit.Patience, func(e session.ToastShown) bool { return e.Kind == "orbit" })
			if toast := toasts[u.Name]; toast.Orbit != o.FriendlyOrbit || !strings.Contains(toast.Text, "Mary Poppins") || toast.From.URI != bob.AOR() {
				t.Errorf("%+v", toast)
			}
			if rows := d.Board(); len(rows) != 1 || rows[0].AnnouncedBy.URI != bob.AOR() || rows[0].Estimated {
				t.Errorf("%+v", rows)
			}
		}
		if n := len(b.Snapshot().Toasts); n != 0 {
			t.Errorf("bob has %d toasts of what he has announced himself", n)
		}
		call, ok := carol.Device(0).FindToast(toasts["carol"].Toast)
		if !ok {
			t.Fatal("carol's toast is gone")
		}
		if err := call.Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		if call.ID() == "" || call.Conversation().Peer().URI != mary.AOR() {
			t.Errorf("%s in the conversation with %v", call.ID(), call.Conversation().Peer())
		}
		w.Sleep(5 * time.Second)
		for _, u := range []*testkit.User{carol, dave} {
			closed := testkit.Await(u.Device(0), testkit.Patience, func(e session.ToastClosed) bool { return e.Toast == toasts[u.Name].Toast })
			want := "answered_elsewhere"
			if u == carol {
				want = "accepted"
			}
			if closed.Reason != want {
				t.Errorf("%s: %+v", u.Name, closed)
			}
			testkit.Await(u.Device(0), testkit.Patience, func(e session.MessageChanged) bool {
				n, ok := park.ParseTaken(e.Text)
				return ok && e.Direction == session.Inbound && n.Reason == park.Retrieved && n.By.URI == carol.AOR()
			})
			if rows := u.Device(0).Board(); len(rows) != 0 {
				t.Errorf("%s: %+v", u.Name, rows)
			}
		}
		absent.Device(0).SignIn() // hears of both in the wrong time
		w.Sleep(5 * time.Second)
		for _, toast := range absent.Device(0).Snapshot().Toasts {
			if toast.Kind == "orbit" {
				t.Errorf("%+v", toast)
			}
		}
		call.Terminate(t.Context())
		w.Sleep(time.Minute)
	})
}

// Without lamps there is still what people write: marked as an estimate, counted from when it was written, gone in the end.
func TestAnnouncementWithoutLamps(t *testing.T) {
	inPark(t, nil, func(t *testing.T, p *parkPeers) {
		a := park.Announcement{Orbit: "705", Caller: park.Party{URI: "sip:mary@example.test", Display: "Mary"}, Note: "order 77", Within: time.Minute}
		p.say(t, a.String())
		rows := p.Board()
		if len(rows) != 1 || !rows[0].Estimated || rows[0].Orbit != "705" || rows[0].Note != "order 77" || rows[0].RingBack.IsZero() {
			t.Errorf("%+v", rows)
		}
		snapshot := p.Snapshot()
		if len(snapshot.Toasts) != 1 || len(snapshot.Board) != 1 || !snapshot.Park.Available || snapshot.Park.Strategy != park.RFC5359 {
			t.Errorf("%+v, %+v, %+v", snapshot.Toasts, snapshot.Board, snapshot.Park)
		}
		p.say(t, a.String()) // once more takes the place of the first
		if n := len(p.Snapshot().Toasts); n != 1 {
			t.Errorf("%d toasts", n)
		}
		time.Sleep(2 * time.Minute)
		if n := len(p.Snapshot().Toasts); n != 0 {
			t.Errorf("%d toasts after its time", n)
		}
		if rows := p.Board(); len(rows) != 0 {
			t.Errorf("%+v", rows)
		}
		gone := 0
		for _, ev := range eventsOf[session.BoardChanged](p.phone) {
			if ev.Gone {
				gone++
			}
		}
		if gone != 1 {
			t.Errorf("told %d times that it is gone", gone)
		}
		p.say(t, park.TakenNotice{Orbit: "705", Reason: park.Abandoned}.String())
		p.say(t, "Call for you on 701 by somebody who writes nonsense")
		if rows := p.Board(); len(rows) != 0 {
			t.Errorf("%+v", rows)
		}
		if err := p.call.Terminate(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Of a call with video only the sound is parked.
func TestParkWithVideo(t *testing.T) {
	inPark(t, func(p *parkPeers, req *sipua.Request) {
		n := p.notifier(req)
		_ = n.Accept(req)
		_ = notify(n, parkedFrag)
	}, func(t *testing.T, p *parkPeers) {
		if err := p.call.Terminate(t.Context()); err != nil {
			t.Fatal(err)
		}
		video := p.describe(deskHost, "sendrecv") + "m=video 5000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
		o := p.invite(t.Context(), video, sip.NewHeader("Supported", "replaces"))
		rings := p.incoming(t)
		if err := rings.Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-o.done
		if _, err := rings.Conversation().Park(t.Context(), "", ""); err != nil {
			t.Fatal(err)
		}
		found := false
		for _, n := range eventsOf[session.Notice](p.phone) {
			found = found || strings.HasPrefix(n.Text, "only the sound is parked")
		}
		if !found {
			t.Error("the user was not told")
		}
		_ = o.dlg.Bye(t.Context(), "")
		time.Sleep(time.Second)
	})
}
