package ui

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"offhook/park"
)

// Of parked calls there is something to see in four places besides the board: a row at the call bar for the outcome of
// parking, a part of the list column, the status row, and the conversation of a caller who is parked.

// bannerRows is how many rows the outcome of parking takes at the call bar.
func (m *model) bannerRows() int {
	if m.parkBanner() == nil {
		return 0
	}
	return 1
}

// drawBanner draws the outcome of parking into a row of the bar. It stands below the bar of a call, if there is one: what
// must be seen of that stays in sight.
func (m *model) drawBanner(b *parkBanner, y int) string {
	l := &m.layout
	if b.failure != "" {
		text := " PARK FAILED  " + b.failure
		if still := m.stillThere(b); still != "" && width(text)+2+width(still) <= l.width {
			text += strings.Repeat(" ", min(4, l.width-width(text)-width(still))) + still
		}
		return m.theme.alert.Render(fit(text, l.width))
	}
	left := ""
	if !b.ringBack.IsZero() {
		left = short(until(b.ringBack, m.now())) + " "
	}
	all := []segment{{text: " PARKED " + b.orbit, do: (*model).openBoard}, {text: "  " + fitName(b.name, max(8, m.width/4))}}
	if b.address != "" {
		all = append(all, segment{text: " " + b.address, rank: rankAddress})
	}
	if b.copied != "" {
		all = append(all, segment{text: "   " + b.copied, rank: rankCodec})
	}
	all = append(all,
		segment{text: "   F9 board", rank: rankSecurity, do: (*model).openBoard},
		segment{text: "   Ctrl-X B tell others", rank: rankQuality, do: (*model).openBroadcast})
	row, cells := "", 0
	for _, s := range m.fitBar(all, max(1, l.width-width(left)-2)) {
		text := s.text
		if cells+width(text) > l.width {
			text = fit(text, l.width-cells)
		}
		row += text
		if s.do != nil {
			l.bars = append(l.bars, barPlace{rect{cells, y, width(text), 1}, s.do})
		}
		cells += width(text)
	}
	return m.theme.call.Render(spread(row, left, l.width))
}

// partyNow is who is at the other end of a call, where that is not the peer any more, or where the peer has parked us.
func (m *model) partyNow(c *phoneCall) string {
	switch name := partyName(m.named(c.Party)); {
	case c.Parked:
		text := "PARKED"
		if by := partyName(m.named(c.ParkedBy)); by != "" {
			text += " by " + fitName(by, max(8, m.width/6))
		}
		if c.Orbit != "" {
			text += " on " + fitName(c.Orbit, 8)
		}
		return text
	case name != "" && name != c.name():
		return "now: " + fitName(name, max(8, m.width/5))
	}
	return ""
}

// stillThere says how things stand with the caller after parking has failed: unchanged.
func (m *model) stillThere(b *parkBanner) string {
	for _, c := range m.calls {
		switch {
		case c.Conversation != b.conversation:
		case c.talking():
			return "you are still talking to " + fitName(c.name(), 24)
		case c.heldHere():
			return fitName(c.name(), 24) + " is still on hold"
		}
	}
	return ""
}

// nextCount is when a count-down of parked calls that is on screen goes on, zero if there is none: with the second of the
// clock, so that all of them together cost one frame. During a call its own clock draws every second anyway.
func (m *model) nextCount() time.Time {
	if len(m.calls) > 0 || !m.countsDown() {
		return time.Time{}
	}
	return m.now().Truncate(time.Second).Add(time.Second)
}

// countsDown reports whether something is on screen that changes with the seconds of parked calls.
func (m *model) countsDown() bool {
	if m.parkBanner() != nil {
		return true
	}
	_, counting := m.nextBack()
	if board, ok := m.overlay.(boardBehind); ok { // ages are on the board as well
		return len(board.boardShown(m)) > 0
	}
	if _, full := m.overlay.(fullScreen); full {
		_, shown := m.statusText()
		return counting && shown
	}
	_, shown := m.statusText()
	return counting && (shown || m.layout.list.w > 0 || m.layout.work.w > 0) || m.parkedHere()
}

// parkedHere reports whether the conversation on screen shows how long its caller has been parked.
func (m *model) parkedHere() bool {
	_, ok := m.parkedIn(m.windows.current)
	return ok
}

// listParked is the part of the list column with the parked calls: what will ring back, and when.
func (m *model) listParked(cells, room int) []listRow {
	rows := m.parks.rows
	if len(rows) == 0 || room < 3 || m.layout.work.w > 0 {
		return nil
	}
	title := "PARKED " + m.whoParked()
	if width(title) >= cells {
		title = "PARKED " + plural(len(rows), "call", "calls")
	}
	out := []listRow{{text: strings.Repeat(" ", cells)}, m.heading(title, cells)}
	out[1].target = target{orbit: rows[0].Orbit}
	more := 0
	if len(rows) > room-2 {
		rows = m.soonest(room - 3)
		more = len(m.parks.rows) - len(rows)
	}
	for _, r := range rows {
		mark, style := " ", m.theme.plain
		if m.soon(r) {
			mark, style = "!", m.theme.active
		}
		left := mark + " " + fitName(r.Orbit, max(4, cells/3)) + "  " + firstName(m.parkerOf(r, "mine"))
		if cells >= wideList {
			left += "  " + m.partyOf(r.Caller)
		}
		out = append(out, listRow{text: style.Render(spread(left, " "+m.ringsIn(r)+" ", cells)), target: target{orbit: r.Orbit}})
	}
	if more > 0 {
		text := m.theme.dim.Render(fit(fmt.Sprintf("   %d more: F9", more), cells))
		out = append(out, listRow{text: text, target: target{orbit: m.parks.rows[0].Orbit}})
	}
	return out
}

// parkedLines stand at the end of the conversation of a caller who is parked: where the call is, and how to have it back.
func (m *model) parkedLines(w *window, cells int) []string {
	r, ok := m.parkedIn(w)
	if !ok {
		return nil
	}
	orbit := r.Orbit.FriendlyOrbit
	first := w.name + " waits in park " + orbit
	if !r.Orbit.Parked.IsZero() {
		first += " for " + short(m.now().Sub(r.Orbit.Parked))
	}
	if row, there := m.parkRow(orbit); there && row.Mine {
		switch text := m.ringsIn(row); {
		case row.State == park.RowRecalling:
			first += " and rings back now"
		case text != "":
			first += ", rings back in " + text
		}
	}
	if r.Note != "" {
		first += "   note: " + r.Note
	}
	lines, _ := wrap(first, cells-2, 2)
	return append(lines, pack([]label{{text: "F6 Enter takes it back"}, {text: "Ctrl-X B tells others"}}, cells-2)...)
}

// closeParked asks before the conversation of a parked caller is ended: that does not end the parked call.
func (m *model) closeParked(w *window, orbit string) tea.Cmd {
	m.overlay = &ask{
		question: "end this conversation? " + w.name + " stays parked on " + orbit + ", where anybody can pick the call up; F9 shows it",
		yes:      func(m *model) tea.Cmd { return m.endWindow(w) },
	}
	return nil
}
