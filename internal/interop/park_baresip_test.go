//go:build interop

package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// parkServer is our server with its park service, and what it has seen.
type parkServer struct {
	route
	trace string
}

// startParkServer runs it. more are flags.
func startParkServer(t *testing.T, more ...string) parkServer {
	t.Helper()
	address, dir := newHost()+":5060", t.TempDir()
	s := parkServer{route{"example.test", address}, filepath.Join(dir, "trace")}
	log := filepath.Join(dir, "log")
	p := start(t, "server", append([]string{
		"server", "--open", "--listen", address, "--domain", s.domain, "--state-dir", filepath.Join(dir, "state"), "--sip-trace", s.trace, "--log", log,
	}, more...)...)
	ready, ok := p.next("ready", patience, func(o map[string]any) bool { return o["ready"] == true })
	if !ok || ready["park"] != "sip:park@example.test" {
		t.Fatalf("the server is not ready: %v", ready)
	}
	t.Cleanup(func() {
		if t.Failed() {
			text, _ := os.ReadFile(s.trace)
			complaints, _ := os.ReadFile(log)
			t.Logf("the server logs:\n%.10000s\non the wire:\n%.100000s", complaints, text)
		}
	})
	return s
}

// person is somebody of ours there.
func (s parkServer) person(t *testing.T, name string, more ...string) *person {
	t.Helper()
	return newPerson(t, name, s.domain, s.address, more...)
}

// phone is a baresip there, which answers at once, speaks as its user and knows one codec: it dumps nothing of another than
// the first.
func (s parkServer) phone(t *testing.T, name, codec string) *baresip {
	t.Helper()
	b := runBaresip(t, name, newHost(), s.account(name, "answermode=auto;audio_codecs="+theirNames[codec]), fmt.Sprintf("audio_source ausine,%v", voices[name]))
	b.uri = "sip:" + name + "@" + s.domain
	b.registered()
	return b
}

// saw waits until a message with all of this has gone over the wire.
func (s parkServer) saw(t *testing.T, all ...string) {
	t.Helper()
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(100 * time.Millisecond) { // wall clock: a file has no events
		text, _ := os.ReadFile(s.trace)
		for message := range strings.SplitSeq(strings.ReplaceAll(string(text), "\r", ""), "\n20") {
			found := true
			for _, part := range all {
				found = found && strings.Contains(message, part)
			}
			if found {
				return
			}
		}
	}
	t.Errorf("the server saw nothing with %q", all)
}

// said waits until it has printed something.
func (b *baresip) said(text string) {
	b.t.Helper()
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(100 * time.Millisecond) { // wall clock: a file has no events
		if log, _ := os.ReadFile(filepath.Join(b.dir, "log")); strings.Contains(string(log), text) {
			return
		}
	}
	b.t.Errorf("%s does not say %q", b.name, text)
}

// hears waits for sound of its current call: a call of which dumps are not closed yet can only be counted.
func (b *baresip) hears() {
	b.t.Helper()
	before := b.received()
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(200 * time.Millisecond) { // wall clock: packets are counted
		if b.received() > before+25 {
			return
		}
	}
	b.t.Errorf("%s hears nothing", b.name)
}

// heard waits until its dumps hold a voice or music.
func (b *baresip) heard(what string) {
	b.t.Helper()
	var got []string
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(200 * time.Millisecond) { // wall clock: a file has no events
		got = nil
		for _, dump := range b.dumps("dec") {
			got = append(got, heardEver(dump)...)
		}
		if slices.Contains(got, what) {
			return
		}
	}
	b.t.Errorf("%s has heard %q, want %s", b.name, got, what)
}

// closes waits for the end of a call.
func (b *baresip) closes(reason string) {
	b.t.Helper()
	if closed := fmt.Sprint(b.event("CALL_CLOSED")["param"]); !strings.Contains(closed, reason) {
		b.t.Errorf("%s: the call ends with %q, want %q", b.name, closed, reason)
	}
}

// TestPhoneParksBlind: a telephone parks by blind transfer to the service, or to an orbit of its choice, unless that is
// taken. It does not know Referred-By.
func TestPhoneParksBlind(t *testing.T) {
	s := startParkServer(t)
	mary, bob := s.phone(t, "mary", "pcmu"), s.phone(t, "bob", "opus")
	carol, steven, dave := s.person(t, "carol"), s.person(t, "steven"), s.phone(t, "dave", "pcmu")
	mary.do("dial", dave.uri)
	dave.event("CALL_ESTABLISHED")
	mary.event("CALL_ESTABLISHED")
	dave.do("transfer", "sip:park@example.test")
	dave.closes("")
	dave.said("sip:mary@example.test is parked on 701. Dial 701 to pick up the call.")
	mary.event("CALL_ESTABLISHED")
	row := carol.event("board.orbit", "orbit", "701", "state", "parked")
	if who := fmt.Sprint(row["caller"], row["parked_by"]); !strings.Contains(who, "sip:mary@example.test") || !strings.Contains(who, "sip:dave@example.test") {
		t.Errorf("the board says %s", who)
	}
	mary.hears()

	// Another at an orbit that the telephone chooses: taken, then free.
	steven.do("call.dial", "to", dave.uri)
	steven.established()
	dave.event("CALL_ESTABLISHED")
	dave.do("transfer", "sip:701@example.test")
	dave.event("TRANSFER_FAILED", "param", "486 Failed") // then it hangs up, which is its own decision
	steven.event("call.state", "kind", "audio", "state", "Terminated", "reason", "the other side hung up")
	steven.do("call.dial", "to", dave.uri)
	steven.established()
	dave.event("CALL_ESTABLISHED")
	dave.do("transfer", "sip:705@example.test")
	dave.closes("")
	dave.said("sip:steven@example.test is parked on 705.")
	steven.hears(music)

	// Nobody is parked by dialling an empty orbit.
	dave.do("dial", "sip:719@example.test")
	dave.closes("404")

	// The parked ones are picked up: by a program, and by a telephone.
	carol.do("park.retrieve", "orbit", "701")
	carol.hears("mary")
	mary.hears()
	bob.do("dial", "sip:705@example.test")
	bob.event("CALL_ESTABLISHED")
	steven.hears("bob")
	bob.hears()
	time.Sleep(aMoment) // wall clock: this is recorded
	bob.do("hangup")
	steven.event("call.state", "kind", "audio", "state", "Terminated")
	bob.heard("steven")
	carol.do("call.hangup")
	mary.event("CALL_CLOSED")
	mary.heard(music)
}

// TestPhoneIsParked: a program parks a telephone that knows no Replaces, by attended transfer, and takes the call back.
func TestPhoneIsParked(t *testing.T) {
	s := startParkServer(t)
	mary, bob, carol := s.phone(t, "mary", "g722"), s.person(t, "bob"), s.person(t, "carol")
	mary.do("dial", bob.uri)
	call := bob.established()
	mary.event("CALL_ESTABLISHED")
	orbit := bob.park(call)
	if orbit["friendly_orbit"] != "701" || !strings.HasPrefix(fmt.Sprint(orbit["safe_retrieve_uri"]), "sip:pk-") {
		t.Fatalf("parked at %v", orbit)
	}
	mary.event("CALL_ESTABLISHED")
	mary.hears()
	carol.event("board.orbit", "orbit", "701", "state", "parked")
	carol.do("park.retrieve", "safe_retrieve_uri", orbit["safe_retrieve_uri"])
	carol.hears("mary")
	mary.hears()
	bob.event("park.unparked", "friendly_orbit", "701", "reason", "retrieved")
	bob.isRefused("StaleOrbit", "park.retrieve", "safe_retrieve_uri", orbit["safe_retrieve_uri"])
	mary.do("hangup")
	carol.event("call.state", "kind", "audio", "state", "Terminated")
}

// TestPhoneIsRungBack: nobody picks up, and the telephone that has parked gets the call back.
func TestPhoneIsRungBack(t *testing.T) {
	s := startParkServer(t, "--park-timeout", "10s")
	mary, bob := s.person(t, "mary"), s.phone(t, "bob", "pcmu")
	mary.do("call.dial", "to", bob.uri)
	bob.event("CALL_ESTABLISHED")
	mary.hears("bob")
	bob.do("transfer", "sip:park@example.test")
	bob.closes("")
	mary.hears(music)
	back := bob.event("CALL_ESTABLISHED") // at once: it answers by itself
	if from := fmt.Sprint(back["peeruri"]); from != "sip:701@example.test" {
		t.Errorf("the ring-back comes from %s", from)
	}
	s.saw(t, "INVITE sip:bob", "Alert-Info: <urn:alert:service:recall:hold>")
	mary.hears("bob")
	bob.hears()
	bob.do("hangup")
	mary.event("call.state", "kind", "audio", "state", "Terminated")
}
