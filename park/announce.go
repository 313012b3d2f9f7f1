package park

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"offhook/internal/plaintext"
	"offhook/internal/sipua"
)

// An Announcement tells people by message that a call waits for one of them. It is a sentence that anybody can read and
// act upon, whatever their program, and that ours recognises:
//
//	Call for you on 701: Mary (sip:mary@example.org), order 77. Dial 701 or press F6 701 within 1:15.
//
// Nobody is bound by the sentence: it is what the sender believes. The Board marks it as that.
type Announcement struct {
	Orbit  string
	Caller Party // zero: not known
	Note   string
	Within time.Duration // until the service rings the parker back; 0 not told
}

const (
	announceStart = "Call for you on "
	noAddress     = "no address"
	nobodyKnown   = "somebody"
	maxText       = 4 << 10 // of a message that is looked at
	maxWithin     = 100 * time.Hour
)

// The parts of sentences. A URI has no brackets in it: they are escaped.
const (
	orbitPart  = `([^\s:.,]+)`
	callerPart = `(.+?) \(((?:sips?|tel):[^\s()]+|` + noAddress + `)\)`
	timePart   = `(\d{1,4}):([0-5]\d)`
)

var (
	announcement = regexp.MustCompile(`^` + announceStart + orbitPart + `: ` + callerPart + `(.*)$`)
	announceEnd  = regexp.MustCompile(`^ or press F6 \S+ within ` + timePart)
)

// String is the sentence.
func (a Announcement) String() string {
	a = a.clean()
	s := announceStart + a.Orbit + ": " + a.Caller.sentence()
	if a.Note != "" {
		s += ", " + a.Note
	}
	s += fmt.Sprintf(". Dial %s or press F6 %s", a.Orbit, a.Orbit)
	if a.Within > 0 {
		s += " within " + clock(a.Within)
	}
	return s + "."
}

// clean is the announcement as a sentence can carry it.
func (a Announcement) clean() Announcement {
	a.Orbit = orbitText(a.Orbit)
	a.Caller = a.Caller.spoken()
	a.Note = plaintext.Line(a.Note, maxNoteText)
	a.Within = max(min(a.Within.Truncate(time.Second), maxWithin), 0)
	return a
}

// ParseAnnouncement recognises the sentence at the beginning of a text. People may have changed its end, or written more
// below; anything else is no announcement.
func ParseAnnouncement(text string) (Announcement, bool) {
	first, ok := firstLine(text, announceStart)
	if !ok {
		return Announcement{}, false
	}
	m := announcement.FindStringSubmatch(first)
	if m == nil {
		return Announcement{}, false
	}
	caller, ok := partyOf(m[2], m[3])
	if !ok {
		return Announcement{}, false
	}
	a := Announcement{Orbit: m[1], Caller: caller}
	rest := m[4]
	if at := strings.LastIndex(rest, ". Dial "+a.Orbit); at >= 0 {
		end := strings.TrimPrefix(rest[at:], ". Dial "+a.Orbit)
		if w := announceEnd.FindStringSubmatch(end); w != nil {
			a.Within = duration(w[1], w[2])
		}
		rest = rest[:at]
	}
	if note, ok := strings.CutPrefix(rest, ", "); ok {
		a.Note = note
	}
	return a.clean(), true
}

// firstLine is the first line of a text that may hold a sentence of ours: short, and with nothing in it that does not
// print.
func firstLine(text, start string) (string, bool) {
	if len(text) > maxText || !strings.HasPrefix(text, start) {
		return "", false
	}
	first, _, _ := strings.Cut(text, "\n")
	return first, first == plaintext.Line(first, maxText)
}

// sentence is the party within a sentence.
func (p Party) sentence() string {
	name, uri := p.Display, p.URI
	if uri == "" {
		uri = noAddress
		if name == "" {
			name = nobodyKnown
		}
	} else if name == "" {
		name = userOf(uri)
	}
	return name + " (" + uri + ")"
}

// partyOf reads what sentence has written.
func partyOf(name, uri string) (Party, bool) {
	if uri == noAddress {
		return Party{Display: name}.spoken(), true
	}
	p := Party{URI: uri, Display: name}.spoken()
	return p, p.URI != ""
}

// userOf is the part of an address by which people know it.
func userOf(uri string) string {
	_, rest, _ := strings.Cut(uri, ":")
	user, _, _ := strings.Cut(rest, "@")
	user, _, _ = strings.Cut(user, ";")
	return user
}

// clean makes a party of the network fit to be shown and stored. What is no address is left out.
func (p Party) clean() Party {
	uri := p.URI
	if scheme, rest, ok := strings.Cut(uri, ":"); ok {
		uri = strings.ToLower(scheme) + ":" + rest
	}
	if _, err := sipua.ParseURI(uri); err != nil || uri != plaintext.Line(uri, maxURIText) || !addresses(uri) {
		uri = ""
	}
	return Party{URI: uri, Display: plaintext.Line(p.Display, maxNameText)}
}

// spoken is the party as a sentence can carry it.
func (p Party) spoken() Party {
	p = p.clean()
	p.URI = strings.NewReplacer("(", "%28", ")", "%29").Replace(p.URI)
	// A name that holds an address in brackets would be read as one.
	for _, start := range []string{"sip:", "sips:", "tel:", noAddress} {
		p.Display = strings.ReplaceAll(p.Display, "("+start, "["+start)
	}
	if p.URI == "" && p.Display == nobodyKnown || p.URI != "" && p.Display == userOf(p.URI) {
		p.Display = ""
	}
	return p
}

// addresses reports whether a URI is of a kind that can be called.
func addresses(uri string) bool {
	scheme, _, _ := strings.Cut(uri, ":")
	return (scheme == "sip" || scheme == "sips" || scheme == "tel") && userOf(uri) != "" && !strings.ContainsRune(uri, ' ')
}

// orbitText is an orbit as a sentence can carry it.
func orbitText(s string) string {
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(" :.,", r) {
			return -1
		}
		return r
	}, plaintext.Line(s, maxOrbitText))
	return s
}

// clock writes a duration as minutes and seconds.
func clock(d time.Duration) string {
	s := int(d / time.Second)
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// duration reads what clock has written.
func duration(minutes, seconds string) time.Duration {
	m, _ := strconv.Atoi(minutes) // the patterns let digits through only
	s, _ := strconv.Atoi(seconds)
	return time.Duration(m)*time.Minute + time.Duration(s)*time.Second
}
