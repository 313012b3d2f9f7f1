package ui

import (
	"fmt"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// statsBox tells how a call is doing, as of the last second. It takes no key but Esc: one can type on below it.
type statsBox struct{ call *phoneCall }

func (m *model) toggleStats() tea.Cmd {
	if m.statsShown {
		m.statsShown = false
		return nil
	}
	return m.withSubject("mute", func(*phoneCall) tea.Cmd {
		m.statsShown = true
		return nil
	})
}

// statsCommand is /stats: of the call that keys are about, or of one that is named, whose window it shows.
func (m *model) statsCommand(which string) tea.Cmd {
	if which == "" {
		return m.toggleStats()
	}
	for _, c := range m.calls {
		if which == c.Call || strings.TrimPrefix(which, "#") == strconv.Itoa(c.number) {
			m.statsShown = true
			return m.show(c.window)
		}
	}
	m.message = "there is no call " + which
	return nil
}

func (b statsBox) box(m *model) (string, []string, int) {
	c, s := b.call, b.call.stats
	title := fmt.Sprintf("CALL %d  %s  Esc closes", c.number, c.name())
	if !c.up() {
		return title, []string{c.state(m.now())}, -1
	}
	if s.Call == "" {
		return title, []string{"nothing is measured yet"}, -1
	}
	w := m.layout.pane.w - 3
	known := func(f float64, format string) string {
		if f == 0 {
			return "?"
		}
		return fmt.Sprintf(format, f)
	}
	codec := codecName(c.Codec)
	if s.ReceiveCodec != "" && s.ReceiveCodec != c.Codec {
		codec += " out, " + codecName(s.ReceiveCodec) + " in"
	}
	security := securityWord(c.Security)
	if c.Security == "none" {
		security = "plain: not encrypted"
	} else if c.Suite != "" {
		security += " " + c.Suite
	}
	pairs := [][2]string{
		{"codec    " + codec, security},
		{fmt.Sprintf("loss     %.1f %% in, %.1f %% out", 100*s.Loss, 100*s.RemoteLoss), "MOS " + known(s.MOS, "%.1f") + ", theirs " + known(s.RemoteMOS, "%.1f")},
		{fmt.Sprintf("jitter   %.0f ms in, %.0f ms out", s.Jitter, s.RemoteJitter), fmt.Sprintf("concealed %.0f ms", s.Concealed)},
		{fmt.Sprintf("delay    %.0f ms mouth to ear", s.Delay), "round trip " + known(s.RoundTrip, "%.0f ms")},
		{"level    mic [" + meter(s.Levels.Send, 10) + "]", "them [" + meter(s.Levels.Receive, 10) + "]"},
		{fmt.Sprintf("packets  %d out, %d in", s.Sent, s.Received), fmt.Sprintf("lost %d late %d refused %d", s.Lost, s.Late, s.Rejected)},
		{"address  " + s.Local, "to " + s.Remote},
	}
	var lines []string
	column := min(34, w/2+3)
	for _, pair := range pairs {
		left := fit(pair[0], max(column, width(pair[0])+2))
		if width(left)+width(pair[1]) > w {
			left = pair[0] + "  "
		}
		switch {
		case width(left)+width(pair[1]) <= w:
			lines = append(lines, left+pair[1])
		case m.layout.pane.h > 2*len(pairs):
			lines = append(lines, pair[0], "         "+pair[1])
		default:
			lines = append(lines, pair[0])
		}
	}
	return title, lines, -1
}
