package ui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// helpLine is one line of F1: a key, a command, or both.
type helpLine struct {
	group   string
	key     string // F2
	twin    string // Ctrl-X a
	command string // /answer
	help    string
	run     string // what Enter puts into the line or does; "" for a mere key
	do      func(*model) tea.Cmd
	why     string // why it cannot be done now; "" if it can
}

// helpMode is what of it is listed.
type helpMode int

const (
	helpAll helpMode = iota
	helpKeys
	helpCommands
)

func (h helpMode) String() string { return [...]string{"all", "keys", "commands"}[h] }

// help is the overlay of F1. It is made of the key table and the command table, so it cannot be out of date.
type help struct {
	line   editor
	choice choice
	mode   helpMode
	all    []helpLine
	shown  []helpLine
	from   int
	rowsAt []int // index into shown of each drawn row, -1 for headings
}

func (m *model) openHelp() tea.Cmd { return m.openHelpOn("") }

func (m *model) openHelpOn(topic string) tea.Cmd {
	h := &help{all: append(m.keys.help(m), m.forms()...)}
	h.line.insert(strings.TrimPrefix(topic, "/"))
	m.overlay = h
	h.edited(m)
	return nil
}

// help is the key table as help shows it, with what is not possible in m now; nil: for a document.
func (km keymap) help(m *model) []helpLine {
	var lines []helpLine
	for _, group := range []string{groupCalls, groupPark, groupWindows, groupTyping, groupProgram} {
		for _, b := range km.table {
			if b.group != group || b.help == "" {
				continue
			}
			line := helpLine{group: group, key: b.shown, twin: twinName(b.twin), command: b.command, help: b.help, do: b.do}
			if b.why != nil && m != nil {
				line.why = b.why(m)
			}
			lines = append(lines, line)
		}
	}
	return lines
}

// twinName is how people write a pair.
func twinName(twin string) string {
	names := map[string]string{"": "", "space": "Ctrl-X SP", "pgup": "Ctrl-X PgUp", "pgdown": "Ctrl-X PgDn", "end": "Ctrl-X End"}
	if name, ok := names[twin]; ok {
		return name
	}
	return "Ctrl-X " + twin
}

func (h *help) prompt() (string, *editor) { return "[filter] ", &h.line }
func (h *help) hint() string {
	if h.choice.at < len(h.shown) {
		if why := h.shown[h.choice.at].why; why != "" {
			return " - not now: " + why
		}
	}
	return " Enter run   Tab keys/commands/all   Esc close   Every F-key has a Ctrl-X pair and a /command"
}
func (h *help) scroll(rows int) { h.choice.at = max(0, min(h.choice.at+rows, len(h.shown)-1)) }

func (h *help) edited(*model) {
	words := strings.Fields(strings.ToLower(h.line.text))
	h.shown, h.choice.at, h.from = nil, 0, 0
	for _, l := range h.all {
		if h.mode == helpKeys && l.group == "COMMANDS" || h.mode == helpCommands && l.command == "" {
			continue
		}
		text := strings.ToLower(strings.Join([]string{l.group, l.key, l.twin, l.command, l.help}, " "))
		if containsAll(text, words) {
			h.shown = append(h.shown, l)
		}
	}
	h.choice.at = max(0, slices.IndexFunc(h.shown, func(l helpLine) bool { return l.why == "" })) // Enter should do something
}

func containsAll(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

func (h *help) key(m *model, name string) (tea.Cmd, bool) {
	if h.choice.key(name, len(h.shown)) {
		return nil, true
	}
	switch name {
	case "tab":
		h.mode = (h.mode + 1) % 3
		h.edited(m)
	case "enter":
		return h.open(m, h.choice.at), true
	case "esc", "ctrl+c":
		m.overlay = nil
	default:
		return nil, false
	}
	return nil, true
}

// open runs the line: a key does what it does; a command stands in the input line, to be completed.
func (h *help) open(m *model, at int) tea.Cmd {
	if at < 0 || at >= len(h.shown) {
		return nil
	}
	l := h.shown[at]
	if l.why != "" {
		m.message = "not now: " + l.why
		return nil
	}
	if l.run == "" && (l.do == nil || l.key == "Enter") { // choosing a line of help must not send what is half typed
		m.message = "type it in the input line"
		return nil
	}
	m.overlay = nil
	if l.run != "" {
		if l.command == l.run {
			return m.runLine(l.run)
		}
		return m.prefill(l.run + " ")
	}
	return l.do(m)
}

func (h *help) click(m *model, _, row int) tea.Cmd {
	if row < 0 || row >= len(h.rowsAt) || h.rowsAt[row] < 0 {
		return nil
	}
	return h.open(m, h.rowsAt[row])
}

// Widths of the columns of help.
const (
	helpKeyWidth     = 10
	helpTwinWidth    = 12
	helpCommandWidth = 14
)

func (h *help) draw(m *model, body rect) []string {
	type row struct {
		text string
		at   int
	}
	var rows []row
	group, selected := "", 0
	for i, l := range h.shown {
		if l.group != group {
			group = l.group
			rows = append(rows, row{" " + group, -1})
		}
		if i == h.choice.at {
			selected = len(rows)
		}
		for _, text := range h.text(l, body.w) {
			rows = append(rows, row{text, i})
		}
	}
	room := body.h - 1
	h.from = max(min(h.from, selected-1), selected-room+2, 0)
	out := []string{m.theme.heading.Render(spread(" HELP   type to filter", " "+h.mode.String()+"   Tab: keys/commands/all ", body.w))}
	h.rowsAt = []int{-1}
	for i := h.from; i < h.from+room; i++ {
		if i >= len(rows) {
			out, h.rowsAt = append(out, strings.Repeat(" ", body.w)), append(h.rowsAt, -1)
			continue
		}
		style := m.theme.plain
		switch {
		case rows[i].at < 0:
			style = m.theme.heading
		case rows[i].at == h.choice.at:
			style = m.theme.match
		case h.shown[rows[i].at].why != "":
			style = m.theme.dim
		}
		out, h.rowsAt = append(out, style.Render(fit(rows[i].text, body.w))), append(h.rowsAt, rows[i].at)
	}
	return out[:body.h]
}

// text is a line in its columns, the help wrapped in the last of them.
func (h *help) text(l helpLine, w int) []string {
	left := "  " + fit(l.key, helpKeyWidth) + fit(l.twin, helpTwinWidth) + fit(l.command, helpCommandWidth)
	switch {
	case l.group == "COMMANDS":
		left = "  " + fit(l.command, min(36, w/2)) + " "
	case w < narrowWidth && l.key == "":
		left = "  " + fit(l.twin, helpKeyWidth)
	case w < narrowWidth:
		left = "  " + fit(l.key, helpKeyWidth)
	}
	if l.why != "" {
		left = "-" + left[1:] // by a letter first: it is dimmed, too
	}
	lines, _ := wrap(l.help, w-width(left), 4)
	for i := range lines {
		if i > 0 {
			left = strings.Repeat(" ", width(left))
		}
		lines[i] = left + lines[i]
	}
	return lines
}

// drawHint draws the hint row, which changes with what is going on.
func (m *model) drawHint() string {
	return m.theme.dim.Render(fit(m.hintText(), m.width))
}

func (m *model) hintText() string {
	switch {
	case m.message != "":
		return " " + m.message
	case m.prefix == "ctrl+x g":
		return " Ctrl-X g  and the number of a window"
	case m.prefix != "":
		return m.pairHint()
	case m.overlay != nil:
		return m.overlay.hint()
	case len(m.complete.candidates) > 0:
		return " " + strings.Join(trimmed(m.complete.candidates), "  ")
	}
	var parts []string
	for _, h := range m.hints() {
		parts = append(parts, h.label)
	}
	return " " + strings.Join(parts, "  ")
}

// hintLabel is a key in the hint row.
type hintLabel struct {
	label string
	do    func(*model) tea.Cmd
}

// hints are the keys of the hint row, as many as have room.
func (m *model) hints() []hintLabel {
	var out []hintLabel
	for i := range m.keys.table {
		b := &m.keys.table[i]
		word, key := b.hint, b.shown
		if b.shows != nil {
			word = b.shows(m)
		}
		if key == "" {
			key = twinName(b.twin)
		}
		if word != "" {
			out = append(out, hintLabel{key + " " + word, b.do})
		}
	}
	out = append(out, hintLabel{allKeys, (*model).openHelp})
	need := 1 - 2
	for _, h := range out {
		need += width(h.label) + 2
	}
	for need > m.width && len(out) > 2 {
		at := len(out) - 2 // what the function keys do is said before the pairs, and before where the rest is
		if strings.HasPrefix(out[at].label, "F") && out[at+1].label == allKeys {
			at++
		}
		if out[len(out)-1].label != allKeys {
			at = len(out) - 1
		}
		need -= width(out[at].label) + 2
		out = slices.Delete(out, at, at+1)
	}
	return out
}

// allKeys is the end of the hint row, which tells where the other keys are.
const allKeys = "Ctrl-X ? keys"

// idleHint is a word of the hint row that gives way to those of a call.
func idleHint(word string) func(*model) string {
	return func(m *model) string {
		if len(m.calls) > 0 {
			return ""
		}
		return word
	}
}

// clickHint does what the key does whose label is at column x of the hint row.
func (m *model) clickHint(x int) tea.Cmd {
	if m.message != "" || m.prefix != "" || m.overlay != nil || len(m.complete.candidates) > 0 {
		return nil
	}
	at := 1
	for _, h := range m.hints() {
		if x >= at && x < at+width(h.label) {
			return h.do(m)
		}
		at += width(h.label) + 2
	}
	return nil
}

func (m *model) pairHint() string {
	var parts []string
	for i := range m.keys.table {
		if b := &m.keys.table[i]; b.twin != "" {
			word, _, _ := strings.Cut(b.help, ";")
			word, _, _ = strings.Cut(word, ":")
			if b.hint != "" {
				word = strings.ToLower(b.hint)
			} else if fields := strings.Fields(word); len(fields) > 2 {
				word = strings.Join(fields[:2], " ")
			}
			parts = append(parts, strings.TrimPrefix(twinName(b.twin), "Ctrl-X ")+" "+strings.TrimRight(word, ","))
		}
	}
	return " Ctrl-X  " + strings.Join(parts, "  ")
}

func trimmed(all []string) []string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = strings.TrimSpace(s)
	}
	return out
}
