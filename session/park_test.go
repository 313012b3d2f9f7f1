package session_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"offhook/internal/testkit"
	"offhook/park"
	"offhook/server"
	"offhook/session"
)

// parkIn parks the audio call of a device with somebody.
func parkIn(t *testing.T, c *session.AudioVideoCall) park.CallParkOrbit {
	t.Helper()
	o, err := c.Conversation().Park(context.Background(), "", "")
	if err != nil {
		t.Fatalf("park: %v", err)
	}
	return o
}

func retrieve(t *testing.T, d *testkit.Device, what string) *session.AudioVideoCall {
	t.Helper()
	c, err := d.Retrieve(context.Background(), what, false)
	if err != nil {
		t.Fatalf("%s: pick up: %v", d.Name, err)
	}
	return c
}

func expectConversation(t *testing.T, c *session.Conversation, want session.ConversationState) {
	t.Helper()
	if got := c.State(); got != want {
		t.Errorf("the conversation with %s is %s, want %s", c.Peer().URI, got, want)
	}
}

// events lists what a device has told of one type.
func lastUnparked(t *testing.T, d *testkit.Device) session.Unparked {
	t.Helper()
	all := testkit.All[session.Unparked](d)
	if len(all) != 1 {
		t.Fatalf("%s was told %d times that a park is over", d.Name, len(all))
	}
	return all[0]
}

// Park and un-park by number and by safe URI, whoever has called whom.
func TestParkAndPickUp(t *testing.T) {
	for _, bobCalled := range []bool{false, true} {
		story(t, func(t *testing.T, w *testkit.World) {
			mary, bob, carol := w.Endpoint("mary", audio), w.Endpoint("bob", audio), w.Endpoint("carol", audio)
			m, b, c := mary.Device(0), bob.Device(0), carol.Device(0)
			var here, there *session.AudioVideoCall
			if bobCalled {
				here, there = b.Talk(mary, 0)
			} else {
				there, here = m.Talk(bob, 0)
			}
			w.Sleep(time.Second)
			conv := here.Conversation()
			o := parkIn(t, here)
			if o.FriendlyOrbit == "" || o.SafeRetrieveURI == "" || o.Parked.IsZero() || o.RingBack.IsZero() {
				t.Errorf("%#v", o)
			}
			w.Sleep(3 * time.Second)
			expectState(t, here, session.Terminated)
			expectState(t, there, session.Terminated)
			expectConversation(t, conv, session.ConversationParked)
			if got, ok := conv.CallParkOrbit(); !ok || got.FriendlyOrbit != o.FriendlyOrbit || got.SafeRetrieveURI != o.SafeRetrieveURI {
				t.Errorf("orbit %v, %v", got, ok)
			}
			if n := b.Sound().Talkers(); n != 0 {
				t.Errorf("%d hear bob", n)
			}
			parked := newest(t, m)
			if _, is := parked.Party(); !is || parked.Conversation().Peer().URI != bob.AOR() {
				t.Errorf("mary is in %+v", parked.Info())
			}
			m.ExpectNotice("parked by sip:bob@example.test on " + o.FriendlyOrbit)
			var said []string
			for _, n := range testkit.All[session.Notice](b) {
				if strings.Contains(n.Text, "parked on") {
					said = append(said, n.Text)
				}
			}
			if len(said) != 1 || !strings.HasPrefix(said[0], "call ended after 0:0") || !strings.HasSuffix(said[0], ": parked on "+o.FriendlyOrbit) {
				t.Errorf("bob's thread says %q", said)
			}
			if can, why := parked.Conversation().Can("park"); can || why == "" {
				t.Error("who is parked can park")
			}

			got := retrieve(t, c, o.FriendlyOrbit)
			w.Sleep(2 * time.Second)
			expectState(t, got, session.Established)
			if got.Conversation().Peer().URI != mary.AOR() {
				t.Errorf("carol's call is in the conversation with %v", got.Conversation().Peer())
			}
			if p, is := parked.Party(); is || p.URI != carol.AOR() {
				t.Errorf("mary is with %v, parked %v", p, is)
			}
			m.ExpectNotice("picked up by sip:carol@example.test")
			news := lastUnparked(t, b)
			if news.Reason != park.Retrieved || news.Target.URI != carol.AOR() || news.Caller.URI != mary.AOR() {
				t.Errorf("%+v", news)
			}
			expectConversation(t, conv, session.ConversationTerminated)
			b.ExpectNotice("picked up by sip:carol@example.test after 0:03")
			if n := c.Sound().Talkers(); n != 1 {
				t.Errorf("%d hear carol", n)
			}
			got.Terminate(t.Context())
			w.Sleep(time.Minute)
			expectOver(t, mary, bob, carol)
		})
	}
}

func TestSelfRetrieve(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		mary, bob := w.Endpoint("mary", audio), w.Endpoint("bob", audio)
		m, b := mary.Device(0), bob.Device(0)
		_, here := m.Talk(bob, 0)
		conv := here.Conversation()
		o := parkIn(t, here)
		w.Sleep(5 * time.Second)
		back := retrieve(t, b, o.FriendlyOrbit)
		if back.Conversation() != conv {
			t.Errorf("it is in the conversation with %v", back.Conversation().Peer())
		}
		w.Sleep(time.Second)
		expectConversation(t, conv, session.ConversationActive)
		if news := lastUnparked(t, b); news.Reason != park.Retrieved || news.Target.URI != bob.AOR() || news.Waited < 4 {
			t.Errorf("%+v", news)
		}
		if _, ok := conv.CallParkOrbit(); ok {
			t.Error("there is still an orbit")
		}
		var states []string
		for _, e := range testkit.All[session.ConversationChanged](b) {
			states = append(states, strings.TrimSpace(string(e.State)+" "+e.Reason+" "+e.Target))
		}
		if all := strings.Join(states, ", "); all != "Inactive, Active, Parked parked on 701, Active retrieved "+bob.AOR() {
			t.Errorf("told %s", all)
		}
		if rows := b.Board(); len(rows) != 0 {
			t.Errorf("the board has %+v", rows)
		}
		back.Terminate(t.Context())
		w.Sleep(time.Minute)
		expectConversation(t, conv, session.ConversationInactive)
		expectOver(t, mary, bob)
	})
}

// The story of the source document, with quarantine off: the orbit is used again at once.
func TestMaryBobSteven(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		mary, bob := w.Endpoint("mary", audio), w.Endpoint("bob", audio)
		michael, steven := w.Endpoint("michael", audio), w.Endpoint("steven", audio)
		b := bob.Device(0)
		mary.Device(0).Talk(bob, 0)
		here := newest(t, b)
		o := parkIn(t, here)
		w.Sleep(5 * time.Second)
		if err := newest(t, mary.Device(0)).Terminate(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.Sleep(100 * time.Millisecond)
		if news := lastUnparked(t, b); news.Reason != park.Abandoned {
			t.Errorf("%+v", news)
		}
		steven.Device(0).Talk(michael, 0)
		other, err := newest(t, michael.Device(0)).Conversation().Park(t.Context(), o.FriendlyOrbit, "")
		if err != nil || other.FriendlyOrbit != o.FriendlyOrbit {
			t.Fatalf("%v, %v", other, err)
		}
		w.Sleep(10 * time.Millisecond) // the lamp tells no more than once a second

		before := len(b.Sound().Streams())
		_, err = b.Retrieve(t.Context(), o.SafeRetrieveURI, false)
		if kindOf(err) != session.KindStaleOrbit {
			t.Errorf("safe retrieve: %v", err)
		}
		for _, st := range b.Sound().Streams()[before:] {
			if len(st.State().Agreements) != 0 {
				t.Error("bob has heard somebody")
			}
		}
		_, err = b.Retrieve(t.Context(), o.FriendlyOrbit, false)
		var stranger *session.StrangerError
		if kindOf(err) != session.KindStranger || !errors.As(err, &stranger) {
			t.Fatalf("by number: %v", err)
		}
		if stranger.Expected.URI != mary.AOR() || stranger.Present.URI != steven.AOR() {
			t.Errorf("%+v", stranger)
		}
		if strings.Contains(err.Error(), "pk-") {
			t.Errorf("the safe URI is in %q", err)
		}
		got, err := b.Retrieve(t.Context(), o.FriendlyOrbit, true)
		if err != nil {
			t.Fatal(err)
		}
		w.Sleep(time.Second)
		if got.Conversation().Peer().URI != steven.AOR() || got.Info().Muted {
			t.Errorf("%+v", got.Info())
		}
		got.Terminate(t.Context())
		w.Sleep(time.Minute)
		expectOver(t, mary, bob, michael, steven)
	}, testkit.Park(func(cfg *server.ParkConfig) { cfg.Orbits, cfg.Quarantine = "701-710", -1 }))
}
