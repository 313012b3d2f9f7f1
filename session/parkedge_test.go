package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/testkit"
	"offhook/park"
	"offhook/session"
)

// To pick up is never to call somebody: what is no orbit is not dialled, though somebody has that number, and a free orbit
// leaves no conversation behind.
func TestPickUpIsNoCall(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		bob, extension := w.Endpoint("bob", audio), w.Endpoint("77", audio)
		b := bob.Device(0)
		w.Sleep(5 * time.Second)
		for _, what := range []string{"77", "77 ", "710", "sip:710@" + testkit.Domain, "msg bob mary", "", "*"} {
			if _, err := b.Retrieve(t.Context(), what, true); kindOf(err) != session.KindOrbitNotFound {
				t.Errorf("%q: %v", what, err)
			}
		}
		w.Sleep(time.Second)
		for _, e := range extension.Device(0).Seen() {
			if shown, ok := e.Event.(session.ToastShown); ok {
				t.Errorf("77 is called: %+v", shown)
			}
		}
		if all := b.Snapshot().Conversations; len(all) != 0 {
			t.Errorf("%+v", all)
		}
	})
}

// What a text says of orbits counts only if it comes from the domain whose orbits they are, and is about one of them.
func TestAnnouncementsOfStrangers(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		bob, carol := w.Endpoint("bob", audio), w.Endpoint("carol", audio)
		b := bob.Device(0)
		w.Sleep(5 * time.Second)
		announce := func(orbit string) string {
			return park.Announcement{Orbit: orbit, Caller: park.Party{URI: "sip:mary@example.test", Display: "Mary"}}.String()
		}
		for _, orbit := range []string{"0900123456", "77", "carol", "721", "*98"} {
			carol.Device(0).IM(bob, announce(orbit)).Expect(session.Delivered)
		}
		mallory := newCaller(t, w.Net, "mallory", "127.0.9.1", nil)
		req := mallory.NewRequest(sip.MESSAGE, parse(t, fmt.Sprintf("sip:bob@%s:5060", b.Host)))
		req.AppendHeader(sip.NewHeader("Content-Type", "text/plain"))
		req.SetBody([]byte(announce("701")))
		if _, err := mallory.Do(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		w.Sleep(time.Second)
		if rows := b.Board(); len(rows) != 0 {
			t.Errorf("%+v", rows)
		}
		for _, toast := range testkit.All[session.ToastShown](b) {
			if toast.Kind == "orbit" {
				t.Errorf("%+v", toast)
			}
		}
	})
}

// The same caller waits in two orbits: each call has its own record, and the conversation is Parked until both are over.
func TestSameCallerParkedTwice(t *testing.T) {
	for name, restart := range map[string]bool{"at once": false, "after a restart": true} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, w *testkit.World) {
				journal := &parkJournal{}
				mary, carol := w.Endpoint("mary", audio, testkit.Devices(2)), w.Endpoint("carol", audio)
				bob := w.Endpoint("bob", audio, testkit.Configure(func(_ int, cfg *session.Config) { cfg.Parks = journal }))
				b := bob.Device(0)
				var orbits []park.CallParkOrbit
				for i := range 2 {
					mary.Device(i).Talk(bob, 0)
					here := newest(t, b)
					if ok, why := here.Conversation().Can("park"); !ok {
						t.Fatalf("call %d: %s", i, why)
					}
					orbits = append(orbits, parkIn(t, here))
					w.Sleep(3 * time.Second)
				}
				if restart {
					b.Close()
					b.SignIn()
					w.Sleep(3 * time.Second)
				}
				conv, err := b.Conversation(mary.AOR())
				if err != nil {
					t.Fatal(err)
				}
				expectConversation(t, conv, session.ConversationParked)
				if _, err := conv.Park(t.Context(), "", ""); kindOf(err) != session.KindState {
					t.Errorf("parked without a call: %v", err)
				}
				taken := retrieve(t, carol.Device(0), orbits[1].FriendlyOrbit)
				w.Sleep(3 * time.Second)
				expectConversation(t, conv, session.ConversationParked)
				if o, ok := conv.CallParkOrbit(); !ok || o.FriendlyOrbit != orbits[0].FriendlyOrbit {
					t.Errorf("%+v, %v", o, ok)
				}
				back := retrieve(t, b, orbits[0].FriendlyOrbit)
				w.Sleep(3 * time.Second)
				if back.Conversation() != conv {
					t.Error("it came back into another conversation")
				}
				expectConversation(t, conv, session.ConversationActive)
				taken.Terminate(t.Context())
				back.Terminate(t.Context())
				w.Sleep(time.Minute)
				expectOver(t, mary, bob, carol)
			})
		})
	}
}

// A conversation is over when somebody else has its caller; a text or a call to the same person begins the next one at once.
func TestAgainAfterUnpark(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		mary, bob, conv, o := parkedMary(t, w)
		b, carol := bob.Device(0), w.Endpoint("carol", audio)
		got := retrieve(t, carol.Device(0), o.FriendlyOrbit)
		w.Sleep(3 * time.Second)
		expectConversation(t, conv, session.ConversationTerminated)
		b.IM(mary, "sorry about that").Expect(session.Delivered)
		again, err := b.Conversation(mary.AOR())
		if err != nil || again == conv {
			t.Fatalf("%v, the same one: %v", err, again == conv)
		}
		if ok, why := again.Can("call"); !ok {
			t.Error(why)
		}
		got.Terminate(t.Context())
		w.Sleep(time.Minute)
	})
}

// brokenJournal cannot write as long as it is broken.
type brokenJournal struct {
	parkJournal
	broken atomic.Bool
}

func (j *brokenJournal) SavePark(ctx context.Context, r park.Record) error {
	if j.broken.Load() {
		return errors.New("disk full")
	}
	return j.parkJournal.SavePark(ctx, r)
}

// A park that cannot be written down is a park all the same, and the user knows.
func TestParkCannotBeRecorded(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		journal := &brokenJournal{}
		journal.broken.Store(true)
		mary := w.Endpoint("mary", audio)
		bob := w.Endpoint("bob", audio, testkit.Configure(func(_ int, cfg *session.Config) { cfg.Parks = journal }))
		b := bob.Device(0)
		mary.Device(0).Talk(bob, 0)
		o := parkIn(t, newest(t, b))
		if h := b.Snapshot().Health; len(h) != 1 || h[0].Code != "parks" || h[0].Text == "" {
			t.Errorf("%+v", h)
		}
		if all := b.ParkHistory(); len(all) != 1 {
			t.Errorf("%+v", all)
		}
		journal.broken.Store(false)
		back := retrieve(t, b, o.FriendlyOrbit)
		w.Sleep(3 * time.Second)
		if h := b.Snapshot().Health; len(h) != 0 {
			t.Errorf("%+v", h)
		}
		if all := journal.records(); len(all) != 1 || all[0].Reason != park.Retrieved {
			t.Errorf("%+v", all)
		}
		back.Terminate(t.Context())
		w.Sleep(time.Minute)
	})
}

// Whoever is told of a call that was taken meanwhile hears of that, once; who is next is not told of it at all. There may be
// more who know of a call than can be told at a time.
func TestBroadcastOfATakenCall(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		var slow []string
		var people []*testkit.User
		for i := range 9 { // two devices wait for a click for ten seconds
			u := w.Endpoint(fmt.Sprintf("c%d", i), audio, testkit.Devices(2))
			people, slow = append(people, u), append(slow, u.AOR())
		}
		mary, bob, _, o := parkedMary(t, w)
		b := bob.Device(0)
		var absent []string
		for i := range 110 {
			absent = append(absent, fmt.Sprintf("sip:absent%d@%s", i, testkit.Domain))
		}
		for _, some := range [][]string{absent[:60], absent[60:]} {
			if sent, err := b.Broadcast(t.Context(), o.FriendlyOrbit, some, ""); err != nil || len(sent) != len(some) {
				t.Fatalf("%d of %d, %v", len(sent), len(some), err)
			}
		}
		done := make(chan []park.Recipient)
		go func() {
			sent, err := b.Broadcast(t.Context(), o.FriendlyOrbit, slow, "")
			if err != nil {
				t.Error(err)
			}
			done <- sent
		}()
		w.Sleep(3 * time.Second)
		newest(t, mary.Device(0)).Terminate(t.Context())
		sent := <-done
		told := 0
		for _, r := range sent {
			switch {
			case r.Status == "delivered":
				told++
			case r.Status != "failed" || !strings.Contains(r.Error, "not parked any more"):
				t.Errorf("%+v", r)
			}
		}
		if told != 8 {
			t.Errorf("%d were told: %+v", told, sent)
		}
		w.Sleep(time.Minute)
		news := 0
		for _, u := range people {
			for _, d := range u.Devices() {
				for _, e := range testkit.All[session.MessageChanged](d) {
					if _, ok := park.ParseTaken(e.Text); ok && e.Direction == session.Inbound && !e.Elsewhere {
						news++
					}
				}
			}
		}
		if news != 8 {
			t.Errorf("told %d times of its end", news)
		}
		ends := map[string]bool{}
		for _, e := range testkit.All[session.MessageChanged](b) {
			if _, ok := park.ParseTaken(e.Text); ok {
				ends[e.Peer.URI] = true
			}
		}
		if len(ends) != len(absent)+8 {
			t.Errorf("%d know of its end", len(ends))
		}
	})
}
