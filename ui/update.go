package ui

import (
	"time"

	tea "charm.land/bubbletea/v2"

	"offhook/internal/contacts"
	"offhook/session"
)

// eventsMsg is a batch of the session's events. account and park are set if they may have
// changed them, calls if told.
type eventsMsg struct {
	events  []session.Event
	account *session.Account
	calls   []session.CallInfo
	told    bool
	park    *parkView // nil: as before
}

// snapshotMsg is the state of the session after events were lost.
type snapshotMsg session.Snapshot

// tickMsg says that a countdown or the clock moved on.
type tickMsg time.Time

// peopleMsg is the contact list, read again.
type peopleMsg []contacts.Group

// Init takes the start for what it is, user input, and asks the terminal for its background, so that the dim style can be readable on it.
func (m *model) Init() tea.Cmd {
	m.input()
	return tea.Batch(tea.RequestBackgroundColor, m.loadThreads(), m.loadPeople())
}

// Update routes a message to the code that handles it.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		m.input()
		cmd = m.onKey(msg)
	case tea.PasteMsg:
		m.input()
		cmd = m.paste(msg.Content)
	case tea.MouseClickMsg:
		m.input()
		cmd = m.click(msg.Mouse())
	case tea.MouseWheelMsg:
		m.input()
		cmd = m.wheel(msg.Mouse())
	case tea.FocusMsg:
		m.person.reports = true
		cmd = m.focus(true)
	case tea.BlurMsg:
		cmd = m.focus(false)
	case attachedMsg:
		m.onAttached(bool(msg))
	case tea.BackgroundColorMsg:
		m.dark = msg.IsDark()
		m.theme = newTheme(m.dark)
	case eventsMsg:
		cmd = m.onEvents(msg)
	case snapshotMsg:
		m.load(session.Snapshot(msg))
	case tickMsg:
		m.onTick()
	case pulseMsg:
		m.onPulse(msg)
	case digitsMsg:
		cmd = m.onDigits(msg)
	case contactMsg:
		m.onContact(msg)
	case devicesMsg:
		m.onDevices(msg)
	case levelsMsg:
		cmd = m.onLevels(msg)
	case doneMsg:
		cmd = m.onDone(msg)
	case sentMsg:
		cmd = m.onSent(msg)
	case pageMsg:
		cmd = m.onPage(msg)
	case foundMsg:
		m.onFound(msg)
	case threadsMsg:
		m.onThreads(msg)
	case completionMsg:
		m.onCompletion(msg)
	case peopleMsg:
		m.onPeople(msg)
	case parkedMsg:
		m.onParked(msg)
	case retrievedMsg:
		cmd = m.onRetrieved(msg)
	case announcedMsg:
		m.onAnnounced(msg)
	case quitMsg:
		return m, tea.Quit
	}
	return m, tea.Batch(cmd, m.schedule(), m.pulse())
}

// schedule asks for a tick when the picture changes next by itself: a countdown, the end of a line, the minute of the
// clock. At most one useful tick is under way.
func (m *model) schedule() tea.Cmd {
	now := m.now()
	next := now.Truncate(time.Minute).Add(time.Minute)
	if at, ok := m.toasts.Next(now); ok && at.Before(next) {
		next = at
	}
	if w := m.windows.current; now.Before(w.composing) && w.composing.Before(next) {
		next = w.composing
	}
	if at := m.nextCount(); !at.IsZero() && at.Before(next) {
		next = at
	}
	if at := m.detachAt(); !at.IsZero() && at.After(now) && at.Before(next) {
		next = at
	}
	if !m.timer.IsZero() && m.timer.After(now) && !next.Before(m.timer) {
		return nil
	}
	m.timer = next
	return func() tea.Msg {
		if !m.sleep(m.ctx, max(next.Sub(now), time.Millisecond)) {
			return nil
		}
		return tickMsg(time.Now())
	}
}

func (m *model) onTick() {
	now := m.now()
	if !m.timer.After(now) {
		m.timer = time.Time{}
	}
	m.toasts.Tick(now)
	m.forecast()
	m.checkAttached()
}
