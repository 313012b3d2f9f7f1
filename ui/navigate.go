package ui

import (
	"fmt"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"offhook/internal/contacts"
	"offhook/session"
)

// style is how threads are drawn in the layout of the last frame.
func (m *model) style() *threadStyle { return newThreadStyle(max(1, m.layout.pane.w), &m.theme) }

// page scrolls by a screen less one row.
func (m *model) page(screens int) tea.Cmd {
	return m.scroll(screens * max(1, m.threadRows(m.layout.pane.h)-1))
}

// scroll moves the view, and reads more of the record when it comes near the oldest line there is.
func (m *model) scroll(rows int) tea.Cmd {
	w, h := m.windows.current, m.threadRows(m.layout.pane.h)
	w.thread.scroll(rows, h, m.style())
	if rows < 0 && w.thread.bottom(m.style()).entry < 2*h {
		return m.loadPage(w)
	}
	return nil
}

func (m *model) newest() tea.Cmd {
	m.windows.current.thread.end()
	return nil
}

func (m *model) firstUnread() tea.Cmd {
	t := &m.windows.current.thread
	if t.marker < 0 {
		m.message = whyNothingNew
		return nil
	}
	t.jump(t.marker, 0, m.threadRows(m.layout.pane.h), m.style())
	return nil
}

func (m *model) showNumber(n int) tea.Cmd {
	w := m.windows.numbered(n)
	if w == nil {
		m.message = fmt.Sprintf("there is no window %d", n)
		return nil
	}
	return m.show(w)
}

// nextActive shows the window that needs the person most: one with a toast, in the order of the toasts, then those with
// unread messages, beginning behind the current one.
func (m *model) nextActive() tea.Cmd {
	for _, it := range m.toasts.Visible(100) {
		if w := m.windows.byConversation(it.Conversation); !it.Closed && w != nil && w != m.windows.current {
			return m.show(w)
		}
	}
	for n := range m.windows.all {
		if w := m.windows.next(n); w.unread > 0 && w != m.windows.current {
			return m.show(w)
		}
	}
	m.message = "nothing new anywhere"
	return nil
}

// goTo shows the window that a person names: a number, next, +1, -1, or a part of its name.
func (m *model) goTo(name string) tea.Cmd {
	name = strings.TrimSpace(name)
	if name == "next" {
		return m.nextActive()
	}
	if strings.HasPrefix(name, "+") || strings.HasPrefix(name, "-") {
		if n, err := strconv.Atoi(name); err == nil {
			return m.show(m.windows.next(n))
		}
	}
	if n, err := strconv.Atoi(name); err == nil {
		return m.showNumber(n)
	}
	if w := m.windows.named(name); w != nil {
		return m.show(w)
	}
	m.message = fmt.Sprintf("no window is called %q; /query opens one", name)
	return nil
}

// query shows the window of an address, a new one if there is none.
func (m *model) query(who string) (*window, error) {
	if g, ok := m.contact(who); ok {
		return m.windows.open(session.Party{URI: g.URI, Display: g.Name}), nil
	}
	uri, err := m.account.Resolve(who)
	if err != nil {
		return nil, err
	}
	return m.windows.open(m.named(session.Party{URI: uri.String()})), nil
}

// contact finds a contact by its whole name or address.
func (m *model) contact(who string) (contacts.Contact, bool) {
	for _, g := range m.groups {
		for _, c := range g.Contacts {
			if strings.EqualFold(c.Name, who) || address(who) == c.URI {
				return c, true
			}
		}
	}
	return contacts.Contact{}, false
}

// click does what is under the mouse.
func (m *model) click(at tea.Mouse) tea.Cmd {
	if at.Button != tea.MouseLeft {
		return nil
	}
	m.message = ""
	l := &m.layout
	if full, ok := m.overlay.(fullScreen); ok {
		return full.click(m, at.X, at.Y-l.pane.y)
	}
	for _, p := range l.toasts {
		if p.contains(at.X, at.Y) {
			return m.onToast(p.id, p.part)
		}
	}
	if l.list.contains(at.X, at.Y) && at.Y-l.list.y < len(m.targets) {
		return m.clickList(m.targets[at.Y-l.list.y])
	}
	for _, p := range l.bars {
		if p.contains(at.X, at.Y) {
			return p.do(m)
		}
	}
	if at.Y == l.hint {
		return m.clickHint(at.X)
	}
	return nil
}

func (m *model) clickList(t target) tea.Cmd {
	switch {
	case t.window != nil:
		return m.show(t.window)
	case t.person.URI != "":
		return m.show(m.windows.open(session.Party{URI: t.person.URI, Display: t.person.Name}))
	case t.orbit != "":
		return m.openBoardOn(t.orbit)
	case t.group:
		m.folded[t.name] = !m.folded[t.name]
	}
	return nil
}

// wheelRows is how far one step of the wheel scrolls.
const wheelRows = 3

func (m *model) wheel(at tea.Mouse) tea.Cmd {
	rows := 0
	switch at.Button {
	case tea.MouseWheelUp:
		rows = -wheelRows
	case tea.MouseWheelDown:
		rows = wheelRows
	}
	if full, ok := m.overlay.(fullScreen); ok {
		full.scroll(rows)
		return nil
	}
	return m.scroll(rows)
}
