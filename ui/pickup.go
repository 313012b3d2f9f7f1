package ui

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"offhook/park"
	"offhook/session"
)

// pickUp is F6: the number of an orbit, with the parked calls that there are.
type pickUp struct {
	line   editor
	choice orbitChoice
	label  string
}

func (m *model) openPickUp() tea.Cmd {
	if r, ok := m.overlay.(*refusedPickUp); ok {
		return r.anyway(m)
	}
	if why := m.pickUpWhy(); why != "" {
		m.message = why
		return nil
	}
	p := &pickUp{label: "[" + m.deviceName() + "] /pickup "}
	if r, ok := m.parkedIn(m.windows.current); ok { // that one is meant, most likely
		p.choice.orbit = r.Orbit.FriendlyOrbit
	}
	p.choice.first(m.parks.rows)
	m.overlay = p
	return nil
}

func (p *pickUp) prompt() (string, *editor) { return p.label, &p.line }
func (p *pickUp) edited(m *model)           { p.choice.first(p.shown(m)) }
func (p *pickUp) hint() string              { return " Enter pick up   Tab complete   Up/Down choose   Esc leave" }

// shown are the orbits that begin with what is typed, or whose caller, parker or note contains it.
func (p *pickUp) shown(m *model) []park.Row { return m.boardRows(strings.TrimSpace(p.line.text)) }

func (p *pickUp) box(m *model) (string, []string, int) {
	rows := p.shown(m)
	at := p.choice.in(rows)
	if len(rows) == 0 {
		switch text := strings.TrimSpace(p.line.text); {
		case text != "":
			return "PICK UP", []string{"nothing known is parked there: Enter tries " + text + " all the same"}, -1
		case len(m.parks.rows) == 0:
			return "PICK UP", []string{"nothing known is parked; type the number of an orbit"}, -1
		}
	}
	var lines []string
	for i, r := range rows {
		mark := "  "
		if i == at {
			mark = "> "
		}
		lines = append(lines, mark+m.pickUpLine(r, m.layout.pane.w-5))
	}
	lines = append(lines, "Enter pick up   Tab complete   Esc"+m.lastHeard())
	return "PICK UP", lines, at
}

// pickUpLine is "1347  Contoso +14255550100    mine, safe    0:58 left".
func (m *model) pickUpLine(r park.Row, w int) string {
	left := m.ringsIn(r)
	if left != "" && strings.Contains(left, ":") {
		left += " left"
	}
	by := fit(firstName(m.parkerOf(r, m.safely(r))), 10)
	if r.Mine {
		by = fit(m.safely(r), 10)
	}
	right := "  " + by + fitRight(left, 11)
	if w < 40 {
		right = " " + left
	}
	return spread(fitName(r.Orbit, 8)+"  "+m.callerOf(r.Caller), right, w)
}

// safely says of a call of this user's whether picking it up can get nobody else.
func (m *model) safely(r park.Row) string {
	if record, ok := m.parkRecord(r.Orbit); ok && record.Orbit.SafeRetrieveURI != "" {
		return "mine, safe"
	}
	return "mine"
}

func (m *model) lastHeard() string {
	if r, ok := m.parkRow(m.parks.last); ok && !r.Mine {
		return "   last heard: " + r.Orbit
	}
	return ""
}

func (p *pickUp) key(m *model, name string) (tea.Cmd, bool) {
	rows := p.shown(m)
	if p.choice.key(name, rows) {
		return nil, true
	}
	text := strings.TrimSpace(p.line.text)
	switch name {
	case "tab":
		if at := p.choice.in(rows); at >= 0 {
			p.line.set(rows[at].Orbit)
		} else {
			m.message = "nothing to complete"
		}
		return nil, true
	case "enter":
		orbit := text
		if _, exact := m.parkRow(text); !exact && len(rows) > 0 {
			at := p.choice.in(rows)
			if at < 0 {
				m.message = "the call that was selected is parked no more; choose another"
				return nil, true
			}
			orbit = rows[at].Orbit
		}
		if orbit == "" {
			return nil, true
		}
		m.overlay = nil
		return m.retrieve(orbit, false), true
	case "esc", "ctrl+c":
		m.overlay = nil
		return nil, true
	}
	return nil, false
}

// retrievedMsg is the outcome of picking a call up.
type retrievedMsg struct {
	orbit        string
	row          park.Row // as it was on the board
	record       park.Record
	conversation string
	err          error
}

// retrieve picks up what is parked at an orbit; anyway means whoever it is.
func (m *model) retrieve(orbit string, anyway bool) tea.Cmd {
	params := map[string]any{"orbit": orbit}
	if anyway {
		params["anyway"] = true
	}
	return m.retrieveBy(orbit, "park.retrieve", params)
}

func (m *model) retrieveBy(orbit, method string, params map[string]any) tea.Cmd {
	if m.parks.picking != "" {
		m.message = m.parks.picking + " is being picked up"
		return nil
	}
	m.parks.picking = orbit
	m.message = "picking up " + orbit + " ..."
	done := retrievedMsg{orbit: orbit}
	done.row, _ = m.parkRow(orbit)
	done.record, _ = m.parkRecord(orbit)
	return func() tea.Msg {
		var result any
		if result, done.err = m.commands.Call(m.ctx, method, params); done.err == nil {
			var ref struct {
				Conversation string `json:"conversation"`
			}
			decode(result, &ref)
			done.conversation = ref.Conversation
		}
		return done
	}
}

// decode reads a result of the control API by the names that the API gives its fields.
func decode(result, into any) {
	if data, err := json.Marshal(result); err == nil {
		_ = json.Unmarshal(data, into) // a result of another shape has nothing to say here
	}
}

func (m *model) onRetrieved(msg retrievedMsg) tea.Cmd {
	m.parks.picking = ""
	if msg.err != nil {
		m.pickUpFailed(msg)
		return nil
	}
	m.message = ""
	m.parks.awaited = msg.conversation
	return m.showAwaited()
}

// showAwaited shows the conversation of a call that was picked up, once the session has told of it.
func (m *model) showAwaited() tea.Cmd {
	w := m.windows.byConversation(m.parks.awaited)
	if w == nil {
		return nil
	}
	m.parks.awaited = ""
	return m.show(w)
}

// pickUpFailed says why nobody was picked up. Where somebody else is parked than the one expected, the user decides.
func (m *model) pickUpFailed(msg retrievedMsg) {
	var e *session.Error
	var stranger *session.StrangerError
	switch {
	case errors.As(msg.err, &stranger):
		m.refuse(msg, &refusedPickUp{orbit: msg.orbit, stranger: stranger})
	case errors.As(msg.err, &e) && e.Kind == session.KindStaleOrbit:
		m.refuse(msg, &refusedPickUp{orbit: msg.orbit, who: m.expected(msg)})
	default:
		m.message = ""
		m.say(m.windows.current, notPickedUp(msg.err))
	}
}

func notPickedUp(err error) string {
	return "not picked up: " + strings.TrimPrefix(problem(err), "pick up ")
}

// expected is whom the user wanted, for the sentence that they are gone.
func (m *model) expected(msg retrievedMsg) string {
	if msg.record.Orbit.FriendlyOrbit == "" {
		return ""
	}
	return m.partyOf(msg.record.Caller)
}

// refuse opens the box, unless another one has been opened meanwhile.
func (m *model) refuse(msg retrievedMsg, r *refusedPickUp) {
	if m.overlay != nil {
		m.say(m.windows.current, notPickedUp(msg.err))
		return
	}
	m.message = ""
	w := m.windows.current
	r.shown, r.label, r.line, r.before = m.now(), "["+m.deviceName()+"] ", &w.input, w.input.text
	m.overlay = r
}

// refusedPickUp says that somebody else is parked than the one expected. It comes while the user may be typing on, so the
// letters stay in the line, and those that mean something here do so only after a moment without any.
type refusedPickUp struct {
	label    string
	line     *editor
	before   string // what was in the line
	shown    time.Time
	orbit    string
	who      string                 // whom the user had parked there; "" unknown
	stranger *session.StrangerError // nil: the orbit is stale
}

func (r *refusedPickUp) prompt() (string, *editor) { return r.label, r.line }
func (r *refusedPickUp) edited(*model)             {}

// listens reports whether letters are for the box.
func (r *refusedPickUp) listens(m *model) bool {
	return r.line.text == r.before && m.now().Sub(r.shown) >= steadyTime
}

func (r *refusedPickUp) hint() string {
	return " Nobody was put through.  Esc closes, F6 takes it anyway"
}

func (r *refusedPickUp) box(m *model) (string, []string, int) {
	take := "[a] take it anyway"
	if r.line.text != r.before {
		take = "[F6] take it anyway"
	}
	w := m.layout.pane.w - 3
	if r.stranger == nil {
		who := "Your caller is gone."
		if r.who != "" {
			who = fitName(r.who, 24) + " is gone."
		}
		lines, _ := wrap(who+" Another call may sit on "+r.orbit+" now. Safe pick-up refused it (35010), so you were not put through to a stranger.", w, 4)
		return "ORBIT " + r.orbit, append(lines, pack([]label{{text: "[Esc] close"}, {text: take}}, w)...), -1
	}
	s := r.stranger
	text := "It holds " + m.callerOf(s.Present)
	if s.Present == (park.Party{}) {
		text = "It holds somebody else"
	}
	switch by := m.partyOf(s.AnnouncedBy); {
	case s.Expected == (park.Party{}):
	case by != "" && address(s.AnnouncedBy.URI) != address(m.me.AOR):
		text += " now; " + by + " announced " + m.callerOf(s.Expected) + "."
	default:
		text += " now; expected was " + m.callerOf(s.Expected) + "."
	}
	lines, _ := wrap(text, w, 4)
	keys := []label{{text: strings.Replace(take, "[a]", "[Enter]", 1)}, {text: "[Esc] leave it parked"}}
	if ask := r.asks(m); ask != "" {
		keys = append(keys, label{text: "[m] ask " + ask})
	}
	return "ORBIT " + r.orbit, append(lines, pack(keys, w)...), -1
}

// asks is who can be asked: who announced the call.
func (r *refusedPickUp) asks(m *model) string {
	if r.stranger == nil || r.stranger.AnnouncedBy.URI == "" || address(r.stranger.AnnouncedBy.URI) == address(m.me.AOR) {
		return ""
	}
	return firstName(m.partyOf(r.stranger.AnnouncedBy))
}

func (r *refusedPickUp) key(m *model, name string) (tea.Cmd, bool) {
	switch {
	case name == "esc" || name == "ctrl+c":
		m.overlay = nil
		return nil, true
	case !r.listens(m):
		return nil, name == "enter" || name == "tab"
	case r.stranger == nil && name == "a", r.stranger != nil && name == "enter":
		return r.anyway(m), true
	case name == "m" && r.asks(m) != "":
		return r.ask(m), true
	}
	return nil, name == "enter" || name == "tab"
}

// anyway picks up whoever is there.
func (r *refusedPickUp) anyway(m *model) tea.Cmd {
	m.overlay = nil
	return m.retrieve(r.orbit, true)
}

// ask begins a message to who announced the call.
func (r *refusedPickUp) ask(m *model) tea.Cmd {
	m.overlay = nil
	w := m.windows.open(m.named(session.Party(r.stranger.AnnouncedBy)))
	if w.input.text == "" { // else something is half typed, which goes before
		w.input.set(fmt.Sprintf("%s is on %s now, not %s - is that yours?", m.callerOf(r.stranger.Present), r.orbit, m.callerOf(r.stranger.Expected)))
	}
	return m.show(w)
}
