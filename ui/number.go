package ui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
)

// shortestNumber is how many digits a line must have to be taken for a number to dial: "42" is an answer more often.
const shortestNumber = 3

// isNumber reports whether a line is nothing but a telephone number.
func isNumber(line string) bool {
	line = strings.TrimSpace(line)
	digits := strings.TrimPrefix(line, "+")
	return len(digits) >= shortestNumber && len(line) <= 20 && strings.Trim(digits, "0123456789*#") == ""
}

// numberAsk asks once what a number typed alone means, and remembers it until the program ends.
type numberAsk struct {
	line   editor
	number string
	window *window
	parked string // who is parked there; "" nobody, as far as is known
}

func (a *numberAsk) prompt() (string, *editor) {
	if a.parked != "" {
		return "[p pick up, d dial, s send, Esc] ", &a.line
	}
	return "[d dial, s send, Esc] ", &a.line
}
func (a *numberAsk) edited(*model) { a.line.clear() }
func (a *numberAsk) hint() string {
	if a.parked != "" {
		return " p picks up, d dials, s sends it as text.  /pickup and /call are always exact"
	}
	return " d dials, s sends it as text; asked once.  /call is always exact"
}

func (a *numberAsk) box(*model) (string, []string, int) {
	var lines []string
	if a.parked != "" {
		lines = append(lines, "p  pick up "+a.parked+", who is parked there")
	}
	lines = append(lines, "d  dial "+a.number)
	if !a.window.home() {
		lines = append(lines, "s  send it to "+a.window.name+" as text")
	}
	return a.number + "?", lines, -1
}

func (a *numberAsk) key(m *model, name string) (tea.Cmd, bool) {
	dial := name == "d"
	switch {
	case name == "p" && a.parked != "":
		m.overlay = nil
		m.history.add("/pickup " + a.number)
		a.window.input.clear()
		return m.retrieve(a.number, false), true
	case dial, name == "s" && !a.window.home():
		m.overlay = nil
		if !a.window.home() && a.parked == "" {
			m.dials = &dial
		}
		m.history.add(a.number)
		a.window.input.clear()
		if dial {
			return m.dialTo(a.number), true
		}
		return m.send(a.window, a.number), true
	case name == "esc" || name == "ctrl+c":
		m.overlay = nil // the number is still in the line
	}
	return nil, true
}

// number takes a line that is a number alone. ok is false if it is to be sent as text.
func (m *model) number(w *window) (cmd tea.Cmd, ok bool) {
	line := strings.TrimSpace(w.input.text)
	row, parked := m.parkRow(line)
	if m.sound == nil || !isNumber(line) && !parked {
		return nil, false
	}
	switch {
	case parked:
		m.overlay = &numberAsk{number: line, window: w, parked: m.callerOf(row.Caller)}
		return nil, true
	case m.dials == nil || w.home():
		m.overlay = &numberAsk{number: line, window: w}
		return nil, true
	case *m.dials:
		m.history.add(line)
		w.input.clear()
		return m.dialTo(line), true
	}
	return nil, false
}
