package session_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
	"offhook/internal/sipua"
	"offhook/internal/testkit"
	"offhook/park"
	"offhook/server"
	"offhook/session"
)

// Ending a Parked conversation, and the whole program, leaves the caller where it is. What was written down takes it back.
func TestEndAndRestartWhileParked(t *testing.T) {
	for name, restart := range map[string]bool{"ended": false, "restarted": true} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, w *testkit.World) {
				journal := &parkJournal{}
				mary := w.Endpoint("mary", audio)
				bob := w.Endpoint("bob", audio, testkit.Configure(func(_ int, cfg *session.Config) { cfg.Parks = journal }))
				b := bob.Device(0)
				mary.Device(0).Talk(bob, 0)
				here := newest(t, b)
				conv := here.Conversation()
				parkIn(t, here)
				w.Sleep(3 * time.Second)
				if restart {
					b.Close()
					w.Sleep(5 * time.Second)
					b.SignIn()
					w.Sleep(2 * time.Second)
					again, err := b.Conversation(mary.AOR())
					if err != nil {
						t.Fatal(err)
					}
					expectConversation(t, again, session.ConversationParked)
					conv = again
				} else {
					if err := conv.End(t.Context()); err != nil {
						t.Fatal(err)
					}
					expectConversation(t, conv, session.ConversationTerminated)
				}
				w.Sleep(10 * time.Second)
				expectState(t, newest(t, mary.Device(0)), session.Established)
				if _, parked := newest(t, mary.Device(0)).Party(); !parked {
					t.Error("mary is not parked any more")
				}
				rows := b.Board()
				if len(rows) != 1 || !rows[0].Mine || rows[0].Caller.URI != mary.AOR() {
					t.Errorf("%+v", rows)
				}
				written := journal.records()[0]
				got := retrieve(t, b, written.Orbit.SafeRetrieveURI)
				w.Sleep(2 * time.Second)
				expectState(t, got, session.Established)
				if got.Conversation().Peer().URI != mary.AOR() {
					t.Errorf("it is in the conversation with %v", got.Conversation().Peer())
				}
				expectConversation(t, got.Conversation(), session.ConversationActive)
				if r := journal.records()[0]; r.Reason != park.Retrieved || r.Ended.IsZero() || r.Target.URI != bob.AOR() {
					t.Errorf("%+v", r)
				}
				got.Terminate(t.Context())
				w.Sleep(time.Minute)
				expectOver(t, mary, bob)
			})
		})
	}
}

// What has ended while the program was not running is found to be over.
func TestOverAfterRestart(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		journal := &parkJournal{}
		mary := w.Endpoint("mary", audio)
		bob := w.Endpoint("bob", audio, testkit.Configure(func(_ int, cfg *session.Config) { cfg.Parks = journal }))
		b := bob.Device(0)
		mary.Device(0).Talk(bob, 0)
		o := parkIn(t, newest(t, b))
		w.Sleep(3 * time.Second)
		b.Close()
		newest(t, mary.Device(0)).Terminate(t.Context())
		w.Sleep(2 * time.Minute)
		b.SignIn()
		w.Sleep(time.Minute)
		if r := journal.records()[0]; r.Ended.IsZero() {
			t.Errorf("%+v", r)
		}
		if rows := b.Board(); len(rows) != 0 {
			t.Errorf("%+v", rows)
		}
		if _, err := b.Retrieve(t.Context(), o.SafeRetrieveURI, false); kindOf(err) != session.KindStaleOrbit {
			t.Errorf("%v", err)
		}
		if _, err := b.Retrieve(t.Context(), "719", false); kindOf(err) != session.KindOrbitNotFound {
			t.Errorf("an empty orbit: %v", err)
		}
		w.Sleep(time.Minute)
		expectOver(t, mary, bob)
	})
}

// An IM session of the same conversation goes on beside the park, and after it.
func TestTextsGoOnWhileParked(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		mary, bob, carol := w.Endpoint("mary", audio), w.Endpoint("bob", audio), w.Endpoint("carol", audio)
		b := bob.Device(0)
		mary.Device(0).Talk(bob, 0)
		here := newest(t, b)
		conv := here.Conversation()
		b.IM(mary, "wait a moment").Expect(session.Delivered)
		o := parkIn(t, here)
		b.IM(mary, "carol will have you").Expect(session.Delivered)
		expectConversation(t, conv, session.ConversationParked)
		got := retrieve(t, carol.Device(0), o.FriendlyOrbit)
		w.Sleep(2 * time.Second)
		expectConversation(t, conv, session.ConversationActive)
		var states []string
		for _, e := range testkit.All[session.ConversationChanged](b) {
			if e.Conversation == conv.ID() {
				states = append(states, string(e.State)+" "+e.Reason)
			}
		}
		if all := strings.Join(states, ", "); all != "Inactive , Active , Parked parked on 701, Inactive retrieved, Active " {
			t.Errorf("told %s", all)
		}
		b.IM(mary, "and?").Expect(session.Delivered)
		got.Terminate(t.Context())
		w.Sleep(time.Minute)
	})
}

// A call that was picked up can be parked again, and who is parked cannot park.
func TestParkAgain(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		mary, bob, carol := w.Endpoint("mary", audio), w.Endpoint("bob", audio), w.Endpoint("carol", audio)
		mary.Device(0).Talk(bob, 0)
		o := parkIn(t, newest(t, bob.Device(0)))
		w.Sleep(3 * time.Second)
		if _, err := newest(t, mary.Device(0)).Conversation().Park(t.Context(), "", ""); kindOf(err) != session.KindDoublePark {
			t.Errorf("mary parks: %v", err)
		}
		got := retrieve(t, carol.Device(0), o.FriendlyOrbit)
		w.Sleep(3 * time.Second)
		again := parkIn(t, got)
		w.Sleep(3 * time.Second)
		expectConversation(t, got.Conversation(), session.ConversationParked)
		if _, parked := newest(t, mary.Device(0)).Party(); !parked {
			t.Error("mary is not parked")
		}
		back := retrieve(t, bob.Device(0), again.FriendlyOrbit)
		w.Sleep(3 * time.Second)
		if back.Conversation().Peer().URI != mary.AOR() {
			t.Errorf("%+v", back.Info())
		}
		back.Terminate(t.Context())
		w.Sleep(time.Minute)
		expectOver(t, mary, bob, carol)
	})
}

// Our client as the parkee of a plain phone's blind transfer to the park service: it tells the orbit on.
func TestBlindTransferToThePark(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		mary, bob := w.Endpoint("mary", audio), w.Endpoint("bob", audio)
		_, here := mary.Device(0).Talk(bob, 0)
		w.Sleep(time.Second)
		if err := here.Transfer(t.Context(), "park"); err != nil {
			t.Fatal(err)
		}
		w.Sleep(3 * time.Second)
		m := newest(t, mary.Device(0))
		if _, parked := m.Party(); !parked || m.Conversation().Peer().URI != bob.AOR() || m.Info().Orbit == "" {
			t.Errorf("%+v", m.Info())
		}
		mary.Device(0).ExpectNotice("parked by sip:bob@example.test on 70")
		m.Terminate(t.Context())
		w.Sleep(time.Minute)
		expectOver(t, mary, bob)
	})
}

// Parking by attended transfer, which works with plain services.
func TestParkAttended(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		mary := w.Endpoint("mary", audio)
		bob := w.Endpoint("bob", audio, testkit.Configure(func(_ int, cfg *session.Config) { cfg.Park.Strategy = park.Attended }))
		b := bob.Device(0)
		mary.Device(0).Talk(bob, 0)
		here := newest(t, b)
		conv := here.Conversation()
		o := parkIn(t, here)
		w.Sleep(3 * time.Second)
		expectConversation(t, conv, session.ConversationParked)
		if open := b.Sound().OpenStreams(); len(open) != 0 {
			t.Errorf("%d streams are open", len(open))
		}
		if _, parked := newest(t, mary.Device(0)).Party(); !parked {
			t.Error("mary is not parked")
		}
		got := retrieve(t, b, o.FriendlyOrbit)
		w.Sleep(2 * time.Second)
		expectConversation(t, conv, session.ConversationActive)
		got.Terminate(t.Context())
		w.Sleep(time.Minute)
		expectOver(t, mary, bob)
	})
}

// An orbit can be wished for; one that is taken is refused.
func TestParkAtAnOrbit(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		mary, bob := w.Endpoint("mary", audio), w.Endpoint("bob", audio)
		steven, michael := w.Endpoint("steven", audio), w.Endpoint("michael", audio)
		mary.Device(0).Talk(bob, 0)
		steven.Device(0).Talk(michael, 0)
		o, err := newest(t, bob.Device(0)).Conversation().Park(t.Context(), "707", "order 77")
		if err != nil || o.FriendlyOrbit != "707" {
			t.Fatalf("%v, %v", o, err)
		}
		here := newest(t, michael.Device(0))
		if _, err := here.Conversation().Park(t.Context(), "707", ""); kindOf(err) != session.KindBusy {
			t.Errorf("%v", err)
		}
		expectState(t, here, session.Established)
		if rows := michael.Device(0).Board(); len(rows) != 1 || rows[0].Orbit != "707" || rows[0].Note != "order 77" || rows[0].ParkedBy.URI != bob.AOR() {
			t.Errorf("%+v", rows)
		}
		if _, err := here.Conversation().Park(t.Context(), "", ""); kindOf(err) != "" {
			t.Errorf("%v", err)
		}
		w.Sleep(time.Second)
		for _, d := range []*testkit.Device{mary.Device(0), steven.Device(0)} {
			newest(t, d).Terminate(t.Context())
		}
		w.Sleep(time.Minute)
		expectOver(t, mary, bob, steven, michael)
	}, testkit.Park(func(cfg *server.ParkConfig) { cfg.Orbits = "707-716" }))
}

// Somebody else answers than was expected, and only the answer tells: the microphone has never been open.
func TestStrangerAnswers(t *testing.T) {
	for name, how := range map[string]string{"in the answer": "200", "in an UPDATE": "UPDATE", "never": ""} {
		t.Run(name, func(t *testing.T) {
			inPark(t, func(p *parkPeers, req *sipua.Request) {}, func(t *testing.T, p *parkPeers) {
				if err := p.call.Terminate(t.Context()); err != nil {
					t.Fatal(err)
				}
				announce := park.Announcement{Orbit: "701", Caller: park.Party{URI: "sip:mary@example.test", Display: "Mary"}, Within: time.Minute}
				p.say(t, announce.String())
				steven := sip.NewHeader("P-Asserted-Identity", `"Steven" <sip:steven@example.test>`)
				p.serviceInvite(func(inv *sipua.Invite) {
					var headers []sip.Header
					if how == "200" {
						headers = append(headers, steven)
					}
					dlg, err := inv.Answer(context.Background(), body.TypeSDP, []byte(p.describe(serviceHost, "sendrecv")), headers...)
					if err != nil {
						return
					}
					if how == "UPDATE" {
						time.Sleep(500 * time.Millisecond)
						_, _ = dlg.Do(context.Background(), sip.UPDATE, "", nil, steven)
					}
					p.serve(dlg)
				})
				began := time.Now()
				call, err := p.Retrieve(t.Context(), "701", false)
				if err != nil {
					t.Fatal(err)
				}
				st := p.sound.Stream()
				for time.Since(began) < 1400*time.Millisecond {
					if now := st.State(); now.Sends() && !now.Muted {
						t.Fatalf("the microphone is open after %v", time.Since(began))
					}
					time.Sleep(20 * time.Millisecond)
				}
				time.Sleep(time.Second)
				if how == "" {
					if st.State().Muted {
						t.Error("the microphone stays closed")
					}
				} else {
					if !st.State().Muted || !call.Info().Muted {
						t.Error("the microphone is open")
					}
					trouble := eventsOf[session.CallTrouble](p.phone)
					if len(trouble) != 1 || trouble[0].Kind != session.KindStranger || !strings.Contains(trouble[0].Text, "Steven, not Mary") {
						t.Errorf("%+v", trouble)
					}
					if who, _ := call.Party(); who.Display != "Steven" {
						t.Errorf("%+v", who)
					}
					if err := call.Mute(false); err != nil || st.State().Muted {
						t.Errorf("unmute: %v", err)
					}
				}
				if err := call.Terminate(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A service that is a dial plan, as far as we are told: the orbit is learnt, its lamp tells the end, and retrieval is by
// number.
func TestParkWithADialplan(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		mary := w.Endpoint("mary", audio)
		bob := w.Endpoint("bob", audio, testkit.Configure(func(_ int, cfg *session.Config) {
			cfg.Park = session.ParkSettings{Strategy: park.Asterisk, Extension: "park", Orbits: "701-703"}
		}))
		b := bob.Device(0)
		mary.Device(0).Talk(bob, 0)
		if s := b.ParkService(); !s.Available || s.Strategy != park.Asterisk || s.Safe {
			t.Errorf("%+v", s)
		}
		here := newest(t, b)
		conv := here.Conversation()
		o := parkIn(t, here)
		if o.FriendlyOrbit != "701" {
			t.Errorf("%#v", o)
		}
		w.Sleep(5 * time.Second)
		expectConversation(t, conv, session.ConversationParked)
		back := retrieve(t, b, o.FriendlyOrbit)
		w.Sleep(2 * time.Second)
		expectConversation(t, conv, session.ConversationActive)
		if back.Info().Muted {
			t.Error("the microphone is closed to mary")
		}
		parkIn(t, back)
		w.Sleep(5 * time.Second)
		newest(t, mary.Device(0)).Terminate(t.Context())
		w.Sleep(5 * time.Second)
		r := b.ParkHistory()[0]
		if r.Ended.IsZero() {
			t.Errorf("%+v", r)
		}
		w.Sleep(time.Minute)
		expectOver(t, mary, bob)
	})
}

// Nothing is parked without a service, and nothing is asked.
func TestNoParkService(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		off := testkit.Configure(func(_ int, cfg *session.Config) { cfg.Park.Server = "off" })
		mary, bob := w.Endpoint("mary", audio), w.Endpoint("bob", audio, off)
		mary.Device(0).Talk(bob, 0)
		here := newest(t, bob.Device(0))
		if can, why := here.Conversation().Can("park"); can || why != "there is no park service" {
			t.Errorf("%v, %q", can, why)
		}
		if _, err := here.Conversation().Park(t.Context(), "", ""); kindOf(err) != session.KindConfig {
			t.Errorf("%v", err)
		}
		if _, err := bob.Device(0).Retrieve(t.Context(), "701", false); kindOf(err) != session.KindConfig {
			t.Errorf("%v", err)
		}
		expectState(t, here, session.Established)
		here.Terminate(t.Context())
		w.Sleep(time.Minute)
		expectOver(t, mary, bob)
	})
}

// A service that is switched off while the program runs is missed, and one that is switched on is found.
func TestParkServiceGoesAway(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		mary, bob := w.Endpoint("mary", audio), w.Endpoint("bob", audio)
		b := bob.Device(0)
		mary.Device(0).Talk(bob, 0)
		here := newest(t, b)
		w.Sleep(time.Second)
		if can, why := here.Conversation().Can("park"); !can {
			t.Errorf("%q", why)
		}
		w.Net.Cut(w.ServerHost)
		if _, err := here.Conversation().Park(t.Context(), "", ""); kindOf(err) != session.KindParkTimeout {
			t.Errorf("%v", err)
		}
		expectState(t, here, session.Established)
		if b.Sound().Talkers() != 1 || mary.Device(0).Sound().Talkers() != 1 {
			t.Error("they do not hear each other")
		}
		if can, _ := here.Conversation().Can("park"); can {
			t.Error("it can be parked")
		}
		w.Net.Heal(w.ServerHost)
		w.Sleep(3 * time.Minute)
		if can, why := here.Conversation().Can("park"); !can {
			t.Errorf("%q", why)
		}
		here.Terminate(t.Context())
		w.Sleep(time.Minute)
		expectOver(t, mary, bob)
	})
}

// Who refers us to a park service hears of us where we are parked: nobody else can tell.
func TestTransfereeTellsTheOrbit(t *testing.T) {
	inPhones(t, func(t *testing.T, p *phones) {
		call, dlg := p.call(t)
		p.ring = func(inv *sipua.Invite) {
			p.pickUp(inv, p.describe(deskHost, "sendrecv"), sip.NewHeader("P-Asserted-Identity", `"Orbit 701" <sip:701@lab.test>`),
				sip.NewHeader("Call-Info", "<sip:pk-a@lab.test>;purpose=x-park-retrieve"),
				sip.NewHeader("Call-Info", "<http://lab.test/logo.png>;purpose=icon"))
		}
		if _, err := dlg.Do(t.Context(), sip.REFER, "", nil, sip.NewHeader("Refer-To", "<"+p.desk.uri+">")); err != nil {
			t.Fatal(err)
		}
		second := <-p.dialogs
		time.Sleep(time.Second)
		told := p.got(sip.NOTIFY)
		frag, err := body.ParseSipfrag(told[len(told)-1].Body())
		if err != nil || frag.Code != 200 || len(frag.Headers["P-Asserted-Identity"]) != 1 || len(frag.Headers["Call-Info"]) != 1 {
			t.Errorf("%+v, %v", frag, err)
		}
		_ = dlg.Bye(t.Context(), "")
		_ = second.Bye(t.Context(), "")
		time.Sleep(time.Second)
		expectState(t, call, session.Terminated)
	})
}

// The safe URI is for whoever has it: the call is in the conversation of who was parked, and can be parked again.
func TestForeignSafeURI(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		mary, bob, conv, o := parkedMary(t, w)
		carol := w.Endpoint("carol", audio)
		c := carol.Device(0)
		got := retrieve(t, c, o.SafeRetrieveURI)
		w.Sleep(2 * time.Second)
		if got.Conversation().Peer().URI != mary.AOR() || got.Info().Muted {
			t.Errorf("%+v", got.Info())
		}
		if news := lastUnparked(t, bob.Device(0)); news.Reason != park.Retrieved || news.Target.URI != carol.AOR() {
			t.Errorf("%+v", news)
		}
		expectConversation(t, conv, session.ConversationTerminated)
		for _, e := range c.Seen() {
			if strings.Contains(fmt.Sprintf("%+v", e.Event), "pk-") {
				t.Errorf("the safe URI is in %+v", e.Event)
			}
		}
		again := parkIn(t, got)
		w.Sleep(2 * time.Second)
		expectConversation(t, got.Conversation(), session.ConversationParked)
		if again.SafeRetrieveURI == o.SafeRetrieveURI {
			t.Error("the same token was given out again")
		}
		newest(t, mary.Device(0)).Terminate(t.Context())
		w.Sleep(time.Minute)
		expectOver(t, mary, bob, carol)
	})
}
