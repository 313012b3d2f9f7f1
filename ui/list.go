package ui

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"offhook/internal/contacts"
	"offhook/session"
)

// target is what a click on a row of the list column means.
type target struct {
	window *window          // show it
	person contacts.Contact // open a window with them
	orbit  string           // open the board there
	group  bool             // fold or unfold the group of that name
	name   string
}

// listRow is one row of the list column.
type listRow struct {
	text   string // styled, as wide as the column
	target target
}

// drawList draws the conversations, the contacts and, on a wide screen, this user's devices. The conversations take what
// they need up to half of the rows; the current one is always among those shown.
func (m *model) drawList(r rect) []string {
	parked := m.listParked(r.w, r.h/3)
	full := r
	r.h -= len(parked)
	rows := m.listConversations(r)
	rows = append(rows, m.listContacts(r.w, r.h-len(rows))...)
	if r.w >= wideList && len(m.me.Devices) > 0 {
		devices := m.listDevices(r.w)
		if len(rows)+len(devices) <= r.h {
			rows = append(rows, devices...)
		}
	}
	rows = rows[:min(len(rows), r.h)]
	for len(parked) > 0 && len(rows) < r.h { // they stand at the bottom
		rows = append(rows, listRow{text: strings.Repeat(" ", r.w)})
	}
	rows, r = append(rows, parked...), full
	m.targets = make([]target, r.h)
	out := make([]string, r.h)
	for i := range out {
		if i >= len(rows) {
			out[i] = strings.Repeat(" ", r.w)
			continue
		}
		out[i], m.targets[i] = rows[i].text, rows[i].target
	}
	return out
}

func (m *model) heading(text string, w int) listRow {
	return listRow{text: m.theme.heading.Render(fit(" "+text, w))}
}

func (m *model) listConversations(r rect) []listRow {
	rows := []listRow{m.heading("CONVERSATIONS", r.w)}
	all := m.windows.all
	room := r.h - 1
	if len(m.groups) > 0 {
		room = max(min(room, 3), r.h/2-1)
	}
	from := 0
	if len(all) > room && room > 0 {
		at := slices.Index(all, m.windows.current)
		from = min(max(0, at-room/2), len(all)-room)
		all = all[from : from+room]
	}
	for _, w := range all {
		rows = append(rows, listRow{text: m.conversationRow(w, r.w), target: target{window: w}})
	}
	if len(rows) < r.h {
		rows = append(rows, listRow{text: strings.Repeat(" ", r.w)})
	}
	return rows
}

// conversationRow is ">2 Bob Martin    A  2": a mark, the number, the name, the presence letter, what is unread.
func (m *model) conversationRow(w *window, cells int) string {
	mark, style := " ", m.theme.plain
	switch {
	case w == m.windows.current:
		mark, style = ">", m.theme.heading
	case m.toastFor(w):
		mark, style = "!", m.theme.active
	case w.unread > 0:
		mark, style = "*", m.theme.active
	}
	right := ""
	if w.unread > 0 {
		right = strconv.Itoa(min(w.unread, 999))
	}
	number := fmt.Sprintf("%s%d ", mark, w.number)
	if c := m.callOf(w); c != nil {
		return style.Render(spread(number+w.name, " "+c.mark(), cells))
	}
	if w.state == session.ConversationParked {
		return style.Render(spread(number+w.name, " PARK", cells))
	}
	letter, ink := byte(' '), m.theme.plain
	if p, ok := m.presence(w.peer); ok && !w.home() {
		letter = presenceLetter(p.Availability)
		ink = m.theme.presence[letter]
	}
	name := fit(w.name, max(1, cells-len(number)-5))
	return style.Render(number+name) + " " + ink.Render(string(letter)) + style.Render(fitRight(right, cells-len(number)-width(name)-2))
}

func (m *model) listContacts(cells, room int) []listRow {
	here, total := 0, 0
	for _, g := range m.groups {
		for _, p := range g.Contacts {
			total++
			if m.here(p.URI) {
				here++
			}
		}
	}
	if total == 0 || room < 2 {
		return nil
	}
	title := fmt.Sprintf("CONTACTS %d/%d here", here, total)
	if cells >= wideList {
		title = spread("CONTACTS", fmt.Sprintf("%d/%d here ", here, total), cells-1)
	}
	rows := []listRow{m.heading(title, cells)}
	for _, g := range m.groups {
		rows = append(rows, m.groupRow(g, cells))
		if m.folded[g.Name] {
			continue
		}
		for _, p := range g.Contacts {
			rows = append(rows, m.contactRow(p, cells))
		}
	}
	if len(rows) > room {
		more := len(rows) - room + 1
		rows = append(rows[:room-1], listRow{text: m.theme.dim.Render(fit(fmt.Sprintf("   %d more: /contacts", more), cells))})
	}
	return rows
}

func (m *model) here(uri string) bool {
	p, ok := m.presence(uri)
	letter := presenceLetter(p.Availability)
	return ok && letter != '-' && letter != '?'
}

func (m *model) groupRow(g contacts.Group, cells int) listRow {
	here := 0
	for _, p := range g.Contacts {
		if m.here(p.URI) {
			here++
		}
	}
	mark := "v "
	if m.folded[g.Name] {
		mark = "> "
	}
	name := g.Name
	if name == "" {
		name = "Others"
	}
	text := spread(" "+mark+name, fmt.Sprintf(" %d/%d", here, len(g.Contacts)), cells)
	return listRow{text: m.theme.heading.Render(text), target: target{group: true, name: g.Name}}
}

func (m *model) contactRow(c contacts.Contact, cells int) listRow {
	presence, known := m.presence(c.URI)
	letter := byte('?')
	if known {
		letter = presenceLetter(presence.Availability)
	}
	right := ""
	if cells >= wideList && presence.Note != "" {
		right = " " + fit(presence.Note, 10)
	} else if idle := leastIdle(presence); idle >= 60 && (letter == 'W' || letter == '-') {
		right = " " + since(idle)
	}
	text := "   " + m.theme.presence[letter].Render(string(letter)) + " "
	return listRow{text: text + spread(c.Name, right, cells-5), target: target{person: c}}
}

// leastIdle is the time since somebody's last input on any device, in seconds; -1 if unknown.
func leastIdle(p session.Presence) int {
	idle := -1
	for _, d := range p.Devices {
		if d.IdleS >= 0 && (idle < 0 || d.IdleS < idle) {
			idle = d.IdleS
		}
	}
	return idle
}

// since is a duration in seconds, short.
func since(s int) string {
	switch {
	case s < 60:
		return strconv.Itoa(s) + "s"
	case s < 3600:
		return strconv.Itoa(s/60) + "m"
	case s < 86400:
		return strconv.Itoa(s/3600) + "h"
	default:
		return strconv.Itoa(s/86400) + "d"
	}
}

func (m *model) listDevices(cells int) []listRow {
	rows := []listRow{{text: strings.Repeat(" ", cells)}, m.heading("MY DEVICES", cells)}
	for i, d := range m.me.Devices {
		name := d.Name
		switch {
		case d.Self && name != "":
			name += " (this)"
		case d.Self:
			name = "this device"
		case name == "":
			name = "unnamed"
		}
		mark, state := " ", d.Class
		switch {
		case i == 0 && d.Class == "active":
			mark, state = "*", "most active"
		case d.IdleS >= 60:
			state = "idle " + since(d.IdleS)
		}
		rows = append(rows, listRow{text: spread(" "+mark+" "+name, " "+state+" ", cells)})
	}
	return rows
}
