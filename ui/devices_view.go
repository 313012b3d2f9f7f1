package ui

import (
	"fmt"
	"strings"

	"offhook/internal/media"
)

func (d *devices) draw(m *model, body rect) []string {
	type drawn struct {
		text string
		at   int
	}
	var list []drawn
	selected := 0
	for _, p := range purposes {
		if len(list) > 0 && body.h > len(d.rows)+2*len(purposes) {
			list = append(list, drawn{"", -1})
		}
		list = append(list, drawn{d.heading(p.name, p.heading, body.w), -1})
		for i, r := range d.rows {
			if r.purpose != p.name {
				continue
			}
			if i == d.choice.at {
				selected = len(list)
			}
			list = append(list, drawn{d.text(r, i == d.choice.at, body.w), i})
		}
	}
	if d.trouble != "" {
		list = append(list, drawn{"", -1}, drawn{" ! " + d.trouble, -1})
	} else if !d.loaded {
		list = append(list, drawn{" asking the sound server ...", -1})
	}
	room := body.h - 2
	d.from = max(min(d.from, selected-1), selected-room+2, 0)
	out := []string{m.theme.heading.Render(spread(" SETTINGS > AUDIO", "Esc back ", body.w))}
	d.rowsAt = []int{-1}
	for i := d.from; i < d.from+room; i++ {
		if i >= len(list) {
			out, d.rowsAt = append(out, strings.Repeat(" ", body.w)), append(d.rowsAt, -1)
			continue
		}
		style := m.theme.plain
		switch {
		case list[i].at < 0:
			style = m.theme.heading
		case list[i].at == d.choice.at:
			style = m.theme.match
		}
		out, d.rowsAt = append(out, style.Render(fit(list[i].text, body.w))), append(d.rowsAt, list[i].at)
	}
	d.stagesRow = len(out)
	out = append(out, m.theme.heading.Render(d.processingRow(body.w)))
	return out[:body.h]
}

// heading is the title of a part, with the level of its sound.
func (d *devices) heading(purpose, title string, w int) string {
	right := ""
	switch purpose {
	case "capture":
		right = "level " + levelText(d.levels.Capture)
		if d.levels.Clipping {
			right = "TOO LOUD  " + right
		}
	case "playback":
		right = "level " + levelText(d.levels.Playback)
	case "ringers":
		right = "rings on all ticked devices"
	}
	return spread(" "+title, right+" ", w)
}

// levelText is a meter with its figure, which keeps its width while it moves.
func levelText(db float64) string {
	figure := "silence"
	if db > -100 {
		figure = fmt.Sprintf("%4.0f dB", db)
	}
	return "[" + meter(db, 10) + "] " + fit(figure, 7)
}

func (d *devices) text(r deviceRow, here bool, w int) string {
	mark := "( )"
	if d.chosen(r) {
		mark = "(o)"
	}
	if r.purpose == "ringers" {
		mark = "[ ]"
		if d.chosen(r) {
			mark = "[x]"
		}
	}
	cursor := "   "
	if here {
		cursor = " > "
	}
	var about []string
	if r.device.Default {
		about = append(about, "default")
	}
	if r.device.InUse {
		about = append(about, "in use")
	}
	if r.device.Backend != "" {
		about = append(about, r.device.Backend)
	}
	name := r.device.Name
	if name == "" {
		name = r.device.ID
	}
	return spread(cursor+mark+" "+name, "  "+strings.Join(about, "  ")+" ", w)
}

// selectionText says what is chosen, for who has typed it.
func selectionText(s media.Selection) string {
	is := func(name string) string {
		if name == "" || name == defaultDevice {
			return "the system's"
		}
		return name
	}
	text := "microphone: " + is(s.Capture) + ", speaker: " + is(s.Playback)
	if s.Ringers != nil {
		text += ", rings on: " + strings.Join(s.Ringers, ", ")
	}
	return text
}
