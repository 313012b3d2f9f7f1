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
		lines[len(lines)-1-i] = m.resultLine(message, msg.query) // newest first
	}
	about := fmt.Sprintf("%q %s, %d ms", msg.query, where, msg.took.Milliseconds())
	return newListing("FOUND "+plural(len(lines), "message", "messages"), about, lines)
}

func (m *model) resultLine(msg session.Message, query string) listLine {
	who := partyName(m.named(msg.Peer))
	if msg.Direction == session.Outbound {
		who = "me to " + who
	}
	text := msg.Time.Format("2006-01-02 15:04") + "  " + fit(who, resultName) + "  " + excerpt(msg.Text, query)
	return listLine{text: text, visit: func(m *model) tea.Cmd {
		return m.visit(m.windows.open(m.named(msg.Peer)), msg.ID)
	}}
}

// Of a found message that much stands before the word that was looked for, and names have that much room, in cells.
const (
	excerptLead = 16
	resultName  = 18
)

// excerpt is a text in one line, from a little before the first word of the query on, so that the word can be seen.
func excerpt(text, query string) string {
	text = strings.Join(strings.Fields(text), " ")
	words := strings.Fields(strings.ToLower(query))
	lower := strings.ToLower(text)
	if len(words) == 0 || len(lower) != len(text) { // a letter whose small form is longer: positions would not agree
		return text
	}
	at := strings.Index(lower, words[0])
	if at <= 0 || width(text[:at]) <= 2*excerptLead {
		return text
	}
	skip, _ := head(text[:at], width(text[:at])-excerptLead)
	return "…" + text[len(skip):]
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

func (l *listing) click(m *model, _, row int) tea.Cmd { return l.open(m, l.from+row-1) }

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
