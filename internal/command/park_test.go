package command

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"offhook/internal/contacts"
	"offhook/internal/testkit"
	"offhook/park"
	"offhook/session"
)

// office is Mary talking to Bob, with Carol and Dave in the next room and two contacts groups of Bob's.
type office struct {
	*testing.T
	w                      *testkit.World
	mary, bob, carol, dave *testkit.User
	env                    *Env // Bob's
}

func newOffice(t *testing.T) *office {
	w := testkit.NewWorld(t)
	o := &office{T: t, w: w}
	for _, p := range []struct {
		name string
		user **testkit.User
	}{{"mary", &o.mary}, {"bob", &o.bob}, {"carol", &o.carol}, {"dave", &o.dave}} {
		*p.user = w.Endpoint(p.name, testkit.Audio())
	}
	book, err := contacts.Open("")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []contacts.Contact{
		{Name: "Bob", URI: o.bob.AOR(), Groups: []string{"Support team"}},
		{Name: "Carol Diaz", URI: o.carol.AOR(), Groups: []string{"Support team", "Sales"}},
		{Name: "Dave", URI: o.dave.AOR(), Groups: []string{"Support team"}},
	} {
		if _, err := book.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	o.env = &Env{Endpoint: o.bob.Device(0).Endpoint, Contacts: book}
	o.mary.Device(0).Talk(o.bob, 0)
	return o
}

// call runs a method and decodes its result.
func (o *office) call(method, params string, into any) {
	o.Helper()
	got, err := o.env.Call(o.Context(), method, json.RawMessage(params))
	if err != nil {
		o.Fatalf("%s %s: %v", method, params, err)
	}
	data, err := json.Marshal(got)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		o.Fatalf("%s %s: %s, %v", method, params, data, err)
	}
}

// line types a line and runs what it means.
func (o *office) line(line string, into any) {
	o.Helper()
	inv, err := ParseLine(line, Place{})
	if err != nil {
		o.Fatal(err)
	}
	params, err := json.Marshal(inv.Params)
	if err != nil {
		o.Fatal(err)
	}
	o.call(inv.Command.Method, string(params), into)
}

// kindOf is the kind of a refusal.
func (o *office) kindOf(method, params string) session.Kind {
	o.Helper()
	_, err := o.env.Call(o.Context(), method, json.RawMessage(params))
	var known *session.Error
	if !errors.As(err, &known) {
		o.Fatalf("%s %s: %v", method, params, err)
	}
	return known.Kind
}

func TestParkTellPickUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		var service struct {
			Available bool   `json:"available"`
			Orbits    string `json:"orbits"`
			Strategy  string `json:"strategy"`
		}
		o.call("park.service", `{}`, &service)
		if !service.Available || service.Orbits != "701-720" || service.Strategy != "rfc5359" {
			t.Errorf("the service: %+v", service)
		}
		var parked park.CallParkOrbit
		o.line("/park order 77", &parked)
		if parked.FriendlyOrbit != "701" || !strings.HasPrefix(parked.SafeRetrieveURI, "sip:pk-") || parked.Parked.IsZero() || !parked.RingBack.After(parked.Parked) {
			t.Fatalf("parked: %#v until %v", parked, parked.RingBack)
		}
		o.w.Settle()

		var board []park.Row
		o.call("park.list", `{}`, &board)
		if len(board) != 1 || board[0].Orbit != "701" || board[0].Caller.URI != o.mary.AOR() || !board[0].Mine || board[0].Note != "order 77" {
			t.Errorf("the board: %+v", board)
		}
		if row, ok := o.env.Orbit(" 701 "); !ok || row.Orbit != "701" {
			t.Errorf("a line that is an orbit: %+v %v", row, ok)
		}
		for _, line := range []string{"702", "call 701", ""} {
			if _, ok := o.env.Orbit(line); ok {
				t.Errorf("%q is an orbit", line)
			}
		}
		for line, want := range map[string]string{
			"/pickup ":      "/pickup |701 ",
			"/pickup 701 a": "/pickup 701 |anyway ",
			"/broadcast ":   `/broadcast |701 |"Support team" |Sales |Bob |"Carol Diaz" |Dave `,
			"/broadcast s":  `/broadcast |"Support team" |Sales `,
			"/park 702":     "/park |702 ",
		} {
			c := o.env.Complete(line)
			if got := line[:c.From] + "|" + strings.Join(c.Candidates, "|"); !strings.HasPrefix(got, want) {
				t.Errorf("%q: %s, want %s", line, got, want)
			}
		}

		o.call("park.note", `{"orbit":"701","note":"for Dave"}`, &struct{}{})
		var told broadcastResult
		o.line(`/broadcast 701 "support team" carol`, &told)
		if len(told.Recipients) != 2 || told.Recipients[0].URI != o.carol.AOR() || told.Recipients[1].URI != o.dave.AOR() {
			t.Errorf("told: %+v", told) // Carol once, Bob not at all
		}
		for _, r := range told.Recipients {
			if r.Status == "failed" || r.Status == "" {
				t.Errorf("told: %+v", r)
			}
		}
		toast := testkit.Await(o.carol.Device(0), testkit.Patience, func(e session.ToastShown) bool { return e.Orbit == "701" })
		if toast.Kind != "orbit" || !strings.Contains(toast.Text, "for Dave") {
			t.Errorf("carol is shown %+v", toast)
		}

		carols := &Env{Endpoint: o.carol.Device(0).Endpoint}
		o.w.Sleep(44 * time.Second)
		o.env, carols = carols, o.env
		var ref callRef
		o.line("/pickup 701", &ref)
		o.env = carols
		if call, ok := o.carol.Device(0).FindAudio(ref.Call); !ok || call.State() != session.Established {
			t.Fatalf("carol has %+v", ref)
		}
		testkit.Await(o.bob.Device(0), testkit.Patience, func(e session.Unparked) bool { return e.FriendlyOrbit == "701" })
		var past []parkEntry
		o.call("park.history", `{"limit":5}`, &past)
		if len(past) != 1 || past[0].Reason != park.Retrieved || past[0].Target == nil || past[0].Target.URI != o.carol.AOR() ||
			past[0].Safe != "" || past[0].Waited < 44 || past[0].Waited > 60 || len(past[0].Recipients) != 2 || past[0].Note != "for Dave" {
			t.Errorf("history: %+v", past)
		}
		if kind := o.kindOf("park.retrieve", `{"safe_retrieve_uri":"`+parked.SafeRetrieveURI+`"}`); kind != session.KindStaleOrbit {
			t.Errorf("the safe address, once used: %s", kind)
		}
		if kind := o.kindOf("park.broadcast", `{"to":["carol"]}`); kind != session.KindNotFound {
			t.Errorf("nothing is parked to be told of: %s", kind)
		}
	})
}

func TestParkIsRefusedInWords(t *testing.T) {
	e := newEnv(t)
	for _, tt := range []struct{ method, params, want string }{
		{"park.park", `{"call":"c","conversation":"k"}`, "give call or conversation, not both"},
		{"park.retrieve", `{}`, "orbit or safe_retrieve_uri is missing"},
		{"park.retrieve", `{"orbit":"701","safe_retrieve_uri":"sip:pk-x@example.org"}`, "give orbit or safe_retrieve_uri, not both"},
		{"park.broadcast", `{"orbit":"701"}`, "park.broadcast: to is missing; accepted: addresses, contacts and groups"},
		{"park.broadcast", `{"orbit":"701","to":"bob"}`, "to must be an array of strings (addresses, contacts and groups)"},
		{"park.broadcast", `{"orbit":"701","to":["alice","sip:alice@EXAMPLE.org:5060"]}`, "to names nobody besides yourself"},
		{"park.history", `{"limit":0}`, "limit must be 1 to 1000"},
	} {
		_, err := e.Call(t.Context(), tt.method, json.RawMessage(tt.params))
		var param *ParamError
		if !errors.As(err, &param) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %s: %v; want %s", tt.method, tt.params, err, tt.want)
		}
	}
	for _, tt := range []struct{ method, params, want string }{
		{"park.park", `{}`, "there is not a call that is not on hold"},
		{"park.park", `{"conversation":"k"}`, `there is no conversation "k"`},
		{"park.broadcast", `{"orbit":"701","to":["bob","the  desk","Carol","<x>"]}`, `no contact, group or address is called "the  desk", "<x>"; nobody has been told`},
		{"park.broadcast", `{"to":["bob"]}`, "you have no call parked; say which orbit"},
	} {
		_, err := e.Call(t.Context(), tt.method, json.RawMessage(tt.params))
		var known *session.Error
		if !errors.As(err, &known) || known.Kind != session.KindNotFound || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %s: %v; want %s", tt.method, tt.params, err, tt.want)
		}
	}
	if list := result(t, e, "park.list", `{}`); list != "[]" {
		t.Errorf("an empty board: %s", list)
	}
	if list := result(t, e, "park.history", `{}`); list != "[]" {
		t.Errorf("nothing parked yet: %s", list)
	}
}

// A word that is nobody's name is told before anybody is written to, with what it may have been meant to be.
func TestMisspeltRecipient(t *testing.T) {
	e := newEnv(t)
	if _, err := e.Contacts.Add(contacts.Contact{Name: "Dave", URI: "sip:dave@example.org", Groups: []string{"Support"}}); err != nil {
		t.Fatal(err)
	}
	for who, want := range map[string]string{
		"crol":   `"crol" (perhaps "Carol"); nobody`,
		"BBO":    `"BBO" (perhaps "Bob Martin"); nobody`,
		"martni": `"martni" (perhaps "Bob Martin"); nobody`,
		"suport": `"suport" (perhaps "Support"); nobody`,
	} {
		params, _ := json.Marshal(map[string]any{"orbit": "701", "to": []string{"dave", who}})
		_, err := e.Call(t.Context(), "park.broadcast", json.RawMessage(params))
		var known *session.Error
		if !errors.As(err, &known) || known.Kind != session.KindNotFound || !strings.Contains(err.Error(), "no contact, group or address is called "+want) {
			t.Errorf("%s: %v", who, err)
		}
	}
	if _, err := e.Endpoint.Conversation("karol"); err != nil {
		t.Fatal(err)
	}
	to := []string{"karol", "zacharia", "bob", "DAVE", "support", "+41 44 555 12 34", "crol@example.org", "sip:x@example.org"}
	if got, err := e.recipients(to); err != nil || len(got) != 7 {
		t.Errorf("%v, %v", got, err)
	}
	e.Contacts, _ = contacts.Open("") // who has no list has only users
	if got, err := e.recipients([]string{"crol"}); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

// A group that is called as a contact is nobody in particular.
func TestGroupOrContact(t *testing.T) {
	e := newEnv(t)
	if _, err := e.Contacts.Add(contacts.Contact{Name: "Dave", URI: "sip:dave@example.org", Groups: []string{"carol"}}); err != nil {
		t.Fatal(err)
	}
	_, err := e.recipients([]string{"Carol"})
	if !errors.Is(err, contacts.ErrAmbiguous) || !strings.Contains(err.Error(), "sip:carol@home.example") {
		t.Error(err)
	}
	if got, err := e.recipients([]string{"dave", "Dave", "sip:dave@example.org:5060", "4711"}); err != nil ||
		strings.Join(got, " ") != "sip:dave@example.org sip:4711@example.org" {
		t.Error(got, err)
	}
}

// Who does not want to wait for the network is told what is known at once.
func TestParkWithoutWaiting(t *testing.T) {
	e := newEnv(t)
	got, err := e.Call(t.Context(), "park.broadcast", json.RawMessage(`{"orbit":"701","to":["bob"],"wait":false}`))
	data, bad := json.Marshal(got)
	if err != nil || bad != nil || string(data) != `{"recipients":[{"uri":"sip:bob@example.org","status":"sending"}]}` {
		t.Errorf("%s, %v", data, err)
	}
	_ = e.Endpoint.Close(context.Background())
	e.Wait()
}

// Who calls is told why nobody answers, and so is who gives up at that moment.
func TestDeclineWithWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		x := o.carol.Device(0).Dial(o.bob)
		o.bob.Device(0).ExpectCall("carol")
		var ref callRef
		o.line("/decline Five minutes, please", &ref)
		var declined *session.Error
		if err := x.Wait(); !errors.As(err, &declined) || declined.Kind != session.KindDeclined || declined.Code != 603 {
			t.Errorf("carol: %v", err)
		}
		o.carol.Device(0).ExpectMessage("bob", "Five minutes, please")

		x = o.carol.Device(0).Dial(o.bob) // and gives up at the same moment
		call := o.bob.Device(0).ExpectCall("carol")
		inv, err := ParseLine("/decline Later", Place{Call: call.ID()})
		if err != nil {
			t.Fatal(err)
		}
		c, _ := Find(inv.Command.Method)
		_, operation, err := c.run(t.Context(), o.env, params{command: c, fields: map[string]json.RawMessage{
			"call": json.RawMessage(`"` + call.ID() + `"`), "message": json.RawMessage(`"Later"`),
		}})
		if err != nil {
			t.Fatal(err)
		}
		x.GiveUp()
		_ = x.Wait()
		o.w.Settle()
		if _, err := operation(t.Context()); err != nil {
			t.Errorf("the words of one who was too late: %v", err)
		}
		o.carol.Device(0).ExpectMessage("bob", "Later")
	})
}
