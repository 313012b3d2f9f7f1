package ui

import (
	"strings"
	"unicode"
)

// maxInput bounds the input line in bytes; a longer paste is cut there and said to be.
const maxInput = 64 << 10

// editor is a line of text being written, with the keys of readline. It counts in bytes and stops at grapheme clusters.
type editor struct {
	text string
	pos  int // of the cursor, in bytes

	killed string // what Ctrl-Y brings back
	undos  []editorState
	group  bool // the last change was typing, which is undone as one
}

type editorState struct {
	text string
	pos  int
}

const maxUndo = 200

// set replaces the text and puts the cursor behind it.
func (e *editor) set(text string) {
	e.save()
	e.text, e.pos = text, len(text)
}

// clear empties the line for the next one.
func (e *editor) clear() { *e = editor{killed: e.killed} }

// insert adds text at the cursor and reports whether all of it fitted.
func (e *editor) insert(s string) bool {
	if !e.group || strings.HasSuffix(e.text[:e.pos], " ") && s != " " {
		e.save()
	}
	fits := len(e.text)+len(s) <= maxInput
	if !fits {
		s = strings.ToValidUTF8(s[:max(0, maxInput-len(e.text))], "")
	}
	e.text = e.text[:e.pos] + s + e.text[e.pos:]
	e.pos += len(s)
	e.group = true
	return fits
}

func (e *editor) save() {
	e.group = false
	if n := len(e.undos); n > 0 && e.undos[n-1] == (editorState{e.text, e.pos}) {
		return
	}
	e.undos = append(e.undos, editorState{e.text, e.pos})
	if len(e.undos) > maxUndo {
		e.undos = e.undos[1:]
	}
}

func (e *editor) undo() {
	if n := len(e.undos); n > 0 {
		e.text, e.pos = e.undos[n-1].text, e.undos[n-1].pos
		e.undos = e.undos[:n-1]
	}
	e.group = false
}

// remove deletes from..to; kill keeps it for yank.
func (e *editor) remove(from, to int, kill bool) {
	if from >= to {
		return
	}
	e.save()
	if kill {
		e.killed = e.text[from:to]
	}
	e.text, e.pos = e.text[:from]+e.text[to:], from
}

func (e *editor) yank()      { e.save(); e.insert(e.killed); e.group = false }
func (e *editor) left()      { e.pos, e.group = e.before(e.pos), false }
func (e *editor) right()     { e.pos, e.group = e.after(e.pos), false }
func (e *editor) home()      { e.pos, e.group = e.lineStart(), false }
func (e *editor) end()       { e.pos, e.group = e.lineEnd(), false }
func (e *editor) wordLeft()  { e.pos, e.group = e.wordStart(), false }
func (e *editor) wordRight() { e.pos, e.group = e.wordEnd(), false }
func (e *editor) backspace() { e.remove(e.before(e.pos), e.pos, false) }
func (e *editor) delete()    { e.remove(e.pos, e.after(e.pos), false) }
func (e *editor) killLine() {
	e.remove(e.pos, max(e.lineEnd(), min(e.pos+1, e.lineEnd()+1, len(e.text))), true)
}
func (e *editor) killToStart()    { e.remove(e.lineStart(), e.pos, true) }
func (e *editor) killWordRight()  { e.remove(e.pos, e.wordEnd(), true) }
func (e *editor) killWordLeft()   { e.remove(e.wordStart(), e.pos, true) }
func (e *editor) killSpacedLeft() { e.remove(e.spacedStart(), e.pos, true) }

// transpose exchanges the two characters around the cursor, as Ctrl-T does.
func (e *editor) transpose() {
	if e.pos == e.lineEnd() {
		e.pos = e.before(e.pos)
	}
	a, b, c := e.before(e.pos), e.pos, e.after(e.pos)
	if a == b || b == c {
		return
	}
	e.save()
	e.text = e.text[:a] + e.text[b:c] + e.text[a:b] + e.text[c:]
	e.pos = c
}

func (e *editor) lineStart() int { return strings.LastIndexByte(e.text[:e.pos], '\n') + 1 }

func (e *editor) lineEnd() int {
	if n := strings.IndexByte(e.text[e.pos:], '\n'); n >= 0 {
		return e.pos + n
	}
	return len(e.text)
}

// up and down move between the rows that were entered; they report false at the first and the last.
func (e *editor) up() bool {
	start := e.lineStart()
	if start == 0 {
		return false
	}
	column := width(e.text[start:e.pos])
	from := strings.LastIndexByte(e.text[:start-1], '\n') + 1
	part, _ := head(e.text[from:start-1], column)
	e.pos = from + len(part)
	return true
}

func (e *editor) down() bool {
	stop := e.lineEnd()
	if stop == len(e.text) {
		return false
	}
	column := width(e.text[e.lineStart():e.pos])
	to := len(e.text)
	if n := strings.IndexByte(e.text[stop+1:], '\n'); n >= 0 {
		to = stop + 1 + n
	}
	part, _ := head(e.text[stop+1:to], column)
	e.pos = stop + 1 + len(part)
	return true
}

func (e *editor) after(pos int) int {
	if pos >= len(e.text) {
		return pos
	}
	if e.text[pos] == '\n' {
		return pos + 1
	}
	n, _ := cluster(e.text[pos:])
	return pos + n
}

// before walks from the start of the row: a cluster cannot be recognized from its end.
func (e *editor) before(pos int) int {
	if pos <= 0 {
		return 0
	}
	if e.text[pos-1] == '\n' {
		return pos - 1
	}
	at := strings.LastIndexByte(e.text[:pos], '\n') + 1
	for {
		next := e.after(at)
		if next >= pos {
			return at
		}
		at = next
	}
}

func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }

func (e *editor) wordStart() int {
	s := strings.TrimRightFunc(e.text[:e.pos], func(r rune) bool { return !wordRune(r) })
	return len(strings.TrimRightFunc(s, wordRune))
}

func (e *editor) wordEnd() int {
	s := strings.TrimLeftFunc(e.text[e.pos:], func(r rune) bool { return !wordRune(r) })
	return len(e.text) - len(strings.TrimLeftFunc(s, wordRune))
}

// spacedStart is where the word ends that only spaces delimit, as Ctrl-W counts words.
func (e *editor) spacedStart() int {
	s := strings.TrimRightFunc(e.text[:e.pos], unicode.IsSpace)
	return len(strings.TrimRightFunc(s, func(r rune) bool { return !unicode.IsSpace(r) }))
}

// draw lays the text out in rows of w cells behind a prompt on the first row, at most limit rows around the cursor, and
// tells where the cursor is in them.
func (e *editor) draw(prompt string, w, limit int) (rows []string, x, y int) {
	row, cells := prompt, width(prompt)
	if cells > w/2 {
		row, cells = head(prompt, w/2)
	}
	x, y = cells, 0
	flush := func() { rows, row, cells = append(rows, row+strings.Repeat(" ", max(0, w-cells))), "", 0 }
	for at := 0; ; {
		if at == e.pos {
			if cells >= w {
				flush()
			}
			x, y = cells, len(rows)
		}
		if at >= len(e.text) {
			break
		}
		if e.text[at] == '\n' {
			flush()
			at++
			continue
		}
		n, c := cluster(e.text[at:])
		if cells+c > w {
			flush()
		}
		row, cells, at = row+e.text[at:at+n], cells+c, at+n
	}
	flush()
	if len(rows) > limit {
		from := min(max(0, y-limit+1), len(rows)-limit)
		rows, y = rows[from:from+limit], y-from
	}
	return rows, x, y
}

// lines is how many rows draw would use without a limit; it decides the height of the input.
func (e *editor) lines(prompt string, w int) int {
	if !strings.Contains(e.text, "\n") && width(prompt)+len(e.text) < w {
		return 1
	}
	rows, _, _ := e.draw(prompt, w, 1<<20)
	return len(rows)
}
