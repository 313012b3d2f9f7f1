package ui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"offhook/park"
	"offhook/session"
)

// This file puts parked calls into words and figures.

// soonRings is the time before a ring-back from which on a call is marked.
const soonRings = 15 * time.Second

// short writes a duration as people say it of a wait: 0:58, 12:03, 1:02:03.
func short(d time.Duration) string {
	s := int(max(0, d) / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// until is the time left, rounded up so that 0 means over.
func until(at, now time.Time) time.Duration {
	return (max(0, at.Sub(now)) + time.Second - 1).Truncate(time.Second)
}

// ringsIn is when a parked call rings its parker back, with a mark if that is a guess: ~0:10. It is "" where nothing is known.
func (m *model) ringsIn(r park.Row) string {
	guess := ""
	if r.Estimated {
		guess = "~"
	}
	switch {
	case r.State == park.RowRecalling:
		return "rings"
	case r.RingBack.IsZero():
		return ""
	}
	return guess + short(until(r.RingBack, m.now()))
}

// soon reports whether a call is about to ring back, or does.
func (m *model) soon(r park.Row) bool {
	return r.State == park.RowRecalling || !r.RingBack.IsZero() && r.RingBack.Sub(m.now()) < soonRings
}

// parkAge is how long a call has been parked.
func (m *model) parkAge(r park.Row) string {
	if r.Since.IsZero() {
		return "-"
	}
	return short(m.now().Sub(r.Since))
}

// partyOf is how a party of the board is called: as the contact list has it.
func (m *model) partyOf(p park.Party) string { return partyName(m.named(session.Party(p))) }

// callerOf is who is parked, with the number if there is one.
func (m *model) callerOf(p park.Party) string {
	name := m.partyOf(p)
	if name == "" {
		return "somebody"
	}
	if a, number := shortAddress(p.URI); number && a != name {
		name += " " + a
	}
	return name
}

// parkerOf is who parked a call; mine is the word for this user.
func (m *model) parkerOf(r park.Row, mine string) string {
	if r.Mine {
		return mine
	}
	if name := m.partyOf(r.ParkedBy); name != "" {
		return name
	}
	return "?"
}

func firstName(name string) string {
	first, _, _ := strings.Cut(name, " ")
	return first
}

// nextBack is the call that rings back first.
func (m *model) nextBack() (first park.Row, ok bool) {
	for _, r := range m.parks.rows {
		if !r.RingBack.IsZero() && r.State != park.RowRecalling && (!ok || r.RingBack.Before(first.RingBack)) {
			first, ok = r, true
		}
	}
	return first, ok
}

// soonest are the n calls that ring back first, in the order of the board.
func (m *model) soonest(n int) []park.Row {
	rows := slices.Clone(m.parks.rows)
	slices.SortStableFunc(rows, func(a, b park.Row) int {
		if a.RingBack.IsZero() != b.RingBack.IsZero() { // those that never do come last
			return -a.RingBack.Compare(b.RingBack)
		}
		return a.RingBack.Compare(b.RingBack)
	})
	last := rows[max(0, min(n, len(rows))):]
	return slices.DeleteFunc(slices.Clone(m.parks.rows), func(r park.Row) bool {
		return slices.ContainsFunc(last, func(o park.Row) bool { return o.Orbit == r.Orbit })
	})
}

// parkSummary is the field of the status row.
func (m *model) parkSummary() string {
	if len(m.parks.rows) == 0 {
		return ""
	}
	text := fmt.Sprintf("Parked %d", len(m.parks.rows))
	if next, ok := m.nextBack(); ok {
		text += ", next " + m.ringsIn(next)
		if m.width >= wideWidth {
			text += fmt.Sprintf(" (%s %s)", next.Orbit, firstName(m.parkerOf(next, "mine")))
		}
	}
	return text
}

// whoParked is "2 mine 1 Ann".
func (m *model) whoParked() string {
	mine := 0
	var others []string
	for _, r := range m.parks.rows {
		if r.Mine {
			mine++
		} else {
			others = append(others, firstName(m.parkerOf(r, "")))
		}
	}
	var parts []string
	if mine > 0 {
		parts = append(parts, fmt.Sprintf("%d mine", mine))
	}
	if len(others) > 0 {
		name := others[0]
		if slices.ContainsFunc(others, func(o string) bool { return o != name }) {
			name = "others"
		}
		parts = append(parts, fmt.Sprintf("%d %s", len(others), name))
	}
	return strings.Join(parts, " ")
}

// howEnded is the way a park ended, for the list of the recent ones.
func (m *model) howEnded(r park.Record) string {
	who := m.partyOf(r.Target)
	if who != "" && address(r.Target.URI) == address(m.me.AOR) {
		who = "me"
	}
	switch r.Reason {
	case park.Retrieved:
		if who == "" {
			return "picked up"
		}
		return "picked up by " + who
	case park.Ringback:
		if who == "" || who == "me" {
			return "rang back, answered here"
		}
		return "rang back, answered by " + who
	case park.Abandoned:
		return "caller hung up"
	case park.Disconnected:
		return "line lost"
	case park.Fallback:
		if who == "" {
			return "went to fallback"
		}
		return "went to fallback (" + who + ")"
	case park.Dropped:
		return "nobody took it, hung up"
	case park.Unknown:
	}
	return "ended, no reason given"
}

// serviceText is the park service and its orbits. How many are in use is known only where the service tells of all calls.
func (m *model) serviceText() string {
	s := m.parks.service
	where := strings.TrimPrefix(s.Server, "sip:")
	switch {
	case !s.Available && s.Why != "":
		return s.Why
	case s.Orbits == "":
		return where
	}
	text := where + "   orbits " + s.Orbits
	if n := orbitCount(s.Orbits); n > 0 && s.Strategy == strategyExact {
		text += fmt.Sprintf(" (%d of %d in use)", len(m.parks.rows), n)
	}
	return text
}

// strategyExact is the way of parking with which the service tells of every parked call (RFC 5359 §2.15, RFC 4662).
const strategyExact = "rfc5359"

// orbitCount is how many orbits a range like 701-720 has; 0 if it is none.
func orbitCount(orbits string) int {
	var first, last int
	if n, _ := fmt.Sscanf(orbits, "%d-%d", &first, &last); n != 2 || last < first {
		return 0
	}
	return last - first + 1
}

// recipientsText is who was told of an orbit, and how far the word has come.
func (m *model) recipientsText(all []park.Recipient) string {
	words := map[string]string{"displayed": "seen", "failed": "not reached"}
	var parts []string
	for _, r := range all {
		word := r.Status
		if w, ok := words[word]; ok {
			word = w
		}
		parts = append(parts, m.partyOf(park.Party{URI: r.URI})+" ("+word+")")
	}
	return strings.Join(parts, ", ")
}

// recipientsOf is who was told of an orbit from here.
func (m *model) recipientsOf(orbit string) []park.Recipient {
	if all := m.parks.told[orbit]; len(all) > 0 {
		return all
	}
	r, _ := m.parkRecord(orbit)
	return r.Sent
}
