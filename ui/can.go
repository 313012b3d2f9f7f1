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
	whyNoCall         = "there is no call"
	whyNoSound        = "there is no sound here"
	whyNothingParked  = "nothing is parked"
)

// formWhy tells why a typed command would fail in the current window; "" if it would not.
func (m *model) formWhy(c command.Command, f command.Form) string {
	w := m.windows.current
	switch f.Name {
	case "answer", "decline", "dismiss", "forward":
		return m.offerWhy()
	case "transfer":
		return m.transferWhy()
	case "hangup":
		return m.hangUpWhy()
	case "hold", "resume", "mute", "dtmf", "record":
		return m.whyNotNow(f.Name)
	case "unmute", "stats":
		return m.whyNotNow("mute")
	case "conf", "leave":
		return m.whyNotNow("conference")
	case "call", "device", "mic", "speaker", "ringer", "test":
		return m.soundWhy()
	case "park":
		return m.parkWhy()
	case "pickup":
		return m.pickUpWhy()
	case "broadcast":
		return m.broadcastWhy()
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
	if _, ok := m.offered(); !ok && m.ringing() == nil {
		return whyNoOffer
	}
	return ""
}

func (m *model) ringingWhy() string {
	if m.ringing() == nil {
		return "no call is coming in"
	}
	return ""
}

// hangUpWhy is about any call: /hangup ends a session of messages, too, and F3 does not.
func (m *model) hangUpWhy() string {
	if m.windows.current.call != "" {
		return ""
	}
	return m.hangUpKeyWhy()
}

func (m *model) hangUpKeyWhy() string {
	if m.offerWhy() != "" && m.subject() == nil {
		return whyNoCall
	}
	return ""
}

func (m *model) holdWhy() string {
	if c := m.subject(); c != nil && c.heldHere() {
		return m.whyNotNow("resume")
	}
	return m.whyNotNow("hold")
}

// transferWhy is about the call, and without one about the session of messages.
func (m *model) transferWhy() string {
	if m.subject() == nil {
		return m.sessionWhy("transfer")
	}
	return m.whyNotNow("transfer")
}

func (m *model) soundWhy() string {
	if m.sound == nil {
		return whyNoSound
	}
	return ""
}

// dialWhy is why the peer of the current window cannot be called; at home the key asks whom to call.
func (m *model) dialWhy() string {
	w := m.windows.current
	switch {
	case m.sound == nil:
		return whyNoSound
	case w.conversation == "":
		return ""
	}
	return m.sessionWhy("call")
}

func (m *model) nextCallWhy() string {
	if len(m.calls) == 0 {
		return whyNoCall
	}
	return ""
}

// callWhy makes a why of whyNotNow.
func callWhy(action string) func(*model) string {
	return func(m *model) string { return m.whyNotNow(action) }
}

// whyNotNow asks the session whether an action is possible with the call that keys are about.
func (m *model) whyNotNow(action string) string {
	c := m.subject()
	if c == nil {
		return whyNoCall
	}
	if can, why := m.account.Can(c.Conversation, action); !can {
		return why
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
