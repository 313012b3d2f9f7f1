package ui

import (
	"errors"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"offhook/session"
	"offhook/toast"
)

// steadyTime is how long after the end of an offer or a call F3 hangs nothing up: it was meant for what has just gone.
const steadyTime = time.Second

// callBindings are the keys of calls, and of offers of either kind.
func callBindings() []binding {
	table := []binding{
		{
			keys: []string{"f2"}, shown: "F2", twin: "a", command: "/answer", group: groupCalls, hint: "Answer", shows: answerHint,
			help: "answer the call, or accept the message on top", do: (*model).answer, why: (*model).offerWhy,
		},
		{
			keys: []string{"f3"}, shown: "F3", twin: "h", command: "/hangup", group: groupCalls, hint: "Hang up", shows: hangUpHint,
			help: "hang up; what is offered: not here (486), other devices keep it", do: (*model).hangUp, why: (*model).hangUpKeyWhy,
		},
		{
			twin: "D", command: "/decline all", group: groupCalls,
			help: "decline on all devices (603)", do: func(m *model) tea.Cmd { return m.onTop(toast.PartEverywhere) },
			why: (*model).offerWhy,
		},
		{
			twin: "i", command: "/decline text", group: groupCalls,
			help: "decline the call on all devices with a message", do: (*model).openRefusal, why: (*model).ringingWhy,
		},
		{
			keys: []string{"f4"}, shown: "F4", twin: "space", command: "/hold", group: groupCalls, hint: "Hold", shows: holdHint,
			help: "hold or resume; the other call is put on hold", do: (*model).hold, why: (*model).holdWhy,
		},
	}
	table = append(table, parkBindings()...)
	table = append(table, []binding{
		{
			keys: []string{"f7"}, shown: "F7", twin: "t", command: "/transfer", group: groupCalls, hint: "Xfer", shows: inCallHint("Xfer"),
			help: "transfer, to somebody or to the peer of another call", do: (*model).openTransfer, why: (*model).transferWhy,
		},
		{
			keys: []string{"f8"}, shown: "F8", twin: "u", command: "/mute", group: groupCalls, hint: "Mute", shows: muteHint,
			help: "mute or unmute the microphone", do: (*model).mute, why: callWhy("mute"),
		},
	}...)
	table = append(table, boardBindings()...)
	return append(table, []binding{
		{
			twin: "d", command: "/dtmf", group: groupCalls, hint: "keypad", shows: keypadHint,
			help: "keypad until Esc; Ctrl-X and a digit, * or # sends one", do: (*model).openKeypad, why: callWhy("dtmf"),
		},
		{
			twin: "r", command: "/record", group: groupCalls,
			help: "record the call, or stop", do: (*model).toggleRecording, why: callWhy("record"),
		},
		{
			twin: "c", command: "/call", group: groupCalls, hint: "call", shows: dialHint,
			help: "call the peer of this window, or who was missed", do: (*model).callThis, why: (*model).dialWhy,
		},
		{
			twin: "n", command: "/call next", group: groupCalls, hint: "next", shows: nextHint,
			help: "show the next call", do: (*model).nextCall, why: (*model).nextCallWhy,
		},
		{
			twin: "q", command: "/stats", group: groupCalls,
			help: "quality of the call: encryption, loss, jitter, delay", do: (*model).toggleStats, why: callWhy("mute"),
		},
		{
			twin: "v", command: "/device", group: groupCalls,
			help: "microphone, speaker and ringers, with their levels", do: (*model).openDevices, why: (*model).soundWhy,
		},
	}...)
}

// Words of the hint row: "" where the key does not stand there now.

func answerHint(m *model) string {
	if t, ok := m.offered(); ok && t.Kind == toast.IM {
		return "Accept"
	} else if ok && rings(t.Kind) || m.ringing() != nil {
		return "Answer"
	} else if ok && t.Kind == toast.Orbit {
		return "Pick up"
	}
	return ""
}

func hangUpHint(m *model) string {
	switch t, ok := m.offered(); {
	case ok && t.Kind == toast.Orbit:
		return "Leave"
	case ok || m.ringing() != nil:
		return "Not here"
	case m.subject() != nil:
		return "Hang up"
	}
	return ""
}

func holdHint(m *model) string {
	switch c := m.subject(); {
	case c == nil || !c.up():
		return ""
	case c.heldHere():
		return "Resume"
	}
	return "Hold"
}

func muteHint(m *model) string {
	c := m.subject()
	if c == nil || !c.up() {
		return ""
	}
	if all, _ := m.muted(c); all {
		return "Unmute"
	}
	return "Mute"
}

func inCallHint(word string) func(*model) string {
	return func(m *model) string {
		if c := m.subject(); c == nil || !c.up() {
			return ""
		}
		return word
	}
}

// keypadHint gives way while something is offered, and to the next call. Nobody hears digits who is on hold.
func keypadHint(m *model) string {
	if c := m.subject(); answerHint(m) != "" || len(m.calls) > 1 || c == nil || c.Hold != session.HoldNone {
		return ""
	}
	return inCallHint("keypad")(m)
}

// nextHint is for several calls; one that rings has its own keys.
func nextHint(m *model) string {
	if len(m.calls) < 2 || answerHint(m) != "" {
		return ""
	}
	return "next"
}

func dialHint(m *model) string {
	if m.sound == nil || m.windows.current.home() || len(m.calls) > 0 {
		return ""
	}
	return "call"
}

// offered is the offer that a key means: that of the window on screen, else the most urgent one.
func (m *model) offered() (toast.Toast, bool) {
	if w := m.windows.current; w.conversation != "" {
		if t, ok := m.toasts.For(w.conversation); ok && t.Kind != toast.Missed {
			return t, true
		}
	}
	t, ok := m.toasts.Top()
	return t, ok && t.Kind != toast.Missed
}

// answer accepts what is offered. A call whose toast was dismissed rings on, and can be answered all the same.
func (m *model) answer() tea.Cmd {
	if _, ok := m.offered(); !ok {
		if c := m.ringing(); c != nil {
			return tea.Batch(m.onCall(c, "call.answer"), m.show(c.window))
		}
	}
	return m.onTop(toast.PartAccept)
}

// hangUp refuses what is offered, or ends the call. What was offered a moment ago may be what the key was meant for: then
// it ends nothing.
func (m *model) hangUp() tea.Cmd {
	if _, ok := m.offered(); ok {
		return m.onTop(toast.PartNotHere)
	}
	if c := m.ringing(); c != nil {
		return m.onCall(c, "call.decline")
	}
	c := m.subject()
	switch {
	case c == nil:
		m.message = whyNoCall
		return nil
	case c.State == session.Terminating:
		return nil
	case m.now().Before(m.steadyAt):
		m.message = "what rang or was up is gone; again hangs up " + c.name()
		m.steadyAt = time.Time{}
		return nil
	}
	return m.onCall(c, "call.hangup")
}

// onCall runs a method on a call. That the call was over by then is no failure.
func (m *model) onCall(c *phoneCall, method string) tea.Cmd {
	return m.onCalls([]*phoneCall{c}, method)
}

// onCalls runs a method on calls one after another: all of a conference are held, muted and resumed together.
func (m *model) onCalls(calls []*phoneCall, method string) tea.Cmd {
	done := doneMsg{window: calls[0].window, method: method}
	var ids []string
	for _, c := range calls {
		ids = append(ids, c.Call)
	}
	return func() tea.Msg {
		for _, id := range ids {
			if _, err := m.commands.Call(m.ctx, method, map[string]any{"call": id}); err != nil && !refused(err) {
				done.err = err
			}
		}
		return done
	}
}

// withSubject does something with the call that keys are about, or says why it cannot.
func (m *model) withSubject(action string, do func(*phoneCall) tea.Cmd) tea.Cmd {
	if why := m.whyNotNow(action); why != "" {
		m.message = why
		return nil
	}
	return do(m.subject())
}

func (m *model) hold() tea.Cmd {
	c := m.subject()
	if c != nil && c.heldHere() {
		return m.withSubject("resume", func(c *phoneCall) tea.Cmd { return m.onCalls(m.together(c), "call.resume") })
	}
	return m.withSubject("hold", func(c *phoneCall) tea.Cmd { return m.onCalls(m.together(c), "call.hold") })
}

func (m *model) mute() tea.Cmd {
	return m.withSubject("mute", func(c *phoneCall) tea.Cmd {
		if all, _ := m.muted(c); all {
			return m.onCalls(m.together(c), "call.unmute")
		}
		return m.onCalls(m.together(c), "call.mute")
	})
}

// toggleRecording starts a recording under a name of its own in the directory of recordings, or ends one.
func (m *model) toggleRecording() tea.Cmd {
	return m.withSubject("record", func(c *phoneCall) tea.Cmd {
		params := map[string]any{"call": c.Call}
		if c.Recording != "" {
			params["stop"] = true
		}
		return m.call(c.window, "call.record", params)
	})
}

// nextCall shows the next call, by number, around the end.
func (m *model) nextCall() tea.Cmd {
	if len(m.calls) == 0 {
		m.message = whyNoCall
		return nil
	}
	next := m.calls[0]
	for i, c := range m.calls {
		if c.window == m.windows.current {
			next = m.calls[(i+1)%len(m.calls)]
		}
	}
	return m.show(next.window)
}

// callThis calls back who was missed if that is being told, else the peer of the window on screen.
func (m *model) callThis() tea.Cmd {
	if t, ok := m.toasts.Top(); ok && t.Kind == toast.Missed {
		return m.onToast(t.ID, toast.PartCallBack)
	}
	if why := m.dialWhy(); why != "" {
		m.message = why
		return nil
	}
	if w := m.windows.current; !w.home() {
		return m.dial(w)
	}
	return m.openDial()
}

// dial calls the peer of a window, and shows it.
func (m *model) dial(w *window) tea.Cmd {
	params := map[string]any{"to": w.peer}
	if w.conversation != "" {
		params = map[string]any{"conversation": w.conversation}
	}
	return tea.Batch(m.show(w), m.call(w, "call.dial", params))
}

// dialTo calls an address that was typed.
func (m *model) dialTo(who string) tea.Cmd {
	w, err := m.query(who)
	if err != nil {
		m.say(m.windows.current, problem(err))
		return nil
	}
	return m.dial(w)
}

// onDialled follows a call that did not come about. The session has left a line about what happened on the way; what can be
// done about it stands below for a moment.
func (m *model) onDialled(msg doneMsg) {
	var e *session.Error
	switch {
	case msg.err == nil || errors.Is(msg.err, m.ctx.Err()) && m.ctx.Err() != nil:
	case errors.As(msg.err, &e) && e.Op == "call":
		m.message = e.Hint()
	default:
		m.say(msg.window, problem(msg.err))
	}
}

// sendDigit sends one key, from Ctrl-X and the key.
func (m *model) sendDigit(digit string) tea.Cmd {
	return m.withSubject("dtmf", func(c *phoneCall) tea.Cmd {
		m.message = "sent " + digit + " to " + c.name()
		return m.call(c.window, "call.dtmf", map[string]any{"call": c.Call, "digits": digit})
	})
}

// isDigit reports whether a key is one of a telephone's.
func isDigit(key string) bool { return len(key) == 1 && strings.Contains("0123456789*#", key) }

// onDigit shows a key that the other side has pressed; those pressed shortly after one another are one line.
func (m *model) onDigit(ev session.CallDigit) {
	w := m.windows.byConversation(ev.Conversation)
	if w == nil || !isDigit(ev.Digit) && !strings.Contains("ABCD", ev.Digit) {
		return
	}
	if n := len(w.thread.entries); n > 0 {
		last := w.thread.entries[n-1]
		if last.kind == fromProgram && strings.HasPrefix(last.text, theyPressed) && m.now().Sub(last.at) < digitsTogether {
			last.text += ev.Digit
			last.at, last.rows = m.now(), nil
			return
		}
	}
	m.say(w, theyPressed+ev.Digit)
}

const (
	theyPressed    = "they pressed "
	digitsTogether = 5 * time.Second
)
