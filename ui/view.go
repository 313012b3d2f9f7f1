package ui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"offhook/session"
)

// View draws the screen. It runs after every message, so it draws only what is visible.
func (m *model) View() tea.View {
	rows, x, y := m.screen()
	v := tea.NewView(strings.Join(rows, "\n"))
	v.AltScreen = true
	v.ReportFocus = true
	if m.mouse {
		v.MouseMode = tea.MouseModeCellMotion
	}
	v.WindowTitle = m.windowTitle()
	v.Cursor = tea.NewCursor(x, y)
	v.Cursor.Blink = false // a blinking cursor is the terminal's choice, and costs frames
	return v
}

// screen returns the rows of the screen and where the cursor is.
func (m *model) screen() (rows []string, x, y int) {
	label, e := m.prompt()
	m.layout = arrange(m.width, m.height, e.lines(label, max(1, m.width)), m.barRows(), len(m.calls) > 0 || len(m.parks.rows) > 0)
	l := &m.layout
	input, x, y := e.draw(label, l.width, l.input.h)
	x, y = min(x, l.width-1), y+l.input.y

	if l.title >= 0 {
		rows = append(rows, m.drawTitle())
	}
	rows = append(rows, m.drawBar()...)
	rows = append(rows, m.drawBody()...)
	if l.status >= 0 {
		rows = append(rows, m.drawStatus())
	}
	rows = append(rows, input...)
	if l.hint >= 0 {
		rows = append(rows, m.drawHint())
	}
	return rows, x, y
}

// prompt is the label and the text of the input line, which an open box may have taken over.
func (m *model) prompt() (label string, e *editor) {
	if m.overlay != nil {
		return m.overlay.prompt()
	}
	return "[" + m.deviceName() + "] ", &m.windows.current.input
}

// drawBody returns the rows between title and status: the list and the conversation with its toasts, or the box that is
// open in their place.
func (m *model) drawBody() []string {
	l := &m.layout
	body := rect{0, l.pane.y, l.width, l.pane.h}
	if full, ok := m.overlay.(fullScreen); ok {
		return full.draw(m, body)
	}
	pane := m.drawPane(l.pane)
	if box, ok := m.overlay.(popup); ok {
		m.drawPopup(pane, box)
	} else if c := m.subject(); c != nil && m.statsShown {
		m.drawPopup(pane, statsBox{c})
	}
	m.drawToasts(pane)
	if l.work.w > 0 {
		for i, row := range m.drawWork(l.work) {
			pane[i] += m.theme.dim.Render("│") + row
		}
	}
	if l.list.w == 0 {
		m.targets = nil
		return pane
	}
	list := m.drawList(l.list)
	for i := range pane {
		pane[i] = list[i] + m.theme.dim.Render("│") + pane[i]
	}
	return pane
}

// drawPane draws the conversation of the current window.
func (m *model) drawPane(r rect) []string {
	w := m.windows.current
	d := newThreadStyle(r.w, &m.theme)
	parked := m.parkedLines(w, r.w)
	if r.h < 8+len(parked) {
		parked = nil
	}
	h := m.threadRows(r.h - len(parked))
	rows, _ := w.thread.draw(h, d)
	for _, line := range parked {
		rows = append(rows, m.theme.active.Render(fit(" "+line, r.w)))
	}
	if len(rows) < r.h {
		last := strings.Repeat(" ", r.w)
		if m.now().Before(w.composing) {
			last = spread("", m.theme.plain.Render(fitRight(w.shortName()+" is typing...", r.w-2))+"  ", r.w)
		}
		rows = append(rows, last)
	}
	return rows
}

// threadRows is how many rows of the pane the thread has; the last one tells who is typing, if there is room for it.
func (m *model) threadRows(h int) int {
	if h >= 8 {
		return h - 1
	}
	return h
}

func (m *model) drawTitle() string {
	right := strings.ToUpper(m.me.Transport)
	if right != "" {
		right += " "
	}
	right += m.now().Format("15:04")
	room := m.width - width(right) - 2
	left := ""
	for _, left = range m.titles() { // the first that fits
		if width(left) <= room {
			break
		}
	}
	return m.theme.bar.Render(fit(fit(left, room)+"  "+right, m.width))
}

// titles are the left side of the title, each shorter than the one before.
func (m *model) titles() []string {
	who := strings.TrimPrefix(m.me.AOR, "sip:")
	switch {
	case m.me.AOR == "":
		return []string{" offhook    not signed in", " not signed in"}
	case !m.me.Registered:
		return m.signedOutTitles(who)
	}
	letter := string(presenceLetter(m.me.Availability))
	state := letter + " " + presenceWord(m.me.Availability)
	var titles []string
	if m.me.Note != "" {
		titles = append(titles, " offhook    "+who+"  "+state+" \""+m.me.Note+"\"  "+m.devicesWord())
	}
	return append(titles,
		" offhook    "+who+"  "+state+"  "+m.devicesWord(),
		" offhook  "+who+"  "+state+"  "+m.devicesWord(),
		" "+who+"  "+state+"  "+m.devicesWord(),
		" "+who+"  "+state, " "+who+"  "+letter, " "+letter)
}

// signedOutTitles say how things stand, why, and when that may change.
func (m *model) signedOutTitles(who string) []string {
	state := "  ! " + registrationWord(m.me.State)
	if m.signedOut && m.me.State == "registering" {
		state += " again"
	}
	next := ""
	if m.retry.After(m.now()) && m.me.State == "failed" {
		next = ", next try " + m.retry.Format("15:04:05")
	}
	var titles []string
	if m.reason != "" {
		titles = append(titles, " offhook    "+who+state+": "+m.reason+next, " "+who+state+": "+m.reason+next)
	}
	return append(titles, " offhook    "+who+state+next, " "+who+state+next, " "+who+state, state[1:])
}

func registrationWord(state string) string {
	switch state {
	case "registering":
		return "signing in"
	case "failed":
		return "sign-in failed"
	default:
		return "not signed in"
	}
}

// devicesWord says how many devices the user has signed in and which of them takes messages.
func (m *model) devicesWord() string {
	n := max(m.me.Endpoints, len(m.me.Devices))
	if n < 2 {
		return "this device only"
	}
	text := plural(n, "device", "devices")
	if len(m.me.Devices) == 0 {
		return text
	}
	switch first := m.me.Devices[0]; {
	case first.Self:
		return text + ", this one active"
	case first.Name != "":
		return text + ", " + first.Name + " active"
	default:
		return text + ", another one active"
	}
}

func (m *model) drawStatus() string {
	status, _ := m.statusText()
	right := ""
	if !m.mouse {
		right = "mouse off "
	}
	return m.theme.bar.Render(spread(status, right, m.width))
}

// statusText is the status row, and whether the count-down of parked calls has room in it.
func (m *model) statusText() (status string, counts bool) {
	w := m.windows.current
	fields := []string{fmt.Sprintf(" [%d] %s", w.number, w.name)}
	if !w.home() {
		if p, ok := m.presence(w.peer); ok {
			fields[0] += " " + string(presenceLetter(p.Availability))
		}
		if c := m.callOf(w); c != nil {
			fields = append(fields, c.sessionState(m.now()))
		} else {
			fields = append(fields, sessionWord(w))
		}
	}
	var acts []string
	for _, o := range m.windows.all {
		if o.unread > 0 && o != w {
			acts = append(acts, fmt.Sprintf("%d(%d)", o.number, o.unread))
		}
	}
	if len(acts) > 0 {
		fields = append(fields, "Act: "+strings.Join(acts, " "))
	}
	parked := m.parkSummary()
	if parked != "" {
		fields = append(fields, parked)
	}
	if n := w.thread.more(newThreadStyle(m.layout.pane.w, &m.theme)); n > 0 {
		fields = append(fields, fmt.Sprintf("-MORE(%d)-", n))
	}
	if h := m.worst(); h != nil {
		fields = append(fields, "! "+h.Text)
	}
	status = fields[0]
	for i, field := range fields[1:] {
		status += strings.Repeat(" ", min(2+i, 3)) + field
		counts = counts || field == parked && parked != "" && width(status) < m.width
	}
	return status, counts
}

// worst is the health condition to show: the first error, else the first warning.
func (m *model) worst() *session.HealthChanged {
	for _, severity := range []string{"error", "warning"} {
		for i := range m.health {
			if m.health[i].Severity == severity {
				return &m.health[i]
			}
		}
	}
	return nil
}

func sessionWord(w *window) string {
	if w.state == session.ConversationParked {
		return "PARKED"
	}
	switch w.callState {
	case session.Established:
		return "session IM"
	case session.Establishing, session.Incoming:
		return "connecting"
	case session.Transferring:
		return "transferring"
	default:
		return "no session"
	}
}

func (m *model) windowTitle() string {
	unread := 0
	for _, w := range m.windows.all {
		unread += w.unread
	}
	title := "offhook"
	if c := m.ringing(); c != nil {
		title = "RING " + c.name() + " - " + title
	} else if c := m.subject(); c != nil {
		title = c.mark() + " " + c.name() + " - " + title
	} else if n := m.toasts.Open(); n > 0 {
		title = fmt.Sprintf("(%d!) %s", n, title)
	} else if unread > 0 {
		title = fmt.Sprintf("(%d) %s", unread, title)
	}
	if w := m.windows.current; !w.home() {
		title += " - " + w.name
	}
	return title
}
