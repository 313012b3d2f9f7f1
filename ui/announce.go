package ui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"offhook/park"
	"offhook/session"
)

// announcedMsg is the outcome of telling people of a parked call.
type announcedMsg struct {
	orbit string
	to    []string
	sent  []park.Recipient
	err   error
}

// announce tells people of a parked call; text "" is the usual one.
func (m *model) announce(orbit string, to []string, text string) tea.Cmd {
	m.message = "telling " + plural(len(to), "person", "people") + " of " + orbit + " ..."
	params := map[string]any{"orbit": orbit, "to": to}
	if text != "" {
		params["text"] = text
	}
	done := announcedMsg{orbit: orbit, to: to}
	return func() tea.Msg {
		var result any
		result, done.err = m.commands.Call(m.ctx, "park.broadcast", params)
		var r struct {
			Recipients []park.Recipient `json:"recipients"`
		}
		decode(result, &r)
		done.sent = r.Recipients
		return done
	}
}

func (m *model) onAnnounced(msg announcedMsg) {
	m.message = ""
	failed := []string{}
	for _, r := range msg.sent {
		if _, parked := m.parkRow(msg.orbit); parked {
			m.recipient(msg.orbit, r)
		}
		if r.Status == "failed" {
			failed = append(failed, m.partyOf(park.Party{URI: r.URI}))
		}
	}
	switch {
	case msg.err != nil:
		m.say(m.windows.current, "not sent: "+problem(msg.err))
	case len(failed) > 0:
		m.message = fmt.Sprintf("%d of %d were told of %s; not reached: %s", len(msg.sent)-len(failed), len(msg.sent), msg.orbit, strings.Join(failed, ", "))
	default:
		m.message = plural(len(msg.sent), "person was", "people were") + " told of " + msg.orbit
	}
}

// openTellOne asks whom to tell of a parked call.
func (m *model) openTellOne(r park.Row) tea.Cmd {
	tell := func(m *model, p session.Party) tea.Cmd {
		cmd := m.openBoardOn(r.Orbit)
		return tea.Batch(cmd, m.announce(r.Orbit, []string{p.URI}, ""))
	}
	return m.open(&picker{
		label: "[tell of " + fitName(r.Orbit, 8) + "] ", title: "WHO SHOULD TAKE " + m.callerOf(r.Caller), does: "send the number",
		none: "nobody: Enter sends it to that address",
		find: func(m *model, what string) []place {
			if what == "" { // Enter pressed too early must not tell whoever comes first
				return nil
			}
			return m.everybody(what, tell)
		},
		typed: func(m *model, text string) tea.Cmd {
			uri, err := m.account.Resolve(text)
			if err != nil {
				m.message = problem(err)
				return nil
			}
			return tell(m, session.Party{URI: uri.String()})
		},
	})
}

// broadcastCommand is /broadcast [ORBIT] [WHO…]: without anybody named it opens the dialog.
func (m *model) broadcastCommand(orbit string, to []string) tea.Cmd {
	if orbit == "" {
		orbit = m.broadcastOrbit()
	}
	switch {
	case orbit == "":
		m.message = whyNothingParked
		return nil
	case len(to) == 0:
		return m.openBroadcastOf(orbit)
	}
	return m.announce(orbit, to, "")
}
