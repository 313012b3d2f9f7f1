package ui

import (
	"fmt"
	"strings"

	"offhook/park"
)

// addresseeText is how an addressee stands in the dialog.
func (m *model) addresseeText(a addressee) string {
	mark := "[ ] "
	if a.ticked {
		mark = "[x] "
	}
	if a.group {
		return fmt.Sprintf("%s%s (%d here)", mark, a.name, len(a.uris))
	}
	letter := ""
	if p, known := m.presence(a.uris[0]); known {
		letter = " " + string(presenceLetter(p.Availability))
	}
	return mark + a.name + letter
}

func (b *broadcast) draw(m *model, body rect) []string {
	out := b.board.draw(m, body)
	w := min(74, body.w-2)
	if body.w < narrowWidth {
		w = body.w
	}
	inner := w - 4
	if inner < 12 || body.h < 8 {
		return out
	}
	lines := b.content(m, inner, body.h-2)
	x, y := (body.w-w)/2, max(0, (body.h-len(lines)-2)/2)
	b.top, b.left = y, x
	title := fit("┌ BROADCAST ORBIT "+b.orbit+"  "+b.caller+" "+strings.Repeat("─", w), w)
	title, _ = head(title, w-1)
	ink := m.theme.toast
	box := []string{ink.Render(title + "┐")}
	for _, line := range lines {
		box = append(box, ink.Render("│")+" "+line+" "+ink.Render("│"))
	}
	box = append(box, ink.Render("└"+strings.Repeat("─", w-2)+"┘"))
	for i, line := range box {
		if y+i < len(out) {
			out[y+i] = superpose(out[y+i], x, line, body.w)
		}
	}
	return out
}

// content is what stands in the box, each line w cells wide; h rows are there at most.
func (b *broadcast) content(m *model, w, h int) []string {
	tight := h < 14
	text, _ := wrap(b.text, w-7, 3)
	warning, _ := wrap("! "+b.warning(m), w, 3)
	buttons := b.buttons(m, w)
	blanks := 3
	if tight {
		blanks = 0
	}
	people := b.people(m, w-7, max(1, min(6, h-len(text)-len(warning)-len(buttons)-blanks)))
	var lines []string
	add := func(heading string, rows []string, style func(string) string) {
		for i, row := range rows {
			if i > 0 {
				heading = strings.Repeat(" ", width(heading))
			}
			lines = append(lines, heading+style(row))
		}
		if !tight {
			lines = append(lines, strings.Repeat(" ", w))
		}
	}
	plain := func(s string) string { return s }
	mark := func(field int, word string) string {
		if b.field == field {
			return ">" + word
		}
		return " " + word
	}
	add(mark(fieldTo, "To:   "), people, plain)
	add(mark(fieldText, "Text: "), text, func(s string) string { return fit(s, w-7) })
	add("", warning, func(s string) string { return m.theme.alert.Render(fit(s, w)) })
	for _, row := range buttons {
		lines = append(lines, fit(row, w))
	}
	return lines[:min(len(lines), h)]
}

// warning is what has to be known before a number is told.
func (b *broadcast) warning(m *model) string {
	text := "Everyone who gets this number can take the call."
	to := b.to()
	switch {
	case len(to) == 1 && b.mine:
		return text + " For one person a transfer is safer: F7 takes the call back and transfers it to " + firstName(m.partyOf(park.Party{URI: to[0]})) + "."
	case b.mine:
		return text + " For one known person a transfer (F7) is safer."
	}
	return text
}

// people are the rows of those who can be ticked, in columns.
func (b *broadcast) people(m *model, w, room int) []string {
	b.column = 27
	per := max(1, w/b.column)
	if per == 1 {
		b.column = w
	}
	rows := (len(b.shown) + per - 1) / per
	room = max(1, min(room, rows))
	at := b.choice.at / per
	if at < b.from || at >= b.from+room {
		b.from = at - room/2
	}
	b.from = max(0, min(b.from, rows-room))
	b.rows = nil
	if len(b.shown) == 0 {
		return []string{fit("+ "+strings.TrimSpace(b.line.text)+": Enter adds that address", w)}
	}
	var out []string
	for r := b.from; r < b.from+room; r++ {
		line := ""
		var indices []int
		for i := r * per; i < min(len(b.shown), (r+1)*per); i++ {
			indices = append(indices, i)
			text := m.addresseeText(b.all[b.shown[i]])
			if i == b.choice.at && b.field == fieldTo {
				line += m.theme.match.Render(fit(text, b.column-1)) + " "
			} else {
				line += fit(text, b.column-1) + " "
			}
		}
		line += strings.Repeat(" ", max(0, w-len(indices)*b.column))
		b.rows = append(b.rows, indices)
		out = append(out, line)
	}
	return out
}

// buttons are the last rows of the dialog.
func (b *broadcast) buttons(m *model, w int) []string {
	all := []struct {
		field int
		text  string
	}{{fieldSend, fmt.Sprintf("Send to %d", len(b.to()))}, {fieldDraft, ""}, {fieldCancel, "Cancel"}}
	if b.draft != nil {
		all[1].text = "Draft to " + fitName(firstName(b.draft.name), 12)
	}
	var labels []label
	for _, one := range all {
		switch {
		case one.text == "":
		case one.field == b.field:
			labels = append(labels, label{text: ">[ " + one.text + " ]<"})
		default:
			labels = append(labels, label{text: " [ " + one.text + " ] "})
		}
	}
	rows := pack(labels, w)
	keys := "Tab next  Space tick  Esc"
	if last := len(rows) - 1; width(rows[last])+2+width(keys) <= w {
		rows[last] = spread(rows[last], keys, w)
	}
	return rows
}
