//go:build interop

package interop

import (
	"testing"
	"time"
)

// enough is how long a call is measured.
const enough = 4 * time.Second

// theirNames are baresip's names of our codecs.
var theirNames = map[string]string{"pcmu": "PCMU/8000/1", "pcma": "PCMA/8000/1", "g722": "G722/16000/1", "opus": "opus/48000/2"}

// talk dials, in one direction or the other, and returns the call's name at ours.
func talk(t *testing.T, ours *endpoint, theirs *baresip, weCall bool) (call string) {
	t.Helper()
	if weCall {
		ours.do("call.dial", "to", theirs.uri)
	} else {
		theirs.do("dial", ours.uri)
	}
	call, _ = ours.event("call.state", "kind", "audio", "state", "Established")["call"].(string)
	theirs.event("CALL_ESTABLISHED")
	return call
}

// check measures what both have heard.
func check(t *testing.T, ours *endpoint, theirs *baresip) {
	t.Helper()
	enc, dec := theirs.dumps("enc"), theirs.dumps("dec")
	if len(enc) == 0 || len(dec) == 0 {
		t.Fatalf("baresip dumped nothing: %v %v", enc, dec)
	}
	played := measure(t, enc[len(enc)-1], theirHz)
	expectTone(t, "offhook", ours.heard, theirHz, played.level)
	expectTone(t, "baresip", dec[len(dec)-1], toneHz, ourLevel)
}

func TestBaresipSound(t *testing.T) {
	protections := []struct{ theirs, ours, inbound, outbound string }{
		{"", "off", "none", "none"},
		{"", "opportunistic", "none", "none"},
		{"srtp", "opportunistic", "sdes", "sdes"},
		{"srtp-mand", "required", "sdes", "sdes"},
		{"srtp-mand", "opportunistic", "sdes", "sdes"},
		{"dtls_srtp", "opportunistic", "dtls", "dtls"},
		{"dtls_srtp", "required", "dtls", "dtls"},
	}
	for _, codec := range []string{"pcmu", "pcma", "g722", "opus"} {
		for _, p := range protections {
			for _, weCall := range []bool{true, false} {
				direction, security := "from baresip", p.inbound
				if weCall {
					direction, security = "to baresip", p.outbound
				}
				t.Run(codec+" "+p.theirs+"-"+p.ours+" "+direction, func(t *testing.T) {
					t.Parallel()
					account := "answermode=auto;audio_codecs=" + theirNames[codec]
					if p.theirs != "" {
						account += ";mediaenc=" + p.theirs
					}
					theirs := newBaresip(t, "bob", account)
					ours := newEndpoint(t, "alice", "--answer", "auto", "--codecs", codec, "--srtp", p.ours)
					call := talk(t, ours, theirs, weCall)
					ours.event("call.media", "codec", codec, "security", security)
					time.Sleep(enough) // wall clock: this is what is recorded
					stats := ours.do("call.stats", "call", call)
					// Baresip does not bind its RTP socket to an address, so it sends from another one than it announces, as if
					// there were a NAT between: the first packets do not count.
					if stats["lost"] != 0.0 || stats["rejected"].(float64) > 10 {
						t.Errorf("statistics: %v", stats)
					}
					t.Logf("concealed %v ms, stretched %v ms, late %v, buffer %v, target %v, jitter %v", stats["concealed_ms"], stats["stretched_ms"], stats["late"], stats["buffer"], stats["target"], stats["jitter"])
					ours.do("call.hangup", "call", call)
					theirs.event("CALL_CLOSED")
					check(t, ours, theirs)
				})
			}
		}
	}
}
