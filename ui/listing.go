package ui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"offhook/session"
)

// listing is a full-screen list that can be filtered: search results, contacts, the log.
type listing struct {
	line   editor
	choice choice
	title  string
	about  string
	all    []listLine
	shown  []listLine
	from   int // first visible line
	rows   int // visible lines in the last frame
}

// listLine is one line of a listing and what Enter or a click on it does.
type listLine struct {
	text  string
	visit func(*model) tea.Cmd
}

func newListing(title, about string, lines []listLine) *listing {
	return &listing{title: title, about: about, all: lines, shown: lines}
}

func (m *model) newResults(msg foundMsg) *listing {
	where := "everywhere"
	if msg.peer != "" {
		where = "with " + strings.TrimPrefix(msg.peer, "sip:")
	}
	lines := make([]listLine, len(msg.messages))
	for i, message := range msg.messages {
		lines[len(lines)-1-i] = m.resultLine(message) // newest first
	}
	about := fmt.Sprintf("%q %s, %d ms", msg.query, where, msg.took.Milliseconds())
	return newListing("FOUND "+plural(len(lines), "message", "messages"), about, lines)
}

func (m *model) resultLine(msg session.Message) listLine {
	who := "me"
	if msg.Direction == session.Inbound {
		who = partyName(m.named(msg.Peer))
	}
	text := msg.Time.Format("2006-01-02 15:04") + "  " + fit(partyName(m.named(msg.Peer)), 14) + "  " + fit(who, 10) + "  " +
		strings.Join(strings.Fields(msg.Text), " ")
	return listLine{text: text, visit: func(m *model) tea.Cmd {
		w := m.windows.open(m.named(msg.Peer))
		cmd := m.show(w)
		if at, ok := w.thread.find(msg.ID); ok {
			w.thread.jump(at, m.threadRows(m.layout.pane.h), m.style())
		}
		return cmd
	}}
}

func (l *listing) prompt() (string, *editor) { return "[filter] ", &l.line }
func (l *listing) hint() string              { return " Enter open   Up/Down choose   Esc close" }
func (l *listing) scroll(rows int) {
	l.choice.at = max(0, min(l.choice.at+rows, len(l.shown)-1))
}

func (l *listing) edited(*model) {
	what := strings.ToLower(l.line.text)
	l.shown, l.choice.at, l.from = nil, 0, 0
	for _, line := range l.all {
		if strings.Contains(strings.ToLower(line.text), what) {
			l.shown = append(l.shown, line)
		}
	}
}

func (l *listing) key(m *model, name string) (tea.Cmd, bool) {
	if l.choice.key(name, len(l.shown)) {
		return nil, true
	}
	switch name {
	case "enter":
		return l.open(m, l.choice.at), true
	case "esc", "ctrl+c":
		m.overlay = nil
		return nil, true
	}
	return nil, false
}

func (l *listing) open(m *model, at int) tea.Cmd {
	if at < 0 || at >= len(l.shown) {
		return nil
	}
	m.overlay = nil
	return l.shown[at].visit(m)
}

func (l *listing) click(m *model, row int) tea.Cmd { return l.open(m, l.from+row-1) }

func (l *listing) draw(m *model, body rect) []string {
	rows := []string{m.theme.heading.Render(spread(" "+l.title, l.about+" ", body.w))}
	l.rows = body.h - 1
	l.from = min(l.from, l.choice.at)
	l.from = max(l.from, l.choice.at-l.rows+1, 0)
	for i := range body.h - 1 {
		at := l.from + i
		switch {
		case at >= len(l.shown):
			rows = append(rows, strings.Repeat(" ", body.w))
		case at == l.choice.at:
			rows = append(rows, m.theme.match.Render(fit("> "+l.shown[at].text, body.w)))
		default:
			rows = append(rows, fit("  "+l.shown[at].text, body.w))
		}
	}
	return rows[:body.h]
}
