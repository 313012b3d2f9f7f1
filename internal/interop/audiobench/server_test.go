//go:build bench && linux

package audiobench

import (
	"context"
	"math"
	"testing"
	"time"

	"offhook/internal/testkit/sound"
)

// TestSoundServerDies kills the sound server in the middle of a call and starts it again: the call goes on meanwhile, and
// what the other side says is heard again afterwards.
func TestSoundServerDies(t *testing.T) {
	dir := t.TempDir()
	first, server := pulseIn(t, dir)
	t.Setenv("PULSE_SERVER", server)
	bob := headless(t, "bob", "127.30.0.2", "--mic", "silence", "--speaker", "Ear", "--media-listen", "127.30.0.2:0")
	alice := headless(t, "alice", "127.30.0.1", "--mic", "tone:1000", "--speaker", "discard", "--media-listen", "127.30.0.1:0")
	call := alice.ask("call.dial", map[string]any{"to": "sip:bob@127.30.0.2:5070"})
	heard := func(when string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, ear := record(ctx, t, server)
		if len(ear) < 2*rate {
			t.Fatalf("%s: only %d samples were recorded", when, len(ear))
		}
		// A machine that does much else makes breaks in it; most of it has to be the tone.
		whole := 0
		const window = rate / 20
		for at := len(ear) - 20*window; at < len(ear); at += window {
			f, level, _ := sound.Tone(ear[at:at+window], rate, 1000)
			if math.Abs(f-1000) < 5 && level > -18 {
				whole++
			}
		}
		t.Logf("%s: the tone is whole in %d of the last 20 windows of 50 ms", when, whole)
		if whole < 10 {
			t.Errorf("%s: the tone is not heard", when)
		}
	}
	time.Sleep(2 * time.Second) // wall clock: the sound card is opened
	heard("before")
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	bob.event("health", "code", "speaker", "cleared", "<nil>")
	t.Logf("told after %.1f s", time.Since(began).Seconds())
	before := bob.ask("call.stats", map[string]any{})["received"].(float64)
	time.Sleep(3 * time.Second) // wall clock: nothing is there for a while
	if after := bob.ask("call.stats", map[string]any{})["received"].(float64); after < before+100 {
		t.Errorf("media stand still: %v packets before, %v after", before, after)
	}
	pulseIn(t, dir)
	began = time.Now()
	bob.event("health", "code", "speaker", "cleared", "true")
	t.Logf("back after %.1f s", time.Since(began).Seconds())
	time.Sleep(time.Second) // wall clock: the jitter buffer finds its length
	heard("afterwards")
	alice.ask("call.hangup", map[string]any{"call": call["call"]})
}
