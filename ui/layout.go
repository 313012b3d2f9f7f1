package ui

// Sizes of the layout, in cells.
const (
	narrowWidth   = 60  // below: the conversation alone
	wideWidth     = 160 // from here on a wide list with this user's devices
	narrowList    = 21
	wideList      = 30
	workWidth     = 60 // the column of the calls on a wide screen
	leastBody     = 10 // rows of conversation for which the hint row and then the title give way
	maxInputRows  = 5
	toastLeft     = 2 // how far from the left edge of the conversation a toast begins
	toastMaxWidth = 100
)

// rect is a part of the screen.
type rect struct{ x, y, w, h int }

func (r rect) contains(x, y int) bool { return x >= r.x && x < r.x+r.w && y >= r.y && y < r.y+r.h }

// layout says where everything is. It is computed from the size and the state once for a frame; drawing and mouse
// clicks both use it. A row that is not shown has the y -1, a list that is not shown the width 0.
type layout struct {
	width, height int
	title         int
	bar           rect // of the calls; no rows without any
	list, pane    rect
	work          rect // what goes on, at the right of a wide screen; no cells if nothing does
	status        int
	input         rect
	hint          int
	toasts        []toastPlace
	bars          []barPlace
}

// arrange computes the layout of a screen with an input and a call bar of so many rows; work: something goes on.
func arrange(w, h, inputRows, barRows int, work bool) layout {
	w, h = max(1, w), max(1, h)
	l := layout{width: w, height: h, title: -1, status: -1, hint: -1}
	inputRows = max(1, min(inputRows, maxInputRows, h-2))
	rest := h - inputRows // rows above the input and below it
	if rest >= 2 {
		l.status, rest = 0, rest-1
	}
	l.bar = rect{0, 0, w, max(0, min(barRows, rest-1))}
	rest -= l.bar.h
	if rest > leastBody {
		l.title, rest = 0, rest-1
	}
	if rest > leastBody {
		l.hint, rest = 0, rest-1
	}
	y := 0
	if l.title == 0 {
		y = 1
	}
	l.bar.y, y = y, y+l.bar.h
	body := rect{0, y, w, rest}
	y += rest
	if l.status == 0 {
		l.status, y = y, y+1
	}
	l.input = rect{0, y, w, inputRows}
	if l.hint == 0 {
		l.hint = y + inputRows
	}
	l.pane = body
	if listWidth := columnWidth(w); listWidth > 0 {
		l.list = rect{0, body.y, listWidth, body.h}
		l.pane.x, l.pane.w = listWidth+1, w-listWidth-1
	}
	if w >= wideWidth && work {
		l.pane.w -= workWidth + 1
		l.work = rect{l.pane.x + l.pane.w + 1, body.y, workWidth, body.h}
	}
	return l
}

func columnWidth(w int) int {
	switch {
	case w < narrowWidth:
		return 0
	case w >= wideWidth:
		return wideList
	default:
		return narrowList
	}
}
