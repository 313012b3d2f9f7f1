package ui

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"

	"offhook/internal/history"
	"offhook/session"
)

// background reports calls that happen by the way.
func background(call string) bool {
	return strings.HasPrefix(call, "im.compose") || strings.HasPrefix(call, "presence.watch") || strings.HasPrefix(call, "presence.unwatch")
}

func TestTypingAnswersToast(t *testing.T) {
	s := mockA(t, 80, 24)
	s.events(offer(s, true))
	s.wants("[desk] ok, parking it") // the half-typed line is untouched
	s.press("alt+3", "taking it", "enter")
	calls := s.f.log()
	if !slices.Equal(slices.DeleteFunc(calls, background),
		[]string{"toast.accept toast=t1", "im.send conversation=c2 text=taking it"}) {
		t.Errorf("called %q", calls)
	}
	s.events(session.ToastClosed{Toast: "t1", Reason: "accepted"})
	s.wants("Carol Diaz: you accepted (typed)")
	s.clock = s.clock.Add(3 * time.Second)
	s.update(tickMsg(s.clock))
	s.wantsNot("Carol Diaz: you accepted")
	s.wants("--  you accepted (typed)")
	s.press("alt+2")
	s.wants("[desk] ok, parking it")
}

func TestToastKeys(t *testing.T) {
	for _, c := range []struct {
		keys []string
		want string
	}{
		{[]string{"f2"}, "toast.accept toast=t1"},
		{[]string{"ctrl+x", "a"}, "toast.accept toast=t1"},
		{[]string{"f3"}, "toast.decline toast=t1 everywhere=false"},
		{[]string{"ctrl+x", "h"}, "toast.decline toast=t1 everywhere=false"},
		{[]string{"ctrl+x", "D"}, "toast.decline toast=t1 everywhere=true"},
		{[]string{"esc"}, "toast.dismiss toast=t1"},
		{[]string{"f1", "f2"}, "toast.accept toast=t1"}, // a box takes no function key
		{[]string{"ctrl+u", "/answer", "enter"}, "call.answer call=k2"},
		{[]string{"ctrl+u", "/decline all", "enter"}, "call.decline call=k2 everywhere=true"},
		{[]string{"ctrl+u", "/decline In a call", "enter"}, "call.decline call=k2 message=In a call"},
	} {
		s := mockA(t, 80, 24)
		s.events(offer(s, true))
		s.press(c.keys...)
		calls := slices.DeleteFunc(s.f.log(), background)
		if !slices.Equal(calls, []string{c.want}) {
			t.Errorf("%q called %q, want %q", c.keys, calls, c.want)
		}
	}
}

func TestToastIsClicked(t *testing.T) {
	for label, want := range map[string]string{"F2 accept here": "toast.accept toast=t1", "F3 not here": "toast.decline toast=t1 everywhere=false"} {
		s := mockA(t, 80, 24)
		s.events(offer(s, true))
		x, y := s.at(label)
		s.update(tea.MouseClickMsg{X: x + 3, Y: y, Button: tea.MouseLeft})
		s.wantsCalls(want)
	}
	s := mockA(t, 80, 24)
	s.events(offer(s, true))
	x, y := s.at("Line 2: customer")
	s.update(tea.MouseClickMsg{X: x, Y: y, Button: tea.MouseLeft})
	s.wants("[3] Carol Diaz")
	s.wantsCalls()
	x, y = s.at("Bob Martin    A")
	s.update(tea.MouseClickMsg{X: x, Y: y, Button: tea.MouseLeft})
	s.wants("[2] Bob Martin")
}

// at is where a text is on the screen.
func (s *stage) at(text string) (x, y int) {
	s.t.Helper()
	for y, line := range strings.Split(s.screen(), "\n") {
		if before, _, ok := strings.Cut(line, text); ok {
			return width(before), y
		}
	}
	s.t.Fatalf("no %q on the screen:\n%s", text, s.screen())
	return 0, 0
}

func TestDismissedToastAnswersNothing(t *testing.T) {
	s := mockA(t, 80, 24)
	s.events(offer(s, false))
	s.press("esc")
	s.wantsNot("IM from Carol")
	s.events(session.ToastClosed{Toast: "t1", Reason: "answered_elsewhere", By: "LAB-PC"})
	s.wantsNot("taken by")
}

func TestTakenElsewhere(t *testing.T) {
	s := mockA(t, 80, 24)
	msg := inbound("c2", "carol", "9", "10:05:00", "Line 2")
	msg.Toast = true
	s.events(offer(s, false), msg)
	s.wants("Act: 3(3)")
	msg.Elsewhere = true
	s.events(session.ToastClosed{Toast: "t1", Reason: "answered_elsewhere", By: "LAB-PC"}, msg)
	s.wants("Carol Diaz: taken by LAB-PC (09:59)")
	s.wants("Act: 3(2)") // it counts as nothing missed
	s.press("alt+3")
	s.wants("on another device")
}

// A message that this device accepted by election is not missed by somebody who looks at its window, and is by somebody
// who has left the desk.
func TestMissedIsWhatNobodySaw(t *testing.T) {
	for _, idle := range []time.Duration{0, idleLimit} {
		s := mockA(t, 80, 24)
		s.clock = s.clock.Add(idle)
		msg := inbound("c1", "bob", "70", "10:00:00", "are you there?")
		s.f.read = nil
		s.events(msg)
		msg.Missed = true
		s.events(msg)
		seen := idle == 0
		if got := len(s.f.read) > 0; got != seen {
			t.Errorf("after %v without a key the session was told %q", idle, s.f.read)
		}
		if got := !strings.Contains(s.screen(), "missed"); got != seen {
			t.Errorf("after %v without a key:\n%s", idle, s.screen())
		}
		s.press("x")
		if len(s.f.read) == 0 {
			t.Error("a key did not read what arrived on screen")
		}
	}
}

func TestUnreadMarkerMovesOnlyWhenLeft(t *testing.T) {
	s := mockA(t, 80, 24)
	s.wants(" new ")
	s.events(inbound("c1", "bob", "20", "10:00:00", "one more"))
	if marker := s.m.windows.current.thread.marker; s.m.windows.current.thread.entries[marker].id != "5" {
		t.Errorf("the marker moved to %q", s.m.windows.current.thread.entries[marker].text)
	}
	s.press("ctrl+u", "alt+3", "alt+2")
	s.wantsNot(" new ")
}

func TestBlurredTerminalHasUnread(t *testing.T) {
	s := mockA(t, 80, 24)
	s.press("alt+1", "alt+2") // the marker goes
	s.update(tea.BlurMsg{})
	s.events(inbound("c1", "bob", "20", "10:00:00", "are you looking?"))
	s.wants(" new ")
	if s.m.windows.current.unread != 1 {
		t.Errorf("unread is %d", s.m.windows.current.unread)
	}
	s.update(tea.FocusMsg{})
	if s.m.windows.current.unread != 0 {
		t.Error("still unread after the focus came back")
	}
}

func TestAttention(t *testing.T) {
	s := newStage(t, office(), 80, 24)
	s.update(tea.BlurMsg{})
	s.clock = s.clock.Add(blurLimit - time.Second)
	s.update(tickMsg(s.clock))
	if len(s.f.attached) != 0 {
		t.Errorf("told %v too early", s.f.attached)
	}
	s.clock = s.clock.Add(time.Second)
	s.update(tickMsg(s.clock))
	s.update(attachedMsg(false)) // both reasons hold
	s.press("x")                 // a key: in focus, but tmux says detached
	if !slices.Equal(s.f.attached, []bool{false}) {
		t.Errorf("told %v", s.f.attached)
	}
	s.update(attachedMsg(true))
	if !slices.Equal(s.f.attached, []bool{false, true}) || s.f.inputs != 1 {
		t.Errorf("told %v, inputs %d", s.f.attached, s.f.inputs)
	}
}

func TestNextActiveByImportance(t *testing.T) {
	s := mockA(t, 80, 24)
	s.events(session.MessageChanged{Message: session.Message{
		Conversation: "c3", ID: "30", Direction: session.Inbound, Peer: session.Party{URI: uri("eva")}, Text: "hi", Time: s.clock,
	}})
	s.press("alt+1")
	s.events(offer(s, true))
	s.press("alt+a")
	s.wants("[3] Carol Diaz") // its toast counts down
	s.press("ctrl+x", "j")
	s.wants("[4] Eva Novak")
	s.press("ctrl+x", "g", "1")
	s.wants("[1] home")
}

// Two texts entered one after the other keep their order though each is given to the session by its own goroutine.
func TestTextsKeepTheirOrder(t *testing.T) {
	s := newStage(t, office(), 80, 24)
	s.press("alt+2")
	s.f.log()
	w := s.m.windows.current
	first := s.m.send(w, "first")
	if second := s.m.send(w, "second"); first == nil || second != nil {
		t.Fatal("the second text did not wait")
	}
	_, cmd := s.m.Update(eventsMsg{events: []session.Event{outbound("c1", "bob", "40", "10:00:00", "first", session.Sending)}})
	if w.inFlight != "second" || cmd == nil {
		t.Errorf("in flight is %q after the session showed the first", w.inFlight)
	}
}

func TestFailedSendKeepsText(t *testing.T) {
	s := newStage(t, office(), 80, 24)
	s.f.fail["im.send"] = errors.New("no such conversation")
	s.press("alt+2", "precious", "enter")
	s.wants("not sent: no such conversation")
	s.press("up")
	s.wants("[desk] precious")
}

func TestDeliveryStatus(t *testing.T) {
	s := newStage(t, office(), 80, 24)
	s.press("alt+2")
	for status, want := range map[session.Status]string{
		session.Sending: "sending", session.Sent: "stored, delivered later", session.Delivered: "delivered", session.Displayed: "seen",
	} {
		s.events(outbound("c1", "bob", "50", "10:00:00", "hello", status))
		s.wants(want)
	}
	failed := outbound("c1", "bob", "51", "10:00:00", "hello?", session.Failed)
	failed.Error = "timeout"
	s.events(failed)
	s.wants("not delivered: timeout")
}

func TestCommands(t *testing.T) {
	for _, c := range []struct{ line, call, shows string }{
		{"/away lunch", "presence.set availability=away note=lunch", ""},
		{"/query eva", "", "[4] Eva Novak"},
		{`/msg "Eva Novak" hello there`, "im.send to=sip:eva@example.com text=hello there", "[2] Bob"},
		{"/win carol", "", "[3] Carol Diaz"},
		{"/win 1", "", "[1] home"},
		{"/close", "conversation.end conversation=c1", "1 home"},
		{"/contacts", "", "CONTACTS"},
		{"/nosuch", "", "no command /nosuch"},
		{"/msg", "", "/msg WHO TEXT"},
		{"/help away", "", "/away"},
		{"//etc/passwd is a file", "im.send conversation=c1 text=/etc/passwd is a file", ""},
	} {
		s := newStage(t, office(), 120, 40)
		s.update(peopleMsg(s.f.groups))
		s.press("alt+2")
		s.f.log()
		s.press(c.line, "enter")
		calls := slices.DeleteFunc(s.f.log(), background)
		if got := strings.Join(calls, "|"); got != c.call {
			t.Errorf("%s called %q, want %q", c.line, got, c.call)
		}
		if c.shows != "" {
			s.wants(c.shows)
		}
	}
}

func TestCompletion(t *testing.T) {
	s := newStage(t, office(), 80, 24)
	s.press("alt+2", "/cont", "tab")
	s.wants("[desk] /contacts")
	s.press("ctrl+u", "/d", "tab")
	s.wants("decline  dtmf  dismiss  dnd  device")
	s.press("tab", "tab", "tab")
	s.wants("[desk] /dismiss")
	s.press("ctrl+u", "/msg e", "tab", "hi")
	s.wants(`[desk] /msg "Eva Novak" hi`)
	s.press("ctrl+u", "bo", "tab")
	s.wants("[desk] Bob:")
}

func TestBoxes(t *testing.T) {
	s := mockA(t, 80, 24)
	s.press("f1", "decline")
	s.wants("decline on all devices (603)")
	s.wantsNot("redraw the screen")
	s.press("esc")
	s.wants("[desk] ok, parking")
	s.press("ctrl+u", "ctrl+k", "car")
	s.wants("JUMP")
	s.press("enter")
	s.wants("[3] Carol Diaz")
	s.press("/query bob", "enter", "ctrl+r", "que")
	s.wants("/query bob")
	s.press("enter")
	s.wants("[desk] /query bob")
	s.press("ctrl+c")
	s.wantsNot("/query bob")
	s.press("ctrl+c")
	s.wants("quit and end the session with Bob Martin?")
	s.press("esc")
	s.wantsNot("quit and end")
	s.press("ctrl+x")
	s.wants("Ctrl-X  ")
	s.press("Q")
	s.wants("no pair Ctrl-X Q")
}

func TestPasteGuard(t *testing.T) {
	s := newStage(t, office(), 80, 24)
	s.press("alt+2")
	s.update(tea.PasteMsg{Content: "one\x1b[2Jline\n"})
	s.wants("[desk] oneline")
	s.press("ctrl+u")
	s.f.log()
	s.update(tea.PasteMsg{Content: "rm -rf /\r\nmake\r\n"})
	s.wants("paste 2 lines as one message?")
	s.press("enter", "enter")
	calls := slices.DeleteFunc(s.f.log(), background)
	if len(calls) != 1 || !strings.HasPrefix(calls[0], "im.send conversation=c1 text=rm -rf /\nmake") {
		t.Errorf("called %q", calls)
	}
}

func TestPageOfTheRecord(t *testing.T) {
	f := office()
	for i := range 450 {
		f.lines[uri("bob")] = append(f.lines[uri("bob")], history.Line{ID: int64(i + 1), Message: inbound("", "bob", fmt.Sprint("h", i), "08:00:00", fmt.Sprint("line ", i)).Message})
	}
	s := newStage(t, f, 80, 24)
	s.press("alt+2")
	s.wants("line 449")
	for range 40 {
		s.press("pgup")
	}
	s.wants("line 0")
	s.wants("-MORE(")
	before := s.screen()
	s.events(inbound("c1", "bob", "99", "10:00:00", "new while reading"))
	if after := s.screen(); strings.Split(after, "\n")[5] != strings.Split(before, "\n")[5] {
		t.Errorf("a new message moved the view:\n%s", after)
	}
	s.press("end")
	s.wants("new while reading")
}

func TestSearch(t *testing.T) {
	s := newStage(t, office(), 80, 24)
	s.f.found = []session.Message{
		inbound("c1", "bob", "1", "08:00:00", "the parcel is late").Message, inbound("c2", "carol", "2", "09:00:00", "the parcel is here").Message,
	}
	s.press("alt+2", "/search -all parcel", "enter")
	s.wants("FOUND 2 messages")
	s.wants(`"parcel" everywhere`)
	s.press("down", "up", "enter")
	s.wants("[3] Carol Diaz") // newest first
}

// Nothing that arrives may change the screen other than as text.
func TestHostileText(t *testing.T) {
	hostile := []string{
		"\x1b[2J\x1b]52;c;AAAA\a\x9b31m", "a\u202egnp.exe\u2066", strings.Repeat("A", 10<<20), "bad \xff\xfe utf8", "<script>alert(1)</script>",
		"\r\r\roverwritten", strings.Repeat("e"+strings.Repeat("\u0301", 500), 50), strings.Repeat("\n", 10000), "\u200b\ufeff\U000e0041", "tab\there",
	}
	s := newStage(t, office(), 80, 24)
	s.press("alt+2")
	for i, text := range hostile {
		toast := offer(s, true)
		toast.Toast, toast.Text, toast.From.Display = fmt.Sprint("x", i), text, text[:min(len(text), 2000)]
		began := time.Now()
		s.events(toast, inbound("c1", "bob", fmt.Sprint("x", i), "10:00:00", text))
		s.checkScreen()
		if took := time.Since(began); took > 5*time.Second { // wall clock: a bound against quadratic work only
			t.Errorf("%.20q took %v", text, took)
		}
		s.events(session.ToastClosed{Toast: fmt.Sprint("x", i), Reason: "canceled"})
		s.clock = s.clock.Add(10 * time.Second)
		s.update(tickMsg(s.clock))
	}
}

// checkScreen wants every row exactly as wide as the screen, and no control character but those of styles.
func (s *stage) checkScreen() {
	s.t.Helper()
	if problem := screenProblem(s.m); problem != "" {
		s.t.Errorf("%s", problem)
	}
}

func screenProblem(m *model) string {
	rows, x, y := m.screen()
	if len(rows) != m.height {
		return fmt.Sprintf("%d×%d: %d rows", m.width, m.height, len(rows))
	}
	if x < 0 || x >= m.width || y < 0 || y >= m.height {
		return fmt.Sprintf("%d×%d: cursor at %d,%d", m.width, m.height, x, y)
	}
	for i, row := range rows {
		bare := ansi.Strip(row)
		if w := ansi.StringWidth(bare); w != m.width {
			return fmt.Sprintf("%d×%d: row %d is %d wide: %q", m.width, m.height, i, w, bare[:min(len(bare), 300)])
		}
		if strings.ContainsFunc(bare, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) {
			return fmt.Sprintf("row %d has a control character: %q", i, bare[:min(len(bare), 300)])
		}
	}
	return ""
}

// At any size, with anything open, every row is exactly as wide as the screen.
func TestAnySize(t *testing.T) {
	s := mockA(t, 80, 24)
	s.events(offer(s, false), inbound("c1", "bob", "60", "10:00:00", "日本語のテキスト "+strings.Repeat("x", 300)))
	boxes := map[string][]string{
		"nothing": nil, "help": {"f1"}, "jump": {"ctrl+u", "ctrl+k"}, "find": {"ctrl+r"}, "ask": {"ctrl+u", "ctrl+c"}, "pair": {"ctrl+x"},
		"contacts": {"ctrl+u", "/contacts", "enter"}, "multi-line": {"alt+enter", "b", "alt+enter", "c", "alt+enter"}, "scrolled": {"pgup", "pgup"},
	}
	names := make([]string, 0, len(boxes))
	for name := range boxes {
		names = append(names, name)
	}
	slices.Sort(names)
	rapid.Check(t, func(t *rapid.T) {
		s.m.overlay, s.m.prefix = nil, ""
		s.press(boxes[rapid.SampledFrom(names).Draw(t, "box")]...)
		s.m.Update(tea.WindowSizeMsg{Width: rapid.IntRange(20, 250).Draw(t, "w"), Height: rapid.IntRange(5, 80).Draw(t, "h")})
		if problem := screenProblem(s.m); problem != "" {
			t.Fatal(problem)
		}
		s.m.Update(tea.KeyPressMsg{Code: rapid.SampledFrom([]rune{tea.KeyPgUp, tea.KeyPgDown, tea.KeyEnd, tea.KeyDown}).Draw(t, "key")})
		if problem := screenProblem(s.m); problem != "" {
			t.Fatal(problem)
		}
	})
}
