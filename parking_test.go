//go:build e2e

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/audio/device"
	"offhook/internal/sipua"
	"offhook/internal/testkit/sound"
)

// TestProcessesPark tells the stories of call park with real processes. Everybody speaks in a tone of their own, and what was
// written to their speaker files tells whom they have heard, and in which order.
func TestProcessesPark(t *testing.T) {
	t.Run("by number", func(t *testing.T) { t.Parallel(); parkedAndPickedUp(t) })
	t.Run("Mary, Bob and Steven", func(t *testing.T) { t.Parallel(); maryBobAndSteven(t) })
	t.Run("nobody comes", func(t *testing.T) { t.Parallel(); nobodyComes(t) })
	t.Run("no free orbit", func(t *testing.T) { t.Parallel(); noFreeOrbit(t) })
	for _, service := range badServices {
		t.Run(service.name, func(t *testing.T) { t.Parallel(); parkFails(t, service) })
	}
}

// voices are the tones that people speak in. No two of them have a harmonic in common.
var voices = map[string]float64{"mary": 430, "bob": 610, "carol": 890, "dave": 1130, "steven": 1370}

const music = "music"

// speaker is a person whose every sound is on record.
type speaker struct {
	*process
	heard string // file
}

// person signs somebody in who speaks in a tone.
func (x *exchange) person(t *testing.T, name string, more ...string) *speaker {
	t.Helper()
	file := filepath.Join(t.TempDir(), name+".wav")
	args := append([]string{
		"--mic", fmt.Sprintf("tone:%v", voices[name]), "--speaker", "file:" + file, "--media-listen", "127.0.0.1:0",
		"--answer", "auto",
	}, more...)
	return &speaker{x.endpoint(t, name, name, args...), file}
}

// hears waits until the person has heard one thing after the other, for half a second each at least: voices by name, music,
// or "" for nothing.
func (s *speaker) hears(patience time.Duration, want ...string) {
	s.t.Helper()
	var got []string
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(200 * time.Millisecond) { // wall clock: a file has no events
		if got = s.listen(); inOrder(got, want) {
			return
		}
	}
	s.t.Errorf("%s has heard %q, want %q", s.name, got, want)
	keep(s.t, s.heard)
}

// listen tells what has been heard so far.
func (s *speaker) listen() (what []string) {
	samples, err := device.ReadWAV(s.heard, 5*60*device.Rate)
	if err != nil {
		s.t.Fatal(err)
	}
	const window = device.Rate / 10
	last, run := "-", 0
	for at := 0; at+window <= len(samples); at += window {
		if now := nameOf(samples[at : at+window]); now != last {
			last, run = now, 0
		}
		if run++; run == 5 {
			what = append(what, last)
		}
	}
	return what
}

// nameOf tells who speaks.
func nameOf(samples []int16) string {
	if sound.Level(samples) < -50 {
		return ""
	}
	for name, hz := range voices {
		if share(samples, hz) > 0.8 {
			return name
		}
	}
	return music
}

// share is how much of the power of samples is in one tone.
func share(samples []int16, hz float64) float64 {
	var re, im, all float64
	for i, v := range samples {
		x := float64(v)
		sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / device.Rate)
		re, im, all = re+x*cos, im+x*sin, all+x*x
	}
	return 2 * (re*re + im*im) / (float64(len(samples)) * all)
}

// inOrder reports whether want is in got in that order, perhaps with something between.
func inOrder(got, want []string) bool {
	for _, g := range got {
		if len(want) > 0 && g == want[0] {
			want = want[1:]
		}
	}
	return len(want) == 0
}

func (s *speaker) mustNotHear(who ...string) {
	s.t.Helper()
	for _, h := range s.listen() {
		for _, w := range who {
			if h == w {
				s.t.Errorf("%s has heard %s", s.name, w)
			}
		}
	}
}

// dial calls and returns the call's id.
func (s *speaker) dial(to string) any {
	s.t.Helper()
	return s.call(10*time.Second, "call.dial", "to", to)["call"]
}

// current is the id of the call that was established last.
func (s *speaker) current() any {
	s.t.Helper()
	var call any
	for _, e := range s.events("call.state") {
		if e["kind"] == "audio" && e["state"] == "Established" {
			call = e["call"]
		}
	}
	if call == nil {
		s.t.Fatalf("%s has no call", s.name)
	}
	return call
}

func parkedAndPickedUp(t *testing.T) {
	x := startServer(t, "--orbits", "701-710")
	mary, bob, carol := x.person(t, "mary"), x.person(t, "bob"), x.person(t, "carol")
	mary.dial("bob")
	bob.event(5*time.Second, "call.state", "kind", "audio", "state", "Established")
	mary.hears(5*time.Second, "bob")
	bob.hears(5*time.Second, "mary")

	orbit := bob.call(10*time.Second, "park.park", "call", bob.current())
	number, safe := fmt.Sprint(orbit["friendly_orbit"]), fmt.Sprint(orbit["safe_retrieve_uri"])
	if !strings.HasPrefix(number, "7") || !strings.HasPrefix(safe, "sip:pk-") {
		t.Fatalf("parked as %v", orbit)
	}
	parked := bob.event(5*time.Second, "park.parked").object["params"].(map[string]any)["orbit"].(map[string]any)
	if parked["friendly_orbit"] != number || parked["safe_retrieve_uri"] != safe {
		t.Errorf("park.parked tells %v, the result was %v", parked, orbit)
	}
	bob.event(5*time.Second, "conversation.state", "state", "Parked")
	mary.hears(5*time.Second, "bob", music)

	carol.call(10*time.Second, "park.retrieve", "orbit", number)
	mary.hears(5*time.Second, "bob", music, "carol")
	carol.hears(5*time.Second, "mary")
	taken := bob.event(5*time.Second, "park.unparked", "reason", "retrieved", "friendly_orbit", number)
	if who := fmt.Sprint(taken.object["params"].(map[string]any)["target"]); !strings.Contains(who, "sip:carol@example.test") {
		t.Errorf("bob is told that %s took it", who)
	}
	carol.mustNotHear("bob", music)
	bob.mustNotHear("carol", music)
	mary.call(5*time.Second, "call.hangup", "call", mary.current())
	carol.event(5*time.Second, "call.state", "kind", "audio", "state", "Terminated")
}

// maryBobAndSteven is the story of the source document: an orbit is used again, and the parker comes back to it.
func maryBobAndSteven(t *testing.T) {
	x := startServer(t, "--orbits", "701-701", "--quarantine", "0s")
	mary, bob, steven := x.person(t, "mary"), x.person(t, "bob"), x.person(t, "steven")
	michael := x.endpoint(t, "michael", "michael", "--mic", "silence", "--speaker", "discard", "--media-listen", "127.0.0.1:0", "--answer", "auto")
	mary.dial("bob")
	bob.hears(5*time.Second, "mary")
	orbit := bob.call(10*time.Second, "park.park", "call", bob.current())
	mary.call(5*time.Second, "call.hangup", "call", mary.current())
	bob.event(5*time.Second, "park.unparked", "reason", "abandoned")

	steven.dial("michael")
	established := michael.event(5*time.Second, "call.state", "kind", "audio", "state", "Established")
	again := michael.call(10*time.Second, "park.park", "call", established.object["params"].(map[string]any)["call"])
	if again["friendly_orbit"] != orbit["friendly_orbit"] {
		t.Fatalf("steven is parked on %v, mary was on %v", again["friendly_orbit"], orbit["friendly_orbit"])
	}
	steven.hears(5*time.Second, music)

	expectFailure(t, bob, "StaleOrbit", "park.retrieve", "safe_retrieve_uri", orbit["safe_retrieve_uri"])
	expectFailure(t, bob, "Stranger", "park.retrieve", "orbit", orbit["friendly_orbit"])
	time.Sleep(time.Second) // wall clock: whoever would still be heard had the chance
	bob.mustNotHear("steven", music)
	steven.mustNotHear("bob")
	bob.call(10*time.Second, "park.retrieve", "orbit", orbit["friendly_orbit"], "anyway", true)
	bob.hears(5*time.Second, "mary", "steven")
}

func expectFailure(t *testing.T, s *speaker, kind, method string, params ...any) {
	t.Helper()
	result, failure := s.answer(s.ask(method, params...), 40*time.Second)
	data, _ := failure["data"].(map[string]any)
	if data["kind"] != kind {
		t.Errorf("%s %v: %v, %v; want %s", method, params, result, failure, kind)
	}
}

// nobodyComes: the parked call rings back the device that has parked it, goes to the fallback, and in another exchange, which
// has none, its end is told.
func nobodyComes(t *testing.T) {
	x := startServer(t, "--park-timeout", "10s", "--ring-for", "3s", "--ringback-attempts", "1", "--fallback", "sip:dave@example.test")
	mary, bob, dave := x.person(t, "mary"), x.person(t, "bob", "--answer", "manual"), x.person(t, "dave")
	other := x.endpoint(t, "bob", "bob's other device", "--mic", "silence", "--speaker", "discard", "--media-listen", "127.0.0.1:0")
	mary.ask("call.dial", "to", "bob")
	toast := bob.event(5*time.Second, "toast.shown", "kind", "call")
	bob.call(5*time.Second, "toast.accept", "toast", toast.object["params"].(map[string]any)["toast"])
	bob.hears(5*time.Second, "mary")
	bob.call(10*time.Second, "park.park", "call", bob.current())
	back := bob.event(15*time.Second, "toast.shown", "kind", "ringback")
	if shown := fmt.Sprint(back.object["params"]); !strings.Contains(shown, "mary") {
		t.Errorf("the ring-back does not name mary: %s", shown)
	}
	bob.event(10*time.Second, "park.unparked", "reason", "fallback")
	mary.hears(10*time.Second, "bob", music, "dave")
	dave.hears(5*time.Second, "mary")
	for _, e := range other.events("toast.shown") {
		if e["kind"] == "ringback" {
			t.Errorf("the other device rang, too: %v", e)
		}
	}
	x.call2(t)
}

// call2 parks in an exchange without a fallback.
func (x *exchange) call2(t *testing.T) {
	t.Helper()
	y := startServer(t, "--park-timeout", "10s", "--ring-for", "2s", "--ringback-attempts", "1")
	mary, bob := y.person(t, "mary"), y.person(t, "bob", "--answer", "manual")
	mary.ask("call.dial", "to", "bob")
	toast := bob.event(5*time.Second, "toast.shown", "kind", "call")
	bob.call(5*time.Second, "toast.accept", "toast", toast.object["params"].(map[string]any)["toast"])
	bob.hears(5*time.Second, "mary")
	bob.call(10*time.Second, "park.park", "call", bob.current())
	bob.event(20*time.Second, "park.unparked", "reason", "dropped")
	end := mary.event(5*time.Second, "call.state", "kind", "audio", "state", "Terminating", "trigger", "RemoteTerminated")
	if reason := fmt.Sprint(end.object["params"]); !strings.Contains(reason, "Park time expired") {
		t.Errorf("mary is told %s", reason)
	}
}

func noFreeOrbit(t *testing.T) {
	x := startServer(t, "--orbits", "701-701")
	mary, bob, carol, dave := x.person(t, "mary"), x.person(t, "bob"), x.person(t, "carol"), x.person(t, "dave")
	dave.dial("carol")
	dave.hears(5*time.Second, "carol")
	carol.call(10*time.Second, "park.park", "call", carol.current())
	mary.dial("bob")
	bob.hears(5*time.Second, "mary")
	expectFailure(t, bob, "NoOrbit", "park.park", "call", bob.current())
	bob.event(time.Second, "park.failed", "kind", "NoOrbit")
	stillTalking(t, mary, bob)
}

// stillTalking fails unless two hear each other now, and have heard nothing else.
func stillTalking(t *testing.T, mary, bob *speaker) {
	t.Helper()
	before := map[*speaker]int{mary: mary.length(), bob: bob.length()}
	time.Sleep(1500 * time.Millisecond) // wall clock: this is what is measured
	for s, voice := range map[*speaker]string{mary: "bob", bob: "mary"} {
		samples, err := device.ReadWAV(s.heard, 5*60*device.Rate)
		if err != nil {
			t.Fatal(err)
		}
		if got := nameOf(samples[min(before[s], len(samples)-1):]); got != voice {
			t.Errorf("%s hears %q after parking has failed, want %q", s.name, got, voice)
		}
		if got := s.listen(); len(got) > 2 || got[len(got)-1] != voice {
			t.Errorf("%s has heard %q, want nothing but %q", s.name, got, voice)
		}
	}
	for _, e := range append(mary.events("call.hold"), bob.events("call.hold")...) {
		t.Errorf("somebody was put on hold: %v", e)
	}
}

func (s *speaker) length() int {
	samples, err := device.ReadWAV(s.heard, 5*60*device.Rate)
	if err != nil {
		s.t.Fatal(err)
	}
	return len(samples)
}

// badServices are park services that do not park.
var badServices = []struct {
	name  string
	refer func(ctx context.Context, a *sipua.Agent, req *sipua.Request)
	kind  string
}{
	{"a service that refuses", func(_ context.Context, _ *sipua.Agent, req *sipua.Request) {
		_ = req.Respond(403, "Forbidden")
	}, "Unsupported"}, // it refuses the call that an attended transfer begins with, too
	{"a service that is closing", func(_ context.Context, _ *sipua.Agent, req *sipua.Request) {
		_ = req.Respond(480, "Temporarily Unavailable", sip.NewHeader("Warning", `399 example.test "the park service is closing (35012)"`))
	}, "LotClosed"},
	{"a service that is silent", func(_ context.Context, _ *sipua.Agent, req *sipua.Request) { req.Drop() }, "ParkTimeout"},
	{"a parked side that refuses", takeOverBadly, "Unavailable"},
	{"no service", nil, "State"},
}

// takeOverBadly accepts a REFER and makes the parked side refuse: the INVITE offers nothing that it could take.
func takeOverBadly(ctx context.Context, a *sipua.Agent, req *sipua.Request) {
	news := a.OpenNotifier(req)
	defer news.Close()
	if err := news.Accept(req); err != nil {
		return
	}
	code := 500
	target, headers, err := sipua.Referred(sipua.NameAddrs(req.Request, "Refer-To")[0].URI)
	if err == nil {
		_, _, err = a.Invite(ctx, sipua.InviteOptions{
			Target: target, ContentType: "application/sdp",
			Body: []byte("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n" +
				"m=video 4000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"),
			Headers: append(headers, sip.NewHeader("Referred-By", req.GetHeader("Referred-By").Value())),
		})
	}
	var refused *sipua.StatusError
	if errors.As(err, &refused) {
		code = refused.Code
	}
	_ = news.Notify(ctx, "message/sipfrag;version=2.0", fmt.Appendf(nil, "SIP/2.0 %d Refused\r\n", code),
		sip.NewHeader("Event", "refer"), sip.NewHeader("Subscription-State", "terminated;reason=noresource"))
}

// parkFails tries to park with a service that does not, and measures that the call has not noticed.
func parkFails(t *testing.T, service struct {
	name  string
	refer func(ctx context.Context, a *sipua.Agent, req *sipua.Request)
	kind  string
},
) {
	x := startServer(t)
	address := "sip:nobody-parks@example.test"
	if service.refer != nil {
		address = "sip:bad@example.test"
		badService(t, x, service.refer)
	}
	mary := x.person(t, "mary")
	bob := x.person(t, "bob", "--park-server", address, "--park-strategy", "rfc5359")
	mary.dial("bob")
	bob.hears(5*time.Second, "mary")
	expectFailure(t, bob, service.kind, "park.park", "call", bob.current())
	if service.refer != nil { // else it has not been tried
		bob.event(time.Second, "park.failed", "kind", service.kind)
	}
	stillTalking(t, mary, bob)
}

// badService signs in sip:bad@example.test, which answers REFER as it is told and nothing else.
func badService(t *testing.T, x *exchange, refer func(context.Context, *sipua.Agent, *sipua.Request)) {
	t.Helper()
	var agent *sipua.Agent
	agent = x.agent(t, "bad", sipua.Mux{
		Invite: func(_ context.Context, inv *sipua.Invite) { _ = inv.Reject(488, "Not Acceptable Here") },
		Refer:  func(ctx context.Context, req *sipua.Request) { refer(ctx, agent, req) },
	})
}
