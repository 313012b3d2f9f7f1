package ui

import (
	"errors"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"offhook/internal/media"
	"offhook/session"
	"offhook/toast"
)

// doneMsg is the outcome of an action.
type doneMsg struct {
	window *window // where to speak of it; nil: home
	method string
	result any
	err    error
	quiet  bool // a failure need not be told: it shows otherwise
}

// sentMsg is the outcome of sending a text.
type sentMsg struct {
	window *window
	ticket int
	text   string
	err    error
}

// quitMsg ends the program.
type quitMsg struct{}

// call runs a method of the control API off the loop.
func (m *model) call(w *window, method string, params map[string]any) tea.Cmd {
	return m.run(doneMsg{window: w, method: method}, params)
}

func (m *model) run(done doneMsg, params map[string]any) tea.Cmd {
	return func() tea.Msg {
		done.result, done.err = m.commands.Call(m.ctx, done.method, params)
		return done
	}
}

func (m *model) onDone(msg doneMsg) tea.Cmd {
	switch {
	case msg.method == "call.dial":
		m.onDialled(msg)
	case msg.err != nil && !msg.quiet:
		m.say(msg.window, problem(msg.err))
	case msg.err == nil && !msg.quiet:
		if text := resultText(msg.method, msg.result); text != "" {
			m.say(msg.window, text)
		}
		if strings.HasPrefix(msg.method, "contacts.") {
			return m.loadPeople()
		}
	}
	return nil
}

// problem is an error for people, with what they can do about it.
func problem(err error) string {
	var e *session.Error
	if errors.As(err, &e) && e.Hint() != "" {
		return err.Error() + " (" + e.Hint() + ")"
	}
	return err.Error()
}

// refused reports whether a state table refused an action: something else came first, and nothing is wrong.
func refused(err error) bool {
	var e *session.Error
	return errors.As(err, &e) && e.Kind == session.KindState
}

// resultText is what a slash command answers.
func resultText(method string, result any) string {
	switch r := result.(type) {
	case session.Presence:
		return presenceText(r)
	case *session.Presence:
		return presenceText(*r)
	case string:
		return r
	case fmt.Stringer:
		return r.String()
	case media.Selection:
		return selectionText(r)
	}
	return ""
}

func presenceText(p session.Presence) string {
	text := strings.TrimPrefix(p.URI, "sip:") + " is " + strings.ToLower(presenceWord(p.Availability))
	if p.Note != "" {
		text += ": " + p.Note
	}
	var devices []string
	for _, d := range p.Devices {
		name := d.Name
		if name == "" {
			name = "a device"
		}
		if d.IdleS >= 60 {
			name += " idle " + since(d.IdleS)
		}
		devices = append(devices, name)
	}
	if len(devices) > 0 {
		text += " (" + strings.Join(devices, ", ") + ")"
	}
	return text
}

// onTop does what a key on the most urgent toast means. In a conversation that has one itself, that one is meant.
func (m *model) onTop(part toast.Part) tea.Cmd {
	t, ok := m.offered()
	if !ok {
		t, ok = m.toasts.Top()
	}
	if !ok {
		m.message = whyNoOffer
		return nil
	}
	return m.onToast(t.ID, part)
}

func (m *model) onToast(id string, part toast.Part) tea.Cmd {
	if t, ok := m.toasts.Find(id); ok && t.Kind == toast.Orbit && part == toast.PartAccept {
		return m.retrieveBy(m.parks.orbits[id], "toast.accept", map[string]any{"toast": id})
	}
	action, t := m.toasts.Click(id, part)
	w := m.windows.byConversation(t.Conversation)
	switch action {
	case toast.Accept:
		done := doneMsg{window: w, method: "toast.accept"}
		return tea.Batch(m.toastCall(done, t, nil), m.show(w))
	case toast.NotHere:
		return m.toastCall(doneMsg{window: w, method: "toast.decline"}, t, map[string]any{"everywhere": false})
	case toast.DeclineEverywhere:
		return m.toastCall(doneMsg{window: w, method: "toast.decline"}, t, map[string]any{"everywhere": true})
	case toast.Dismiss:
		m.toasts.Close(t.ID, toast.Closing{Reason: toast.Dismissed}, m.now())
		return m.toastCall(doneMsg{window: w, method: "toast.dismiss", quiet: true}, t, nil)
	case toast.DeclineWithMessage:
		return m.openRefusal()
	case toast.CallBack:
		if w != nil {
			return m.dial(w)
		}
	case toast.OpenConversation:
		return m.show(w)
	case toast.NoAction:
	}
	return nil
}

// toastCall runs a toast method. That the toast was over by then is no failure: its closing line says what happened.
func (m *model) toastCall(done doneMsg, t toast.Toast, params map[string]any) tea.Cmd {
	if params == nil {
		params = map[string]any{}
	}
	params["toast"] = t.ID
	return func() tea.Msg {
		done.result, done.err = m.commands.Call(m.ctx, done.method, params)
		done.quiet = done.quiet || refused(done.err)
		return done
	}
}

// send gives a text to the conversation of w. Texts go to the session one after another: the next when the session has
// shown the one before, so that they keep their order.
func (m *model) send(w *window, text string) tea.Cmd {
	w.outbox = append(w.outbox, text)
	w.thread.end()
	return m.pump(w)
}

func (m *model) pump(w *window) tea.Cmd {
	if w.inFlight != "" || len(w.outbox) == 0 {
		return nil
	}
	text := w.outbox[0]
	w.outbox = w.outbox[1:]
	w.inFlight = text
	m.ticket++
	w.ticket = m.ticket
	params := map[string]any{"text": text}
	if w.conversation != "" {
		params["conversation"] = w.conversation
	} else {
		params["to"] = w.peer
	}
	done := sentMsg{window: w, ticket: m.ticket, text: text}
	var accept string
	if t, ok := m.toasts.For(w.conversation, toast.IM); ok && w.conversation != "" { // a call is not answered by writing
		accept, m.typed[t.ID] = t.ID, true // to answer is to accept
	}
	return func() tea.Msg {
		if accept != "" {
			// If another device was faster, the text goes out all the same, in a session of its own.
			_, _ = m.commands.Call(m.ctx, "toast.accept", map[string]any{"toast": accept})
		}
		_, done.err = m.commands.Call(m.ctx, "im.send", params)
		return done
	}
}

// shownOutbound lets the next text go when the session has shown the one in flight.
func (m *model) shownOutbound(w *window, text string) tea.Cmd {
	if w.inFlight != text {
		return nil
	}
	w.inFlight, w.ticket = "", 0
	return m.pump(w)
}

func (m *model) onSent(msg sentMsg) tea.Cmd {
	w := msg.window
	shown := w.ticket != msg.ticket
	if msg.err != nil && !shown {
		// The session never took it: it is in no conversation, so it must not vanish from here.
		m.say(w, "not sent: "+problem(msg.err)+"; the text is in the input history (Up)")
		m.history.add(msg.text)
	} else if msg.err != nil {
		if hint := problemHint(msg.err); hint != "" {
			m.say(w, hint)
		}
	}
	if !shown {
		w.inFlight, w.ticket = "", 0
	}
	return m.pump(w)
}

func problemHint(err error) string {
	var e *session.Error
	if errors.As(err, &e) {
		return e.Hint()
	}
	return ""
}
