package ui

import (
	"errors"
	"strings"

	tea "charm.land/bubbletea/v2"

	"offhook/internal/command"
)

// runLine runs a line that begins with a slash. The command table says what it means; what concerns only the screen is
// done here, the rest is a method of the control API.
func (m *model) runLine(line string) tea.Cmd {
	w := m.windows.current
	inv, err := command.ParseLine(line, m.place(line))
	if errors.Is(err, command.ErrNotCommand) {
		return m.send(w, line)
	}
	if err != nil {
		m.say(w, err.Error())
		return nil
	}
	text := func(name string) string { s, _ := inv.Params[name].(string); return s }
	switch inv.Form.Name {
	case "msg":
		return m.talk(text("to"), text("text"), false)
	case "query":
		return m.talk(text("to"), text("text"), true)
	case "win":
		return m.goTo(text("window"))
	case "close":
		return m.closeWindow(w)
	case "contacts":
		return m.listOfContacts()
	case "search":
		return m.search(w, text("query"))
	case "log":
		return m.log(w)
	case "unread":
		return m.firstUnread()
	case "redraw":
		return tea.ClearScreen
	case "help":
		return m.openHelpOn(text("topic"))
	case "quit":
		return m.quitCommand()
	case "device":
		return m.deviceCommand(w, text("stage"), text("switch"))
	case "stats":
		return m.statsCommand(text("call"))
	case "call":
		return m.callCommand(w, text("to"))
	case "park":
		return m.parkCommand(text("orbit"), text("note"))
	case "pickup":
		anyway, _ := inv.Params["anyway"].(bool)
		return m.retrieve(text("orbit"), anyway)
	case "orbits":
		return m.openBoard()
	case "broadcast":
		to, _ := inv.Params["to"].([]string)
		return m.broadcastCommand(text("orbit"), to)
	}
	if inv.Command.Method == "" {
		m.say(w, inv.Form.Usage()+" is not known to this screen")
		return nil
	}
	return m.call(w, inv.Command.Method, inv.Params)
}

// callCommand is /call: somebody, the peer of the window, or the next call.
func (m *model) callCommand(w *window, who string) tea.Cmd {
	switch {
	case who == "next":
		return m.nextCall()
	case who != "":
		return m.dialTo(who)
	case w.home():
		return m.openDial()
	}
	return m.dial(w)
}

// place is what a line typed now applies to: what the current window shows. Only to accept or refuse an offer may mean
// the toast on top of another conversation.
func (m *model) place(line string) command.Place {
	w := m.windows.current
	at := command.Place{Conversation: w.conversation, Call: w.call}
	if w.home() {
		at.Conversation = ""
	}
	name, _, _ := strings.Cut(line, " ")
	_, form, _ := command.FindForm(strings.TrimPrefix(name, "/"))
	if form.Name == "close" && at.Conversation == "" {
		at.Conversation = w.name // a window can be closed that never had a conversation: closeWindow sees to that
	}
	if c := m.subject(); c != nil {
		at.Audio = c.Call
	}
	t, ok := m.toasts.For(w.conversation)
	if !ok || w.conversation == "" {
		if form.Name != "answer" && form.Name != "decline" && form.Name != "dismiss" && form.Name != "forward" {
			return at
		}
		if c := m.ringing(); c != nil {
			at.Call = c.Call // its toast may have been dismissed
		}
		if t, ok = m.toasts.Top(); !ok {
			return at
		}
	}
	at.Toast = t.ID
	if t.Call != "" {
		at.Call = t.Call
	}
	return at
}

// talk sends text to somebody, and shows the conversation if asked to or if there is no text.
func (m *model) talk(who, text string, show bool) tea.Cmd {
	w, err := m.query(who)
	if err != nil {
		m.say(m.windows.current, problem(err))
		return nil
	}
	var cmds []tea.Cmd
	if show || text == "" {
		cmds = append(cmds, m.show(w))
	}
	if text != "" {
		cmds = append(cmds, m.send(w, text))
	}
	return tea.Batch(cmds...)
}

// closeWindow ends a conversation and takes its window away. A window with something unsent stays.
func (m *model) closeWindow(w *window) tea.Cmd {
	if w.home() {
		m.message = "home stays: /quit ends the program"
		return nil
	}
	if len(w.outbox) > 0 || w.inFlight != "" {
		m.message = "a message here is not sent yet"
		return nil
	}
	if r, ok := m.parkedIn(w); ok {
		return m.closeParked(w, r.Orbit.FriendlyOrbit)
	}
	return m.endWindow(w)
}

// endWindow takes a window away and ends its conversation.
func (m *model) endWindow(w *window) tea.Cmd {
	id := w.conversation
	m.windows.close(w)
	cmd := tea.Batch(m.show(m.windows.current), m.unwatch(w))
	if id == "" {
		return cmd
	}
	return tea.Batch(cmd, m.call(nil, "conversation.end", map[string]any{"conversation": id}))
}

// completion is the state of Tab: what could stand at the end of the line, and which of it does.
type completion struct {
	line       string // as it was when Tab was pressed first
	from       int
	candidates []string
	at         int
}

// completionMsg is what the command table found for a line.
type completionMsg struct {
	line string
	back bool
	command.Completion
}

// completeNext puts the next candidate, the first time the only one or what all have in common.
func (m *model) completeNext(step int) tea.Cmd {
	e := &m.windows.current.input
	c := &m.complete
	if len(c.candidates) > 0 {
		c.at = (c.at + step + len(c.candidates)) % len(c.candidates)
		e.set(c.line[:c.from] + c.candidates[c.at])
		return nil
	}
	line := e.text
	if e.pos != len(line) {
		m.message = "Tab completes at the end of the line"
		return nil
	}
	if !strings.HasPrefix(line, "/") {
		m.onCompletion(completionMsg{line: line, Completion: m.completeName(line)})
		return nil
	}
	return func() tea.Msg {
		return completionMsg{line: line, back: step < 0, Completion: m.commands.Complete(line)}
	}
}

// completeName completes a name at the start of a text, as one addresses somebody.
func (m *model) completeName(line string) command.Completion {
	var c command.Completion
	if line == "" || strings.Contains(line, " ") {
		c.From = len(line)
		return c
	}
	for _, w := range m.windows.all {
		if name := w.shortName(); !w.home() && strings.HasPrefix(strings.ToLower(name), strings.ToLower(line)) {
			c.Candidates = append(c.Candidates, name+": ")
		}
	}
	return c
}

func (m *model) onCompletion(msg completionMsg) {
	e := &m.windows.current.input
	if e.text != msg.line || m.overlay != nil {
		return // typed on meanwhile
	}
	switch len(msg.Candidates) {
	case 0:
		m.message = "nothing to complete"
	case 1:
		e.set(msg.line[:msg.From] + msg.Candidates[0])
	default:
		m.complete = completion{line: msg.line, from: msg.From, candidates: msg.Candidates, at: -1}
		if msg.back {
			m.complete.at = 0
		}
		if common := commonPrefix(msg.Candidates); len(common) > len(msg.line)-msg.From {
			e.set(msg.line[:msg.From] + common)
		}
	}
}

func commonPrefix(all []string) string {
	prefix := all[0]
	for _, s := range all[1:] {
		for !strings.HasPrefix(strings.ToLower(s), strings.ToLower(prefix)) {
			_, n := lastCluster(prefix)
			prefix = prefix[:n]
		}
	}
	return prefix
}

// lastCluster returns the last grapheme cluster of a non-empty s and where it begins.
func lastCluster(s string) (string, int) {
	e := editor{text: s}
	at := e.before(len(s))
	return s[at:], at
}
