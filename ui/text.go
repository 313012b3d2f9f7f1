package ui

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// Everything here measures in cells of a terminal by grapheme clusters, as the terminal will, and takes text that is
// already clean: no control characters, no escape sequences. Only superpose takes styled text.

// width of s in cells.
func width(s string) int {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return ansi.StringWidth(s)
		}
	}
	return len(s)
}

// cluster returns the first grapheme cluster of s, in bytes, and its width in cells.
func cluster(s string) (n, cells int) {
	if len(s) > 0 && s[0] < utf8.RuneSelf && (len(s) == 1 || s[1] < utf8.RuneSelf) {
		return 1, 1
	}
	c, cells := ansi.FirstGraphemeCluster(s, ansi.GraphemeWidth)
	return max(1, len(c)), cells
}

// head returns the longest start of s that fits in w cells, and its width.
func head(s string, w int) (string, int) {
	at, cells := 0, 0
	for at < len(s) {
		n, c := cluster(s[at:])
		if cells+c > w {
			break
		}
		at, cells = at+n, cells+c
	}
	return s[:at], cells
}

// fit makes s exactly w cells wide: cut, with a sign that it was cut, or padded with spaces.
func fit(s string, w int) string {
	if w <= 0 {
		return ""
	}
	if have := width(s); have <= w {
		return s + strings.Repeat(" ", w-have)
	}
	s, have := head(s, w-1)
	return s + "…" + strings.Repeat(" ", w-1-have)
}

// fitRight is fit with the padding in front, and cut without a sign: for names in the sender column.
func fitRight(s string, w int) string {
	s, have := head(s, max(0, w))
	return strings.Repeat(" ", max(0, w-have)) + s
}

// spread puts left and right at the ends of a row of w cells; left gives way.
func spread(left, right string, w int) string {
	if width(right) >= w {
		return fit(right, w)
	}
	return fit(left, w-width(right)) + right
}

// wrap breaks s into rows of at most w cells, at spaces where it can. Line breaks stay, a word longer than a row is
// broken hard, and at most limit rows are returned; cut says that there was more.
func wrap(s string, w, limit int) (rows []string, cut bool) {
	w = max(1, w)
	for line := range strings.SplitSeq(s, "\n") {
		for {
			if len(rows) == limit {
				return rows, true
			}
			row, rest := wrapRow(line, w)
			rows = append(rows, row)
			if rest == "" {
				break
			}
			line = rest
		}
	}
	return rows, false
}

// wrapRow takes one row from a line.
func wrapRow(line string, w int) (row, rest string) {
	at, cells, space := 0, 0, -1
	for at < len(line) {
		n, c := cluster(line[at:])
		if cells+c > w {
			break
		}
		if line[at] == ' ' {
			space = at
		}
		at, cells = at+n, cells+c
	}
	switch {
	case at == len(line):
		return line, ""
	case at == 0: // wider than the row: show that something is there
		n, _ := cluster(line)
		return "?", line[n:]
	case line[at] == ' ':
		return line[:at], strings.TrimLeft(line[at:], " ")
	case space > 0 && strings.TrimLeft(line[:space], " ") != "":
		return strings.TrimRight(line[:space], " "), line[space+1:]
	}
	return line[:at], line[at:]
}

// overlay draws the styled box over the styled row from column x on. Both keep the width of the row.
func superpose(row string, x int, box string, rowWidth int) string {
	boxWidth := ansi.StringWidth(box)
	left := ansi.Truncate(row, x, "")
	left += "\x1b[m" + strings.Repeat(" ", max(0, x-ansi.StringWidth(left))) // a wide character may have been halved
	right := ""
	if x+boxWidth < rowWidth {
		right = ansi.Cut(row, x+boxWidth, rowWidth)
		if ansi.StringWidth(right) > rowWidth-x-boxWidth { // a wide character lies half under the box: it goes
			right = ansi.Cut(row, x+boxWidth+1, rowWidth)
		}
		right = strings.Repeat(" ", max(0, rowWidth-x-boxWidth-ansi.StringWidth(right))) + right
	}
	return left + box + right
}

// plural is n with the right form of a word.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
