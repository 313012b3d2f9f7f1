package ui

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"offhook/internal/plaintext"
)

// composeEvery is how often at most the session is told that the user types.
const composeEvery = 5 * time.Second

// insert types text into the line that is being written.
func (m *model) insert(text string) tea.Cmd {
	_, e := m.prompt()
	if !e.insert(text) {
		m.message = fmt.Sprintf("the line is full (%d KiB)", maxInput>>10)
	}
	return m.edited()
}

// edited follows a change of the line: an open box looks again, the peer learns that the user types.
func (m *model) edited() tea.Cmd {
	if m.overlay != nil {
		m.overlay.edited(m)
		return nil
	}
	w := m.windows.current
	if w.conversation == "" {
		return nil
	}
	text := w.input.text
	active := text != "" && (!strings.HasPrefix(text, "/") || strings.HasPrefix(text, "//"))
	switch {
	case active && m.now().Sub(w.told) >= composeEvery:
		w.told = m.now()
	case !active && !w.told.IsZero():
		w.told = time.Time{}
	default:
		return nil
	}
	return m.run(doneMsg{method: "im.compose", quiet: true}, map[string]any{"conversation": w.conversation, "active": active})
}

// paste inserts what the terminal pasted, cleaned as anything from outside. More than one line is asked about first:
// a paste by accident must not become a message.
func (m *model) paste(text string) tea.Cmd {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	text = plaintext.Text(text, maxInput)
	if m.overlay != nil {
		return m.insert(strings.Join(strings.Fields(text), " "))
	}
	lines := strings.Count(strings.TrimRight(text, "\n"), "\n") + 1
	if lines < 2 {
		return m.insert(strings.TrimRight(text, "\n"))
	}
	w := m.windows.current
	m.overlay = &ask{
		question: fmt.Sprintf("paste %d lines as one message?", lines),
		yes: func(m *model) tea.Cmd {
			if m.windows.current != w {
				return nil
			}
			return m.insert(text)
		},
	}
	return nil
}

// enter sends the line, or runs it if it is a command.
func (m *model) enter() tea.Cmd {
	w := m.windows.current
	line := w.input.text
	if strings.TrimSpace(line) == "" {
		return nil
	}
	if cmd, ok := m.number(w); ok {
		return cmd
	}
	command := strings.HasPrefix(line, "/") && !strings.HasPrefix(line, "//") && !strings.Contains(line, "\n")
	if w.home() && !command {
		m.message = "this is no conversation: /query WHO opens one, /msg WHO TEXT sends"
		return nil
	}
	m.history.add(line)
	w.input.clear()
	w.told = time.Time{}
	if command {
		return m.runLine(strings.TrimRight(line, " "))
	}
	if strings.HasPrefix(line, "//") {
		line = line[1:]
	}
	return m.send(w, line)
}

// prefill puts a beginning into an empty line.
func (m *model) prefill(text string) tea.Cmd {
	e := &m.windows.current.input
	if e.text != "" && !strings.HasPrefix(e.text, text) {
		m.message = "the line is not empty: Ctrl-U cuts it, Ctrl-Y brings it back"
		return nil
	}
	e.set(text)
	return nil
}

func (m *model) lineUp() tea.Cmd {
	if e := &m.windows.current.input; !e.up() {
		m.history.older(e)
	}
	return nil
}

func (m *model) lineDown() tea.Cmd {
	if e := &m.windows.current.input; !e.down() {
		m.history.newer(e)
	}
	return nil
}

// endKey is the end of the line, or of the conversation if there is no line.
func (m *model) endKey() tea.Cmd {
	_, e := m.prompt()
	if e.text == "" && m.overlay == nil {
		return m.newest()
	}
	e.end()
	return nil
}

// jumpOrKill is Ctrl-K: readline's if there is something to cut, else a jump by name.
func (m *model) jumpOrKill() tea.Cmd {
	if e := &m.windows.current.input; e.text != "" {
		e.killLine()
		return m.edited()
	}
	return m.openJump()
}

// interrupt is Ctrl-C: it clears the line, and on an empty one asks whether to quit.
func (m *model) interrupt() tea.Cmd {
	if m.overlay != nil {
		m.overlay = nil
		return nil
	}
	if e := &m.windows.current.input; e.text != "" {
		e.killToStart()
		e.set("")
		return m.edited()
	}
	return m.askQuit()
}

// askQuit names what ends with the program.
func (m *model) askQuit() tea.Cmd {
	var live []string
	unsent := 0
	for _, w := range m.windows.all {
		if w.call != "" {
			live = append(live, w.name)
		}
		unsent += len(w.outbox)
		if w.inFlight != "" {
			unsent++
		}
	}
	var calls []string
	for _, c := range m.calls {
		calls = append(calls, c.name()+" ("+c.state(m.now())+")")
	}
	question := "quit?"
	switch {
	case len(calls) > 0: // sessions of messages are not worth a word beside them
		question = "quit and hang up on " + strings.Join(calls, ", ") + "?"
	case len(live) > 0:
		question = "quit and end the session with " + strings.Join(live, ", ") + "?"
	}
	if orbits := m.parkedLive(); len(orbits) > 0 {
		question += " Parked by you, and nobody will be here when they ring back: " + strings.Join(orbits, ", ") + "."
	}
	if unsent > 0 {
		question += " " + plural(unsent, "message is", "messages are") + " not sent yet."
	}
	again := "ctrl+c"
	if len(calls) > 0 {
		again = "" // pressed twice by habit it must not hang up
	}
	m.overlay = &ask{question: question, again: again, yes: (*model).quit}
	return nil
}

func (m *model) quit() tea.Cmd {
	read := m.markRead(m.windows.current)
	return func() tea.Msg {
		if read != nil {
			read()
		}
		return quitMsg{}
	}
}

// quitCommand is /quit: it asks only where a call would end.
func (m *model) quitCommand() tea.Cmd {
	if len(m.calls) > 0 || len(m.parkedLive()) > 0 {
		return m.askQuit()
	}
	return m.quit()
}

// undo is Ctrl-Z as well, which stops a program elsewhere. This one it never stops: a call would go silent.
func (m *model) undo() tea.Cmd {
	_, e := m.prompt()
	if len(e.undos) == 0 && m.anyUp() {
		m.message = "Ctrl-Z does not stop the program: the call would go silent"
		return nil
	}
	e.undo()
	return m.edited()
}

// escape closes the top box, and with none dismisses the toast on top.
func (m *model) escape() tea.Cmd {
	if m.overlay != nil {
		m.overlay = nil
		return nil
	}
	if m.statsShown {
		m.statsShown = false
		return nil
	}
	if t, ok := m.toasts.Top(); ok {
		return m.onToast(t.ID, "close")
	}
	return nil
}

func (m *model) toggleMouse() tea.Cmd {
	m.mouse = !m.mouse
	m.message = "mouse off: the terminal selects text; Alt-m turns it on"
	if m.mouse {
		m.message = "mouse on: hold Shift to select text"
	}
	return nil
}
