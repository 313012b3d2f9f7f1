package ui

import (
	"fmt"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"offhook/session"
)

// picker is a line that finds people by a part of their name: to jump to, to call, to transfer to.
type picker struct {
	line   editor
	choice choice
	found  []place

	// What it is for
	label string // of the input line
	title string // of the box
	does  string // what Enter does, for the hint row
	none  string // what Enter does where nobody is found
	find  func(m *model, what string) []place
	typed func(m *model, text string) tea.Cmd // Enter where nobody is found
}

// place is somebody or something to choose.
type place struct {
	text  string
	visit func(*model) tea.Cmd
}

func (m *model) open(p *picker) tea.Cmd {
	m.overlay = p
	p.edited(m)
	return nil
}

// openJump is Ctrl-K: windows and contacts.
func (m *model) openJump() tea.Cmd {
	return m.open(&picker{
		label: "[jump to] ", title: "JUMP", does: "go", none: "nobody: Enter opens a conversation with that address",
		find: func(m *model, what string) []place {
			show := func(m *model, p session.Party) tea.Cmd { return m.show(m.windows.open(p)) }
			found := m.everybody(what, show)
			if home := m.windows.home(); strings.Contains(home.name, what) {
				found = append([]place{{m.conversationText(home), func(m *model) tea.Cmd { return m.show(home) }}}, found...)
			}
			return found
		},
		typed: func(m *model, text string) tea.Cmd { return m.runLine("/query " + text) },
	})
}

// openDial asks whom to call, where the window does not say it.
func (m *model) openDial() tea.Cmd {
	return m.open(&picker{
		label: "[call] ", title: "CALL", does: "call", none: "nobody: Enter calls that address or number",
		find: func(m *model, what string) []place {
			if what == "" {
				return nil
			}
			return m.everybody(what, func(m *model, p session.Party) tea.Cmd { return m.dial(m.windows.open(p)) })
		},
		typed: (*model).dialTo,
	})
}

// openTransfer asks to whom the call goes, without one the session of messages in the window. Another call means its peer:
// the two are connected, and this user leaves.
func (m *model) openTransfer() tea.Cmd {
	if b, ok := m.overlay.(*broadcast); ok {
		return b.transfer(m)
	}
	if why := m.transferWhy(); why != "" {
		m.message = why
		return nil
	}
	w := m.windows.current
	id := w.call
	if c := m.subject(); c != nil {
		w, id = c.window, c.Call
	}
	transfer := func(m *model, to string) tea.Cmd {
		return m.call(w, "call.transfer", map[string]any{"call": id, "to": to})
	}
	return m.open(&picker{
		label: "[transfer " + fitName(w.name, 12) + " to] ", title: "TRANSFER " + w.name, does: "transfer",
		none: "nobody: Enter transfers to that address or number",
		find: func(m *model, what string) []place {
			found := m.otherCalls(w, id, what)
			if what == "" { // Enter pressed too early must not give the call to whoever comes first
				return found
			}
			return append(found, m.everybody(what, func(m *model, p session.Party) tea.Cmd { return transfer(m, p.URI) })...)
		},
		typed: transfer,
	})
}

// otherCalls are the calls whose peers can be connected with that of the call id.
func (m *model) otherCalls(w *window, id, what string) []place {
	var found []place
	if findCall(m.calls, id) == nil {
		return nil
	}
	for _, o := range m.calls {
		if o.Call == id || !o.up() || !strings.Contains(strings.ToLower(fmt.Sprintf("#%d %s", o.number, o.name())), what) {
			continue
		}
		found = append(found, place{fmt.Sprintf("#%d %s  on the line: the two are connected", o.number, o.name()), func(m *model) tea.Cmd {
			return m.call(w, "call.transfer", map[string]any{"call": id, "replaces": o.Call})
		}})
	}
	return found
}

// everybody is those with a window and then the contacts, whose name or address contains what.
func (m *model) everybody(what string, do func(*model, session.Party) tea.Cmd) []place {
	var found []place
	for _, w := range m.windows.all {
		if !w.home() && strings.Contains(strings.ToLower(w.name+" "+w.peer), what) {
			p := session.Party{URI: w.peer, Display: w.name}
			found = append(found, place{m.conversationText(w), func(m *model) tea.Cmd { return do(m, p) }})
		}
	}
	seen := map[string]bool{}
	for _, g := range m.groups {
		for _, c := range g.Contacts {
			if seen[c.URI] || m.windows.byPeer(c.URI) != nil || !strings.Contains(strings.ToLower(c.Name+" "+c.URI), what) {
				continue
			}
			seen[c.URI] = true
			p := session.Party{URI: c.URI, Display: c.Name}
			found = append(found, place{"  " + c.Name + "  " + strings.TrimPrefix(c.URI, "sip:"), func(m *model) tea.Cmd { return do(m, p) }})
		}
	}
	return found
}

func (m *model) conversationText(w *window) string {
	text := strconv.Itoa(w.number) + " " + w.name
	if w.unread > 0 {
		text += " (" + strconv.Itoa(w.unread) + ")"
	}
	return text
}

func (p *picker) prompt() (string, *editor) { return p.label, &p.line }
func (p *picker) hint() string              { return " Enter " + p.does + "   Up/Down choose   Esc leave" }

func (p *picker) box(*model) (string, []string, int) {
	lines := make([]string, len(p.found))
	for i, place := range p.found {
		lines[i] = place.text
	}
	if len(lines) == 0 {
		lines = []string{p.none}
		if strings.TrimSpace(p.line.text) == "" {
			lines = []string{"type a name, an address or a number"}
		}
	}
	return p.title, lines, min(p.choice.at, len(lines)-1)
}

func (p *picker) edited(m *model) {
	p.found, p.choice.at = p.find(m, strings.ToLower(strings.TrimSpace(p.line.text))), 0
}

func (p *picker) key(m *model, name string) (tea.Cmd, bool) {
	if p.choice.key(name, len(p.found)) {
		return nil, true
	}
	switch name {
	case "enter":
		text := strings.TrimSpace(p.line.text)
		switch {
		case len(p.found) > 0:
			m.overlay = nil
			return p.found[p.choice.at].visit(m), true
		case text != "":
			m.overlay = nil
			return p.typed(m, text), true
		}
		return nil, true
	case "esc", "ctrl+c":
		m.overlay = nil
		return nil, true
	}
	return nil, false
}
