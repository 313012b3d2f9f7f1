package headless_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"offhook/internal/config"
	"offhook/internal/headless"
	"offhook/park"
	"offhook/server"
	"offhook/session"
)

// telephone is an instance whose calls make no sound. What it remembers is in state.
func telephone(t *testing.T, user, uri, state string) *program {
	t.Helper()
	c := settings(user, uri)
	c.Audio.SRTP = "off"
	p := startInstance(t, headless.Options{Config: c, Sound: func(func(session.HealthChanged)) (headless.Sound, error) {
		return &silentSound{}, nil
	}}, state)
	p.event("registration", object{"state": "registered"})
	return p
}

// ask calls a method and returns its result.
func (p *program) ask(method, params string) any {
	p.t.Helper()
	p.send(`{"id":%q,"method":%q,"params":%s}`, method, method, params)
	answer := p.response(method)
	if answer["error"] != nil {
		p.t.Fatalf("%s %s: %v", method, params, answer["error"])
	}
	return answer["result"]
}

// refused calls a method and returns the data of its error.
func (p *program) refused(method, params string) object {
	p.t.Helper()
	p.send(`{"id":%q,"method":%q,"params":%s}`, method, method, params)
	answer := p.response(method)
	e, ok := answer["error"].(object)
	if !ok {
		p.t.Fatalf("%s %s: %v", method, params, answer["result"])
	}
	return e["data"].(object)
}

// calls lets p call somebody who answers, and waits until that one may park.
func (p *program) calls(user string, to *program) {
	p.t.Helper()
	p.send(`{"id":"dial","method":"call.dial","params":{"to":%q}}`, user)
	call := to.event("call.state", object{"kind": "audio", "direction": "inbound", "state": "Incoming"})["call"].(string)
	to.ask("call.answer", `{"call":"`+call+`"}`)
	p.response("dial")
	to.event("action.availability", object{"action": "park", "available": true})
}

func isTime(v any) bool {
	s, _ := v.(string)
	_, err := time.Parse(time.RFC3339Nano, s)
	return err == nil && strings.HasSuffix(s, "Z")
}

// Parking by the control API: results, events, and the board.
func TestPark(t *testing.T) {
	uri := startServer(t, server.Config{Open: true, Park: &server.ParkConfig{Quarantine: -1, NoMusic: true}})
	mary, bob := telephone(t, "mary", uri, t.TempDir()), telephone(t, "bob", uri, t.TempDir())
	carol, dave := telephone(t, "carol", uri, t.TempDir()), telephone(t, "dave", uri, t.TempDir())
	mary.calls("bob", bob)
	orbit := bob.ask("park.park", `{"note":"order 77"}`).(object)
	safe, _ := orbit["safe_retrieve_uri"].(string)
	if orbit["friendly_orbit"] != "701" || !strings.HasPrefix(safe, "sip:pk-") || !isTime(orbit["parked_at"]) || !isTime(orbit["ringback_at"]) {
		t.Fatalf("parked: %v", orbit)
	}
	told := bob.event("park.parked", object{"note": "order 77"})
	if o := told["orbit"].(object); o["friendly_orbit"] != "701" || o["safe_retrieve_uri"] != safe || !isTime(o["parked_at"]) || told["conversation"] == "" {
		t.Errorf("park.parked is %v", told)
	}
	mary.event("call.party", object{"parked": true, "orbit": "701"})
	line := carol.event("board.orbit", object{"orbit": "701", "state": "parked"})
	if line["caller"].(object)["uri"] != "sip:mary@example.org" || line["parked_by"].(object)["uri"] != "sip:bob@example.org" ||
		line["mine"] != nil || !isTime(line["since"]) || !isTime(line["ringback_at"]) || line["note"] != "order 77" {
		t.Errorf("carol's board: %v", line)
	}
	board := bob.ask("park.list", `{}`).([]any)
	if len(board) != 1 || board[0].(object)["mine"] != true || !isTime(board[0].(object)["since"]) {
		t.Errorf("bob's board: %v", board)
	}
	who := bob.ask("park.broadcast", `{"to":["carol","dave"]}`).(object)["recipients"].([]any)
	if len(who) != 2 || who[0].(object)["uri"] != "sip:carol@example.org" || who[0].(object)["status"] != "delivered" {
		t.Errorf("told are %v", who)
	}
	bob.event("park.broadcast", object{"orbit": "701"})
	offer := carol.event("toast.shown", object{"kind": "orbit", "orbit": "701"})
	got := carol.ask("toast.accept", `{"toast":"`+offer["toast"].(string)+`"}`).(object)
	if got["call"] == "" || got["conversation"] == offer["conversation"] {
		t.Errorf("carol picked up %v", got)
	}
	end := bob.event("park.unparked", object{"friendly_orbit": "701", "reason": "retrieved"})
	if end["target"].(object)["uri"] != "sip:carol@example.org" || end["caller"].(object)["uri"] != "sip:mary@example.org" {
		t.Errorf("park.unparked is %v", end)
	}
	carol.event("board.orbit", object{"orbit": "701", "gone": true})
	theirs := dave.event("toast.shown", object{"kind": "orbit", "orbit": "701"})["toast"]
	dave.event("toast.closed", object{"toast": theirs})

	// The failures, as programs tell them apart.
	for params, kind := range map[string]string{
		`{"safe_retrieve_uri":"` + safe + `"}`: "StaleOrbit", `{"orbit":"702"}`: "OrbitNotFound",
	} {
		if data := bob.refused("park.retrieve", params); data["kind"] != kind || data["hint"] == "" || data["sip"] == nil {
			t.Errorf("%s: %v", params, data)
		}
	}
}

// The announced caller is gone and another has the number: who was told is not given a stranger unasked.
func TestStranger(t *testing.T) {
	uri := startServer(t, server.Config{Open: true, Park: &server.ParkConfig{Quarantine: -1, NoMusic: true, Orbits: "701-701"}})
	mary, bob := telephone(t, "mary", uri, t.TempDir()), telephone(t, "bob", uri, t.TempDir())
	steven, carol := telephone(t, "steven", uri, t.TempDir()), telephone(t, "carol", uri, t.TempDir())
	mary.calls("bob", bob)
	bob.ask("park.park", `{}`)
	carol.event("board.orbit", object{"orbit": "701", "state": "parked"})
	bob.ask("park.broadcast", `{"orbit":"701","to":["carol"]}`)
	mary.ask("call.hangup", `{}`)
	bob.event("park.unparked", object{"reason": "abandoned"})
	steven.calls("bob", bob)
	bob.ask("park.park", `{"orbit":"701"}`)
	carol.next("steven on the board", func(line object) bool {
		params, _ := line["params"].(object)
		caller, _ := params["caller"].(object)
		return params["type"] == "board.orbit" && caller["uri"] == "sip:steven@example.org"
	})
	data := carol.refused("park.retrieve", `{"orbit":"701"}`)
	expected, _ := data["expected"].(object)
	present, _ := data["present"].(object)
	if data["kind"] != "Stranger" || expected["uri"] != "sip:mary@example.org" || present["uri"] != "sip:steven@example.org" {
		t.Errorf("carol is refused with %v", data)
	}
	if got := carol.ask("park.retrieve", `{"orbit":"701","anyway":true}`).(object); got["call"] == "" {
		t.Errorf("carol insists and has %v", got)
	}
}

// A parked call outlives the program of who has parked it: the next start takes it back by its safe address.
func TestParkedCallSurvivesARestart(t *testing.T) {
	uri, state := startServer(t, server.Config{Open: true, Park: &server.ParkConfig{NoMusic: true}}), t.TempDir()
	mary, bob := telephone(t, "mary", uri, t.TempDir()), telephone(t, "bob", uri, state)
	mary.calls("bob", bob)
	orbit := bob.ask("park.park", `{"note":"order 77"}`).(object)
	bob.cancel()
	bob.ended(headless.ErrInterrupted)

	bob = telephone(t, "bob", uri, state)
	past := bob.ask("park.history", `{}`).([]any)
	if len(past) != 1 || past[0].(object)["safe_retrieve_uri"] != orbit["safe_retrieve_uri"] || past[0].(object)["note"] != "order 77" {
		t.Fatalf("after the restart: %v", past)
	}
	got := bob.ask("park.retrieve", `{"orbit":"701"}`).(object)
	bob.event("call.state", object{"call": got["call"], "state": "Established"})
	bob.event("park.unparked", object{"reason": "retrieved"})
	past = bob.ask("park.history", `{}`).([]any)
	if p := past[0].(object); p["reason"] != "retrieved" || p["safe_retrieve_uri"] != nil || !isTime(p["ended_at"]) {
		t.Errorf("at the end: %v", past)
	}
}

// What a configuration accepts, and the session makes of it, is what there is.
func TestParkStrategies(t *testing.T) {
	for _, name := range append([]string{"auto"}, park.Strategies()...) {
		c := config.Default()
		c.Park.Strategy = name
		if err := c.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := config.Default()
	c.Park.Strategy = "?"
	for _, name := range park.Strategies() {
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
	dir := t.TempDir()
	paths, err := config.ProfilePaths("", dir)
	if err != nil {
		t.Fatal(err)
	}
	c = settings("alice", "sip:127.0.0.1:9")
	c.Park = config.Park{Server: "sip:700@pbx.example", Strategy: "asterisk", Extension: "park*{token}", RetrieveURI: "get-{orbit}*{token}", Orbits: "701-720"}
	i, err := headless.NewInstance(headless.Options{Config: c, Paths: paths, Version: "test", Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	if s := i.Endpoint.ParkService(); s.Server != "sip:700@pbx.example" || s.Orbits != "701-720" {
		t.Errorf("the service is %+v", s)
	}
	all, err := json.Marshal(i.Endpoint.Snapshot())
	if err != nil || !strings.Contains(string(all), `"board":[]`) {
		t.Errorf("a snapshot has a board: %s, %v", all, err)
	}
}
