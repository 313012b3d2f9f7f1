package ui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"offhook/internal/plaintext"
	"offhook/session"
	"offhook/toast"
)

// toastPlace is where a toast or a part of it is on screen, for clicks.
type toastPlace struct {
	rect
	id   string
	part toast.Part
}

// drawToasts draws the toasts over the top of the conversation. As much of it stays visible as there is: two cells at
// the left, and never less than the lower half.
func (m *model) drawToasts(pane []string) {
	l := &m.layout
	l.toasts = nil
	x, w := toastLeft, min(l.pane.w-toastLeft, toastMaxWidth)
	if l.pane.w < 40 {
		x, w = 0, l.pane.w
	}
	if w < 20 || len(pane) < 3 {
		m.drawToastLine(pane)
		return
	}
	row, room := 0, max(5, len(pane)/2)
	if l.pane.w-x-w > 4 { // on a wide screen at the right
		x = l.pane.w - w
	}
	items := m.toasts.Visible(20)
	for i, it := range items {
		box := m.toastBox(it, w)
		if row+len(box) > min(room, len(pane)) {
			if rest := m.toasts.Open() - i; rest > 0 && row > 0 && row < len(pane) {
				text := m.theme.toast.Render(fit(fmt.Sprintf("  and %d more: F2 and F3 act on the first", rest), w))
				pane[row] = superpose(pane[row], x, text, l.pane.w)
			}
			if row > 0 {
				return
			}
			box = box[:min(len(box), len(pane))]
		}
		m.placeToast(it, rect{l.pane.x + x, l.pane.y + row, w, len(box)})
		for _, line := range box {
			pane[row] = superpose(pane[row], x, line, l.pane.w)
			row++
		}
	}
}

// drawToastLine is what is left of a toast where there is no room for a box.
func (m *model) drawToastLine(pane []string) {
	t, ok := m.toasts.Top()
	if !ok || len(pane) == 0 {
		return
	}
	text := t.From
	if s, counting := t.Seconds(m.now()); counting {
		text = fmt.Sprintf("%d s %s", s, text)
	}
	pane[0] = m.theme.toast.Render(fit("F2 "+text+": "+t.Text, m.layout.pane.w))
}

// toastBox draws one toast, w cells wide; a closed one is one line.
func (m *model) toastBox(it toast.Item, w int) []string {
	ink := m.theme.toast
	if it.Closed {
		return []string{m.theme.match.Render(fit(fmt.Sprintf(" -- %s: %s", it.From, closingLine(it)), w))}
	}
	now := m.now()
	seconds := "─"
	if s, ok := it.Seconds(now); ok {
		seconds = fmt.Sprintf("─ %d s ", s)
	} else if rings(it.Kind) {
		seconds = "─ " + clock(now.Sub(it.Shown)) + " "
	}
	title := fit(m.toastTitle(it.Toast)+" "+strings.Repeat("─", w), w-2-width(seconds))
	title = strings.TrimSuffix(title, "…")
	title += strings.Repeat("─", w-2-width(seconds)-width(title))
	box := []string{ink.Render("┌" + title + seconds + "┐")}
	for _, line := range m.toastLines(it.Toast, w-4) {
		box = append(box, ink.Render("│")+" "+fit(line, w-4)+" "+ink.Render("│"))
	}
	return append(box, ink.Render("└"+strings.Repeat("─", w-2)+"┘"))
}

// closingLine says what became of a toast.
func closingLine(it toast.Item) string {
	switch r := it.Closing.Reason; {
	case it.Kind == toast.Ringback && r == toast.Accepted:
		return "you have the call back"
	case it.Kind == toast.Ringback && (r == toast.Canceled || r == toast.Unanswered):
		return "not answered here: it waits on"
	case it.Kind == toast.Ringback && r == toast.AnsweredElsewhere && it.Closing.By == "":
		return "picked up by somebody else"
	case it.Kind == toast.Orbit && r == toast.Accepted:
		return "you pick it up"
	case it.Kind == toast.Orbit && r == toast.AnsweredElsewhere && it.Closing.By != "":
		return "picked up by " + it.Closing.By
	case it.Kind == toast.Orbit && (r == toast.Canceled || r == toast.Unanswered || r == toast.AnsweredElsewhere):
		return "the parked call is gone"
	}
	return it.Line()
}

func (m *model) toastTitle(t toast.Toast) string {
	switch t.Kind {
	case toast.Ringback:
		if text := strings.Join(strings.Fields(t.Text), " "); text != "" {
			return " " + text
		}
		return " BACK from park"
	case toast.Orbit:
		return " PARK " + m.parks.orbits[t.ID] + " told by " + t.From
	case toast.Call:
		return " CALL from " + t.From
	case toast.Missed:
		return " MISSED from " + t.From
	default:
		return " IM from " + t.From
	}
}

// maxToastText is how many rows of text a toast shows; the rest is in the conversation.
const maxToastText = 3

func (m *model) toastLines(t toast.Toast, w int) []string {
	if rings(t.Kind) || t.Kind == toast.Missed {
		return m.callToastLines(t, w)
	}
	lines, cut := wrap("\""+strings.Join(strings.Fields(t.Text), " ")+"\"", w, maxToastText)
	if cut {
		last := len(lines) - 1
		lines[last] = strings.TrimRight(fit(lines[last]+"…\"", w), " ")
	}
	if t.Kind == toast.Orbit {
		return append(lines, pack(m.labels(t), w)...)
	}
	now := m.now()
	lines = append(lines, m.toastKeys(t, w))
	if _, ok := t.Remaining(now); ok {
		rows, _ := wrap(countdown(t, now, w), w, 2)
		lines = append(lines, rows...)
	}
	if t.ThisDevice && len(t.Devices) > 1 && m.layout.pane.h >= leastBody+5 {
		others := strings.Join(t.Devices[1:], ", ")
		lines = append(lines, "offered to: this "+t.Devices[0]+" (most active), "+others)
	}
	return lines
}

// countdown is "[#######...]  7 s, then LAB-PC accepts": the words stay in their column when the seconds lose a digit.
func countdown(t toast.Toast, now time.Time, w int) string {
	promise, full := t.Promise(now), t.Bar(now, 10)
	gap := " "
	if s, _ := t.Seconds(now); s < 10 {
		gap = "  "
	}
	bar := "[" + strings.Repeat("#", full) + strings.Repeat(".", 10-full) + "]" + gap
	if width(bar)+width(promise) > w { // what will happen matters more than the bar
		return promise
	}
	return bar + promise
}

// toastKeys is the line of a toast that says what one can do, as long as there is room for.
func (m *model) toastKeys(t toast.Toast, w int) string {
	accept := labelAccept
	if !t.ThisDevice && t.MostActive != "" {
		accept = labelTake
	}
	keys := accept + "   " + labelNotHere
	switch {
	case m.windows.current.conversation == t.Conversation:
		keys += "   or just type"
	case t.ThisDevice || t.MostActive == "":
		keys += "   or open it and type"
	}
	if width(keys) > w {
		keys = accept + "  " + labelNotHere
	}
	return keys
}

// Labels of a toast that can be clicked.
const (
	labelAccept  = "F2 accept here"
	labelTake    = "F2 take it here"
	labelNotHere = "F3 not here"
)

// placeToast remembers where the labels of a toast are.
func (m *model) placeToast(it toast.Item, r rect) {
	if it.Closed {
		return
	}
	places := &m.layout.toasts
	lines := m.toastLines(it.Toast, r.w-4)
	labels := m.labels(it.Toast)
	for i, line := range lines {
		for _, l := range labels {
			if at := strings.Index(line, l.text); at >= 0 && i+1 < r.h && m.labelRow(it.Toast, line) {
				*places = append(*places, toastPlace{rect{r.x + 2 + width(line[:at]), r.y + 1 + i, width(l.text), 1}, it.ID, l.part})
			}
		}
	}
	*places = append(*places, toastPlace{r, it.ID, toast.PartText})
}

// labelRow reports whether a row of a toast is one of labels: a text may look like them.
func (m *model) labelRow(t toast.Toast, line string) bool {
	if t.Kind == toast.IM {
		return strings.HasPrefix(line, "F2 ")
	}
	return slices.ContainsFunc(m.labels(t), func(l label) bool { return strings.HasPrefix(line, l.text) })
}

// forecast follows what the session knows now: who will accept an open offer changes with every key on any of the user's
// devices, and a promise must not name a device that has fallen behind.
func (m *model) forecast() {
	if m.toasts.Open() == 0 {
		return
	}
	s := m.account.Snapshot()
	m.me = s.Account
	for _, t := range s.Toasts {
		if _, open := m.toasts.Find(t.Toast); open {
			m.toastShown(t)
		}
	}
}

// toastShown puts an offer of the session into the queue.
func (m *model) toastShown(t session.ToastShown) {
	from := partyName(m.named(t.From))
	dialled := ""
	if a, _ := shortAddress(t.From.URI); a != from {
		dialled = a
	}
	if t.Orbit != "" {
		orbit := plaintext.Line(t.Orbit, maxName)
		m.parks.orbits[t.Toast] = orbit
		if toast.Kind(t.Kind) == toast.Ringback && t.Call != "" {
			m.parks.backs[t.Call] = orbit
		}
	}
	m.toasts.Push(toast.Toast{
		ID: t.Toast, Kind: toast.Kind(t.Kind), Conversation: t.Conversation, Call: t.Call, From: from, Address: dialled, Text: plaintext.Text(t.Text, maxText),
		Shown: m.now(), Deadline: t.Deadline, MostActive: t.MostActive, ThisDevice: t.ThisDevice, Devices: t.Devices,
	})
}

func (m *model) toastFor(w *window) bool {
	_, ok := m.toasts.For(w.conversation)
	return ok && w.conversation != ""
}
