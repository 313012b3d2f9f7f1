package ui

import (
	"strings"
	"time"

	"offhook/session"
)

// threadStyle turns entries into rows of one width: the time, the sender at the right of its column, the text with a
// hanging indent, and at the right end what became of a message of ours.
type threadStyle struct {
	width  int
	sender int  // width of the sender column
	clock  bool // show the time of each message
	theme  *theme
}

func newThreadStyle(w int, th *theme) *threadStyle {
	d := &threadStyle{width: w, sender: 7, clock: true, theme: th}
	switch {
	case w >= 100:
		d.sender = 10
	case w < 30:
		d.sender, d.clock = 4, false
	case w < 50:
		d.sender = 5
	}
	return d
}

// indent is the column at which text begins.
func (d *threadStyle) indent() int {
	if d.clock {
		return 1 + 5 + 1 + d.sender + 2
	}
	return 1 + d.sender + 2
}

func (d *threadStyle) dateLine(at time.Time) string {
	return d.theme.heading.Render(d.rule("─", " "+at.Format("Mon 2 Jan 2006")+" "))
}

func (d *threadStyle) markerLine() string { return d.theme.marker.Render(d.rule("─ ", " new ")) }

// rule is a line with a word in its middle.
func (d *threadStyle) rule(pattern, word string) string {
	room := d.width - 2 - width(word)
	if room < 2 {
		return fit(word, d.width)
	}
	left := room / 2
	line := func(n int) string {
		part, cells := head(strings.Repeat(pattern, n), n)
		return part + strings.Repeat(" ", n-cells)
	}
	return " " + line(left) + word + line(room-left) + " "
}

// drawGuide draws a line of the introduction. The rows after its first keep its indentation.
func (d *threadStyle) drawGuide(e *entry) []string {
	text := strings.TrimLeft(e.text, " ")
	indent := min(1+len(e.text)-len(text), d.width/2)
	rows, _ := wrap(text, d.width-indent-1, maxShown)
	for i, row := range rows {
		rows[i] = fit(strings.Repeat(" ", indent)+row, d.width)
	}
	return rows
}

func (d *threadStyle) drawEntry(e *entry, newest bool) []string {
	if e.kind == fromGuide {
		return d.drawGuide(e)
	}
	indent := d.indent()
	room := max(1, d.width-indent-1)
	text, cut := wrap(e.text, room, maxShown)
	if cut {
		text = append(text, "(the rest is in the record: /search finds it)")
	}
	note, bad := e.note(newest)
	if fits := width(text[len(text)-1])+2+width(note) <= room; note == answeredElsewhere && !fits {
		note = "" // the line below says it too
	}
	if note != "" {
		if bad || width(text[len(text)-1])+2+width(note) > room {
			more, _ := wrap(note, room, 3)
			text = append(text, more...)
			note = ""
		}
	}
	rows := make([]string, len(text))
	for i, line := range text {
		prefix := strings.Repeat(" ", indent)
		if i == 0 {
			prefix = d.prefix(e)
		}
		style := d.theme.plain
		switch {
		case e.pointed:
			style = d.theme.match
		case e.kind == fromProgram:
			style = d.theme.notice
		case bad && i >= len(text)-1:
			style = d.theme.alert
		}
		if i == len(text)-1 && note != "" {
			space := room - width(line) - width(note)
			rows[i] = prefix + style.Render(line) + strings.Repeat(" ", space) + d.theme.dim.Render(note) + " "
			continue
		}
		rows[i] = prefix + style.Render(fit(line, room)) + strings.Repeat(" ", max(0, d.width-indent-room))
	}
	if d.width < indent+2 { // hardly a screen: show what fits
		for i := range rows {
			rows[i] = fit(text[i], d.width)
		}
	}
	return rows
}

func (d *threadStyle) prefix(e *entry) string {
	from, style := e.from, d.theme.peer
	switch e.kind {
	case fromMe:
		from, style = "me", d.theme.me
	case fromProgram:
		from, style = "--", d.theme.notice
	case fromPeer, fromGuide:
	}
	sender := style.Render(fitRight(from, d.sender)) + "  "
	if !d.clock {
		return " " + sender
	}
	return " " + d.theme.dim.Render(e.at.Format("15:04")) + " " + sender
}

// note is what stands at the right of an entry, and whether it is bad news.
func (e *entry) note(newest bool) (note string, bad bool) {
	if e.kind != fromMe {
		return e.detail, false
	}
	switch e.status {
	case session.Sending:
		if e.waiting {
			return "waiting for the server", false
		}
		return "sending", false
	case session.Sent:
		return "stored, delivered later", false
	case session.Delivered:
		if newest {
			return "delivered", false
		}
	case session.Displayed:
		if newest {
			return "seen", false
		}
	case session.Failed:
		if e.detail != "" {
			return "not delivered: " + e.detail, true
		}
		return "not delivered", true
	}
	return "", false
}
