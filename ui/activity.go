package ui

import (
	"context"
	"os/exec"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// This file tells the session how much attention this device has. Which device of a user takes a message depends on it,
// so it must not be overstated: a terminal nobody can see never claims to be active.

const (
	// blurLimit is how long a terminal may be out of focus before it counts as one that nobody sees.
	blurLimit = 5 * time.Minute
	// tmuxPoll is how often tmux is asked whether somebody is attached, and tmuxTimeout how long it may take to say.
	tmuxPoll    = 3 * time.Second
	tmuxTimeout = time.Second
)

// attachedMsg says whether a client is attached to the tmux session that the program runs in.
type attachedMsg bool

// presenceState is the model's view of its person.
type presenceState struct {
	detached bool      // tmux says that nobody is attached
	blurred  time.Time // since when the terminal is out of focus; zero: it is not, or does not say
	away     bool      // what the session was told last
	reports  bool      // the terminal reports its focus
	last     time.Time // last key or click
}

// input is a key or a click: somebody is here.
func (m *model) input() {
	if !m.focused { // a terminal that gets keys is in focus, whatever it said last
		m.focus(true)
	}
	m.person.last = m.now()
	m.attention.Input(m.person.last)
	m.forecast()
	if m.windows.current.unseen {
		m.read(m.windows.current)
	}
}

// idleLimit is how long after a key somebody is taken to be looking at a terminal that does not report its focus.
const idleLimit = time.Minute

// looking reports whether a person sees what happens on the screen, so that no notification is needed.
func (m *model) looking() bool {
	if m.person.reports {
		return m.focused
	}
	return m.now().Sub(m.person.last) < idleLimit
}

func (m *model) focus(on bool) tea.Cmd {
	m.focused = on
	m.person.reports = m.person.reports || !on
	defer m.checkAttached()
	if on {
		m.person.blurred = time.Time{}
		m.read(m.windows.current)
		return nil
	}
	if m.person.blurred.IsZero() {
		m.person.blurred = m.now()
	}
	return m.markRead(m.windows.current)
}

func (m *model) onAttached(attached bool) {
	m.person.detached = !attached
	m.checkAttached()
}

// detachAt is when a terminal out of focus begins to count as unseen; zero if it does not.
func (m *model) detachAt() time.Time {
	if m.person.blurred.IsZero() || m.person.away {
		return time.Time{}
	}
	return m.person.blurred.Add(blurLimit)
}

// checkAttached tells the session if the answer changed.
func (m *model) checkAttached() {
	p := &m.person
	away := p.detached || !p.blurred.IsZero() && m.now().Sub(p.blurred) >= blurLimit
	if away != p.away {
		p.away = away
		m.attention.Attached(!away)
	}
}

// watchTmux asks tmux until ctx ends and sends every change. The pane's own session is meant: with several sessions in
// one server the default would be another one.
func watchTmux(ctx context.Context, pane string, send func(attachedMsg)) {
	last := true
	tick := time.NewTicker(tmuxPoll)
	defer tick.Stop()
	for {
		if attached, ok := tmuxAttached(ctx, pane); ok && attached != last {
			last = attached
			send(attachedMsg(attached))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func tmuxAttached(ctx context.Context, pane string) (attached, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, tmuxTimeout)
	defer cancel()
	args := []string{"display-message", "-p"}
	if pane != "" {
		args = append(args, "-t", pane)
	}
	cmd := exec.CommandContext(ctx, "tmux", append(args, "#{session_attached}")...)
	cmd.WaitDelay = tmuxTimeout
	out, err := cmd.Output()
	if err != nil {
		return false, false // no answer is no reason to step back
	}
	return strings.TrimSpace(string(out)) != "0", true
}
