// Package plaintext makes text from the network harmless.
//
// Whatever a stranger sends ends up on a terminal, in a notification or in a window title, and a terminal obeys what it
// reads: escape sequences move the cursor, write the clipboard or change the title; a carriage return lets later text
// overwrite earlier text; bidirectional controls make a line read as something it is not. Text is cleaned once, where it
// enters the program, and everything behind that point may print it as it is.
//
// Nothing vanishes without a trace where it could change the meaning: an invalid byte becomes U+FFFD and a
// bidirectional control becomes its visible name, <U+202E>. Escape sequences are removed whole, so that their payload
// does not stay behind as text; one that is not terminated takes at most the rest of its line. What has no glyph
// (zero-width spaces, tag characters, deprecated format controls) goes, for it only serves to hide something. Joiners
// and variation selectors stay where scripts and emoji need them, and a pile of combining marks is cut to a height that
// cannot cover other lines. Markup is text like any other: nothing interprets it.
//
// Cleaning clean text changes nothing, so that doing it twice is no harm. Time is linear in the input, and little of an
// input far over the limit is looked at.
package plaintext

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	ellipsis = "…"
	tabStop  = "    "
	// maxMarks is how many combining marks a character may carry. Vietnamese and Hebrew need three, Tibetan more.
	maxMarks = 8
	// dottedCircle carries a combining mark that has nothing to stand on, as in code charts.
	dottedCircle = '\u25cc'
)

// Text cleans a message body: line feeds and tabs stay (a tab as spaces), everything else that is not printable goes.
// At most limit bytes are kept, whole characters, ending in "…" if cut.
func Text(s string, limit int) string { return clean(s, limit, false) }

// Line cleans text for one line: a display name, a subject, a reason. Line breaks become spaces; runs of spaces become
// one, and there is none at either end.
func Line(s string, limit int) string { return clean(s, limit, true) }

// Printable reports whether Text and Line leave r alone when it stands between letters.
func Printable(r rune) bool {
	c := classify(r)
	return r == ' ' || c == plain || c == mark || c == selector || c == joiner
}

func clean(s string, limit int, line bool) string {
	if len(s) <= limit && isClean(s, line) {
		return s
	}
	w := writer{limit: limit, line: line}
	w.out.Grow(min(len(s), max(limit, 0)) + 16)
	for i := 0; i < len(s) && w.out.Len() <= limit; {
		if n := sequence(s[i:]); n > 0 {
			i += n
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == '\r' && i+1 < len(s) && s[i+1] == '\n' {
			n = 2
		}
		w.write(r)
		i += n
	}
	return w.finish()
}

// isClean finds text that needs no work: printable ASCII, as nearly all there is.
func isClean(s string, line bool) bool {
	before := byte(' ')
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '\n' && !line:
		case c == ' ' && line && before == ' ':
			return false
		case c < ' ' || c > '~':
			return false
		}
		before = c
	}
	return !line || len(s) == 0 || before != ' '
}

// writer builds clean text. What it decides depends only on what it has written, never on what was dropped: that is why
// its output goes through a second time unchanged.
type writer struct {
	out   strings.Builder
	limit int
	line  bool

	last   rune // the last rune written, 0 at the beginning
	joiner rune // waits for a rune to join, or 0
	space  bool // line only: a space waits for something to separate
	marks  int  // on the current character
	cut    int  // where the text can be cut and "…" still fits
}

func (w *writer) write(r rune) {
	switch classify(r) {
	case plain:
		w.base(r)
	case space:
		w.blank(" ")
	case newline:
		w.blank("\n")
	case tab:
		w.blank(tabStop)
	case mark:
		w.mark(r)
	case selector:
		// One changes a glyph; more only carry hidden data.
		if w.last != 0 && !w.space && classify(w.last) == plain {
			w.put(string(r), r)
		}
	case joiner:
		w.joiner = r
	case bidi:
		w.joiner = 0
		w.unit(fmt.Sprintf("<U+%04X>", r), '>')
	case replaced:
		w.base(utf8.RuneError)
	case dropped:
	}
}

func (w *writer) base(r rune) {
	if w.join(r) {
		w.put(string(r), r)
	} else {
		w.unit(string(r), r)
	}
	w.marks = 0
}

func (w *writer) mark(r rune) {
	if w.last == 0 && !w.space || w.last == '\n' {
		w.base(dottedCircle)
	}
	if w.marks++; w.marks <= maxMarks {
		w.flushSpace()
		w.join(r)
		w.put(string(r), r)
	}
}

func (w *writer) blank(s string) {
	w.joiner = 0
	if w.line {
		w.space = w.last != 0
		w.marks = 0
		return
	}
	w.unit(s, rune(s[0]))
	w.marks = 0
}

// join writes a waiting joiner if it stands between two runes that can be joined, and reports whether it did.
func (w *writer) join(next rune) bool {
	r := w.joiner
	w.joiner = 0
	if r == 0 || w.space || !joinable(w.last) || !joinable(next) {
		return false
	}
	w.put(string(r), r)
	return true
}

// unit writes what begins a new character: before it the text may be cut.
func (w *writer) unit(s string, last rune) {
	w.flushSpace()
	if w.out.Len()+len(ellipsis) <= w.limit {
		w.cut = w.out.Len()
	}
	w.put(s, last)
}

func (w *writer) flushSpace() {
	if w.space {
		w.space = false
		w.unit(" ", ' ')
	}
}

func (w *writer) put(s string, last rune) {
	w.out.WriteString(s)
	w.last = last
}

func (w *writer) finish() string {
	s := w.out.String()
	if len(s) <= w.limit {
		return s
	}
	if w.limit < len(ellipsis) {
		return ""
	}
	if w.line {
		return strings.TrimSuffix(s[:w.cut], " ") + ellipsis
	}
	return s[:w.cut] + ellipsis
}
