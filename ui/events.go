package ui

import (
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"offhook/internal/plaintext"
	"offhook/session"
	"offhook/toast"
)

// composingTimeout ends "is typing" if the end of it got lost.
const composingTimeout = 2 * time.Minute

// onEvents takes a batch over. What has to be told outside of the program is told once for the whole batch.
func (m *model) onEvents(batch eventsMsg) tea.Cmd {
	var cmds []tea.Cmd
	for _, ev := range batch.events {
		if cmd := m.onEvent(ev); cmd != nil {
			cmds = append(cmds, cmd)
		}
	}
	if batch.told {
		m.setCalls(batch.calls)
	}
	if batch.park != nil {
		m.setPark(batch.park)
	}
	if m.parks.awaited != "" {
		cmds = append(cmds, m.showAwaited())
	}
	if batch.account != nil {
		m.me = *batch.account
		m.forecast()
	}
	return tea.Batch(cmds...)
}

func (m *model) onEvent(ev session.Event) tea.Cmd {
	switch ev := ev.(type) {
	case session.RegistrationChanged:
		m.onRegistration(ev)
	case session.ToastShown:
		return m.onToastShown(ev)
	case session.ToastClosed:
		return m.onToastClosed(ev)
	case session.CallStateChanged:
		m.onCallState(ev)
	case session.ConversationChanged:
		m.onConversation(ev)
	case session.MessageChanged:
		return m.onMessage(ev.Message)
	case session.Composing:
		m.onComposing(ev)
	case session.PresenceChanged:
		m.presences[address(ev.URI)] = ev.Presence
	case session.HealthChanged:
		m.onHealth(ev)
	case session.Notice:
		m.onNotice(ev)
	case session.CallDigit:
		m.onDigit(ev)
	case session.ParkDone, session.ParkFailed, session.Unparked, session.BoardChanged, session.BroadcastChanged, session.CallTrouble:
		return m.onParkEvent(ev)
	}
	return nil
}

func (m *model) onRegistration(ev session.RegistrationChanged) {
	m.me.State, m.me.Registered = ev.State, ev.State == "registered" || ev.State == "registering" && m.me.Registered
	if ev.Endpoints > 0 {
		m.me.Endpoints = ev.Endpoints
	}
	reason := plaintext.Line(ev.Reason, maxName)
	switch {
	case ev.State == "failed" && (!m.signedOut || reason != m.reason):
		m.say(nil, "sign-in failed: "+reason)
	case ev.State == "registered" && m.signedOut:
		m.say(nil, "signed in again")
	}
	switch ev.State {
	case "failed":
		m.signedOut, m.reason, m.retry = true, reason, time.Time{}
		if ev.Retry > 0 {
			m.retry = m.now().Add(time.Duration(ev.Retry) * time.Second)
		}
	case "registered":
		m.signedOut, m.reason, m.retry = false, "", time.Time{}
	}
}

func (m *model) onToastShown(ev session.ToastShown) tea.Cmd {
	from := m.named(ev.From)
	w := m.windows.byConversation(ev.Conversation)
	if w == nil && ev.From.URI != "" {
		w = m.windows.open(from)
		w.conversation = ev.Conversation
	}
	_, known := m.toasts.Find(ev.Toast)
	m.toastShown(ev)
	t, ok := m.toasts.Find(ev.Toast)
	if known || !ok {
		return nil
	}
	switch t.Kind {
	case toast.Missed:
		m.missedCall(w)
	case toast.Call:
		return tea.Batch(m.notify.ring(t, m.looking()), m.askContact(w, t.ID))
	case toast.Ringback:
		return m.notify.ring(t, m.looking())
	case toast.IM, toast.Orbit:
	}
	return m.tell(ev.Conversation, t)
}

// missedCall counts a call that nobody took. Who was looking knows.
func (m *model) missedCall(w *window) {
	switch {
	case w == nil:
	case m.attended(w):
		m.read(w)
	case m.seen(w):
		w.unseen = true
	default:
		if len(w.thread.entries) > 0 {
			w.thread.markUnread()
		}
		w.unread++
	}
}

// tellAgain is the least time between two notifications of one conversation. The toast and the message that it carries
// come as two events and are one thing.
const tellAgain = 2 * time.Second

// tell notifies a person who does not look.
func (m *model) tell(conversation string, t toast.Toast) tea.Cmd {
	now := m.now()
	if m.looking() || now.Sub(m.told[conversation]) < tellAgain {
		return nil
	}
	m.told[conversation] = now
	return m.notify.show(t)
}

// onToastClosed leaves a line in the conversation, which says more than the toast's own for as long as anybody looks.
func (m *model) onToastClosed(ev session.ToastClosed) tea.Cmd {
	closing := toast.Closing{Reason: toast.Reason(ev.Reason), By: ev.By, Typed: m.typed[ev.Toast]}
	delete(m.typed, ev.Toast)
	delete(m.contacted, ev.Toast)
	delete(m.parks.orbits, ev.Toast)
	if t, ok := m.toasts.Find(ev.Toast); ok && rings(t.Kind) {
		if closing.Reason != toast.Accepted {
			m.steadyAt = m.now().Add(steadyTime)
		}
		if closing.Reason == toast.Unanswered && t.Kind == toast.Call {
			closing.Reason = toast.Dismissed // a toast of its own says that it was missed
		}
	}
	it, ok := m.toasts.Close(ev.Toast, closing, m.now())
	if !ok {
		return nil
	}
	switch closing.Reason {
	case toast.Accepted, toast.AutoAccepted, toast.Declined:
		if it.Kind != toast.IM { // the session tells what became of a call
			break
		}
		if w := m.windows.byConversation(it.Conversation); w != nil {
			m.say(w, it.Line())
		}
	case toast.AnsweredElsewhere, toast.Unanswered, toast.Canceled, toast.Dismissed: // the session tells those, or nobody need know
	}
	return m.notify.withdraw(ev.Toast)
}

func (m *model) onCallState(ev session.CallStateChanged) {
	w := m.windows.byConversation(ev.Conversation)
	if w == nil || ev.Kind == kindAudio { // setCalls sees to audio
		return
	}
	switch {
	case ev.State != session.Terminated:
		w.call, w.callState = ev.Call, ev.State
	case w.call == ev.Call || w.call == "":
		w.call, w.callState, w.composing = "", "", time.Time{}
	}
}

func (m *model) onConversation(ev session.ConversationChanged) {
	w := m.windows.byConversation(ev.Conversation)
	if w == nil {
		if ev.State == session.ConversationTerminated || ev.Peer.URI == "" {
			return
		}
		w = m.windows.open(m.named(ev.Peer))
		w.conversation = ev.Conversation
	}
	if p := m.named(ev.Peer); p.Display != "" {
		w.rename(partyName(p))
	}
	w.state = ev.State
	if ev.State == session.ConversationTerminated {
		w.conversation, w.call, w.callState, w.composing = "", "", "", time.Time{}
	}
}

func (m *model) onMessage(msg session.Message) tea.Cmd {
	w := m.windows.byConversation(msg.Conversation)
	if w == nil {
		if msg.Peer.URI == "" {
			return nil
		}
		w = m.windows.open(m.named(msg.Peer))
		if msg.Conversation != "" {
			w.conversation = msg.Conversation
		}
	}
	p := msg.Peer
	if p.Display == "" && msg.Direction == session.Inbound {
		p.Display = msg.From.Display
	}
	if p = m.named(p); p.Display != "" {
		w.rename(partyName(p)) // an address that was typed has its name now
	}
	e := m.messageEntry(w, msg)
	at, known := w.thread.find(msg.ID)
	elsewhereBefore := known && w.thread.entries[at].detail == answeredElsewhere
	if msg.Missed && m.attended(w) {
		// Nobody clicked, but somebody was looking at it when it was accepted.
		e.detail = ""
		m.read(w)
	}
	w.thread.put(e)
	if known {
		if e.detail == answeredElsewhere && !elsewhereBefore && w.unread > 0 {
			w.unread-- // another device has it: nothing is waiting here
		}
		return nil
	}
	if msg.Direction == session.Outbound {
		w.thread.end()
		return m.shownOutbound(w, msg.Text)
	}
	w.composing = time.Time{}
	return m.arrived(w, msg)
}

// The session cleans what comes from the network. It is cleaned once more where it enters the screen, which costs little
// for text that is clean and leaves one place to look at. The bounds are in bytes.
const (
	maxText = 64 << 10
	maxName = 256
)

const answeredElsewhere = "on another device"

// arrived counts a new message from the peer.
func (m *model) arrived(w *window, msg session.Message) tea.Cmd {
	if m.seen(w) {
		w.unseen = !m.attended(w)
		if !w.unseen {
			m.read(w)
		}
		return nil
	}
	w.thread.markUnread()
	if !msg.Elsewhere {
		w.unread++
	}
	if msg.Elsewhere {
		return nil
	}
	return m.tell(msg.Conversation, toast.Toast{ID: msg.ID, Kind: toast.IM, From: w.name, Text: msg.Text, Shown: m.now()})
}

// messageEntry makes a line of a message.
func (m *model) messageEntry(w *window, msg session.Message) *entry {
	e := &entry{kind: fromPeer, id: msg.ID, at: msg.Time, from: w.shortName(), text: plaintext.Text(msg.Text, maxText), status: msg.Status}
	if msg.Direction == session.Outbound {
		e.kind, e.detail, e.waiting = fromMe, plaintext.Line(msg.Error, maxName), msg.Waiting
		return e
	}
	switch {
	case msg.Partial:
		e.detail = "the rest is on its way"
	case msg.Elsewhere:
		e.detail = answeredElsewhere
	case msg.Missed:
		e.detail = "missed"
	}
	return e
}

func (m *model) onComposing(ev session.Composing) {
	if w := m.windows.byConversation(ev.Conversation); w != nil {
		w.composing = time.Time{}
		if ev.Active {
			w.composing = m.now().Add(composingTimeout)
		}
	}
}

func (m *model) onHealth(ev session.HealthChanged) {
	m.health = slices.DeleteFunc(m.health, func(h session.HealthChanged) bool { return h.Code == ev.Code })
	if !ev.Cleared {
		m.health = append(m.health, ev)
		m.say(nil, ev.Severity+": "+ev.Text)
	}
}

func (m *model) onNotice(ev session.Notice) {
	w := m.windows.byConversation(ev.Conversation)
	if w == nil {
		w = m.windows.home()
	}
	w.thread.put(&entry{kind: fromProgram, at: ev.Time, text: plaintext.Text(ev.Text, maxText)})
}
