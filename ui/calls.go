package ui

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"offhook/internal/command"
	"offhook/session"
	"offhook/toast"
)

// This file knows the audio calls. What is shown of them is read from the session as a whole whenever an event was about
// one: a picture put together from single events would be wrong for ever after one that was missed.

// phoneCall is an audio call on screen.
type phoneCall struct {
	session.CallInfo
	number int // in its id; people write it as #3
	window *window
	stats  command.Stats // of the last second

	parking bool // asked for by a key here
}

// callsOf is the calls of a batch of events that may have changed them; told is false if it has not.
func callsOf(events []session.Event, from account) (calls []session.CallInfo, told bool) {
	for _, ev := range events {
		switch ev := ev.(type) {
		case session.CallStateChanged:
			told = told || ev.Kind == kindAudio
		case session.ToastShown:
			told = told || rings(toast.Kind(ev.Kind))
		case session.CallRinging, session.CallHold, session.CallMuted, session.CallMedia, session.CallSilence, session.CallRecording,
			session.CallConference, session.CallTrouble, session.CallParty:
			told = true
		}
	}
	if told {
		calls = from.Snapshot().Calls
	}
	return calls, told
}

// kindAudio is the kind of the calls of this file.
const kindAudio = "audio"

// setCalls takes over what the session says of all calls.
func (m *model) setCalls(infos []session.CallInfo) {
	before := m.calls
	m.calls = nil
	for _, info := range infos {
		if info.Kind != kindAudio || info.State == session.Terminated || info.State == session.Idle {
			continue
		}
		info.Peer = m.named(info.Peer)
		c := &phoneCall{CallInfo: info, number: callNumber(info.Call), window: m.windows.byConversation(info.Conversation)}
		c.parking = m.parks.asked[info.Conversation]
		if c.window == nil {
			c.window = m.windows.open(info.Peer)
			c.window.conversation = info.Conversation
		}
		if old := findCall(before, info.Call); old != nil {
			c.stats = old.stats
		}
		m.calls = append(m.calls, c)
	}
	for _, old := range before {
		if findCall(m.calls, old.Call) == nil {
			m.callGone(old)
		}
	}
}

// callGone follows the end of a call.
func (m *model) callGone(c *phoneCall) {
	m.steadyAt = m.now().Add(steadyTime)
	delete(m.parks.wrong, c.Call)
	delete(m.parks.backs, c.Call)
	if k, ok := m.overlay.(*keypad); ok && k.call == c.Call {
		m.overlay = nil
		m.message = "the call has ended"
	}
	if m.subject() == nil {
		m.statsShown = false
	}
}

func findCall(all []*phoneCall, id string) *phoneCall {
	if at := slices.IndexFunc(all, func(c *phoneCall) bool { return c.Call == id }); at >= 0 {
		return all[at]
	}
	return nil
}

// callNumber is the number in the id of a call; 0 if there is none.
func callNumber(id string) int {
	n, _ := strconv.Atoi(id[strings.LastIndexByte(id, '-')+1:])
	return n
}

func (c *phoneCall) name() string { return partyName(c.Peer) }

// up reports whether people can talk in it, were it not for a hold.
func (c *phoneCall) up() bool {
	return c.State == session.Established || c.State == session.Transferring
}

// heldHere reports whether this user has put it on hold.
func (c *phoneCall) heldHere() bool { return c.Hold == session.HoldLocal || c.Hold == session.HoldBoth }

func (c *phoneCall) talking() bool { return c.up() && !c.heldHere() }

func (c *phoneCall) ringsHere() bool {
	return c.Direction == session.Inbound && c.State == session.Incoming
}

// subject is the call that a key without further words is about: that of the window on screen, else the one in which the
// user talks, the one that is being made, the one on hold. nil: there is none.
func (m *model) subject() *phoneCall {
	var best *phoneCall
	least := 1 << 10
	for _, c := range m.calls {
		rank := 0
		switch {
		case c.talking():
		case c.State == session.Establishing:
			rank = 1
		case c.up():
			rank = 2
		case c.State == session.Terminating:
			rank = 3
		default: // it rings: keys for that are about the offer
			continue
		}
		if c.window != m.windows.current {
			rank += 10
		}
		if rank < least || rank == least && c.heldHere() {
			best, least = c, rank
		}
	}
	return best
}

// ringing is the call that rings here and waits for an answer, first that of the window on screen; nil if there is none.
func (m *model) ringing() *phoneCall {
	var first *phoneCall
	for _, c := range m.calls {
		if c.ringsHere() && (first == nil || c.window == m.windows.current && first.window != c.window) {
			first = c
		}
	}
	return first
}

// callOf is the call that a window shows in the list and in the status row: one that is up before one that rings.
func (m *model) callOf(w *window) *phoneCall {
	var best *phoneCall
	for _, c := range m.calls {
		if c.window == w && (best == nil || c.talking() || c.up() && !best.up()) {
			best = c
		}
	}
	return best
}

// together are the calls of a conference with c, c itself without one.
func (m *model) together(c *phoneCall) []*phoneCall {
	if c.Conference == "" {
		return []*phoneCall{c}
	}
	var all []*phoneCall
	for _, o := range m.calls {
		if o.Conference == c.Conference {
			all = append(all, o)
		}
	}
	return all
}

// anyUp reports whether a call is up, so that stopping the program would be heard.
func (m *model) anyUp() bool { return slices.ContainsFunc(m.calls, (*phoneCall).up) }

// mark is the state of a call in four letters, for the list.
func (c *phoneCall) mark() string {
	switch {
	case c.ringsHere():
		return "RING"
	case c.State == session.Establishing:
		return "DIAL"
	case c.State == session.Terminating:
		return "ENDS"
	case c.heldHere(), c.Hold == session.HoldRemote:
		return "HELD"
	case c.Conference != "":
		return "CONF"
	}
	return "TALK"
}

// state is the state of a call for the bar: what happens, and for how long.
func (c *phoneCall) state(now time.Time) string {
	switch {
	case c.ringsHere():
		return "RINGS " + clock(now.Sub(c.Began))
	case c.State == session.Establishing && c.Direction == session.Inbound:
		return "ANSWERING"
	case c.EarlyMedia: // their own ringback or announcement, not ours
		return "RINGING " + clock(now.Sub(c.Began)) + " EARLY MEDIA"
	case c.Ringing:
		return "RINGING " + clock(now.Sub(c.Began))
	case c.State == session.Establishing:
		return "CALLING " + clock(now.Sub(c.Began))
	case c.State == session.Terminating:
		return "ENDING"
	}
	text := clock(now.Sub(c.Since))
	switch {
	case c.parking:
		text += " PARKING ..."
	case c.State == session.Transferring:
		text += " TRANSFERRING"
	}
	return text
}

// flags are what must never be overlooked, in letters.
func (c *phoneCall) flags() []string {
	var flags []string
	switch c.Hold {
	case session.HoldLocal:
		flags = append(flags, "HELD")
	case session.HoldRemote:
		flags = append(flags, "HELD BY THEM")
	case session.HoldBoth:
		flags = append(flags, "HELD BY BOTH")
	case session.HoldNone:
	}
	if c.Conference != "" {
		flags = append(flags, "CONF")
	}
	if c.Muted {
		flags = append(flags, "MUTE")
	}
	if c.Recording != "" {
		flags = append(flags, "REC")
	}
	return flags
}

// sessionState is the state of the call for the status row of its window.
func (c *phoneCall) sessionState(now time.Time) string {
	text, flags := c.state(now), c.flags()
	switch {
	case c.up() && c.Hold != session.HoldNone:
		text, flags = flags[0]+" "+text, flags[1:]
	case c.up():
		text = "IN CALL " + text
	}
	return strings.Join(append([]string{text}, flags...), "  ")
}

// clock writes a duration as on a telephone: 00:21, 03:12, 1:02:03.
func clock(d time.Duration) string {
	s := int(max(0, d) / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%02d:%02d", s/60, s%60)
}

// pulseMsg comes once a second while a call is up or being made, with how the calls are doing. Nothing else of a call makes
// the screen be drawn without a key or an event, so it rests for most of each second.
type pulseMsg map[string]command.Stats

// pulse asks for the next pulseMsg, if there is a use for one and none is under way.
func (m *model) pulse() tea.Cmd {
	if m.pulsing {
		return nil
	}
	var ids []string
	var since time.Time
	for _, c := range m.calls {
		switch {
		case c.up():
			ids = append(ids, c.Call)
			since = c.Since
		case since.IsZero():
			since = c.Began
		}
	}
	if len(m.calls) == 0 {
		return nil
	}
	m.pulsing = true
	wait := time.Second - max(0, m.now().Sub(since))%time.Second // when the seconds of its clock change
	return func() tea.Msg {
		if !m.sleep(m.ctx, wait) {
			return nil
		}
		stats := pulseMsg{}
		for _, id := range ids {
			if r, err := m.commands.Call(m.ctx, "call.stats", map[string]any{"call": id}); err == nil {
				stats[id], _ = r.(command.Stats)
			}
		}
		return stats
	}
}

func (m *model) onPulse(stats pulseMsg) {
	m.pulsing = false
	for _, c := range m.calls {
		if s, ok := stats[c.Call]; ok {
			c.stats = s
		}
	}
}
