package ui

import (
	"fmt"
	"math"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"offhook/internal/plaintext"
)

// The call bar is one row, whichever window is shown: the call that the keys are about, with everything that must be seen
// of it, and the names of the others. Where nothing is heard of the other side, the reason stands below it.

// segment is a part of the bar.
type segment struct {
	text string
	rank int // where there is no room, those with the highest rank go first; 0 never goes
	loud bool
	do   func(*model) tea.Cmd // what a click does; nil: nothing
}

// barPlace is where a segment is on screen, for clicks.
type barPlace struct {
	rect
	do func(*model) tea.Cmd
}

const maxSilence = 2 // rows that tell why nothing is heard

// barRows is the number of rows of the bar, 0 without a call.
func (m *model) barRows() int {
	if len(m.calls) == 0 {
		return m.bannerRows()
	}
	return 1 + len(m.silenceRows()) + m.bannerRows()
}

// silenceRows are why nothing is heard in the call that the bar shows, on either side.
func (m *model) silenceRows() []string {
	c := m.barCall()
	if c == nil {
		return nil
	}
	text := c.Silence
	if wrong := m.parks.wrong[c.Call]; wrong != "" && c.Muted { // not heard by a stranger before the user says so
		text = wrong
	}
	if text == "" {
		return nil
	}
	most := maxSilence
	if m.height < 2*leastBody {
		most = 1
	}
	rows, cut := wrap("! "+text, max(1, m.width-2), most)
	if cut {
		rows[most-1] = strings.TrimRight(fit(rows[most-1]+" …", max(1, m.width-2)), " ")
	}
	return rows
}

// barCall is the call that the bar tells most of.
func (m *model) barCall() *phoneCall {
	if c := m.subject(); c != nil {
		return c
	}
	return m.ringing()
}

// drawBar draws the bar into the layout, row by row.
func (m *model) drawBar() []string {
	l := &m.layout
	l.bars = nil
	var rows []string
	if c := m.barCall(); c != nil && l.bar.h > 0 {
		rows = m.drawCall(c)
	}
	if b := m.parkBanner(); b != nil && len(rows) < l.bar.h {
		rows = append(rows, m.drawBanner(b, l.bar.y+len(rows)))
	}
	for len(rows) < l.bar.h { // the only call neither rings here nor goes on: it is not worth a word
		rows = append(rows, strings.Repeat(" ", l.width))
	}
	return rows
}

// drawCall draws the rows of the call that the bar is about.
func (m *model) drawCall(c *phoneCall) []string {
	l := &m.layout
	var row strings.Builder
	cells := 0
	for _, s := range m.fitBar(m.segments(c), l.width) {
		text := s.text
		if cells+width(text) > l.width {
			text = fit(text, l.width-cells)
		}
		style := m.theme.call
		if s.loud {
			style = m.theme.alert
		}
		row.WriteString(style.Render(text))
		if s.do != nil {
			l.bars = append(l.bars, barPlace{rect{cells, l.bar.y, width(text), 1}, s.do})
		}
		cells += width(text)
	}
	rows := []string{row.String() + strings.Repeat(" ", max(0, l.width-cells))}
	for _, line := range m.silenceRows() {
		if len(rows) < l.bar.h-m.bannerRows() {
			rows = append(rows, m.theme.alert.Render(fit(" "+line, l.width)))
		}
	}
	return rows
}

// The ranks of segments: what is given up first has the highest.
const (
	rankNever = iota
	rankOthers
	rankSecurity
	rankQuality
	rankCodec
	rankMeter
	rankAddress
)

// segments are the parts of the bar, in their order.
func (m *model) segments(c *phoneCall) []segment {
	window := func(w *window) func(*model) tea.Cmd { return func(m *model) tea.Cmd { return m.show(w) } }
	name := c.name()
	for _, o := range m.together(c) {
		if o != c {
			name += ", " + o.name()
		}
	}
	title := fmt.Sprintf(" CALL %d> ", c.number)
	if m.width < narrowWidth {
		title = fmt.Sprintf(" %d> ", c.number)
	}
	all := []segment{{text: title + fitName(name, max(8, m.width/4)), do: window(c.window)}}
	if now := m.partyNow(c); now != "" {
		all = append(all, segment{text: " " + now, loud: true, do: window(c.window)})
	} else if a, number := shortAddress(c.Peer.URI); number && a != c.name() {
		all = append(all, segment{text: " " + a, rank: rankAddress})
	}
	all = append(all, segment{text: " " + c.state(m.now()), loud: c.ringsHere() || c.parking, do: window(c.window)})
	if orbit := m.parks.backs[c.Call]; orbit != "" && c.ringsHere() {
		all = append(all, segment{text: " BACK from park " + orbit, loud: true})
	}
	for _, flag := range m.barFlags(c) {
		all = append(all, segment{text: " " + flag, loud: true, do: flagAction(flag)})
	}
	if c.ringsHere() {
		all = append(all,
			segment{text: "  F2 answer", do: (*model).answer}, segment{text: "  F3 not here", rank: rankOthers, do: (*model).hangUp})
	}
	if c.up() {
		all = append(all, mediaSegments(c)...)
	}
	for _, o := range m.calls {
		if o == c || o.Conference != "" && o.Conference == c.Conference {
			continue
		}
		text := fmt.Sprintf(" | CALL %d %s ", o.number, o.mark()) + fitName(o.name(), max(6, m.width/8))
		if m.width < narrowWidth {
			text = fmt.Sprintf(" | %d %s", o.number, o.mark())
		}
		all = append(all, segment{text: text, rank: rankOthers, loud: o.ringsHere(), do: window(o.window)})
	}
	return all
}

// mutedInPart is the flag of a conference in which some hear the microphone.
const mutedInPart = "MUTE IN PART"

// barFlags are the flags of a call, where it is one of a conference with those of all: who believes to be muted must be.
func (m *model) barFlags(c *phoneCall) []string {
	all, some := m.muted(c)
	if all || !some {
		return c.flags()
	}
	flags := slices.DeleteFunc(c.flags(), func(flag string) bool { return flag == "MUTE" })
	return append(flags, mutedInPart)
}

// muted reports whether all of the conference of c, or c itself without one, do not hear the microphone, or some do not.
func (m *model) muted(c *phoneCall) (all, some bool) {
	all = true
	for _, o := range m.together(c) {
		all, some = all && o.Muted, some || o.Muted
	}
	return all, some
}

// mediaSegments tell how the sound travels.
func mediaSegments(c *phoneCall) []segment {
	var all []segment
	if name := codecName(c.Codec); name != "" {
		all = append(all, segment{text: " " + name, rank: rankCodec, do: (*model).toggleStats})
	}
	if c.Security != "" {
		all = append(all, segment{text: " " + securityWord(c.Security), rank: rankSecurity, do: (*model).toggleStats})
	}
	if c.stats.MOS > 0 {
		all = append(all, segment{text: fmt.Sprintf(" q%.1f", c.stats.MOS), rank: rankQuality, do: (*model).toggleStats})
	}
	if !c.Muted && !c.heldHere() && c.stats.Call != "" {
		all = append(all, segment{text: " mic" + meter(c.stats.Levels.Send, 4), rank: rankMeter, do: (*model).mute})
	}
	return all
}

// flagAction is what a click on a flag does.
func flagAction(flag string) func(*model) tea.Cmd {
	switch flag {
	case "MUTE", mutedInPart:
		return (*model).mute
	case "REC":
		return (*model).toggleRecording
	case "HELD", "HELD BY BOTH":
		return (*model).hold
	}
	return nil
}

// fitBar gives segments up until the rest has room. Other calls that have to go are counted at least.
func (m *model) fitBar(all []segment, cells int) []segment {
	total := func() (n int) {
		for _, s := range all {
			n += width(s.text)
		}
		return n
	}
	for rank := rankAddress; rank >= rankOthers && total() > cells; rank-- {
		var kept []segment
		gone, loud := 0, false
		for _, s := range all {
			if s.rank != rank {
				kept = append(kept, s)
				continue
			}
			gone++
			loud = loud || s.loud
		}
		if rank == rankOthers && gone > 0 && len(m.calls) > 1 {
			kept = append(kept, segment{text: fmt.Sprintf(" +%d", gone), loud: loud, do: (*model).nextCall})
		}
		all = kept
	}
	return all
}

// shortAddress is an address as it is dialled: a number alone, anything else without its scheme.
func shortAddress(uri string) (text string, number bool) {
	_, rest, ok := strings.Cut(uri, ":")
	if !ok {
		rest = uri
	}
	rest, _, _ = strings.Cut(rest, ";")
	rest = plaintext.Line(rest, maxName)
	user, _, ok := strings.Cut(rest, "@")
	if ok && strings.Trim(user, "+0123456789") == "" {
		return user, true
	}
	return rest, false
}

// fitName cuts a name to at most so many cells.
func fitName(name string, cells int) string {
	if width(name) <= cells {
		return name
	}
	return strings.TrimRight(fit(name, cells), " ")
}

func codecName(codec string) string {
	switch codec {
	case "opus":
		return "Opus"
	case "g722":
		return "G.722"
	}
	return strings.ToUpper(codec)
}

// securityWord says what protects the sound. A mere lock would hide a difference: with DTLS the keys never leave the two
// ends, with SDES every server that carries the signalling has them (RFC 4568 §7).
func securityWord(security string) string {
	switch security {
	case "sdes":
		return "SRTP"
	case "dtls":
		return "DTLS"
	case "none":
		return "plain"
	}
	return security
}

// silence is the level of nothing at all, in dB below full scale.
const silence = -127

// meterFloor is the level, in dB below full scale, at which a meter is empty.
const meterFloor = -60

// meter draws a level in so many cells: ###-.
func meter(db float64, cells int) string {
	full := 0
	if db > meterFloor {
		full = min(cells, int(math.Ceil((db-meterFloor)/-meterFloor*float64(cells))))
	}
	return strings.Repeat("#", full) + strings.Repeat("-", cells-full)
}
