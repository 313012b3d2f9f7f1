//go:build interop

package interop

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// a moment is how long a state is looked at.
const aMoment = 2500 * time.Millisecond

// echoes has a baresip send what it hears. Its bridge does not survive a change of direction, so this is not for hold.
var echoes = []string{"audio_source aubridge,echo", "audio_player aubridge,echo"}

// pair is a call between us and a baresip.
type pair struct {
	ours   *endpoint
	theirs *baresip
	call   string
}

// newPair starts both and has one of them call the other, who answers at once.
func newPair(t *testing.T, weCall bool, account string, args ...string) pair {
	t.Helper()
	p := pair{theirs: newBaresip(t, "bob", "answermode=auto;"+account), ours: newEndpoint(t, "alice", append([]string{"--answer", "auto"}, args...)...)}
	p.call = talk(t, p.ours, p.theirs, weCall)
	return p
}

// counter reads a statistic of the call.
func (p pair) counter(name string) float64 {
	n, _ := p.ours.do("call.stats", "call", p.call)[name].(float64)
	return n
}

// flows reports how many packets go out and come in within a while.
func (p pair) flows(wait time.Duration) (sent, received float64) {
	s, r := p.counter("sent"), p.counter("received")
	time.Sleep(wait) // wall clock: packets are counted
	return p.counter("sent") - s, p.counter("received") - r
}

// expectBoth fails unless each hears the other now. Baresip's dumps end with the first re-INVITE, so what it hears is counted.
func (p pair) expectBoth(t *testing.T) {
	t.Helper()
	before := p.theirs.received()
	sent, received := p.flows(aMoment)
	arrived := p.theirs.received() - before
	expectEnd(t, "offhook", p.ours.heard, theirHz)
	if packets := int(aMoment / (20 * time.Millisecond)); arrived < packets*8/10 {
		t.Errorf("baresip got %d packets in %v", arrived, aMoment)
	}
	if told, alarm := p.ours.next("alarm", 0, isSilence); alarm {
		t.Errorf("a call that is heard is told to be silent: %v", told["params"])
	}
	if t.Failed() {
		t.Logf("%v packets sent, %v received in %v: %v", sent, received, aMoment, p.ours.do("call.stats", "call", p.call))
	}
}

func isSilence(o map[string]any) bool {
	params, _ := o["params"].(map[string]any)
	return params["type"] == "call.silence" && params["silent"] == true
}

func TestBaresipHold(t *testing.T) {
	for _, account := range []string{"", "mediaenc=srtp-mand", "mediaenc=dtls_srtp"} {
		for _, weCall := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s we call %v", account, weCall), func(t *testing.T) {
				t.Parallel()
				p := newPair(t, weCall, account, "--srtp", map[bool]string{true: "off", false: "required"}[account == ""])

				p.expectBoth(t)
				p.ours.do("call.hold", "call", p.call)
				p.ours.event("call.hold", "hold", "local")
				if _, received := p.flows(aMoment / 2); received > 5 {
					t.Errorf("they sent %v packets while we hold", received)
				}
				expectSilence(t, "offhook", p.ours.heard)
				p.ours.do("call.resume", "call", p.call)
				p.ours.event("call.hold", "hold", "none")
				p.expectBoth(t)

				p.theirs.do("hold")
				p.ours.event("call.hold", "hold", "remote")
				if sent, _ := p.flows(aMoment / 2); sent > 5 {
					t.Errorf("we sent %v packets while they hold", sent)
				}
				p.theirs.do("resume")
				p.ours.event("call.hold", "hold", "none")
				p.expectBoth(t)

				p.theirs.do("hold")
				p.ours.event("call.hold", "hold", "remote")
				p.ours.do("call.hold", "call", p.call)
				p.ours.event("call.hold", "hold", "both")
				if sent, received := p.flows(aMoment / 2); sent > 5 || received > 5 {
					t.Errorf("%v packets sent and %v received while both hold", sent, received)
				}
				p.theirs.do("resume")
				p.ours.event("call.hold", "hold", "local")
				p.ours.do("call.resume", "call", p.call)
				p.ours.event("call.hold", "hold", "none")
				p.expectBoth(t)
			})
		}
	}
}

func TestBaresipDigits(t *testing.T) {
	for _, codec := range []string{"pcmu", "opus"} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			// Baresip knows telephone-event/8000 alone, which is also what it uses beside Opus: all our codecs are offered.
			p := newPair(t, true, "audio_codecs="+theirNames[codec], "--srtp", "off")
			time.Sleep(time.Second) // wall clock: sound first
			p.ours.do("call.dtmf", "call", p.call, "digits", "15*#D")
			for _, d := range []string{"1", "5", "*", "#", "D"} {
				p.theirs.event("CALL_DTMF_START", "param", d)
			}
			for _, d := range []string{"7", "#", "0"} {
				p.theirs.do("sndcode", d)
				time.Sleep(300 * time.Millisecond) // wall clock: baresip holds a key until the next command
				p.ours.event("call.digit", "digit", d)
			}
			if o, more := p.theirs.next("CALL_DTMF_START", time.Second, func(o map[string]any) bool { return o["type"] == "CALL_DTMF_START" }); more {
				t.Errorf("baresip hears a digit too many: %v", o)
			}
			if o, more := p.ours.seek(time.Second, "call.digit"); more {
				t.Errorf("we hear a digit too many: %v", o)
			}
			p.expectBoth(t)
		})
	}
}

func TestBaresipHangsUp(t *testing.T) {
	t.Parallel()
	for _, weCall := range []bool{true, false} {
		p := newPair(t, weCall, "", "--srtp", "off")
		p.theirs.do("hangup")
		p.ours.event("call.state", "call", p.call, "state", "Terminated", "trigger", "TerminateCompleted")
	}
}

func TestBaresipWeHangUp(t *testing.T) {
	t.Parallel()
	for _, weCall := range []bool{true, false} {
		p := newPair(t, weCall, "", "--srtp", "off")
		p.ours.do("call.hangup", "call", p.call)
		p.theirs.event("CALL_CLOSED")
	}
}

func TestBaresipDeclines(t *testing.T) {
	t.Parallel()
	theirs, ours := newBaresip(t, "bob", "answermode=manual"), newEndpoint(t, "alice", "--srtp", "off")
	id := ours.send("call.dial", "to", theirs.uri)
	theirs.event("CALL_INCOMING")
	ours.event("call.ringing")
	theirs.do("hangup")
	_, failure := ours.answer(id, "call.dial")
	data, _ := failure["data"].(map[string]any)
	if data["kind"] != "Busy" || data["sip"] != 486.0 {
		t.Errorf("the call fails as %v", failure)
	}
}

func TestBaresipIsDeclined(t *testing.T) {
	for name, want := range map[string]string{"here": "486", "everywhere": "603"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			theirs, ours := newBaresip(t, "bob", ""), newEndpoint(t, "alice", "--srtp", "off")
			theirs.do("dial", ours.uri)
			call := ours.event("toast.shown", "kind", "call")["call"]
			theirs.event("CALL_RINGING")
			ours.do("call.decline", "call", call, "everywhere", name == "everywhere")
			closed := theirs.event("CALL_CLOSED")
			if reason, _ := closed["param"].(string); !strings.HasPrefix(reason, want) {
				t.Errorf("baresip closes the call as %q, want %s", reason, want)
			}
		})
	}
}

func TestBaresipGivesUp(t *testing.T) {
	t.Parallel()
	theirs, ours := newBaresip(t, "bob", ""), newEndpoint(t, "alice", "--srtp", "off")
	theirs.do("dial", ours.uri)
	ours.event("toast.shown", "kind", "call")
	theirs.do("hangup")
	ours.event("toast.closed", "reason", "missed")
	ours.event("call.state", "state", "Terminated")
}

func TestBaresipWeGiveUp(t *testing.T) {
	t.Parallel()
	theirs, ours := newBaresip(t, "bob", "answermode=manual"), newEndpoint(t, "alice", "--srtp", "off")
	id := ours.send("call.dial", "to", theirs.uri)
	theirs.event("CALL_INCOMING")
	ours.do("call.hangup")
	theirs.event("CALL_CLOSED")
	if _, failure := ours.answer(id, "call.dial"); failure == nil {
		t.Error("a call that was given up succeeds")
	}
	ours.event("call.state", "state", "Terminated")
}

// Baresip sends packets of 40 ms, and takes ours of 20 ms.
func TestBaresipLongPackets(t *testing.T) {
	for _, codec := range []string{"pcmu", "g722", "opus"} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			p := pair{
				theirs: newBaresip(t, "bob", "ptime=40;audio_codecs="+theirNames[codec]),
				ours:   newEndpoint(t, "alice", "--answer", "auto", "--codecs", codec, "--srtp", "off"),
			}
			p.call = talk(t, p.ours, p.theirs, false)
			time.Sleep(enough) // wall clock: this is recorded
			sent, received := p.flows(2 * time.Second)
			t.Logf("%v packets sent, %v received in 2 s", sent, received)
			p.ours.do("call.hangup", "call", p.call)
			p.theirs.event("CALL_CLOSED")
			check(t, p.ours, p.theirs)
		})
	}
}

func TestBaresipReinvites(t *testing.T) {
	t.Parallel()
	p := newPair(t, true, "", "--srtp", "off")
	for range 3 {
		p.theirs.do("reinvite")
	}
	p.expectBoth(t)
}

// A blind transfer: baresip sends us to a third party, and we send baresip there.
func TestBaresipTransfers(t *testing.T) {
	for _, weCall := range []bool{true, false} {
		t.Run(fmt.Sprintf("by them, we call %v", weCall), func(t *testing.T) {
			t.Parallel()
			p := newPair(t, weCall, "", "--srtp", "off")
			carol := newBaresip(t, "carol", "answermode=auto", echoes...)
			p.theirs.do("transfer", carol.uri)
			carol.event("CALL_ESTABLISHED")
			p.ours.event("call.state", "state", "Established")
			p.ours.event("call.state", "call", p.call, "state", "Terminated")
			p.theirs.event("CALL_CLOSED")
			time.Sleep(aMoment) // wall clock: this is recorded
			expectEnd(t, "offhook", p.ours.heard, toneHz)
			p.ours.do("call.hangup")
			carol.event("CALL_CLOSED")
		})
		t.Run(fmt.Sprintf("by us, we call %v", weCall), func(t *testing.T) {
			t.Parallel()
			p := pair{
				theirs: newBaresip(t, "bob", "answermode=auto"), ours: newEndpoint(t, "alice", "--answer", "auto", "--srtp", "off"),
			}
			p.call = talk(t, p.ours, p.theirs, weCall)
			carol := newEndpoint(t, "carol", "--srtp", "off", "--answer", "auto")
			p.ours.do("call.transfer", "call", p.call, "to", carol.uri)
			p.ours.event("call.state", "call", p.call, "state", "Terminated")
			carol.event("call.state", "state", "Established")
			time.Sleep(aMoment) // wall clock: this is recorded
			expectEnd(t, "carol", carol.heard, theirHz)
		})
	}
}

func TestBaresipTransferToNobody(t *testing.T) {
	t.Parallel()
	p := newPair(t, true, "", "--srtp", "off")
	carol := newBaresip(t, "carol", "answermode=manual")
	id := p.ours.send("call.transfer", "call", p.call, "to", carol.uri)
	carol.event("CALL_INCOMING")
	carol.do("hangup")
	if _, failure := p.ours.answer(id, "call.transfer"); failure == nil {
		t.Error("a transfer to somebody who declines succeeds")
	}
	p.ours.event("call.state", "call", p.call, "state", "Established", "trigger", "TransferFailed")
}

// A second call waits while the first goes on; answering it puts the first on hold, and back again. Then all three talk.
func TestBaresipCallWaiting(t *testing.T) {
	t.Parallel()
	const carolHz = 660
	bob, carol := newBaresip(t, "bob", "answermode=auto"), newBaresip(t, "carol", "", fmt.Sprintf("audio_source ausine,%d", carolHz))
	ours := newEndpoint(t, "alice", "--srtp", "off")
	hear := func(hz ...float64) {
		t.Helper()
		time.Sleep(aMoment) // wall clock: this is recorded
		for _, candidate := range []float64{theirHz, carolHz} {
			level := loudness(t, ours.heard, candidate)
			if want := slices.Contains(hz, candidate); (level > -25) != want {
				t.Errorf("with %v talking we hear %.1f dBov of %v Hz", hz, level, candidate)
			}
		}
	}
	first := talk(t, ours, bob, true)
	hear(theirHz)
	carol.do("dial", ours.uri)
	second, _ := ours.event("toast.shown", "kind", "call")["call"].(string)
	ours.do("call.answer", "call", second)
	ours.event("call.hold", "call", first, "hold", "local")
	carol.event("CALL_ESTABLISHED")
	hear(carolHz)
	expectEnd(t, "carol", carol.dumps("dec")[0], toneHz)
	ours.do("call.resume", "call", first)
	ours.event("call.hold", "call", second, "hold", "local")
	hear(theirHz)
	ours.do("call.conference", "calls", []string{first, second})
	ours.event("call.conference", "call", second)
	hear(theirHz, carolHz)
	ours.do("call.hangup", "call", first)
	bob.event("CALL_CLOSED")
	ours.do("call.hangup", "call", second)
	carol.event("CALL_CLOSED")
}
