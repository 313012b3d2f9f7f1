package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"offhook/internal/contacts"
	"offhook/session"
)

// newEnv is an endpoint that is not started, with two contacts.
func newEnv(t testing.TB) *Env {
	t.Helper()
	endpoint, err := session.New(session.Config{AOR: "sip:alice@example.org"})
	if err != nil {
		t.Fatal(err)
	}
	book, err := contacts.Open("")
	if err != nil {
		t.Fatal(err)
	}
	for name, uri := range map[string]string{"Bob Martin": "sip:bob@example.org", "Carol": "sip:carol@home.example"} {
		if _, err := book.Add(contacts.Contact{Name: name, URI: uri}); err != nil {
			t.Fatal(err)
		}
	}
	return &Env{Endpoint: endpoint, Contacts: book, Version: "test"}
}

func TestTable(t *testing.T) {
	methods, forms := map[string]bool{}, map[string]bool{}
	for _, c := range Table() {
		if c.Method == "" && len(c.Forms) == 0 || (c.Method == "") != (c.run == nil) {
			t.Errorf("%+v: a row needs a method that runs, or a form", c)
		}
		if c.Method != "" && methods[c.Method] {
			t.Errorf("%s is there twice", c.Method)
		}
		methods[c.Method] = true
		if c.Summary == "" || strings.HasSuffix(c.Summary, ".") {
			t.Errorf("%s: summary %q", c.Method, c.Summary)
		}
		for _, f := range c.Forms {
			for _, name := range append(f.Aliases, f.Name) {
				if forms[name] {
					t.Errorf("/%s is there twice", name)
				}
				forms[name] = true
			}
			for _, a := range f.Args {
				for _, name := range []string{a.Param, a.Other} {
					known := slices.ContainsFunc(c.Params, func(p Param) bool { return p.Name == name })
					if c.Method != "" && name != "" && !known {
						t.Errorf("/%s: %s has no parameter %s", f.Name, c.Method, name)
					}
				}
			}
		}
	}
	for _, method := range strings.Fields(`status im.send im.compose conversation.list conversation.end conversation.can call.answer
		call.decline call.forward call.hangup call.transfer call.dial call.hold call.resume call.mute call.unmute call.dtmf
		call.stats call.record call.conference call.leave park.park park.retrieve park.list park.broadcast park.history park.service park.note audio.devices audio.select audio.levels audio.test toast.list toast.accept toast.decline toast.dismiss presence.set
		presence.input presence.get presence.watch presence.unwatch contacts.list contacts.add contacts.remove contacts.import
		history.search history.list quit`) {
		if _, ok := Find(method); !ok {
			t.Errorf("%s is missing", method)
		}
	}
}

func TestParseLine(t *testing.T) {
	at := Place{Conversation: "k1", Call: "c1", Audio: "a1", Toast: "t1"}
	for _, tt := range []struct {
		line   string
		method string
		params map[string]any
	}{
		{"/msg bob hello  there ", "im.send", map[string]any{"to": "bob", "text": "hello  there "}},
		{`/msg "Bob Martin" hi "you"`, "im.send", map[string]any{"to": "Bob Martin", "text": `hi "you"`}},
		{"/MSG  bob   x", "im.send", map[string]any{"to": "bob", "text": "x"}},
		{"/close", "conversation.end", map[string]any{"conversation": "k1"}},
		{"/decline", "call.decline", map[string]any{"call": "c1"}},
		{"/decline ALL", "call.decline", map[string]any{"call": "c1", "everywhere": true}},
		{"/decline all ", "call.decline", map[string]any{"call": "c1", "everywhere": true}},
		{"/decline all of you, later", "call.decline", map[string]any{"call": "c1", "message": "all of you, later"}},
		{"/decline In a call", "call.decline", map[string]any{"call": "c1", "message": "In a call"}},
		{"/forward bob", "call.forward", map[string]any{"call": "c1", "to": "bob"}},
		{"/dismiss", "toast.dismiss", map[string]any{"toast": "t1"}},
		{"/away back at two", "presence.set", map[string]any{"availability": "away", "note": "back at two"}},
		{"/presence busy", "presence.set", map[string]any{"availability": "busy"}},
		{"/add 4711", "contacts.add", map[string]any{"uri": "4711"}},
		{`/add bob@example.org "Bob M" Team "Best friends"`, "contacts.add", map[string]any{
			"uri": "bob@example.org", "name": "Bob M", "groups": []string{"Team", "Best friends"},
		}},
		{"/search zürich train", "history.search", map[string]any{"query": "zürich train", "conversation": "k1"}},
		{"/query bob", "", map[string]any{"to": "bob"}},
		{"/q", "quit", map[string]any{}},
		{"/call", "call.dial", map[string]any{"conversation": "k1"}},
		{"/call bob", "call.dial", map[string]any{"to": "bob"}},
		{"/answer", "call.answer", map[string]any{"call": "c1"}},
		{"/answer #3", "call.answer", map[string]any{"call": "#3"}},
		{"/hangup", "call.hangup", map[string]any{"call": "a1"}},
		{"/hold", "call.hold", map[string]any{"call": "a1"}},
		{"/resume #12", "call.resume", map[string]any{"call": "#12"}},
		{"/dtmf 1234#", "call.dtmf", map[string]any{"call": "a1", "digits": "1234#"}},
		{"/transfer carol", "call.transfer", map[string]any{"call": "a1", "to": "carol"}},
		{"/transfer #7", "call.transfer", map[string]any{"call": "a1", "replaces": "#7"}},
		{"/transfer 7", "call.transfer", map[string]any{"call": "a1", "to": "7"}},
		{"/conf", "call.conference", map[string]any{}},
		{"/conf #3 #4", "call.conference", map[string]any{"calls": []string{"#3", "#4"}}},
		{"/record", "call.record", map[string]any{"call": "a1"}},
		{"/record stop", "call.record", map[string]any{"call": "a1", "stop": true}},
		{`/record "to bob.wav"`, "call.record", map[string]any{"call": "a1", "file": "to bob.wav"}},
		{"/stats", "call.stats", map[string]any{"call": "a1"}},
		{`/mic "USB Headset"`, "audio.select", map[string]any{"capture": "USB Headset"}},
		{"/ringer default USB", "audio.select", map[string]any{"ringers": []string{"default", "USB"}}},
		{"/test", "audio.test", map[string]any{}},
		{"/park", "park.park", map[string]any{"call": "a1"}},
		{"/park 702", "park.park", map[string]any{"call": "a1", "orbit": "702"}},
		{"/park *70 order 77", "park.park", map[string]any{"call": "a1", "orbit": "*70", "note": "order 77"}},
		{"/park order 77 ", "park.park", map[string]any{"call": "a1", "note": "order 77 "}},
		{"/pickup 701", "park.retrieve", map[string]any{"orbit": "701"}},
		{"/pickup 701 Anyway", "park.retrieve", map[string]any{"orbit": "701", "anyway": true}},
		{"/orbits", "park.list", map[string]any{}},
		{"/broadcast", "park.broadcast", map[string]any{}},
		{"/broadcast 701", "park.broadcast", map[string]any{"orbit": "701"}},
		{`/broadcast "Support team" bob`, "park.broadcast", map[string]any{"to": []string{"Support team", "bob"}}},
		{"/broadcast 701 bob carol", "park.broadcast", map[string]any{"orbit": "701", "to": []string{"bob", "carol"}}},
	} {
		inv, err := ParseLine(tt.line, at)
		if err != nil || inv.Command.Method != tt.method || !reflect.DeepEqual(inv.Params, tt.params) {
			t.Errorf("%s: %s %v, %v", tt.line, inv.Command.Method, inv.Params, err)
		}
	}
	for line, want := range map[string]string{
		"/msg":             "WHO is missing: /msg WHO TEXT",
		"/msg bob":         "TEXT is missing: /msg WHO TEXT",
		"/msg bob   ":      "TEXT is missing",
		"/presence asleep": "\"asleep\" is not available, busy, dnd, away, offline: /presence AVAILABILITY [NOTE]",
		"/close now":       "\"now\" is too much: /close",
		"/mesg bob":        "no command /mesg; perhaps /msg, /mute, /mic; // sends text that begins with a slash",
		"/":                "/help lists them",
		"/zzz":             "/help lists them",
		"/pickup":          "ORBIT is missing: /pickup ORBIT [anyway]",
		"/pickup 701 now":  "\"now\" is not anyway: /pickup ORBIT [anyway]",
	} {
		if _, err := ParseLine(line, at); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", line, err, want)
		}
	}
	// Where there is no call in the window, the only one is meant, wherever it is. A session of messages is ended too, but
	// not put on hold.
	for line, at := range map[string]Place{"/hangup": {}, "/answer": {}, "/hold": {Call: "c1"}} {
		if inv, err := ParseLine(line, at); err != nil || len(inv.Params) > 0 {
			t.Errorf("%s: %v, %v", line, inv.Params, err)
		}
	}
	if inv, err := ParseLine("/hangup", Place{Call: "c1"}); err != nil || inv.Params["call"] != "c1" {
		t.Errorf("a session of messages: %v, %v", inv.Params, err)
	}
	for _, line := range []string{"/close", "/dismiss"} {
		if _, err := ParseLine(line, Place{}); err == nil || !strings.HasPrefix(err.Error(), line+": ") {
			t.Errorf("%s in an empty window: %v", line, err)
		}
	}
	for _, line := range []string{"hello", "//usr/bin", ""} {
		if _, err := ParseLine(line, at); !errors.Is(err, ErrNotCommand) {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestComplete(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"people.vcf", "pictures dir/x", ".hidden"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := newEnv(t)
	for _, tt := range []struct{ line, want string }{
		{"/ms", "/|msg "},
		{"/dec", "/|decline "},
		{"/de", "/|decline |device "},
		{"/msg b", `/msg |"Bob Martin" |bob@example.org `},
		{"/msg ", `/msg |"Bob Martin" |Carol |bob@example.org |carol@home.example `},
		{`/msg "Bob M`, `/msg |"Bob Martin" `},
		{"/msg bob hel", "/msg bob |"},
		{"/call c", "/call |Carol |carol@home.example "},
		{"/call ne", "/call |next "},
		{"/record sto", "/record |stop "},
		{"/mic ", "/mic |"},
		{"/presence b", "/presence |busy "},
		{"/help pre", "/help |presence "},
		{"/conf #1 b", "/conf #1 |"},
		{`/broadcast bob "Bo`, `/broadcast bob |"Bob Martin" |bob@example.org `},
		{"/broadcast 701 c", "/broadcast 701 |Carol |carol@home.example "},
		{"/pickup ", "/pickup |"},
		{"/import " + dir + "/p", "/import |" + dir + "/people.vcf |" + dir + "/pictures dir/"},
		{"hello", "hello|"},
		{"/nonsense x", "/nonsense x|"},
	} {
		c := e.Complete(tt.line)
		got := tt.line[:c.From] + "|" + strings.Join(c.Candidates, "|")
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.line, got, tt.want)
		}
	}
}

func TestParamsAreChecked(t *testing.T) {
	e := newEnv(t)
	for _, tt := range []struct{ method, params, want string }{
		{"im.send", `{"to":"bob","tex":"x"}`, `im.send: unknown parameter "tex"; accepted: [to], [conversation], text, [wait]`},
		{"im.send", `{"to":"bob"}`, "im.send: text is missing; accepted: "},
		{"im.send", `{"to":"bob","text":null}`, "text is missing"},
		{"im.send", `{"to":"bob","text":["x"]}`, "text must be a string"},
		{"im.send", `{"to":"bob","text":"x","wait":"no"}`, "wait must be a boolean"},
		{"im.send", `{"text":"x"}`, "to or conversation is missing"},
		{"im.send", `{"to":"bob","conversation":"k","text":"x"}`, "not both"},
		{"im.send", `{"to":"bob","text":""}`, "text is empty"},
		{"im.send", `["bob","x"]`, "params must be an object"},
		{"im.send", `{`, "not valid JSON"},
		{"status", `{"x":1}`, "accepted: no parameters"},
		{"call.dial", `{}`, "call.dial: to or conversation is missing"},
		{"call.dtmf", `{"call":"c"}`, "digits is missing; accepted: [call], digits"},
		{"call.dtmf", `{"call":"c","digits":"12x"}`, `digits "12x" are not all keys; accepted: 0-9 * # A-D`},
		{"call.transfer", `{"call":"c"}`, "to or replaces is missing"},
		{"call.transfer", `{"call":"c","to":"bob","replaces":"d"}`, "give to or replaces, not both"},
		{"call.conference", `{"calls":"c"}`, "calls must be an array of strings (two or more calls)"},
		{"call.record", `{"call":"c","file":"x.wav","stop":true}`, "give file or stop, not both"},
		{"contacts.add", `{"uri":"bob","groups":"Team"}`, "groups must be an array of strings"},
		{"history.list", `{"limit":"many"}`, "limit must be an integer (1 to 1000, 50 by default)"},
		{"presence.set", `{}`, "availability or note is missing"},
		{"presence.set", `{"availability":"asleep"}`, "accepted: available, busy, dnd, away, offline"},
		{"presence.input", `{"at":"yesterday"}`, "RFC 3339"},
		{"presence.input", `{"at":"2999-01-01T00:00:00Z"}`, "in the future"},
	} {
		_, err := e.Call(t.Context(), tt.method, json.RawMessage(tt.params))
		var param *ParamError
		if !errors.As(err, &param) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %s: %v; want %s", tt.method, tt.params, err, tt.want)
		}
	}
	var missing *MethodError
	if _, err := e.Call(t.Context(), "call.dail", nil); !errors.As(err, &missing) {
		t.Errorf("a method that does not exist: %v", err)
	}
	if _, err := e.Call(t.Context(), "", nil); !errors.As(err, &missing) {
		t.Errorf("a row of the UI: %v", err)
	}
}

func TestUnknownSubjects(t *testing.T) {
	e := newEnv(t)
	for method, params := range map[string]string{
		"im.send": `{"conversation":"x","text":"hi"}`, "conversation.end": `{"conversation":"x"}`, "call.answer": `{"call":"x"}`,
		"call.decline": `{"call":"x"}`, "toast.accept": `{"toast":"x"}`, "toast.dismiss": `{"toast":"x"}`,
		"conversation.can": `{"conversation":"x","action":"send"}`, "contacts.remove": `{"uri":"nobody"}`,
		"call.transfer": `{"call":"x","to":"bob"}`, "call.hold": `{"call":"audio-99"}`, "call.mute": `{"call":"99"}`, "call.hangup": `{}`,
		"call.resume": `{}`, "call.dtmf": `{"digits":"1"}`, "call.stats": `{}`, "call.record": `{"stop":true}`,
	} {
		_, err := e.Call(t.Context(), method, json.RawMessage(params))
		var known *session.Error
		if !errors.As(err, &known) || known.Kind != session.KindNotFound {
			t.Errorf("%s: %v", method, err)
		}
	}
}

// What was typed as KEY=VALUE has no types: a number is as good as a string.
func TestNumbersAreAddresses(t *testing.T) {
	e := newEnv(t)
	added, err := e.Call(t.Context(), "contacts.add", json.RawMessage(`{"uri":4711,"name":true}`))
	c, ok := added.(contacts.Contact)
	if err != nil || !ok || c.URI != "sip:4711@example.org" || c.Name != "true" {
		t.Errorf("%+v, %v", added, err)
	}
}

func TestContactsByName(t *testing.T) {
	e := newEnv(t)
	for who, want := range map[string]string{
		"bob martin": "sip:bob@example.org", "Carol": "sip:carol@home.example", "dave": "sip:dave@example.org", "4711": "sip:4711@example.org",
		"sip:erin@other.example": "sip:erin@other.example",
	} {
		if got, err := e.resolve(who); err != nil || got != want {
			t.Errorf("%s: %s, %v", who, got, err)
		}
	}
	list, err := e.Call(t.Context(), "contacts.list", nil)
	if data, bad := json.Marshal(list); err != nil || bad != nil || !strings.Contains(string(data),
		`{"name":"Carol","uri":"sip:carol@home.example","availability":"unknown"}`) {
		t.Errorf("%s, %v", data, err)
	}
}

func TestEmptyListsAreArrays(t *testing.T) {
	e := newEnv(t)
	for _, method := range []string{"conversation.list", "toast.list"} {
		result, err := e.Call(t.Context(), method, nil)
		if data, bad := json.Marshal(result); err != nil || bad != nil || string(data) != "[]" {
			t.Errorf("%s: %s, %v", method, data, err)
		}
	}
}

func FuzzLine(f *testing.F) {
	for _, line := range []string{"/msg bob hi", `/msg "a b" c`, `/add "`, "/ ", "/presence busy note", "/decline all", "/é", "/park 701 x", "/broadcast", `/broadcast 7 "a b" c`} {
		f.Add(line)
	}
	e := newEnv(f)
	f.Fuzz(func(t *testing.T, line string) {
		inv, err := ParseLine(line, Place{"k", "c", "a", "t"})
		if err == nil && inv.Command.Method != "" {
			raw, err := json.Marshal(inv.Params)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parseParams(inv.Command, raw); err != nil {
				t.Errorf("%q makes parameters that are refused: %v", line, err)
			}
		}
		if c := e.Complete(line); c.From < 0 || c.From > len(line) {
			t.Errorf("%q: %s", line, fmt.Sprint(c))
		}
	})
}
