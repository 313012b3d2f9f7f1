package park

import (
	"regexp"
	"time"
)

// A TakenNotice follows an Announcement: the call waits no more. Whoever was about to run for the telephone need not.
type TakenNotice struct {
	Orbit  string
	By     Party         // who has the call now; zero nobody, or not known
	After  time.Duration // how long it has waited; 0 not told
	Reason UnparkReason
}

// endings are the sentences, by reason. A %s of theirs is a party.
var endings = []struct {
	reason     UnparkReason
	with, lone string // by somebody, without
}{
	{Retrieved, " was picked up by ", " was picked up"},
	{Ringback, " went back to ", " went back to who parked it"},
	{Fallback, " was sent on to ", " was sent on"},
	{Abandoned, "", ": the caller hung up"},
	{Disconnected, "", ": the line was lost"},
	{Dropped, "", ": nobody took the call, it was ended"},
	{Unknown, "", ": the call is no longer parked"},
}

const takenStart = "Orbit "

// String is a sentence such as
//
//	Orbit 701 was picked up by Carol (sip:carol@example.org) after 0:44.
//	Orbit 701: the caller hung up after 1:12.
func (t TakenNotice) String() string {
	t = t.clean()
	s := takenStart + t.Orbit
	for _, e := range endings {
		switch {
		case e.reason != t.Reason:
		case t.By != Party{}:
			s += e.with + t.By.sentence()
		default:
			s += e.lone
		}
	}
	if t.After > 0 {
		s += " after " + clock(t.After)
	}
	return s + "."
}

// clean is the notice as a sentence can carry it.
func (t TakenNotice) clean() TakenNotice {
	t.Orbit = orbitText(t.Orbit)
	t.After = max(min(t.After.Truncate(time.Second), maxWithin), 0)
	by := Party{}
	reason := Unknown
	for _, e := range endings {
		if e.reason == t.Reason {
			reason = e.reason
			if e.with != "" {
				by = t.By.spoken()
			}
		}
	}
	t.Reason, t.By = reason, by
	return t
}

var takenPatterns = takenSentences()

type takenSentence struct {
	reason UnparkReason
	by     bool
	is     *regexp.Regexp
}

func takenSentences() []takenSentence {
	const end = `(?: after ` + timePart + `)?\.`
	var out []takenSentence
	for _, e := range endings {
		start := `^` + takenStart + orbitPart
		if e.with != "" {
			out = append(out, takenSentence{e.reason, true, regexp.MustCompile(start + regexp.QuoteMeta(e.with) + callerPart + end)})
		}
		out = append(out, takenSentence{e.reason, false, regexp.MustCompile(start + regexp.QuoteMeta(e.lone) + end)})
	}
	return out
}

// ParseTaken recognises the sentence at the beginning of a text.
func ParseTaken(text string) (TakenNotice, bool) {
	first, ok := firstLine(text, takenStart)
	if !ok {
		return TakenNotice{}, false
	}
	for _, p := range takenPatterns {
		m := p.is.FindStringSubmatch(first)
		if m == nil {
			continue
		}
		t := TakenNotice{Orbit: m[1], Reason: p.reason}
		if p.by {
			by, ok := partyOf(m[2], m[3])
			if !ok {
				return TakenNotice{}, false
			}
			t.By = by
		}
		if n := len(m); m[n-1] != "" {
			t.After = duration(m[n-2], m[n-1])
		}
		return t.clean(), true
	}
	return TakenNotice{}, false
}
