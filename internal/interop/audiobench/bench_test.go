//go:build bench && linux

package audiobench

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// measureFor is how long a state is watched.
const measureFor = 10 * time.Second

// TestCalls prints what calls cost, beside baresip's with the same peer. Both have a generated tone as microphone and throw
// away what they hear.
func TestCalls(t *testing.T) {
	for _, codec := range []string{"pcmu", "opus"} {
		for _, calls := range []int{1, 10, 50} {
			t.Run(fmt.Sprintf("%s/%d", codec, calls), func(t *testing.T) {
				var ours, theirs float64
				t.Run("offhook", func(t *testing.T) {
					p, flows := engine(t, calls, codec)
					ours = watch(t, p, flows)
				})
				t.Run("baresip", func(t *testing.T) {
					p := baresip(t, "127.30.0.3", "audio_source ausine,440", "audio_player aubridge,nowhere", "audio_alert aubridge,nowhere",
						"ausrc_channels 2", "auplay_channels 2")
					caller := newPeer(t, "127.30.0.4")
					var flows []*flow
					for range calls {
						flows = append(flows, caller.call("sip:bench@127.30.0.3:5070", codec))
					}
					theirs = watch(t, p, flows)
				})
				if theirs > 0 {
					t.Logf("ratio to baresip: %.2f", ours/theirs)
				}
			})
		}
	}
}

// watch exchanges packets with a program for a while and prints what that costs it, in hundredths of a core for a call.
func watch(t *testing.T, p *program, flows []*flow) (share float64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go send(ctx, flows)
	time.Sleep(2 * time.Second) // wall clock: everything finds its pace
	since := time.Now()
	before, _ := p.cost()
	time.Sleep(measureFor) // wall clock: this is what is measured
	after, megabytes := p.cost()
	share = float64(after-before) / float64(time.Since(since)) * 100 / float64(len(flows))
	t.Logf("%d calls: %.2f %% of a core each, %.1f MB", len(flows), share, megabytes)
	t.Logf("first of them sends %s", flows[0].intervals(since))
	return share
}

// TestAnswer prints how soon a call is answered and its first packet leaves.
func TestAnswer(t *testing.T) {
	const calls = 10
	measure := func(t *testing.T, target string) {
		caller := newPeer(t, "127.30.0.4")
		for i := range calls {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				own := *caller
				own.t = t
				f := own.call(target, "pcmu")
				time.Sleep(200 * time.Millisecond) // wall clock: for the first packet
				t.Logf("INVITE to 200 %.1f ms, ACK to first packet %.1f ms", ms(f.answer), ms(f.firstAfterACK()))
			})
		}
	}
	t.Run("offhook", func(t *testing.T) {
		headless(t, "bob", "127.30.0.2", "--mic", "tone:440", "--speaker", "discard", "--media-listen", "127.30.0.2:0")
		measure(t, "sip:bob@127.30.0.2:5070")
	})
	t.Run("baresip", func(t *testing.T) {
		baresip(t, "127.30.0.3", "audio_source ausine,440", "audio_player aubridge,nowhere", "audio_alert aubridge,nowhere")
		measure(t, "sip:bench@127.30.0.3:5070")
	})
}

func ms(d time.Duration) float64 { return float64(d) / 1e6 }
