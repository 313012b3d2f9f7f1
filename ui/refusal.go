package ui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
)

// refusal declines a call on all devices and sends a message: what was typed, or one of the sentences.
type refusal struct {
	line      editor
	choice    choice
	call      string
	window    *window
	sentences []string
}

func (m *model) openRefusal() tea.Cmd {
	c := m.ringing()
	if c == nil {
		m.message = m.ringingWhy()
		return nil
	}
	m.overlay = &refusal{call: c.Call, window: c.window, sentences: []string{
		"I cannot talk now. I will call you back.",
		"I am in a call. What is it about?",
		"Please write to me here.",
	}}
	return nil
}

func (r *refusal) prompt() (string, *editor) {
	return "[to " + fitName(r.window.name, 12) + "] ", &r.line
}
func (r *refusal) edited(*model) {}
func (r *refusal) hint() string {
	return " Enter declines everywhere (603) and sends it   Up/Down choose   Esc lets it ring"
}

func (r *refusal) box(*model) (string, []string, int) {
	if strings.TrimSpace(r.line.text) != "" {
		return "DECLINE " + r.window.name, []string{"what you type is sent"}, -1
	}
	return "DECLINE " + r.window.name + " with", r.sentences, r.choice.at
}

func (r *refusal) key(m *model, name string) (tea.Cmd, bool) {
	if r.choice.key(name, len(r.sentences)) {
		return nil, true
	}
	switch name {
	case "enter":
		text := strings.TrimSpace(r.line.text)
		if text == "" {
			text = r.sentences[r.choice.at]
		}
		m.overlay = nil
		return tea.Batch(m.decline(r.call, r.window), m.send(r.window, text)), true
	case "esc", "ctrl+c":
		m.overlay = nil
		return nil, true
	}
	return nil, false
}

// decline refuses a call on all devices. If it has stopped ringing meanwhile there is nothing to refuse.
func (m *model) decline(call string, w *window) tea.Cmd {
	done := doneMsg{window: w, method: "call.decline"}
	return func() tea.Msg {
		_, done.err = m.commands.Call(m.ctx, done.method, map[string]any{"call": call, "everywhere": true})
		done.quiet = refused(done.err)
		return done
	}
}
