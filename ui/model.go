package ui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/emiago/sipgo/sip"

	"offhook/internal/command"
	"offhook/internal/contacts"
	"offhook/internal/history"
	"offhook/park"
	"offhook/session"
	"offhook/toast"
)

// account is what the screen reads from a session.Endpoint. None of it waits.
type account interface {
	Snapshot() session.Snapshot
	Resolve(address string) (sip.Uri, error)
	// Can reports whether an action is possible in a conversation now, and if not why.
	Can(conversation, action string) (can bool, why string)

	// What is parked: by anybody, as far as is known; by this user, ended ones as well; where calls can be parked; and what
	// others are told of an orbit.
	Board() []park.Row
	ParkHistory() []park.Record
	ParkService() session.ParkService
	Announcement(orbit string) (text string, err error)
}

// attention is what the screen tells an Endpoint about the person in front of it.
type attention interface {
	Input(at time.Time)
	Attached(attached bool)
	Read(conversation string)
}

// commands is command.Env: it runs the methods of the control API, which may wait for the network, and completes what is
// typed after a slash, which may read directories.
type commands interface {
	Call(ctx context.Context, method string, args any) (any, error)
	Complete(line string) command.Completion
}

// record is history.Store. Its methods read and write a file. Lines and messages come oldest first.
type record interface {
	Page(ctx context.Context, peer string, before int64, limit int) ([]history.Line, error)
	Search(ctx context.Context, query, peer, before string, limit int) ([]session.Message, error)
	Threads(ctx context.Context, limit int) ([]history.Thread, error)
	MarkRead(ctx context.Context, peer string) error
}

// people is contacts.Book.
type people interface {
	Groups() []contacts.Group
	Name(uri string) string
}

// model is the state of the screen. All of it is owned by Bubble Tea's loop.
type model struct {
	// Immutable
	ctx       context.Context
	account   account
	attention attention
	commands  commands
	sound     command.Audio // nil: there is no sound
	record    record        // nil: nothing is kept
	people    people
	keys      keymap
	notify    *notifications
	clipboard clipboard
	sleep     func(context.Context, time.Duration) bool // wait, but in tests
	now       func() time.Time

	// The screen
	width, height int
	dark          bool
	theme         theme
	mouse         bool
	focused       bool

	// What is known
	me        session.Account
	presences map[string]session.Presence
	health    []session.HealthChanged
	signedOut bool      // the last attempt to sign in failed
	reason    string    // why
	retry     time.Time // when it is tried again; zero: not known
	groups    []contacts.Group
	folded    map[string]bool      // groups shown as one line
	told      map[string]time.Time // last notification, by conversation

	// What is shown
	windows  windows
	toasts   toast.Queue
	typed    map[string]bool // toasts accepted by writing
	overlay  overlay         // nil: the input line
	prefix   string          // keys of a pair so far: "ctrl+x" or "ctrl+x g"
	history  inputHistory
	complete completion
	message  string // one line in the hint row, until the next key

	calls      []*phoneCall      // by number
	pulsing    bool              // a pulseMsg is under way
	statsShown bool              // how the call is doing, in a box
	steadyAt   time.Time         // until then F3 hangs nothing up
	contacted  map[string]string // last contact with who calls, by toast
	dials      *bool             // whether a number typed alone is dialled; nil: ask
	parks      parking

	ticket int

	person  presenceState
	timer   time.Time // when the pending tick comes; zero: none
	layout  layout
	targets []target // of the list column, by row
}

func newModel(ctx context.Context) *model {
	m := &model{
		ctx: ctx, width: 80, height: 24, dark: true, mouse: true, focused: true, now: time.Now, sleep: wait,
		presences: map[string]session.Presence{}, folded: map[string]bool{}, contacted: map[string]string{}, typed: map[string]bool{}, told: map[string]time.Time{},
		windows: newWindows(), keys: newKeymap(), parks: newParking(),
	}
	m.theme = newTheme(m.dark)
	return m
}

// load takes over the state of the endpoint, at the start and after events were lost.
func (m *model) load(s session.Snapshot) {
	m.me = s.Account
	m.health = s.Health
	for _, p := range s.Presences {
		m.presences[address(p.URI)] = p
	}
	for _, c := range s.Conversations {
		w := m.windows.open(m.named(c.Peer))
		w.conversation, w.state, w.call, w.callState = c.Conversation, c.State, c.Call, ""
		if c.Composing {
			w.composing = m.now().Add(composingTimeout)
		}
	}
	for _, c := range s.Calls {
		if w := m.windows.byConversation(c.Conversation); w != nil && w.call == c.Call {
			w.callState = c.State
		}
	}
	m.setCalls(s.Calls)
	m.setPark(readPark(m.account))
	shown := map[string]bool{}
	for _, t := range s.Toasts {
		shown[t.Toast] = true
		m.toastShown(t)
	}
	for _, it := range m.toasts.Visible(1 << 20) {
		if !it.Closed && !shown[it.ID] && it.Kind != toast.Missed {
			m.toasts.Close(it.ID, toast.Closing{Reason: toast.Canceled}, m.now())
		}
	}
}

// named gives a party the name it has in the contact list, if it is there.
func (m *model) named(p session.Party) session.Party {
	if m.people != nil {
		if name := m.people.Name(p.URI); name != "" {
			p.Display = name
		}
	}
	return p
}

// deviceName is what this device is called in the prompt.
func (m *model) deviceName() string {
	if m.me.Device != "" {
		return m.me.Device
	}
	return partyName(session.Party{URI: m.me.AOR})
}

// address is a URI in the form in which two of them can be compared.
func address(uri string) string {
	if canonical, err := contacts.Canonical(uri); err == nil {
		return canonical
	}
	return uri
}

// presence is what is known of an address.
func (m *model) presence(uri string) (p session.Presence, known bool) {
	p, known = m.presences[address(uri)]
	return p, known
}

// seen reports whether a person is looking at w.
func (m *model) seen(w *window) bool { return w == m.windows.current && m.focused }

// show makes w current. The marker of the window that is left goes; what has arrived in w counts as read.
func (m *model) show(w *window) tea.Cmd {
	if w == nil {
		return nil
	}
	var left tea.Cmd
	if old := m.windows.current; old != w {
		old.thread.marker = -1
		old.thread.point(-1)
		m.complete = completion{}
		left = m.markRead(old)
	}
	m.windows.current = w
	m.read(w)
	if w.opened {
		return left
	}
	w.opened = true
	return tea.Batch(left, m.loadPage(w), m.watch(w))
}

// watch follows the presence of the peer of a window, for the letter in the list. Where it cannot be had there is none.
func (m *model) watch(w *window) tea.Cmd {
	return m.run(doneMsg{method: "presence.watch", quiet: true}, map[string]any{"uri": w.peer})
}

// unwatch ends watch, unless the peer is in the contact list as well.
func (m *model) unwatch(w *window) tea.Cmd {
	if _, listed := m.contact(w.peer); listed || !w.opened {
		return nil
	}
	delete(m.presences, address(w.peer))
	return m.run(doneMsg{method: "presence.unwatch", quiet: true}, map[string]any{"uri": w.peer})
}

// markRead notes in the record that all of w has been seen. It is done when a window is left rather than entered: what
// arrives while somebody looks at it is in the record by then.
func (m *model) markRead(w *window) tea.Cmd {
	if m.record == nil || w.home() {
		return nil
	}
	peer := address(w.peer)
	return func() tea.Msg {
		_ = m.record.MarkRead(m.ctx, peer) // unread once more after a restart is all that can come of a failure
		return nil
	}
}

// attended reports whether a person is certainly looking at w: it is on screen and a key was pressed lately.
func (m *model) attended(w *window) bool {
	return m.seen(w) && m.now().Sub(m.person.last) < idleLimit
}

// read takes what has arrived in w as seen.
func (m *model) read(w *window) {
	w.unread, w.unseen = 0, false
	if w.conversation != "" {
		m.attention.Read(w.conversation)
	}
}

// say adds a "--" line to a window.
func (m *model) say(w *window, text string) {
	if w == nil {
		w = m.windows.home()
	}
	w.thread.put(&entry{kind: fromProgram, at: m.now(), text: text})
}
