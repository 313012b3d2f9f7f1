package ui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"offhook/toast"
)

// label is a word on a toast that can be clicked; it names the key that does the same.
type label struct {
	text string
	part toast.Part
}

// callLabels are the ways to answer a call and to refuse it. What becomes of the call going on is said before it happens.
func (m *model) callLabels() []label {
	answer := "F2 answer"
	if c := m.subject(); c != nil && c.talking() {
		answer = fmt.Sprintf("F2 answer, call %d goes on hold", c.number)
	}
	return []label{
		{answer, toast.PartAccept},
		{"F3 not here (486)", toast.PartNotHere},
		{"Ctrl-X D decline everywhere (603)", toast.PartEverywhere},
		{"Ctrl-X i with IM", toast.PartMessage},
	}
}

// rings reports whether a toast is a call that rings: a new one, or a parked one that came back.
func rings(k toast.Kind) bool { return k == toast.Call || k == toast.Ringback }

// labels are the words of a toast that can be clicked.
func (m *model) labels(t toast.Toast) []label {
	switch t.Kind {
	case toast.Call:
		return m.callLabels()
	case toast.Missed:
		return []label{{"Ctrl-X c call back", toast.PartCallBack}, {"Ctrl-X j open", toast.PartText}}
	case toast.Ringback:
		return m.callLabels()[:2] // whoever declines lets it wait on, or go elsewhere
	case toast.Orbit:
		return []label{{"F2 pick up " + m.parks.orbits[t.ID], toast.PartAccept}, {"F3 leave it parked", toast.PartNotHere}}
	case toast.IM:
	}
	return []label{{labelAccept, toast.PartAccept}, {labelTake, toast.PartAccept}, {labelNotHere, toast.PartNotHere}}
}

// pack puts labels into rows of w cells.
func pack(labels []label, w int) []string {
	var rows []string
	for _, l := range labels {
		last := len(rows) - 1
		switch {
		case last >= 0 && width(rows[last])+2+width(l.text) <= w:
			rows[last] += "  " + l.text
		default:
			rows = append(rows, l.text)
		}
	}
	return rows
}

// callToastLines are the lines of a toast for a call, or for one that was missed.
func (m *model) callToastLines(t toast.Toast, w int) []string {
	who := t.Address
	switch text := strings.Join(strings.Fields(t.Text), " "); {
	case t.Kind == toast.Ringback: // the text is the title
		who = strings.TrimSpace(t.From + "  " + t.Address)
		if r, ok := m.parkRow(m.parks.orbits[t.ID]); ok && r.Note != "" {
			who += "  note: \"" + r.Note + "\""
		}
	case t.Kind == toast.Missed && text != "":
		who = strings.TrimSpace(who + "  rang " + text)
	case text != "":
		who = strings.TrimSpace(who + "  \"" + text + "\"")
	}
	var lines []string
	if who != "" {
		lines = append(lines, fitName(who, w))
	}
	lines = append(lines, pack(m.labels(t), w)...)
	if last := m.contacted[t.ID]; last != "" && m.layout.pane.h >= leastBody {
		lines = append(lines, fitName(last, w))
	}
	return lines
}

// contactMsg is the newest line of the record with somebody who calls.
type contactMsg struct {
	toast string
	text  string
}

// askContact reads what was last with the peer of w.
func (m *model) askContact(w *window, id string) tea.Cmd {
	if m.record == nil || w == nil {
		return nil
	}
	peer, now := address(w.peer), m.now()
	return func() tea.Msg {
		lines, err := m.record.Page(m.ctx, peer, 0, 1)
		if err != nil || len(lines) == 0 {
			return contactMsg{id, "no contact before"}
		}
		last := lines[len(lines)-1]
		text := strings.Join(strings.Fields(last.Text), " ")
		if !last.Notice {
			text = "\"" + text + "\""
		}
		when := last.Time.Format("15:04")
		if !sameDay(last.Time, now) {
			when = last.Time.Format("2 Jan 15:04")
		}
		return contactMsg{id, "last contact " + when + ", " + text}
	}
}

func (m *model) onContact(msg contactMsg) {
	if _, open := m.toasts.Find(msg.toast); open {
		m.contacted[msg.toast] = msg.text
	}
}
