package session_test

import (
	"context"
	"errors"
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

// expectTalk checks that a call is what it was: nobody is on hold on either side, and its microphone is the one that is open.
func expectTalk(t *testing.T, w *testkit.World, d *testkit.Device, here, there *session.AudioVideoCall) {
	t.Helper()
	w.Sleep(2 * time.Second)
	expectState(t, here, session.Established)
	expectHold(t, here, session.HoldNone)
	expectHold(t, there, session.HoldNone)
	if n := d.Sound().Talkers(); n != 1 {
		t.Errorf("%d hear %s", n, d.Name)
	}
}

// A second call that does not come about leaves the user in the first.
func TestFailedCallGivesBack(t *testing.T) {
	for name, fail := range map[string]func(t *testing.T, w *testkit.World, a *testkit.Device, carol *testkit.User){
		"not found": func(t *testing.T, _ *testkit.World, a *testkit.Device, _ *testkit.User) {
			if err := a.Dial(&testkit.User{Name: "nobody"}).Wait(); kindOf(err) != session.KindNotFound && kindOf(err) != session.KindUnavailable {
				t.Error(err)
			}
		},
		"declined": func(t *testing.T, w *testkit.World, a *testkit.Device, carol *testkit.User) {
			x := a.Dial(carol)
			in := carol.Device(0).ExpectCall("alice")
			w.Sleep(3 * time.Second)
			_ = in.Decline(t.Context(), true)
			if err := x.Wait(); kindOf(err) != session.KindDeclined {
				t.Error(err)
			}
		},
		"given up": func(t *testing.T, w *testkit.World, a *testkit.Device, carol *testkit.User) {
			x := a.Dial(carol)
			carol.Device(0).ExpectCall("alice")
			w.Sleep(3 * time.Second)
			x.GiveUp()
			if err := x.Wait(); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		},
		"hung up": func(t *testing.T, w *testkit.World, a *testkit.Device, carol *testkit.User) {
			x := a.Dial(carol)
			carol.Device(0).ExpectCall("alice")
			w.Sleep(3 * time.Second)
			_ = x.Terminate(t.Context())
			if err := x.Wait(); err == nil {
				t.Error("it is established")
			}
		},
		"nobody answers": func(t *testing.T, _ *testkit.World, a *testkit.Device, carol *testkit.User) {
			if err := a.Dial(carol).Wait(); err == nil {
				t.Error("it is established")
			}
		},
		"two at once": func(t *testing.T, w *testkit.World, a *testkit.Device, carol *testkit.User) {
			x, y := a.Dial(carol), a.Dial(w.Endpoint("dave", audio))
			w.Sleep(3 * time.Second)
			x.GiveUp()
			_ = x.Wait()
			w.Sleep(3 * time.Second)
			if n := a.Sound().Talkers(); n != 0 {
				t.Errorf("%d hear alice while she waits for dave", n)
			}
			y.GiveUp()
			_ = y.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, w *testkit.World) {
				alice, bob, carol := w.Endpoint("alice", audio), w.Endpoint("bob", audio), w.Endpoint("carol", audio)
				a := alice.Device(0)
				here, there := a.Talk(bob, 0)
				w.Sleep(time.Second)
				fail(t, w, a, carol)
				expectTalk(t, w, a, here, there)
				here.Terminate(t.Context())
				w.Sleep(time.Minute)
				expectOver(t, alice, bob, carol)
			})
		})
	}
}

// What the user has decided meanwhile stands.
func TestFailedCallGivesNothingBack(t *testing.T) {
	for name, meanwhile := range map[string]func(t *testing.T, w *testkit.World, a *testkit.Device, here *session.AudioVideoCall){
		"held": func(t *testing.T, _ *testkit.World, _ *testkit.Device, here *session.AudioVideoCall) {
			if err := here.Hold(t.Context()); err != nil {
				t.Error(err)
			}
		},
		"resumed and held": func(t *testing.T, _ *testkit.World, _ *testkit.Device, here *session.AudioVideoCall) {
			if err := errors.Join(here.Resume(t.Context()), here.Hold(t.Context())); err != nil {
				t.Error(err)
			}
		},
		"another call": func(t *testing.T, w *testkit.World, a *testkit.Device, _ *session.AudioVideoCall) {
			x := w.Endpoint("dave", audio).Device(0).Dial(&testkit.User{Name: "alice"})
			if err := errors.Join(a.ExpectCall("dave").Accept(t.Context()), x.Wait()); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, w *testkit.World) {
				alice, bob, carol := w.Endpoint("alice", audio), w.Endpoint("bob", audio), w.Endpoint("carol", audio)
				a := alice.Device(0)
				here, there := a.Talk(bob, 0)
				w.Sleep(time.Second)
				x := a.Dial(carol)
				carol.Device(0).ExpectCall("alice")
				w.Sleep(time.Second)
				meanwhile(t, w, a, here)
				x.GiveUp()
				_ = x.Wait()
				w.Sleep(2 * time.Second)
				expectHold(t, here, session.HoldLocal)
				expectHold(t, there, session.HoldRemote)
			})
		})
	}
	// That it was on hold for a call that has come about is over when that is.
	story(t, func(t *testing.T, w *testkit.World) {
		alice, bob, carol := w.Endpoint("alice", audio), w.Endpoint("bob", audio), w.Endpoint("carol", audio)
		a := alice.Device(0)
		here, _ := a.Talk(bob, 0)
		second, _ := a.Talk(carol, 0)
		x := a.Dial(&testkit.User{Name: "nobody"})
		_ = x.Wait()
		w.Sleep(2 * time.Second)
		expectHold(t, here, session.HoldLocal)
		expectHold(t, second, session.HoldNone)
		second.Terminate(t.Context())
		w.Sleep(2 * time.Second)
		expectHold(t, here, session.HoldLocal)
	})
}

// A pick-up that fails leaves the user in the call they were in.
func TestFailedPickUpGivesBack(t *testing.T) {
	story(t, func(t *testing.T, w *testkit.World) {
		mary, bob := w.Endpoint("mary", audio), w.Endpoint("bob", audio)
		carol, dave := w.Endpoint("carol", audio), w.Endpoint("dave", audio)
		b := bob.Device(0)
		mary.Device(0).Talk(bob, 0)
		o := parkIn(t, newest(t, b))
		w.Sleep(5 * time.Second)
		if err := newest(t, mary.Device(0)).Terminate(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.Sleep(time.Second)
		here, there := b.Talk(carol, 0)
		w.Sleep(time.Second)

		before := len(b.Sound().Streams())
		if _, err := b.Retrieve(t.Context(), o.SafeRetrieveURI, false); kindOf(err) != session.KindStaleOrbit {
			t.Errorf("the call is over: %v", err)
		}
		if len(b.Sound().Streams()) == before {
			t.Error("it was not even tried")
		}
		expectTalk(t, w, b, here, there)
		if _, err := b.Retrieve(t.Context(), "sip:pk-aaaaaaaaaaaaaaaaaaaaaaaaaa@"+testkit.Domain, false); kindOf(err) != session.KindOrbitNotFound {
			t.Errorf("no such call: %v", err)
		}
		expectTalk(t, w, b, here, there)

		// One who does not answer the park service keeps it waiting, until the user, or the service, gives up.
		dave.Device(0).Talk(carol, 0)
		o, err := newest(t, carol.Device(0)).Conversation().Park(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		if err := there.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.Sleep(2 * time.Second)
		w.Net.Cut(dave.Device(0).Host)
		for _, patience := range []time.Duration{3 * time.Second, time.Hour} {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			done := make(chan error)
			go func() {
				_, err := b.Retrieve(ctx, o.FriendlyOrbit, true)
				done <- err
			}()
			w.Sleep(2 * time.Second)
			expectHold(t, here, session.HoldLocal)
			expectHold(t, there, session.HoldRemote)
			if err := <-done; err == nil {
				t.Error("it is picked up")
			}
			cancel()
			expectTalk(t, w, b, here, there)
		}
		w.Net.Heal(dave.Device(0).Host)
		newest(t, dave.Device(0)).Terminate(t.Context())
		here.Terminate(t.Context())
		w.Sleep(time.Minute)
		expectOver(t, mary, bob, carol, dave)
	}, testkit.Park(func(cfg *server.ParkConfig) { cfg.Orbits, cfg.Quarantine = "701-710", -1 }))
}

// A stranger who is hung up on unheard is a pick-up that failed; one whom the user has talked to is not.
func TestStrangerGivesBack(t *testing.T) {
	for _, talked := range []bool{false, true} {
		inPark(t, func(*parkPeers, *sipua.Request) {}, func(t *testing.T, p *parkPeers) {
			announce := park.Announcement{Orbit: "701", Caller: park.Party{URI: "sip:mary@example.test", Display: "Mary"}, Within: time.Minute}
			p.say(t, announce.String())
			p.serviceInvite(func(inv *sipua.Invite) {
				steven := sip.NewHeader("P-Asserted-Identity", `"Steven" <sip:steven@example.test>`)
				dlg, err := inv.Answer(context.Background(), body.TypeSDP, []byte(p.describe(serviceHost, "sendrecv")), steven)
				if err == nil {
					p.serve(dlg)
				}
			})
			call, err := p.Retrieve(t.Context(), "701", false)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			expectHold(t, p.call, session.HoldLocal)
			want := session.HoldNone
			if talked {
				want = session.HoldLocal
				if err := call.Mute(false); err != nil {
					t.Error(err)
				}
			}
			if err := call.Terminate(t.Context()); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
			expectHold(t, p.call, want)
		})
	}
}
