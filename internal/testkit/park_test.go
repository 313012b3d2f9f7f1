package testkit_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"offhook/internal/sdp"
	"offhook/internal/testkit"
	"offhook/server"
	"offhook/session"
)

// Who hears whom, by what crosses the network: in a call, on hold, muted, and with others nobody hears.
func TestHearing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := testkit.NewWorld(t)
		mary, bob, carol := w.Endpoint("mary", testkit.Voices()), w.Endpoint("bob", testkit.Voices()), w.Endpoint("carol", testkit.Voices())
		expect := func(when string, want map[string][]string) {
			t.Helper()
			if diff := cmp.Diff(want, w.Hearing()); diff != "" {
				t.Errorf("%s: %s", when, diff)
			}
		}
		expect("before", map[string][]string{})
		call, _ := mary.Device(0).Talk(bob, 0)
		expect("in a call", map[string][]string{"mary-0": {"bob-0"}, "bob-0": {"mary-0"}})
		if err := call.Mute(true); err != nil {
			t.Fatal(err)
		}
		expect("muted", map[string][]string{"mary-0": {"bob-0"}})
		if err := call.Hold(context.Background()); err != nil {
			t.Fatal(err)
		}
		expect("on hold", map[string][]string{})
		other, _ := carol.Device(0).Talk(mary, 0)
		expect("with another", map[string][]string{"mary-0": {"carol-0"}, "carol-0": {"mary-0"}})
		if err := other.Terminate(context.Background()); err != nil {
			t.Fatal(err)
		}
		w.Sleep(time.Second)
		expect("afterwards", map[string][]string{})
	})
}

// A caller who is transferred to the park service hears music there, and then whoever dials the orbit: the service relays,
// although the two have other payload types.
func TestParkInWorld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := testkit.NewWorld(t, testkit.WithMusic(), testkit.Park(func(cfg *server.ParkConfig) { cfg.Orbits = "80-81" }))
		other := func(_ int, _ *session.Config, s *testkit.Sound) {
			s.Formats = []sdp.Format{
				{PayloadType: 8, Name: "pcma", ClockRate: 8000, Channels: 1},
				{PayloadType: 96, Name: "opus", ClockRate: 48000, Channels: 2},
			}
		}
		mary, bob, carol := w.Endpoint("mary", testkit.Voices()), w.Endpoint("bob", testkit.Voices()), w.Endpoint("carol", testkit.Voices(other))
		if got := w.Park(); got != "sip:park@example.test" {
			t.Fatalf("park service %q", got)
		}
		_, there := mary.Device(0).Talk(bob, 0)
		if err := there.Transfer(context.Background(), w.Park()); err != nil {
			t.Fatal(err)
		}
		w.Sleep(2 * time.Second)
		if diff := cmp.Diff(map[string][]string{"mary-0": {testkit.Music}}, w.Hearing()); diff != "" {
			t.Errorf("parked: %s", diff)
		}
		c, err := carol.Device(0).Conversation("sip:80@" + testkit.Domain)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.NewAudio().Establish(context.Background(), session.AudioOptions{}); err != nil {
			t.Fatal(err)
		}
		w.Sleep(time.Second)
		if diff := cmp.Diff(map[string][]string{"mary-0": {"carol-0"}, "carol-0": {"mary-0"}}, w.Hearing()); diff != "" {
			t.Errorf("picked up: %s", diff)
		}
	})
}
