package ui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"offhook/park"
)

// board is F9: what is parked, how long it will wait, and what became of the user's own calls. The focus is a list here, so
// single letters do things; the prompt says so.
type board struct {
	line      editor
	filtering bool   // the line filters
	noting    string // the orbit whose note is in the line
	choice    orbitChoice
	from      int
	rowsAt    []string // the orbit of each drawn row; "" for others
}

// orbitChoice is the selected line of a list of orbits. It stays with its orbit though others come and go. If that goes
// nothing is selected, so that Enter gets nobody else.
type orbitChoice struct{ orbit string }

// in is where the selected orbit is among rows, -1 if it is not.
func (c *orbitChoice) in(rows []park.Row) int {
	return slices.IndexFunc(rows, func(r park.Row) bool { return r.Orbit == c.orbit })
}

// first selects the first line, unless one of these is selected.
func (c *orbitChoice) first(rows []park.Row) {
	if c.in(rows) < 0 && len(rows) > 0 {
		c.orbit = rows[0].Orbit
	}
}

// key moves the selection.
func (c *orbitChoice) key(name string, rows []park.Row) bool {
	at := choice{at: c.in(rows)}
	lost := at.at < 0
	if !at.key(name, len(rows)) {
		return false
	}
	if lost {
		at.at = 0
	}
	if len(rows) > 0 {
		c.orbit = rows[at.at].Orbit
	}
	return true
}

// boardBehind is an overlay that shows the board.
type boardBehind interface {
	boardShown(m *model) []park.Row
}

func (m *model) openBoard() tea.Cmd { return m.openBoardOn("") }

// openBoardOn opens the board with an orbit selected. F9 closes it as well.
func (m *model) openBoardOn(orbit string) tea.Cmd {
	if b, ok := m.overlay.(*board); ok && orbit == "" && b.noting == "" {
		m.overlay = nil
		return nil
	}
	b := &board{choice: orbitChoice{orbit}}
	if r, ok := m.parkedIn(m.windows.current); ok && orbit == "" {
		b.choice.orbit = r.Orbit.FriendlyOrbit
	}
	b.choice.first(m.parks.rows)
	m.overlay = b
	return nil
}

// boardRows are the lines of the board whose orbit begins with what, or that contain it elsewhere.
func (m *model) boardRows(what string) []park.Row {
	if what == "" {
		return m.parks.rows
	}
	what = strings.ToLower(what)
	var found []park.Row
	for _, r := range m.parks.rows {
		text := strings.ToLower(m.callerOf(r.Caller) + "\n" + m.parkerOf(r, "me") + "\n" + r.Note)
		if strings.HasPrefix(strings.ToLower(r.Orbit), what) || strings.Contains(text, what) {
			found = append(found, r)
		}
	}
	return found
}

func (b *board) boardShown(m *model) []park.Row {
	if !b.filtering {
		return m.parks.rows
	}
	return m.boardRows(strings.TrimSpace(b.line.text))
}

// selected is the selected line, and which it is; -1 if there is none.
func (b *board) selected(m *model) (park.Row, int) {
	rows := b.boardShown(m)
	if at := b.choice.in(rows); at >= 0 {
		return rows[at], at
	}
	return park.Row{}, -1
}

func (b *board) prompt() (string, *editor) {
	switch {
	case b.noting != "":
		return "[note on " + b.noting + "] ", &b.line
	case b.filtering:
		return "[filter] ", &b.line
	}
	return "[park] ", &b.line
}

func (b *board) edited(m *model) {
	switch {
	case b.filtering:
		b.choice.first(b.boardShown(m))
	case b.noting == "":
		b.line.clear()
	}
}

func (b *board) hint() string {
	switch {
	case b.noting != "":
		return " Enter keeps the note, which whoever picks up will see   Esc leaves it as it was"
	case b.filtering:
		return " Enter pick up   Up/Down choose   Esc all of them"
	}
	return " Enter pick up  b broadcast  n note  t tell one person  c copy number  / filter"
}

func (b *board) scroll(rows int) {
	b.from = max(0, b.from+rows)
}

func (b *board) key(m *model, name string) (tea.Cmd, bool) {
	if b.noting != "" {
		return b.noteKey(m, name)
	}
	if b.choice.key(name, b.boardShown(m)) {
		b.from = -1
		return nil, true
	}
	row, _ := b.selected(m)
	if b.filtering {
		switch name {
		case "enter":
			return b.pickUp(m, row), true
		case "esc", "ctrl+c":
			b.filtering = false
			b.line.clear()
			return nil, true
		}
		return nil, false
	}
	switch name {
	case "j", "k":
		b.from = -1
		b.choice.key(map[string]string{"k": "up", "j": "down"}[name], b.boardShown(m))
	case "/":
		b.filtering = true
	case "enter":
		return b.pickUp(m, row), true
	case "?":
		return m.openHelpOn("park"), true
	case "esc", "ctrl+c", "q":
		m.overlay = nil
	case "b", "n", "t", "c":
		if row.Orbit == "" {
			m.message = b.nothing(m)
			return nil, true
		}
		return b.act(m, name, row), true
	default:
		if isDigit(name) { // the number of an orbit: the first digit is no command
			b.filtering = true
			return nil, false
		}
	}
	return nil, true
}

// act does what a letter means for a line.
func (b *board) act(m *model, name string, r park.Row) tea.Cmd {
	switch name {
	case "b":
		return m.openBroadcastOf(r.Orbit)
	case "n":
		if !r.Mine {
			m.message = "only a call that you parked has a note of yours"
			return nil
		}
		b.noting = r.Orbit
		b.line.set(r.Note)
	case "t":
		return m.openTellOne(r)
	case "c":
		return m.copyOrbit(r.Orbit)
	}
	return nil
}

// copyOrbit puts a number into the clipboard.
func (m *model) copyOrbit(orbit string) tea.Cmd {
	cmd, said := m.clipboard.copy(orbit)
	switch said {
	case saidCopied:
		m.message = orbit + " is in the clipboard"
	case saidSent:
		m.message = orbit + " was sent to the clipboard; whether the terminal takes it, it does not say"
	default:
		m.message = "this terminal has no clipboard for programs"
	}
	return cmd
}

func (b *board) noteKey(m *model, name string) (tea.Cmd, bool) {
	switch name {
	case "enter":
		orbit, note := b.noting, strings.TrimSpace(b.line.text)
		b.noting = ""
		b.line.clear()
		return m.call(nil, "park.note", map[string]any{"orbit": orbit, "note": note}), true
	case "esc", "ctrl+c":
		b.noting = ""
		b.line.clear()
		return nil, true
	}
	return nil, false
}

func (b *board) pickUp(m *model, r park.Row) tea.Cmd {
	orbit := r.Orbit
	if text := strings.TrimSpace(b.line.text); orbit == "" && len(b.boardShown(m)) == 0 {
		orbit = text // a number that the board does not know
	}
	if orbit == "" {
		m.message = b.nothing(m)
		return nil
	}
	m.overlay = nil
	return m.retrieve(orbit, false)
}

// nothing says why a key finds no call.
func (b *board) nothing(m *model) string {
	if len(m.parks.rows) == 0 {
		return whyNothingParked
	}
	return "the call that was selected is parked no more; choose another"
}

func (b *board) click(m *model, _, row int) tea.Cmd {
	if row < 0 || row >= len(b.rowsAt) || b.rowsAt[row] == "" {
		return nil
	}
	b.choice.orbit = b.rowsAt[row] // a click chooses; it connects nobody
	return nil
}
