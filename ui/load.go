package ui

import (
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"offhook/internal/command"
	"offhook/internal/contacts"
	"offhook/internal/history"
	"offhook/session"
)

// Bounds of what is read from the record at once.
const (
	pageLimit   = 200
	seekLimit   = 2000 // on the way to a message that was found
	searchLimit = 200
	threadLimit = 9 // recent conversations that get a window at the start
)

// pageMsg is a page of the record.
type pageMsg struct {
	window *window
	lines  []history.Line
	err    error
}

// foundMsg is the result of a search.
type foundMsg struct {
	query    string
	peer     string
	messages []session.Message
	took     time.Duration
	err      error
}

// threadsMsg is the recent conversations of the record.
type threadsMsg []history.Thread

// loadPage reads the messages before the oldest one that the thread has.
func (m *model) loadPage(w *window) tea.Cmd {
	t := &w.thread
	if m.record == nil || t.oldest || t.loading || w.home() {
		return nil
	}
	return m.readPage(w, pageLimit)
}

func (m *model) readPage(w *window, limit int) tea.Cmd {
	w.thread.loading = true
	peer, before := address(w.peer), w.thread.recorded
	return func() tea.Msg {
		lines, err := m.record.Page(m.ctx, peer, before, limit)
		return pageMsg{w, lines, err}
	}
}

func (m *model) onPage(msg pageMsg) tea.Cmd {
	t := &msg.window.thread
	t.loading = false
	if msg.err != nil {
		t.oldest = true
		m.say(msg.window, "the history cannot be read: "+msg.err.Error())
		return nil
	}
	t.oldest = len(msg.lines) == 0 // fewer than were asked for are not the end: what cannot be read is left out
	page := make([]*entry, len(msg.lines))
	for i, line := range msg.lines {
		if line.Notice {
			page[i] = &entry{kind: fromProgram, at: line.Time, text: line.Text}
		} else {
			page[i] = m.messageEntry(msg.window, line.Message)
		}
	}
	if len(page) > 0 {
		t.recorded = msg.lines[0].ID
	}
	t.prepend(page)
	return m.seek(msg.window)
}

// visit shows a message of w, which may lie before everything that has been read of the record.
func (m *model) visit(w *window, id string) tea.Cmd {
	cmd := m.show(w)
	w.sought = id
	return tea.Batch(cmd, m.seek(w))
}

// seek goes on to the message that is sought in w, reading further back until it is there. Who has gone to another
// window meanwhile does not want it any more.
func (m *model) seek(w *window) tea.Cmd {
	t := &w.thread
	if w.sought == "" || t.loading {
		return nil
	}
	at, found := t.find(w.sought)
	switch {
	case w != m.windows.current:
		w.sought = ""
	case found:
		w.sought, m.message = "", ""
		h := m.threadRows(m.layout.pane.h)
		t.jump(at, h/3, h, m.style()) // with a little of what was said before it
		t.scroll(0, h, m.style())     // unless there is nothing before it
		t.point(at)
	case t.oldest || m.record == nil:
		w.sought = ""
		m.message = "the record has this message no longer"
	default:
		m.message = "reading further back ..."
		return m.readPage(w, seekLimit)
	}
	return nil
}

// loadThreads reads with whom there were conversations lately.
func (m *model) loadThreads() tea.Cmd {
	if m.record == nil {
		return nil
	}
	return func() tea.Msg {
		list, err := m.record.Threads(m.ctx, threadLimit)
		if err != nil {
			return nil // the record reports its own condition
		}
		return threadsMsg(list)
	}
}

// onThreads gives the recent conversations their windows, the latest first.
func (m *model) onThreads(list threadsMsg) {
	for _, t := range list {
		w := m.windows.open(m.named(t.Peer))
		if w.unread == 0 && w != m.windows.current {
			w.unread = t.Unread
		}
	}
}

// loadPeople reads the contact list.
func (m *model) loadPeople() tea.Cmd {
	if m.people == nil {
		return nil
	}
	return func() tea.Msg { return peopleMsg(m.people.Groups()) }
}

// onPeople takes the contact list over. Its names are the user's own: they go before those that people give themselves.
func (m *model) onPeople(groups peopleMsg) {
	m.groups = groups
	for _, w := range m.windows.all {
		if p := m.named(session.Party{URI: w.peer}); p.Display != "" {
			w.rename(partyName(p))
		}
	}
}

// search looks in the record: in the conversation of w, or in all with -all or from home.
func (m *model) search(w *window, query string) tea.Cmd {
	peer := address(w.peer)
	if rest, all := strings.CutPrefix(query, "-all "); all || w.home() {
		query, peer = rest, ""
	}
	query = strings.TrimSpace(query)
	if m.record == nil || query == "" {
		m.message = "nothing to search"
		return nil
	}
	return func() tea.Msg {
		began := time.Now()
		messages, err := m.record.Search(m.ctx, query, peer, "", searchLimit)
		return foundMsg{query, peer, messages, time.Since(began), err}
	}
}

func (m *model) onFound(msg foundMsg) {
	switch {
	case msg.err != nil:
		m.say(m.windows.current, "the search failed: "+msg.err.Error())
	case len(msg.messages) == 0:
		m.message = "nothing found: " + msg.query
	default:
		m.overlay = m.newResults(msg)
	}
}

// log lists what was offered here and not taken here: missed, or answered on another device.
func (m *model) log(w *window) tea.Cmd {
	var lines []listLine
	for _, o := range m.windows.all {
		if o != w && !w.home() {
			continue
		}
		for _, e := range o.thread.entries {
			if e.kind == fromProgram || e.detail != "" {
				lines = append(lines, listLine{
					text:  e.at.Format("02 Jan 15:04") + "  " + fit(o.name, 16) + "  " + logText(e),
					visit: func(m *model) tea.Cmd { return m.show(o) },
				})
			}
		}
	}
	m.overlay = newListing("LOG", "what happened in this run", lines)
	return nil
}

func logText(e *entry) string {
	text := strings.Join(strings.Fields(e.text), " ")
	if e.kind != fromProgram {
		text = e.detail + ": " + text
	}
	return text
}

// listOfContacts shows all contacts with their presence.
func (m *model) listOfContacts() tea.Cmd {
	var lines []listLine
	for _, g := range m.groups {
		for _, c := range g.Contacts {
			lines = append(lines, m.contactLine(g, c))
		}
	}
	m.overlay = newListing("CONTACTS", "Enter opens a conversation", lines)
	return nil
}

func (m *model) contactLine(g contacts.Group, c contacts.Contact) listLine {
	letter := "?"
	note := ""
	if p, ok := m.presence(c.URI); ok {
		letter, note = string(presenceLetter(p.Availability)), p.Note
	}
	text := letter + " " + fit(c.Name, 24) + "  " + fit(strings.TrimPrefix(c.URI, "sip:"), 32) + "  " + fit(g.Name, 12) + "  " + note
	return listLine{text: text, visit: func(m *model) tea.Cmd { return m.clickList(target{person: c}) }}
}

// forms are the typed commands with their help, for F1.
func (m *model) forms() []helpLine {
	var lines []helpLine
	for _, c := range command.Table() {
		for _, f := range c.Forms {
			lines = append(lines, helpLine{group: "COMMANDS", command: f.Usage(), help: c.Help(f), run: "/" + f.Name, why: m.formWhy(c, f)})
		}
	}
	return lines
}
