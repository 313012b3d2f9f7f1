package ui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// The work column stands at the right of a wide screen while there are calls or something is parked: two rows for each call,
// where the bar has room for the words of one, and the park board below them.

// drawWork draws the column. A click on a call shows its window.
func (m *model) drawWork(r rect) []string {
	var rows []string
	if len(m.calls) > 0 {
		rows = []string{
			m.theme.heading.Render(spread(" CALLS", "Ctrl-X n next ", r.w)),
			m.theme.dim.Render(strings.Repeat("─", r.w)),
		}
	}
	for _, c := range m.calls {
		for _, text := range m.workRows(c, r.w) {
			style := m.theme.plain
			if c == m.barCall() {
				style = m.theme.heading
			}
			show := func(m *model) tea.Cmd { return m.show(c.window) }
			m.layout.bars = append(m.layout.bars, barPlace{rect{r.x, r.y + len(rows), r.w, 1}, show})
			rows = append(rows, style.Render(fit(text, r.w)))
		}
	}
	if len(rows) > 0 {
		rows = append(rows, strings.Repeat(" ", r.w))
	}
	board, orbits := m.workBoard(rect{r.x, r.y + len(rows), r.w, r.h - len(rows)})
	for i, text := range board {
		if orbit := orbits[i]; orbit != "" {
			show := func(m *model) tea.Cmd { return m.openBoardOn(orbit) }
			m.layout.bars = append(m.layout.bars, barPlace{rect{r.x, r.y + len(rows), r.w, 1}, show})
		}
		rows = append(rows, text)
	}
	for len(rows) < r.h {
		rows = append(rows, strings.Repeat(" ", r.w))
	}
	return rows[:r.h]
}

// workRows tell of one call: who and how it stands, and how well it goes.
func (m *model) workRows(c *phoneCall, w int) []string {
	mark := "  "
	if c == m.barCall() {
		mark = " >"
	}
	number := ""
	if a, ok := shortAddress(c.Peer.URI); ok && a != c.name() {
		number = a
	}
	first := fmt.Sprintf("%s %d  %s %s %s  ", mark, c.number, fit(c.name(), 16), fit(number, 13), c.mark())
	switch state := c.state(m.now()); {
	case c.up():
		first += strings.Join(append([]string{state}, c.flags()...), " ")
	case c.ringsHere():
		first += clock(m.now().Sub(c.Began))
	default:
		first += state
	}
	switch {
	case c.ringsHere():
		return []string{first, "      F2 answer   F3 not here   Ctrl-X D decline everywhere"}
	case !c.up() || c.stats.Call == "":
		return []string{first}
	}
	s := c.stats
	quality := ""
	if s.MOS > 0 {
		quality = fmt.Sprintf("  q%.1f", s.MOS)
	}
	levels := fmt.Sprintf("      mic [%s]  them [%s]", meter(s.Levels.Send, 10), meter(s.Levels.Receive, 10))
	how := fmt.Sprintf("      %s %s  loss %.1f %%  jitter %.0f ms%s", codecName(c.Codec), securityWord(c.Security), 100*s.Loss, s.Jitter, quality)
	if c.heldHere() {
		return []string{first, how}
	}
	return []string{first, levels, how}
}
