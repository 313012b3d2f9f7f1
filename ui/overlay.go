package ui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
)

// overlay is a box that has taken over the input line. Toasts and their keys go on working.
type overlay interface {
	// prompt is what the input line shows.
	prompt() (label string, e *editor)
	// key handles a key; done is false for one that is none of the box's, which then edits the line.
	key(m *model, name string) (cmd tea.Cmd, done bool)
	// edited follows a change of the line.
	edited(m *model)
	// hint is the hint row.
	hint() string
}

// fullScreen is an overlay that takes the place of list and conversation.
type fullScreen interface {
	overlay
	draw(m *model, body rect) []string
	click(m *model, x, row int) tea.Cmd
	scroll(rows int)
}

// popup is an overlay with a box at the bottom of the conversation, above the input line.
type popup interface {
	overlay
	boxed
}

// boxed is what has lines in a box.
type boxed interface {
	// box returns the title and the lines of the box; selected is the highlighted one, -1 for none.
	box(m *model) (title string, lines []string, selected int)
}

const maxPopup = 8

// drawPopup draws a box over the last rows of the pane.
func (m *model) drawPopup(pane []string, p boxed) {
	title, lines, selected := p.box(m)
	w := m.layout.pane.w
	room := min(maxPopup, len(pane)-2)
	if room < 1 || w < 8 {
		return
	}
	from := 0
	if selected >= room {
		from = selected - room + 1
	}
	shown := lines[from:min(len(lines), from+room)]
	row := len(pane) - len(shown) - 2
	top := fit("┌ "+title+" "+strings.Repeat("─", w), w)
	top, _ = head(top, w-1)
	pane[row] = m.theme.toast.Render(top + "┐")
	for i, line := range shown {
		style := m.theme.plain
		if from+i == selected {
			style = m.theme.match
		}
		pane[row+1+i] = m.theme.toast.Render("│") + style.Render(fit(" "+line, w-2)) + m.theme.toast.Render("│")
	}
	pane[len(pane)-1] = m.theme.toast.Render("└" + strings.Repeat("─", w-2) + "┘")
}

// ask is a question that Enter answers with yes.
type ask struct {
	line     editor
	question string
	again    string // a key that also means yes
	yes      func(*model) tea.Cmd
}

func (a *ask) prompt() (string, *editor) { return "[Enter yes, Esc no] ", &a.line }
func (a *ask) edited(*model)             { a.line.clear() }
func (a *ask) hint() string              { return " " + a.question }

func (a *ask) box(m *model) (string, []string, int) {
	lines, _ := wrap(a.question, m.layout.pane.w-3, maxPopup)
	return "?", lines, -1
}

func (a *ask) key(m *model, name string) (tea.Cmd, bool) {
	switch {
	case name == "enter" || name == "y" || name == a.again && a.again != "":
		m.overlay = nil
		return a.yes(m), true
	case name == "esc" || name == "n" || name == "ctrl+c":
		m.overlay = nil
	}
	return nil, true
}

// choice is the selected line of a list.
type choice struct{ at int }

// key moves the selection among n lines.
func (c *choice) key(name string, n int) bool {
	switch name {
	case "up", "ctrl+p":
		c.at--
	case "down", "ctrl+n":
		c.at++
	case "pgup":
		c.at -= maxPopup
	case "pgdown":
		c.at += maxPopup
	default:
		return false
	}
	c.at = max(0, min(c.at, n-1))
	return true
}

// find is Ctrl-R: the lines of the input history that contain what is typed, newest first.
type find struct {
	line editor
	at   int // index of the match in the history; -1: none
	text string
}

func (m *model) openFind() tea.Cmd {
	m.overlay = &find{at: len(m.history.lines)}
	return nil
}

func (f *find) prompt() (string, *editor) { return "[find in input history] ", &f.line }
func (f *find) hint() string              { return " Enter take it   Ctrl-R earlier   Esc leave" }

func (f *find) box(*model) (string, []string, int) {
	if f.text == "" {
		return "FOUND", []string{"nothing"}, -1
	}
	return "FOUND", strings.Split(f.text, "\n"), -1
}

func (f *find) edited(m *model) { f.look(m, len(m.history.lines)) }

func (f *find) look(m *model, from int) {
	if text, at, ok := m.history.find(f.line.text, from); ok {
		f.text, f.at = text, at
	} else if from == len(m.history.lines) {
		f.text, f.at = "", -1
	}
}

func (f *find) key(m *model, name string) (tea.Cmd, bool) {
	switch name {
	case "ctrl+r", "up":
		f.look(m, f.at)
	case "enter":
		m.overlay = nil
		if f.text != "" {
			m.windows.current.input.set(f.text)
		}
	case "esc", "ctrl+c":
		m.overlay = nil
	default:
		return nil, false
	}
	return nil, true
}
