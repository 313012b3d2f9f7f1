package ui

import "offhook/internal/command"

// This file says what cannot be done at the moment, and why. What cannot be done is shown all the same, dimmed and with
// its reason: a command that comes and goes is a command nobody finds.

// Reasons of the screen itself; the others are the session's.
const (
	whyNoOffer        = "nothing is being offered"
	whyNoSession      = "there is no session in this window"
	whyNoConversation = "this window has no conversation"
	whyNothingNew     = "nothing new here"
)

// formWhy tells why a typed command would fail in the current window; "" if it would not.
func (m *model) formWhy(c command.Command, f command.Form) string {
	w := m.windows.current
	switch f.Name {
	case "answer", "decline", "dismiss", "forward":
		return m.offerWhy()
	case "transfer":
		return m.sessionWhy("transfer")
	case "close":
		if w.home() {
			return "home stays"
		}
		return ""
	case "unread":
		return m.unreadWhy()
	case "search":
		if m.record == nil {
			return "nothing is recorded"
		}
		return ""
	}
	switch {
	case f.Focus == command.OnCall && w.call == "":
		return whyNoSession
	case f.Focus == command.OnConversation && c.Method != "" && w.conversation == "":
		return whyNoConversation
	}
	return ""
}

func (m *model) offerWhy() string {
	if m.toasts.Open() == 0 {
		return whyNoOffer
	}
	return ""
}

func (m *model) unreadWhy() string {
	if m.windows.current.thread.marker < 0 {
		return whyNothingNew
	}
	return ""
}

// sessionWhy asks the session whether an action of the control API is possible in the current window.
func (m *model) sessionWhy(action string) string {
	w := m.windows.current
	if w.conversation == "" {
		return whyNoConversation
	}
	if can, why := m.account.Can(w.conversation, action); !can {
		return why
	}
	return ""
}
