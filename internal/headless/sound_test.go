package headless_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"offhook/audio/echo"
	"offhook/internal/config"
	"offhook/internal/headless"
	"offhook/internal/media"
	"offhook/internal/sdp"
	"offhook/server"
	"offhook/session"
)

// silentSound is an engine and devices that make no sound and remember what they were told.
type silentSound struct {
	mu      sync.Mutex
	opened  []media.Options // Guarded by mu.
	streams []*silentStream // Guarded by mu.
	meters  int             // Guarded by mu; that are open.
	loud    float64         // Guarded by mu; grows with each look at the levels.
	runs    bool            // Guarded by mu.
	closed  bool            // Guarded by mu.
	health  func(session.HealthChanged)

	processing echo.Config // Guarded by mu.
}

func (s *silentSound) Open(_ context.Context, o media.Options) (media.Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stream := &silentStream{local: sdp.Local{
		Addr: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(20000+2*len(s.streams))), Policy: o.Policy, Ptime: 20 * time.Millisecond,
		Formats: []sdp.Format{
			{PayloadType: 0, Name: "pcmu", ClockRate: 8000, Channels: 1},
			{PayloadType: 101, Name: "telephone-event", ClockRate: 8000, Channels: 1, Params: "0-15"},
		},
	}}
	s.opened, s.streams = append(s.opened, o), append(s.streams, stream)
	return stream, nil
}

func (s *silentSound) Ring(media.Tone) {}

func (s *silentSound) Devices(context.Context) ([]media.Device, error) {
	return []media.Device{{ID: "m1", Name: "Microphone", Capture: true}}, nil
}

func (s *silentSound) Select(context.Context, media.Selection) error {
	return errors.New("no such device")
}

func (s *silentSound) Watch(ctx context.Context, _ chan<- struct{}) { <-ctx.Done() }

func (s *silentSound) Processing() echo.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.processing
}

func (s *silentSound) SetProcessing(cfg echo.Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.processing = cfg
}

func (s *silentSound) Selection() media.Selection         { return media.Selection{Capture: "m1"} }
func (s *silentSound) Test(context.Context, string) error { return nil }

func (s *silentSound) Meter(ctx context.Context) error {
	s.meter(1)
	<-ctx.Done()
	s.meter(-1)
	return nil
}

func (s *silentSound) meter(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.meters += n
}

func (s *silentSound) Levels() media.Levels {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.meters == 0 {
		return media.Levels{Capture: -127, Playback: -127}
	}
	if s.loud < 3 { // then it stays as it is
		s.loud++
	}
	return media.Levels{Capture: -20 + s.loud, Playback: -127}
}

func (s *silentSound) Run(ctx context.Context) error {
	s.mu.Lock()
	s.runs = true
	s.mu.Unlock()
	<-ctx.Done()
	return nil
}

func (s *silentSound) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// silentStream is a call's.
type silentStream struct {
	local sdp.Local

	mu     sync.Mutex
	agreed sdp.Agreement // Guarded by mu.
	muted  bool          // Guarded by mu.
	digits string        // Guarded by mu.
	path   string        // Guarded by mu; of the recording.
}

func (s *silentStream) Local() sdp.Local { return s.local }

func (s *silentStream) Apply(a sdp.Agreement) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.agreed = a
	return nil
}

func (s *silentStream) Mute(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.muted = on
}

func (s *silentStream) Digits(_ context.Context, digits string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.digits += digits
	return nil
}

func (s *silentStream) Stats() media.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return media.Stats{SendCodec: s.agreed.Send[0].Name, Security: string(s.agreed.Protection.Method), MOS: 4.4, Muted: s.muted}
}

func (s *silentStream) Move(context.Context, netip.Addr) error { return nil }
func (s *silentStream) Hold(bool)                              {}
func (s *silentStream) Conference(string)                      {}
func (s *silentStream) Close() error                           { return nil }

func (s *silentStream) Record(path string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.path = path
	return nil
}

func (s *silentStream) StopRecording() (string, error) { return s.recorded(), nil }

func (s *silentStream) recorded() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.path
}

func startWithSound(t *testing.T, c config.Config) (*program, *silentSound) {
	t.Helper()
	s := &silentSound{}
	return startInstance(t, headless.Options{Config: c, Sound: func(health func(session.HealthChanged)) (headless.Sound, error) {
		s.health = health
		return s, nil
	}}, t.TempDir()), s
}

// A call by the control API: its results, its events, and what the engine is told.
func TestCall(t *testing.T) {
	uri := startServer(t, server.Config{Open: true})
	c := settings("bob", uri)
	c.Audio.Answer, c.Audio.SRTP = "auto", "off"
	bob, heard := startWithSound(t, c)
	alice, spoken := startWithSound(t, settings("alice", uri))
	for _, p := range []*program{alice, bob} {
		p.event("registration", object{"state": "registered"})
	}
	alice.send(`{"id":1,"method":"call.dial","params":{"to":"bob"}}`)
	result := alice.response(1.0)["result"].(object)
	if len(result) != 2 || result["conversation"] == "" || result["call"] == "" {
		t.Errorf("result %v", result)
	}
	call := result["call"]
	alice.event("call.state", object{"call": call, "kind": "audio", "state": "Established"})
	alice.event("call.media", object{"call": call, "codec": "pcmu", "security": "none"})
	bob.event("call.state", object{"kind": "audio", "direction": "inbound", "state": "Established"})
	if p := heard.opened[0].Policy; p != sdp.Off {
		t.Errorf("bob's policy is %v", p)
	}
	if p := spoken.opened[0].Policy; p != sdp.Opportunistic {
		t.Errorf("alice's policy is %v", p)
	}

	ask := func(method, params string) object {
		t.Helper()
		alice.send(`{"id":%q,"method":%q,"params":%s}`, method, method, params)
		answer := alice.response(method)
		if answer["error"] != nil {
			t.Fatalf("%s: %v", method, answer["error"])
		}
		result, _ := answer["result"].(object)
		return result
	}
	ask("call.hold", `{}`)
	alice.event("call.hold", object{"hold": "local"})
	bob.event("call.hold", object{"hold": "remote"})
	ask("call.resume", `{"call":"`+call.(string)+`"}`)
	bob.event("call.hold", object{"hold": "none"})
	ask("call.mute", `{}`)
	alice.event("call.mute", object{"muted": true})
	ask("call.dtmf", `{"digits":"12a"}`)
	if stats := ask("call.stats", `{}`); stats["codec"] != "pcmu" || stats["security"] != "none" || stats["mos"] != 4.4 || stats["muted"] != true {
		t.Errorf("statistics %v", stats)
	}
	if s := spoken.streams[0]; s.digits != "12A" {
		t.Errorf("digits %q", s.digits)
	}
	if calls := ask("status", `{}`)["calls"].([]any); len(calls) != 1 || calls[0].(object)["codec"] != "pcmu" || calls[0].(object)["muted"] != true {
		t.Errorf("status.calls is %v", calls)
	}
	// Events of level type come only to who asks, and levels only when they change.
	ask("subscribe", `{"types":["audio.level","call.stats"]}`)
	alice.event("audio.level", object{"capture": -17.0})
	for _, level := range []float64{-19, -18} {
		alice.event("audio.level", object{"capture": level, "playback": -127.0})
	}
	alice.event("call.stats", object{"call": call, "codec": "pcmu"})
	alice.event("call.stats", object{"call": call})
	for _, line := range alice.seen {
		if params, _ := line["params"].(object); params["type"] == "audio.level" && params["capture"] != -127.0 {
			t.Errorf("a level that has not changed: %v", params)
		}
	}
	ask("call.hangup", `{}`)
	bob.event("call.state", object{"kind": "audio", "state": "Terminated"})

	// What is wrong with the sound is a condition like any other.
	spoken.health(session.HealthChanged{Code: "microphone", Severity: "error", Text: "the microphone is gone"})
	alice.event("health", object{"code": "microphone", "severity": "error"})

	alice.send(`{"id":"quit","method":"quit"}`)
	alice.response("quit")
	alice.ended(nil)
	if !spoken.runs || !spoken.closed || spoken.meters != 0 {
		t.Errorf("at the end: runs %v, closed %v, %d meters", spoken.runs, spoken.closed, spoken.meters)
	}
}

// Not waiting answers with the call that is being made; what becomes of it is told by events, and by an error to who waits.
func TestDialDeclined(t *testing.T) {
	uri := startServer(t, server.Config{Open: true})
	alice, _ := startWithSound(t, settings("alice", uri))
	bob, _ := startWithSound(t, settings("bob", uri))
	for _, p := range []*program{alice, bob} {
		p.event("registration", object{"state": "registered"})
	}
	alice.send(`{"id":1,"method":"call.dial","params":{"to":"bob","wait":false}}`)
	call := alice.response(1.0)["result"].(object)["call"]
	if call == "" {
		t.Error("no call")
	}
	bob.event("toast.shown", object{"kind": "call"})
	alice.event("call.ringing", object{"call": call})
	bob.send(`{"id":1,"method":"call.decline","params":{}}`)
	bob.response(1.0)
	alice.event("call.state", object{"call": call, "state": "Terminating", "sip": 486.0})

	alice.send(`{"id":2,"method":"call.dial","params":{"to":"nobody"}}`)
	if e := alice.response(2.0)["error"].(object)["data"].(object); e["kind"] != "Unavailable" || e["sip"] != 480.0 || e["hint"] == "" {
		t.Errorf("error %v", e)
	}
	// A call that rings is cancelled with its request.
	alice.send(`{"id":3,"method":"call.dial","params":{"to":"bob"}}`)
	toast := bob.event("toast.shown", object{"kind": "call"})
	alice.send(`{"id":4,"method":"cancel","params":{"id":3}}`)
	if e := alice.response(3.0)["error"].(object); e["code"] != -32800.0 {
		t.Errorf("cancelled: %v", e)
	}
	bob.event("toast.closed", object{"toast": toast["toast"], "reason": "missed"})
}

// A client switches what is done to the sound of the microphone.
func TestProcessing(t *testing.T) {
	p, sound := startWithSound(t, settings("alice", ""))
	for id, c := range []struct {
		params   string
		echo, ok bool
	}{{`{}`, false, true}, {`{"echo_cancellation":true}`, true, true}, {`{"limiter":true}`, true, false}} {
		p.send(`{"id":%d,"method":"audio.processing","params":%s}`, id, c.params)
		answer := p.response(float64(id))
		result, ok := answer["result"].(object)
		if ok != c.ok || ok && (result["echo_cancellation"] != c.echo || len(result) != 3) {
			t.Errorf("%s: %v", c.params, answer)
		}
		if got := sound.Processing().Echo; got != c.echo {
			t.Errorf("%s: echo cancellation is %v", c.params, got)
		}
	}
}

// Sound that cannot be is no reason to have half an instance.
func TestNoSound(t *testing.T) {
	paths, err := config.ProfilePaths("", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("no such file")
	for range 2 { // the state directory is free again
		_, err = headless.NewInstance(headless.Options{
			Config: settings("alice", ""), Paths: paths, Log: quiet(),
			Sound: func(func(session.HealthChanged)) (headless.Sound, error) { return nil, broken },
		})
		if !errors.Is(err, broken) {
			t.Errorf("%v", err)
		}
	}
}

// Which call is meant is known where it is not said: the one that goes on, else the only one that fits. Where there are
// several the answer names them.
func TestSeveralCalls(t *testing.T) {
	uri := startServer(t, server.Config{Open: true})
	alice, spoken := startWithSound(t, settings("alice", uri))
	others := map[string]*program{}
	for _, name := range []string{"bob", "carol"} {
		c := settings(name, uri)
		c.Audio.Answer = "auto"
		others[name], _ = startWithSound(t, c)
		others[name].event("registration", object{"state": "registered"})
	}
	alice.event("registration", object{"state": "registered"})
	ids := 0
	ask := func(method, params string) (object, object) {
		t.Helper()
		ids++
		alice.send(`{"id":%d,"method":%q,"params":%s}`, ids, method, params)
		answer := alice.response(float64(ids))
		result, _ := answer["result"].(object)
		failure, _ := answer["error"].(object)
		return result, failure
	}
	must := func(method, params string) object {
		t.Helper()
		result, failure := ask(method, params)
		if failure != nil {
			t.Fatalf("%s %s: %v", method, params, failure)
		}
		return result
	}
	call := func(o object) string { return o["call"].(string) }

	bob := call(must("call.dial", `{"to":"bob"}`))
	carol := call(must("call.dial", `{"to":"carol"}`))
	alice.event("call.hold", object{"call": bob, "hold": "local"})
	if got := call(must("call.mute", `{}`)); got != carol {
		t.Errorf("muted %s, want the call that goes on", got)
	}
	if got := call(must("call.unmute", fmt.Sprintf(`{"call":"#%s"}`, bob[len("audio-"):]))); got != bob {
		t.Errorf("unmuted %s by the number of %s", got, bob)
	}
	if got := call(must("call.resume", `{}`)); got != bob {
		t.Errorf("resumed %s, want the one on hold", got)
	}
	alice.event("call.hold", object{"call": carol, "hold": "local"})
	must("call.hold", `{}`)
	alice.event("call.hold", object{"call": bob, "hold": "local"})
	if _, failure := ask("call.resume", `{}`); failure == nil || !strings.Contains(failure["message"].(string), bob+" (bob@example.org), "+carol+" (carol@example.org)") {
		t.Errorf("of two on hold: %v", failure)
	}

	// All calls make a conference; one leaves it.
	if r := must("call.conference", `{}`); len(r["calls"].([]any)) != 2 || r["conference"] == "" {
		t.Errorf("conference %v", r)
	}
	must("call.leave", `{"call":"`+carol+`"}`)
	alice.event("call.conference", object{"call": carol, "conference": nil})

	// A recording that is not named goes where recordings belong.
	r := must("call.record", `{}`)
	if file := r["file"].(string); call(r) != bob || filepath.Dir(file) != filepath.Join(alice.paths.State, "recordings") ||
		!strings.HasSuffix(file, "-bob.wav") || spoken.streams[0].recorded() != file {
		t.Errorf("recording %v, the stream's %q", r, spoken.streams[0].recorded())
	}
	if r := must("call.record", `{"stop":true}`); call(r) != bob || !strings.HasSuffix(r["file"].(string), "-bob.wav") {
		t.Errorf("recorded %v", r)
	}

	// The peer of one gets the peer of the other.
	if _, failure := ask("call.transfer", fmt.Sprintf(`{"call":%q,"replaces":%q}`, bob, bob)); failure == nil || failure["code"] != -32602.0 {
		t.Errorf("a call in place of itself: %v", failure)
	}
	if got := call(must("call.transfer", fmt.Sprintf(`{"replaces":%q}`, carol))); got != bob {
		t.Errorf("transferred %s", got)
	}
	for _, c := range []string{bob, carol} {
		alice.event("call.state", object{"call": c, "state": "Terminated"})
	}
	others["bob"].event("conversation.state", object{"state": "Active"})
	if _, failure := ask("call.hangup", `{}`); failure == nil || failure["data"].(object)["kind"] != "NotFound" {
		t.Errorf("no call is left: %v", failure)
	}
}
