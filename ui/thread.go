package ui

import (
	"strings"
	"time"

	"offhook/session"
)

// maxShown bounds what is drawn of one message, in rows. The record keeps all of it.
const maxShown = 200

// entryKind tells who speaks in an entry.
type entryKind int

const (
	fromPeer entryKind = iota
	fromMe
	fromProgram // "--" lines: what happened to the conversation
	fromGuide   // how to begin: lines over the whole width
)

// entry is one message or notice in a thread.
type entry struct {
	kind   entryKind
	id     string // Message-ID; "" for a notice
	at     time.Time
	from   string
	text   string
	status session.Status
	detail string // why it failed, or where it was answered

	waiting bool // with Sending: for a connection to the server

	pointed bool // a search led here

	rows      []string // as drawn, without date and marker lines
	rowsWidth int
	rowsLast  bool // drawn as the newest delivered one
}

// thread is the lines of one conversation and the place in them that is on screen. Only what is visible is ever wrapped
// and drawn. The place is an anchor, the lowest visible row, so that text arriving below it moves nothing.
type thread struct {
	entries []*entry
	byID    map[string]int // message id → index in entries, counted from base
	base    int            // how many entries were put in front since byID was begun
	marker  int            // first unread entry when the window was left; -1: none

	scrolled  bool     // the anchor holds; otherwise the newest row is at the bottom
	anchor    position // lowest visible row
	oldest    bool     // the record holds nothing older
	loading   bool     // a page of the record has been asked for
	recorded  int64    // id of the oldest line of the record in it; 0: none
	delivered int      // index of the newest delivered message of ours; -1: none
	pointed   *entry   // drawn so that the eye finds it; nil: none
}

// position is one row of one entry; its date and marker lines count as rows in front.
type position struct{ entry, row int }

func newThread() thread { return thread{byID: map[string]int{}, marker: -1, delivered: -1} }

// put adds a message or changes the one with its id, and reports whether it is new.
func (t *thread) put(e *entry) bool {
	if at, ok := t.find(e.id); ok {
		old := t.entries[at]
		e.at = old.at
		t.entries[at] = e
		t.noteDelivered(at)
		return false
	}
	t.entries = append(t.entries, e)
	if e.id != "" {
		t.byID[e.id] = len(t.entries) - 1 - t.base
	}
	t.noteDelivered(len(t.entries) - 1)
	return true
}

func (t *thread) find(id string) (int, bool) {
	at, ok := t.byID[id]
	return at + t.base, ok && id != ""
}

func (t *thread) noteDelivered(at int) {
	e := t.entries[at]
	if e.kind == fromMe && (e.status == session.Delivered || e.status == session.Displayed) {
		t.delivered = max(t.delivered, at)
	}
}

// prepend puts a page of the record, oldest first, in front. What arrived in this run may be in the record already: it
// is left out.
func (t *thread) prepend(page []*entry) {
	type line struct {
		second int64
		text   string
	}
	notices := map[line]bool{}
	for _, e := range t.entries {
		if e.id == "" {
			notices[line{e.at.Unix(), e.text}] = true
		}
	}
	fresh := make([]*entry, 0, len(page)+len(t.entries))
	for _, e := range page {
		if _, ok := t.find(e.id); !ok && (e.id != "" || !notices[line{e.at.Unix(), e.text}]) {
			fresh = append(fresh, e)
		}
	}
	n := len(fresh)
	if n == 0 {
		return
	}
	t.entries = append(fresh, t.entries...)
	t.base += n
	for i, e := range fresh {
		if e.id != "" {
			t.byID[e.id] = i - t.base
		}
	}
	t.anchor.entry += n
	if t.marker >= 0 {
		t.marker += n
	}
	if t.delivered >= 0 {
		t.delivered += n
		return
	}
	for i := range fresh {
		t.noteDelivered(i)
	}
}

// markUnread puts the marker before the entry that was just added, if there is no marker yet.
func (t *thread) markUnread() {
	if t.marker < 0 {
		t.marker = len(t.entries) - 1
	}
}

// before is how many rows stand in front of entry i: a date line where the day changes, the marker.
func (t *thread) before(i int) (date, marker bool) {
	date = i == 0 || !sameDay(t.entries[i-1].at, t.entries[i].at)
	return date, i == t.marker
}

func sameDay(a, b time.Time) bool {
	ay, am, ad := a.Date()
	by, bm, bd := b.Date()
	return ay == by && am == bm && ad == bd
}

// count is the number of rows of entry i.
func (t *thread) count(i int, d *threadStyle) int {
	n := len(t.body(i, d))
	date, marker := t.before(i)
	if date {
		n++
	}
	if marker {
		n++
	}
	return n
}

func (t *thread) last(d *threadStyle) position {
	n := len(t.entries)
	if n == 0 {
		return position{}
	}
	return position{n - 1, t.count(n-1, d) - 1}
}

func (t *thread) up(p position, d *threadStyle) (position, bool) {
	switch {
	case p.row > 0:
		return position{p.entry, p.row - 1}, true
	case p.entry > 0:
		return position{p.entry - 1, t.count(p.entry-1, d) - 1}, true
	}
	return p, false
}

func (t *thread) down(p position, d *threadStyle) (position, bool) {
	switch {
	case p.row < t.count(p.entry, d)-1:
		return position{p.entry, p.row + 1}, true
	case p.entry < len(t.entries)-1:
		return position{p.entry + 1, 0}, true
	}
	return p, false
}

// bottom is the lowest visible row. A resize may have left the anchor outside of its entry.
func (t *thread) bottom(d *threadStyle) position {
	if !t.scrolled || t.anchor.entry >= len(t.entries) {
		return t.last(d)
	}
	p := t.anchor
	p.row = min(p.row, t.count(p.entry, d)-1)
	return p
}

// scroll moves the view by n rows, up if negative, where h rows are visible.
func (t *thread) scroll(n, h int, d *threadStyle) {
	if len(t.entries) == 0 {
		return
	}
	p := t.bottom(d)
	for ok := true; n < 0 && ok; n++ {
		p, ok = t.up(p, d)
	}
	// The first row stays at the top: the anchor is never less than h rows below it.
	above, q := 1, p
	for ok := true; above < h && ok; {
		if q, ok = t.up(q, d); ok {
			above++
		}
	}
	for ; above < h; above++ {
		p, _ = t.down(p, d)
	}
	for ok := true; n > 0 && ok; n-- {
		p, ok = t.down(p, d)
	}
	t.anchor, t.scrolled = p, p != t.last(d)
}

// end returns to the newest row.
func (t *thread) end() { t.scrolled = false; t.point(-1) }

// point makes entry i stand out, and the one that did so no longer; -1: none.
func (t *thread) point(i int) {
	if t.pointed != nil {
		t.pointed.pointed, t.pointed.rows = false, nil
		t.pointed = nil
	}
	if i >= 0 {
		t.pointed = t.entries[i]
		t.pointed.pointed, t.pointed.rows = true, nil
	}
}

// jump shows entry i, its date and marker lines included, with so many rows above it where h rows are visible.
func (t *thread) jump(i, above, h int, d *threadStyle) {
	p := position{i, 0}
	for range h - 1 - above {
		p, _ = t.down(p, d)
	}
	t.anchor, t.scrolled = p, p != t.last(d)
}

// more is how many entries are below the view.
func (t *thread) more(d *threadStyle) int {
	if !t.scrolled || len(t.entries) == 0 {
		return 0
	}
	p := t.bottom(d)
	n := len(t.entries) - 1 - p.entry
	if n == 0 && p != t.last(d) {
		n = 1
	}
	return n
}

// draw returns h rows. top reports that the first row there is is among them.
func (t *thread) draw(h int, d *threadStyle) (rows []string, top bool) {
	rows = make([]string, h)
	blank := strings.Repeat(" ", d.width)
	if len(t.entries) == 0 {
		for i := range rows {
			rows[i] = blank
		}
		return rows, true
	}
	p, at := t.bottom(d), h-1
	ok := true
	for ; at >= 0 && ok; at-- {
		rows[at] = t.row(p, d)
		p, ok = t.up(p, d)
	}
	// Fewer rows than the screen has: they stand at the top.
	if blanks := at + 1; blanks > 0 {
		copy(rows, rows[blanks:])
		for i := h - blanks; i < h; i++ {
			rows[i] = blank
		}
	}
	return rows, !ok
}

func (t *thread) row(p position, d *threadStyle) string {
	date, marker := t.before(p.entry)
	row := p.row
	if date {
		if row == 0 {
			return d.dateLine(t.entries[p.entry].at)
		}
		row--
	}
	if marker {
		if row == 0 {
			return d.markerLine()
		}
		row--
	}
	return t.body(p.entry, d)[row]
}

// body returns the wrapped rows of entry i, which are kept until the width changes.
func (t *thread) body(i int, d *threadStyle) []string {
	e := t.entries[i]
	last := i == t.delivered
	if e.rows == nil || e.rowsWidth != d.width || e.rowsLast != last {
		e.rows, e.rowsWidth, e.rowsLast = d.drawEntry(e, last), d.width, last
	}
	return e.rows
}
