package ui

import (
	"fmt"
	"strings"

	"offhook/park"
)

// columns are the widths of the board's columns; 0 for one that there is no room for.
type columns struct{ orbit, caller, by, age, back, note int }

// columnsFor lays the board out for w cells: the caller and when the call rings back are there at any width.
func columnsFor(rows []park.Row, w int) columns {
	c := columns{orbit: 4, caller: 25, by: 11, age: 5, back: 13}
	for _, r := range rows {
		c.orbit = max(c.orbit, min(width(r.Orbit), 8))
	}
	if w < 76 {
		c.caller, c.by, c.back = 18, 7, 10
	}
	if w > 80 {
		c.caller += min(20, (w-80)/2)
		c.by += min(9, (w-80)/4)
	}
	rest := w - c.used()
	if rest >= 6 {
		c.note = rest
		return c
	}
	const least = 12 // cells of a caller
	c.caller += rest
	for _, gives := range []*int{&c.by, &c.age} {
		if c.caller < least {
			c.caller += *gives + 1
			*gives = 0
		}
	}
	c.caller = max(1, c.caller)
	return c
}

// used is what the columns but the note take, with what stands between them.
func (c columns) used() int {
	n := 3 + c.orbit + 3 + c.caller + 1 + c.back
	if c.by > 0 {
		n += c.by + 1
	}
	if c.age > 0 {
		n += c.age + 1
	}
	return n
}

// cells puts the words of a line into the columns.
func (c columns) cells(mark, orbit, mine, caller, by, age, back, note string) string {
	text := " " + mark + " " + fit(orbit, c.orbit) + " " + mine + " " + fit(caller, c.caller) + " "
	if c.by > 0 {
		text += fit(by, c.by)
	}
	if c.age > 0 {
		text += fitRight(age, c.age) + " "
	}
	if c.by > 0 {
		text += " "
	}
	text += fit(back, c.back)
	if c.note > 0 {
		text += fit(note, c.note)
	}
	return text
}

func (c columns) header() string {
	back := "RINGS BACK"
	if c.back < 12 {
		back = "BACK IN"
	}
	by := "PARKED BY"
	if c.by < 9 {
		by = "BY"
	}
	text := c.cells(" ", "", " ", "CALLER", by, "AGE", " "+back, "NOTE")
	return "   " + fit("ORBIT", c.orbit+3) + text[c.orbit+6:] // no call's mark stands there
}

// boardLine is one parked call: whose it is, for how long, and when it rings back.
func (m *model) boardLine(r park.Row, c columns, selected bool) string {
	mark, mine := " ", " "
	if selected {
		mark = ">"
	}
	if r.Mine {
		mine = "*"
	}
	back := m.ringsIn(r)
	if !strings.HasPrefix(back, "~") {
		back = " " + back
	}
	if m.soon(r) {
		back += " !"
	}
	note := r.Note
	if note == "" {
		note = "-"
	}
	return c.cells(mark, r.Orbit, mine, m.callerOf(r.Caller), m.parkerOf(r, "me"), m.parkAge(r), back, note)
}

// recentLine is one park that is over: how it ended and how long the caller waited.
func (m *model) recentLine(r park.Record, orbit, w int) string {
	how := m.howEnded(r)
	when := r.Ended.Format("15:04")
	if !sameDay(r.Ended, m.now()) {
		when = r.Ended.Format("02 Jan")
	}
	left := "   " + fit(r.Orbit.FriendlyOrbit, orbit) + "   "
	right := fitRight(when, 6) + "   waited " + short(r.Ended.Sub(r.Orbit.Parked))
	if w >= 90 {
		return left + fit(how, 34) + " " + fit(m.callerOf(r.Caller), min(34, w-80)) + " " + right
	}
	if w < 50 {
		return left + fit(how, max(1, w-width(left)-7)) + fitRight(when, 6)
	}
	if w < 72 {
		return left + fit(how, max(1, w-width(left)-width(right)-1)) + " " + right
	}
	return left + fit(how, 27) + " " + fit(firstName(m.partyOf(r.Caller)), 12) + " " + right
}

// ended are the parks of this user that are over, newest first.
func (m *model) ended(limit int) (all []park.Record) {
	for _, r := range m.parks.records {
		if len(all) < limit && !r.Ended.IsZero() {
			all = append(all, r)
		}
	}
	return all
}

// safePickUp says whether picking a call up can get somebody else, and why.
func (m *model) safePickUp(r park.Row) string {
	record, own := m.parkRecord(r.Orbit)
	switch {
	case own && record.Orbit.SafeRetrieveURI != "":
		return "safe pick-up: yes (parked by this account)"
	case own || r.Mine:
		return "safe pick-up: no, the server knows only the number"
	case r.Announced != (park.Party{}):
		return firstName(m.partyOf(r.AnnouncedBy)) + " announced somebody else: " + m.callerOf(r.Announced)
	case r.Estimated:
		return "who is there is compared with what " + firstName(m.parkerOf(r, "")) + " said"
	}
	return "picked up by number; the server says who is there"
}

// details are the lines about the selected call.
func (m *model) details(r park.Row, w int) []string {
	first := " " + r.Orbit + "  " + m.callerOf(r.Caller) + "   " + m.safePickUp(r)
	if width(first) > w {
		first = " " + r.Orbit + "  " + fitName(m.partyOf(r.Caller), max(8, w-width(m.safePickUp(r))-width(r.Orbit)-6)) + "   " + m.safePickUp(r)
	}
	second := " nobody was told of it yet"
	if !r.Mine {
		second = " "
	}
	if all := m.recipientsOf(r.Orbit); len(all) > 0 {
		second = " told: " + m.recipientsText(all)
	}
	return []string{first, second}
}

func (b *board) draw(m *model, body rect) []string {
	rows := b.boardShown(m)
	if b.choice.orbit == "" {
		b.choice.first(rows)
	}
	row, at := b.selected(m)
	c := columnsFor(rows, body.w)
	rule := m.theme.dim.Render(strings.Repeat("─", body.w))
	title := " PARK BOARD   " + m.serviceText()
	right := "/ filter  F9 close "
	if width(title)+width(right) > body.w {
		right = "F9 close "
	}
	out := []string{m.theme.heading.Render(spread(title, right, body.w))}
	var foot []string
	if body.h >= 12 {
		out = append(out, rule)
		foot = append(foot, rule)
		if row.Orbit != "" {
			for _, line := range m.details(row, body.w) {
				foot = append(foot, fit(line, body.w))
			}
		}
		foot = append(foot, m.theme.dim.Render(fit(" * mine   ~ a guess, from a message   ! rings back soon", body.w)))
	}
	out = append(out, m.theme.heading.Render(fit(c.header(), body.w)))
	room := max(1, body.h-len(out)-len(foot))
	recent := m.ended(room)
	if need := len(rows) + 2 + min(3, len(recent)); need > room { // the calls that wait come first
		recent = recent[:min(len(recent), max(0, min(3, room-8)))]
	}
	list := min(max(1, len(rows)), room)
	if len(recent) > 0 {
		list = min(list, room-2-min(3, len(recent)))
		recent = recent[:min(len(recent), room-2-list)]
	}
	out = append(out, b.lines(m, rows, at, c, list, body.w, len(out))...)
	if len(recent) > 0 {
		out = append(out, strings.Repeat(" ", body.w), m.theme.heading.Render(fit(" RECENT", body.w)))
		for _, r := range recent {
			out = append(out, fit(m.recentLine(r, c.orbit, body.w), body.w))
		}
	}
	for len(out) < body.h-len(foot) {
		out = append(out, strings.Repeat(" ", body.w))
	}
	out = append(out[:body.h-len(foot)], foot...)
	return out[:body.h]
}

// lines are the parked calls that there is room for, the selected one among them.
func (b *board) lines(m *model, rows []park.Row, at int, c columns, room, w, above int) []string {
	b.rowsAt = make([]string, above)
	if len(rows) == 0 {
		text := "   nothing is parked"
		if m.parks.service.Available {
			text += "; F5 parks the call you are in"
		}
		if b.filtering && len(m.parks.rows) > 0 {
			text = "   no parked call is like that"
		}
		return []string{fit(text, w)}
	}
	if b.from < 0 { // the selection has moved: it has to be seen
		b.from = max(0, at-room/2)
	}
	b.from = max(0, min(b.from, len(rows)-room))
	var out []string
	for i := b.from; i < min(len(rows), b.from+room); i++ {
		style := m.theme.plain
		switch {
		case i == at:
			style = m.theme.match
		case m.soon(rows[i]):
			style = m.theme.active
		}
		text := m.boardLine(rows[i], c, i == at)
		switch { // more above or below
		case i == b.from && i > 0 && i != at:
			text = "^" + text[1:]
		case i == b.from+room-1 && i < len(rows)-1 && i != at:
			text = "v" + text[1:]
		}
		out = append(out, style.Render(fit(text, w)))
		b.rowsAt = append(b.rowsAt, rows[i].Orbit)
	}
	return out
}

// workBoard is the board in the work column of a wide screen.
func (m *model) workBoard(r rect) (rows []string, orbits []string) {
	all := m.parks.rows
	if len(all) == 0 || r.h < 6 {
		return nil, nil
	}
	add := func(text, orbit string) { rows, orbits = append(rows, text), append(orbits, orbit) }
	title := " PARK BOARD"
	if s := m.parks.service; s.Orbits != "" {
		title += "   " + s.Orbits
		if n := orbitCount(s.Orbits); n > 0 && s.Strategy == strategyExact {
			title += fmt.Sprintf(", %d of %d in use", len(all), n)
		}
	}
	add(m.theme.heading.Render(spread(title, "F5 F6 F9 ", r.w)), all[0].Orbit)
	add(m.theme.dim.Render(strings.Repeat("─", r.w)), "")
	c := columnsFor(all, r.w)
	add(m.theme.heading.Render(fit(c.header(), r.w)), "")
	recent := m.ended(4)
	room := r.h - len(rows)
	if len(all)+1+len(recent) > room {
		recent = nil
	}
	more := 0
	if len(all) > room {
		all = m.soonest(room - 1)
		more = len(m.parks.rows) - len(all)
	}
	for _, row := range all {
		style := m.theme.plain
		if m.soon(row) {
			style = m.theme.active
		}
		add(style.Render(fit(m.boardLine(row, c, false), r.w)), row.Orbit)
	}
	if more > 0 {
		add(m.theme.dim.Render(fit(fmt.Sprintf("   %d more: F9", more), r.w)), all[0].Orbit)
	}
	if len(recent) > 0 {
		add(m.theme.heading.Render(fit(" RECENT", r.w)), "")
		for _, record := range recent {
			add(fit(m.recentLine(record, c.orbit, r.w), r.w), "")
		}
	}
	return rows, orbits
}
