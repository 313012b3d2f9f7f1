package ui

import "strings"

// maxInputHistory bounds the remembered lines.
const maxInputHistory = 500

// inputHistory is the lines that were sent, for Up, Down and Ctrl-R. It is shared by all windows, as a shell's is.
type inputHistory struct {
	lines []string // oldest first
	at    int      // of the line shown; len(lines): the line being written
	draft string   // that line, kept while others are shown
}

func (h *inputHistory) add(line string) {
	if line != "" && (len(h.lines) == 0 || h.lines[len(h.lines)-1] != line) {
		h.lines = append(h.lines, line)
		if len(h.lines) > maxInputHistory {
			h.lines = h.lines[1:]
		}
	}
	h.at, h.draft = len(h.lines), ""
}

// older and newer show another line in e.
func (h *inputHistory) older(e *editor) {
	if h.at == 0 {
		return
	}
	if h.at >= len(h.lines) {
		h.at, h.draft = len(h.lines), e.text
	}
	h.at--
	e.set(h.lines[h.at])
}

func (h *inputHistory) newer(e *editor) {
	if h.at >= len(h.lines) {
		return
	}
	h.at++
	if h.at == len(h.lines) {
		e.set(h.draft)
		return
	}
	e.set(h.lines[h.at])
}

// find returns the newest line before index from that contains what, and its index.
func (h *inputHistory) find(what string, from int) (line string, at int, ok bool) {
	what = strings.ToLower(what)
	for i := min(from, len(h.lines)) - 1; i >= 0; i-- {
		if strings.Contains(strings.ToLower(h.lines[i]), what) {
			return h.lines[i], i, true
		}
	}
	return "", -1, false
}
