package ui

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/emiago/sipgo/sip"

	"offhook/internal/command"
	"offhook/internal/contacts"
	"offhook/internal/history"
	"offhook/park"
	"offhook/session"
)

// fake stands for an endpoint, its commands and its record. It remembers what it was asked.
type fake struct {
	mu       sync.Mutex
	snapshot session.Snapshot                      // Guarded by mu.
	calls    []string                              // Guarded by mu; "method k=v …", parameters in order
	inputs   int                                   // Guarded by mu.
	attached []bool                                // Guarded by mu.
	read     []string                              // Guarded by mu.
	fail     map[string]error                      // Guarded by mu; by method
	lines    map[string][]history.Line             // Guarded by mu; by peer, oldest first
	cannot   map[string]string                     // Guarded by mu; why, by action
	found    []session.Message                     // Guarded by mu.
	called   func(method string, p map[string]any) // if set, runs in Call
	stats    any                                   // result of call.stats
	parked   parkView                              // Guarded by mu.
	results  map[string]any                        // Guarded by mu; by method
	groups   []contacts.Group
}

func (f *fake) Snapshot() session.Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.snapshot
}

func (f *fake) Resolve(address string) (sip.Uri, error) {
	if strings.ContainsAny(address, " \"") || address == "" {
		return sip.Uri{}, &session.Error{Op: "resolve", Err: errors.New("bad address")}
	}
	address = strings.TrimPrefix(address, "sip:")
	user, host, ok := strings.Cut(address, "@")
	if !ok {
		host = "example.com"
	}
	return sip.Uri{Scheme: "sip", User: user, Host: host}, nil
}

func (f *fake) Can(_, action string) (bool, string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cannot[action] == "", f.cannot[action]
}

func (f *fake) Board() []park.Row                { return f.park().rows }
func (f *fake) ParkHistory() []park.Record       { return f.park().records }
func (f *fake) ParkService() session.ParkService { return f.park().service }
func (f *fake) park() parkView                   { f.mu.Lock(); defer f.mu.Unlock(); return f.parked }

func (f *fake) Announcement(orbit string) (string, error) {
	for _, r := range f.park().rows {
		if r.Orbit == orbit {
			return "Call for you on " + orbit + ": " + r.Caller.Name() + ". Dial " + orbit + " or press F6 " + orbit + ".", nil
		}
	}
	return "", &session.Error{Op: "announce", Kind: session.KindOrbitNotFound}
}

func (f *fake) Input(time.Time) { f.mu.Lock(); defer f.mu.Unlock(); f.inputs++ }
func (f *fake) Attached(a bool) { f.mu.Lock(); defer f.mu.Unlock(); f.attached = append(f.attached, a) }
func (f *fake) Read(id string)  { f.mu.Lock(); defer f.mu.Unlock(); f.read = append(f.read, id) }

func (f *fake) Call(_ context.Context, method string, args any) (any, error) {
	p, _ := args.(map[string]any)
	text := method
	for _, name := range []string{"toast", "call", "conversation", "to", "text", "everywhere", "active", "availability", "note", "uri", "digits", "replaces", "stop", "capture", "ringers", "echo_cancellation", "noise_suppression", "auto_gain", "orbit", "anyway", "message"} {
		if v, ok := p[name]; ok {
			text += fmt.Sprintf(" %s=%v", name, v)
		}
	}
	f.mu.Lock()
	f.calls = append(f.calls, text)
	err := f.fail[method]
	called := f.called
	f.mu.Unlock()
	if called != nil {
		called(method, p)
	}
	switch method {
	case "audio.devices":
		return headsets(), err
	case "call.stats":
		return f.stats, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.results[method], err
}

func (f *fake) Complete(line string) command.Completion {
	env := &command.Env{}
	if !strings.Contains(line, " ") {
		return env.Complete(line)
	}
	c := command.Completion{From: strings.LastIndexByte(line, ' ') + 1}
	for _, g := range f.groups {
		for _, p := range g.Contacts {
			if name := strings.ToLower(p.Name); strings.HasPrefix(name, strings.ToLower(line[c.From:])) {
				c.Candidates = append(c.Candidates, `"`+p.Name+`" `)
			}
		}
	}
	return c
}

func (f *fake) Page(_ context.Context, peer string, before int64, limit int) ([]history.Line, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	lines := f.lines[peer]
	to := len(lines)
	for i, l := range lines {
		if before != 0 && l.ID == before {
			to = i
		}
	}
	return lines[max(0, to-limit):to], nil
}

func (f *fake) Search(context.Context, string, string, string, int) ([]session.Message, error) {
	return f.found, nil
}

func (f *fake) Threads(context.Context, int) ([]history.Thread, error) { return nil, nil }
func (f *fake) MarkRead(context.Context, string) error                 { return nil }
func (f *fake) Groups() []contacts.Group                               { return f.groups }

func (f *fake) Name(uri string) string {
	for _, g := range f.groups {
		for _, c := range g.Contacts {
			if c.URI == address(uri) {
				return c.Name
			}
		}
	}
	return ""
}

// log returns what was called, and forgets it.
func (f *fake) log() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.calls = nil
	return calls
}

// morning is the day of the mock-ups.
func morning(clock string) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05", "2026-08-24 "+clock)
	if err != nil {
		panic(err)
	}
	return t
}

func uri(user string) string { return "sip:" + user + "@example.com" }

func contactOf(user, name string) contacts.Contact {
	return contacts.Contact{Name: name, URI: uri(user)}
}

// office is the endpoint of the mock-ups: a desk with three devices, two groups of contacts.
func office() *fake {
	f := &fake{fail: map[string]error{}, lines: map[string][]history.Line{}}
	f.groups = []contacts.Group{
		{Name: "Front desk", Contacts: []contacts.Contact{
			contactOf("ann", "Ann Lee"), contactOf("bob", "Bob Martin"), contactOf("carol", "Carol Diaz"), contactOf("dev", "Dev Patel"),
		}},
		{Name: "Support", Contacts: []contacts.Contact{contactOf("eva", "Eva Novak"), contactOf("finn", "Finn O'Neil")}},
	}
	presence := func(user, availability string, idle int) session.Presence {
		return session.Presence{URI: uri(user), Availability: availability, Devices: []session.Device{{Instance: user, Class: "active", IdleS: idle}}}
	}
	f.snapshot = session.Snapshot{
		Account: session.Account{
			AOR: uri("desk"), Device: "desk", Registered: true, State: "registered", Endpoints: 3, Transport: "tls",
			Availability: "available", Devices: []session.Device{
				{Instance: "a", Name: "desk", Class: "active", Self: true},
				{Instance: "b", Name: "LAB-PC", Class: "active", IdleS: 250},
				{Instance: "c", Name: "mobile", Class: "away", IdleS: 1860},
			},
		},
		Conversations: []session.ConversationInfo{
			{Conversation: "c1", Peer: session.Party{URI: uri("bob")}, State: session.ConversationActive, Call: "k1"},
			{Conversation: "c2", Peer: session.Party{URI: uri("carol")}, State: session.ConversationInactive},
		},
		Calls: []session.CallInfo{{Call: "k1", Conversation: "c1", Kind: "im", State: session.Established}},
		Presences: []session.Presence{
			presence("ann", "available", 5), presence("bob", "available", 10), presence("carol", "dnd", 30), presence("dev", "offline", 7300),
			presence("eva", "available", 1), presence("finn", "away", 720),
		},
	}
	return f
}

// stage is a model with its fake, driven without a program: what is done by Update shows at once.
type stage struct {
	t     *testing.T
	f     *fake
	m     *model
	clock time.Time
}

func newStage(t *testing.T, f *fake, w, h int) *stage {
	t.Helper()
	s := &stage{t: t, f: f, clock: morning("09:59:00")}
	m := newModel(t.Context())
	m.now = func() time.Time { return s.clock }
	m.sleep = func(_ context.Context, d time.Duration) bool { return d <= 0 } // nothing here waits for a time
	m.account, m.attention, m.commands, m.record, m.people = f, f, f, f, f
	m.groups = f.groups
	m.load(f.Snapshot())
	s.m = m
	s.update(tea.WindowSizeMsg{Width: w, Height: h})
	m.View()
	return s
}

// update gives the model a message and runs the commands that it asks for, except those that wait for a time.
func (s *stage) update(msg tea.Msg) {
	_, cmd := s.m.Update(msg)
	s.m.View()
	s.run(cmd)
}

func (s *stage) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case tea.BatchMsg:
		for _, c := range msg {
			s.run(c)
		}
	case nil:
	default:
		s.update(msg)
	}
}

func (s *stage) events(events ...session.Event) {
	msg := eventsMsg{events: events}
	msg.calls, msg.told = callsOf(events, s.f)
	msg.park = parkOf(events, s.f)
	s.update(msg)
}

// press sends keys by their names; text that is no name is typed.
func (s *stage) press(keys ...string) {
	for _, name := range keys {
		if k, ok := keyNamed(name); ok {
			s.update(k)
			continue
		}
		for _, r := range name {
			s.update(tea.KeyPressMsg{Code: r, Text: string(r)})
		}
	}
}

func keyNamed(name string) (tea.KeyPressMsg, bool) {
	special := map[string]rune{
		"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown, "left": tea.KeyLeft,
		"right": tea.KeyRight, "home": tea.KeyHome, "end": tea.KeyEnd, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown,
		"backspace": tea.KeyBackspace, "f1": tea.KeyF1, "f2": tea.KeyF2, "f3": tea.KeyF3, "f4": tea.KeyF4, "f5": tea.KeyF5, "f6": tea.KeyF6, "f9": tea.KeyF9, "f7": tea.KeyF7, "f8": tea.KeyF8, "space": tea.KeySpace, "delete": tea.KeyDelete,
	}
	var mod tea.KeyMod
	rest := name
	for {
		switch {
		case strings.HasPrefix(rest, "ctrl+"):
			mod, rest = mod|tea.ModCtrl, rest[5:]
		case strings.HasPrefix(rest, "alt+"):
			mod, rest = mod|tea.ModAlt, rest[4:]
		case strings.HasPrefix(rest, "shift+"):
			mod, rest = mod|tea.ModShift, rest[6:]
		default:
			if code, ok := special[rest]; ok {
				return tea.KeyPressMsg{Code: code, Mod: mod}, true
			}
			if mod != 0 && len(rest) == 1 {
				return tea.KeyPressMsg{Code: rune(rest[0]), Mod: mod}, true
			}
			return tea.KeyPressMsg{}, false
		}
	}
}

// screen is the picture as plain text, without spaces at the ends of rows.
func (s *stage) screen() string {
	rows, _, _ := s.m.screen()
	for i, row := range rows {
		rows[i] = strings.TrimRight(ansi.Strip(row), " ")
	}
	return strings.Join(rows, "\n") + "\n"
}

func (s *stage) wants(text string) {
	s.t.Helper()
	if !strings.Contains(s.screen(), text) {
		s.t.Errorf("no %q on the screen:\n%s", text, s.screen())
	}
}

func (s *stage) wantsNot(text string) {
	s.t.Helper()
	if strings.Contains(s.screen(), text) {
		s.t.Errorf("%q is on the screen:\n%s", text, s.screen())
	}
}

func (s *stage) wantsCalls(want ...string) {
	s.t.Helper()
	if got := slices.DeleteFunc(s.f.log(), background); strings.Join(got, "\n") != strings.Join(want, "\n") {
		s.t.Errorf("called %q, want %q", got, want)
	}
}

// message of a conversation with Bob (c1) or Carol (c2).
func inbound(conversation, user, id, clock, text string) session.MessageChanged {
	p := session.Party{URI: uri(user)}
	return session.MessageChanged{Message: session.Message{
		Conversation: conversation, ID: id, Direction: session.Inbound, Peer: p, From: p, Text: text, Status: session.Delivered, Time: morning(clock),
	}}
}

func outbound(conversation, user, id, clock, text string, status session.Status) session.MessageChanged {
	return session.MessageChanged{Message: session.Message{
		Conversation: conversation, ID: id, Direction: session.Outbound, Peer: session.Party{URI: uri(user)},
		From: session.Party{URI: uri("desk")}, Text: text, Status: status, Time: morning(clock),
	}}
}

// mockA is the state of mock-up A, as far as it exists.
func mockA(t *testing.T, w, h int) *stage {
	s := newStage(t, office(), w, h)
	s.update(peopleMsg(s.f.groups))
	s.press("alt+2")
	s.events(
		inbound("c1", "bob", "1", "09:12:00", "morning - is Contoso still open?"),
		outbound("c1", "bob", "2", "09:13:00", "yes, waiting on a callback", session.Delivered),
		outbound("c1", "bob", "3", "09:13:30", "they said before ten", session.Delivered),
		inbound("c1", "bob", "4", "09:41:00", "ok. I am at my other desk until 11"),
		session.Notice{Conversation: "c1", Time: morning("09:41:10"), Text: "Bob is now reachable on LAB-PC"},
	)
	s.press("alt+1")
	s.events(
		inbound("c1", "bob", "5", "09:58:00", "call for you on the way, please park it if I do not pick up"),
		inbound("c1", "bob", "6", "09:59:00", "thanks!"),
		inbound("c2", "carol", "7", "09:59:00", "hello"), inbound("c2", "carol", "8", "09:59:00", "are you there?"),
		session.Composing{Conversation: "c1", Active: true},
	)
	s.press("alt+2", "ok, parking it on the next free orbit")
	s.f.log()
	return s
}

func offer(s *stage, thisDevice bool) session.ToastShown {
	t := session.ToastShown{
		Toast: "t1", Kind: "im", Conversation: "c2", Call: "k2", From: session.Party{URI: uri("carol")},
		Text: "Line 2: customer for Bob, can you take it?", Deadline: s.clock.Add(10 * time.Second), MostActive: "LAB-PC",
		Devices: []string{"LAB-PC", "desk", "mobile"},
	}
	if thisDevice {
		t.MostActive, t.ThisDevice, t.Devices = "desk", true, []string{"desk", "LAB-PC", "mobile"}
	}
	return t
}

// recordLine is the i-th line of a long record with Bob.
func recordLine(i int) history.Line {
	m := inbound("", "bob", fmt.Sprint("r", i), "00:00:00", fmt.Sprintf("word %d of many", i)).Message
	m.Time = m.Time.AddDate(-1, 0, 0).Add(time.Duration(i) * time.Minute)
	return history.Line{Message: m, ID: int64(i + 1)}
}
