package ui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// keypad is the mode in which keys go out as digits until Esc.
type keypad struct {
	line    editor // what has been sent
	call    string
	waiting string // pressed, and not given to the session yet
	sending bool
}

// digitsMsg is the outcome of sending digits.
type digitsMsg struct {
	window *window
	call   string
	digits string
	err    error
}

func (m *model) openKeypad() tea.Cmd {
	return m.withSubject("dtmf", func(c *phoneCall) tea.Cmd {
		m.overlay = &keypad{call: c.Call}
		return m.show(c.window)
	})
}

func (k *keypad) prompt() (string, *editor) { return "[keypad] ", &k.line }
func (k *keypad) edited(*model)             { k.line.clear() }
func (k *keypad) hint() string {
	return " 0-9 * # A-D go out at once   , waits a second   Esc leaves the keypad"
}

func (k *keypad) box(m *model) (string, []string, int) {
	title := "KEYPAD"
	if c := findCall(m.calls, k.call); c != nil {
		title = fmt.Sprintf("KEYPAD  call %d  %s", c.number, c.name())
	}
	sent := "sent: " + k.line.text
	if k.waiting != "" || k.sending {
		sent += " ..."
	}
	return title, []string{sent, "Esc leaves the keypad"}, -1
}

func (k *keypad) key(m *model, name string) (tea.Cmd, bool) {
	digit := strings.ToUpper(name)
	switch {
	case name == "esc" || name == "ctrl+c":
		m.overlay = nil
		return nil, true
	case isDigit(name) || len(name) == 1 && strings.Contains("ABCD,", digit):
		k.waiting += digit
		return k.pump(m), true
	}
	m.message = "only 0-9 * # A-D and a comma go out here; Esc leaves the keypad"
	return nil, true
}

// pump gives the digits pressed so far to the session, unless others are on their way: they keep their order.
func (k *keypad) pump(m *model) tea.Cmd {
	c := findCall(m.calls, k.call)
	if k.sending || k.waiting == "" || c == nil {
		return nil
	}
	k.sending = true
	msg := digitsMsg{window: c.window, call: k.call, digits: k.waiting}
	k.line.set(k.line.text + k.waiting)
	k.waiting = ""
	return func() tea.Msg {
		_, msg.err = m.commands.Call(m.ctx, "call.dtmf", map[string]any{"call": msg.call, "digits": msg.digits})
		return msg
	}
}

func (m *model) onDigits(msg digitsMsg) tea.Cmd {
	k, ok := m.overlay.(*keypad)
	ok = ok && k.call == msg.call
	if msg.err != nil {
		m.say(msg.window, "not sent: "+msg.digits+": "+problem(msg.err))
		if ok {
			m.overlay = nil
		}
		return nil
	}
	if !ok {
		return nil
	}
	k.sending = false
	return k.pump(m)
}
