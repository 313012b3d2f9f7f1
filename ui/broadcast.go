package ui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"offhook/park"
)

// broadcast tells people of a parked call: to whom, and what. It stands on the board, whose line it is about.
type broadcast struct {
	board  *board // behind it, and shown again afterwards
	orbit  string
	mine   bool
	caller string

	field  int
	line   editor // of the field that is written in
	text   string
	usual  string // what it was, unless somebody writes in it
	all    []addressee
	shown  []int // of all, those that are like what is typed
	choice choice
	from   int     // first row of addressees on screen
	rows   [][]int // of shown, as they are on screen, and where
	top    int
	left   int
	column int
	draft  *window // whose line may take the text; nil: none
}

// addressee is a contact or a group of them.
type addressee struct {
	name   string
	uris   []string
	group  bool
	ticked bool
}

// The fields of the dialog, in the order of Tab.
const (
	fieldTo = iota
	fieldText
	fieldSend
	fieldDraft
	fieldCancel
)

// openBroadcast is Ctrl-X B: it is about the orbit that was parked or heard of last.
func (m *model) openBroadcast() tea.Cmd {
	orbit := m.broadcastOrbit()
	if orbit == "" {
		m.message = whyNothingParked
		return nil
	}
	return m.openBroadcastOf(orbit)
}

func (m *model) openBroadcastOf(orbit string) tea.Cmd {
	text, err := m.account.Announcement(orbit)
	if err != nil {
		m.message = problem(err)
		return nil
	}
	row, _ := m.parkRow(orbit)
	b := &broadcast{orbit: orbit, mine: row.Mine, caller: m.callerOf(row.Caller), text: text, usual: text, board: &board{choice: orbitChoice{orbit}, from: -1}}
	for _, g := range m.groups {
		if uris := m.hereOf(g.Name); len(uris) > 0 && g.Name != "" {
			b.all = append(b.all, addressee{name: g.Name, uris: uris, group: true})
		}
	}
	seen := map[string]bool{address(row.Caller.URI): true, address(m.me.AOR): true}
	for _, g := range m.groups {
		for _, c := range g.Contacts {
			if !seen[address(c.URI)] {
				seen[address(c.URI)] = true
				b.all = append(b.all, addressee{name: c.Name, uris: []string{c.URI}})
			}
		}
	}
	// Whoever one is just writing with is meant, most likely, and their line can take the text as a draft.
	if w := m.windows.current; !w.home() && address(w.peer) != address(row.Caller.URI) {
		b.tick(w.peer, w.name)
		if w.input.text == "" {
			b.draft = w
		}
	}
	m.overlay = b
	b.edited(m)
	return nil
}

// hereOf are those of a group who are not known to be offline. This user is not told what he tells.
func (m *model) hereOf(group string) (uris []string) {
	for _, g := range m.groups {
		if g.Name != group {
			continue
		}
		for _, c := range g.Contacts {
			if p, known := m.presence(c.URI); known && presenceLetter(p.Availability) == '-' || address(c.URI) == address(m.me.AOR) {
				continue
			}
			uris = append(uris, c.URI)
		}
	}
	return uris
}

// tick ticks an address, a new one if it is in no list.
func (b *broadcast) tick(uri, name string) {
	for i := range b.all {
		if a := &b.all[i]; !a.group && address(a.uris[0]) == address(uri) {
			a.ticked = true
			return
		}
	}
	b.all = append(b.all, addressee{name: name, uris: []string{uri}, ticked: true})
}

// to are all who are ticked, each once.
func (b *broadcast) to() (uris []string) {
	seen := map[string]bool{}
	for _, a := range b.all {
		for _, uri := range a.uris {
			if a.ticked && !seen[address(uri)] {
				seen[address(uri)] = true
				uris = append(uris, uri)
			}
		}
	}
	return uris
}

func (b *broadcast) boardShown(m *model) []park.Row { return m.parks.rows }
func (b *broadcast) scroll(rows int)                { b.choice.at = max(0, min(b.choice.at+rows, len(b.shown)-1)) }

func (b *broadcast) prompt() (string, *editor) {
	switch b.field {
	case fieldTo:
		return "[to] ", &b.line
	case fieldText:
		return "[text] ", &b.line
	}
	return "[broadcast " + b.orbit + "] ", &b.line
}

func (b *broadcast) hint() string {
	switch b.field {
	case fieldTo:
		return " Space ticks   type a name or an address, Enter adds   Tab next   Esc cancel"
	case fieldText:
		return " Enter keeps the text   Tab next   Esc cancel"
	case fieldSend:
		return " Enter sends   Tab next   Esc cancel"
	case fieldDraft:
		return " Enter puts the text into the input line, unsent   Tab next   Esc cancel"
	}
	return " Enter cancels   Tab next"
}

func (b *broadcast) edited(*model) {
	switch b.field {
	case fieldTo:
		what := strings.ToLower(strings.TrimSpace(b.line.text))
		b.shown, b.choice.at = nil, 0
		for i, a := range b.all {
			text := a.name
			if !a.group {
				text += " " + a.uris[0]
			}
			if strings.Contains(strings.ToLower(text), what) {
				b.shown = append(b.shown, i)
			}
		}
	case fieldText:
		b.text = b.line.text
	default:
		b.line.clear()
	}
}

// enter goes to another field, whose text comes into the line.
func (b *broadcast) enter(m *model, field int) {
	if field == fieldDraft && b.draft == nil {
		field++
		if b.field == fieldCancel {
			field = fieldSend
		}
	}
	b.field = (field + fieldCancel + 1) % (fieldCancel + 1)
	b.line.clear()
	if b.field == fieldText {
		b.line.set(b.text)
	}
	b.edited(m)
}

func (b *broadcast) key(m *model, name string) (tea.Cmd, bool) {
	switch name {
	case "esc", "ctrl+c":
		m.overlay = b.board
		return nil, true
	case "tab":
		b.enter(m, b.field+1)
		return nil, true
	case "shift+tab":
		b.enter(m, b.field-1)
		return nil, true
	}
	switch b.field {
	case fieldTo:
		return nil, b.toKey(m, name)
	case fieldText:
		if name == "enter" {
			b.enter(m, fieldSend)
			return nil, true
		}
		return nil, false
	}
	if name == "enter" {
		return b.press(m), true
	}
	return nil, true
}

// toKey handles a key in the list of those to be told.
func (b *broadcast) toKey(m *model, name string) bool {
	columns := 2
	if len(b.rows) > 0 {
		columns = max(1, len(b.rows[0]))
	}
	switch name {
	case "up":
		b.choice.at = max(0, b.choice.at-columns)
	case "down":
		b.choice.at = max(0, min(b.choice.at+columns, len(b.shown)-1))
	case "left", "right":
		if b.line.text != "" {
			return false
		}
		b.choice.at = max(0, min(b.choice.at+map[string]int{"left": -1, "right": 1}[name], len(b.shown)-1))
	case "space":
		b.toggle(m)
	case "enter":
		switch text := strings.TrimSpace(b.line.text); {
		case text == "":
			b.enter(m, fieldSend)
		case len(b.shown) > 0:
			b.toggle(m)
		default:
			b.add(m, text)
		}
	default:
		return b.choice.key(name, len(b.shown))
	}
	return true
}

// toggle ticks the highlighted one, or takes the tick away.
func (b *broadcast) toggle(m *model) {
	if b.choice.at >= len(b.shown) {
		return
	}
	i := b.shown[b.choice.at]
	b.all[i].ticked = !b.all[i].ticked
	if b.line.text != "" { // found: the next one can be typed
		b.line.clear()
		b.edited(m)
		b.choice.at = max(0, slices.Index(b.shown, i))
	}
}

// add ticks somebody who is in no list.
func (b *broadcast) add(m *model, text string) {
	uri, err := m.account.Resolve(text)
	if err != nil {
		m.message = problem(err)
		return
	}
	b.tick(uri.String(), text)
	b.line.clear()
	b.edited(m)
	b.choice.at = len(b.shown) - 1
}

// press does what a button says.
func (b *broadcast) press(m *model) tea.Cmd {
	switch b.field {
	case fieldSend:
		to := b.to()
		if len(to) == 0 {
			m.message = "nobody is ticked"
			return nil
		}
		m.overlay = b.board
		text := b.text
		if text == b.usual {
			text = "" // the time left is another by now
		}
		return m.announce(b.orbit, to, text)
	case fieldDraft:
		m.overlay = nil
		if b.draft.input.text != "" {
			m.message = "something is half typed there"
			return nil
		}
		b.draft.input.set(b.text)
		return m.show(b.draft)
	}
	m.overlay = b.board
	return nil
}

// transfer is F7 here: for one known person, the call is taken back and sent there, which nobody else can come into.
func (b *broadcast) transfer(m *model) tea.Cmd {
	to := b.to()
	switch {
	case len(to) != 1:
		m.message = "a transfer goes to one person: tick one"
		return nil
	case !b.mine:
		m.message = "only a call that you parked can be taken back and transferred"
		return nil
	}
	m.overlay = nil
	m.message = "taking " + b.orbit + " back, to transfer it ..."
	done := doneMsg{method: "call.transfer", window: m.windows.current}
	orbit := b.orbit
	return func() tea.Msg {
		result, err := m.commands.Call(m.ctx, "park.retrieve", map[string]any{"orbit": orbit})
		if err != nil {
			done.err = err
			return done
		}
		var ref struct {
			Call string `json:"call"`
		}
		decode(result, &ref)
		done.result, done.err = m.commands.Call(m.ctx, done.method, map[string]any{"call": ref.Call, "to": to[0]})
		return done
	}
}

// click ticks who is under the mouse.
func (b *broadcast) click(m *model, x, row int) tea.Cmd {
	at, column := row-b.top-1, (x-b.left-9)/max(1, b.column)
	if at < 0 || at >= len(b.rows) || x < b.left+9 || column >= len(b.rows[at]) {
		return nil
	}
	if b.field != fieldTo {
		b.enter(m, fieldTo)
	}
	b.choice.at = b.rows[at][column]
	b.toggle(m)
	return nil
}
