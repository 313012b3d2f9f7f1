package toast

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 8, 24, 10, 5, 0, 0, time.UTC)

func im(id string, deadline time.Duration) Toast {
	return Toast{ID: id, Kind: IM, From: "Carol Diaz", Text: "hello", Shown: noon, Deadline: noon.Add(deadline)}
}

func ids(q *Queue) string {
	var b strings.Builder
	for _, it := range q.Visible(100) {
		b.WriteString(it.ID + " ")
	}
	return strings.TrimSpace(b.String())
}

func TestQueueShowsTheMostUrgentFirst(t *testing.T) {
	var q Queue
	q.Push(Toast{ID: "missed", Kind: Missed, Shown: noon})
	q.Push(im("later", 20*time.Second))
	q.Push(im("sooner", 10*time.Second))
	q.Push(Toast{ID: "open-ended", Kind: IM, Shown: noon})
	q.Push(Toast{ID: "call", Kind: Call, Shown: noon})
	if got := ids(&q); got != "call sooner later open-ended missed" {
		t.Errorf("order is %s", got)
	}
	if top, _ := q.Top(); top.ID != "call" {
		t.Errorf("top is %s", top.ID)
	}
}

func TestClosingLineStandsThreeSeconds(t *testing.T) {
	for _, c := range []struct {
		closing Closing
		want    string
	}{
		{Closing{Reason: AnsweredElsewhere, By: "LAB-PC"}, "taken by LAB-PC (10:05)"},
		{Closing{Reason: AnsweredElsewhere}, "taken by another device (10:05)"},
		{Closing{Reason: Accepted, Typed: true}, "you accepted (typed)"},
		{Closing{Reason: Accepted}, "you accepted"},
		{Closing{Reason: AutoAccepted}, "accepted here after 6 s"},
		{Closing{Reason: Canceled}, "sender gave up after 6 s"},
		{Closing{Reason: Declined}, "you declined"},
		{Closing{Reason: Unanswered}, "missed after 6 s"},
	} {
		var q Queue
		q.Push(im("1", 10*time.Second))
		ended := noon.Add(6 * time.Second)
		it, ok := q.Close("1", c.closing, ended)
		if !ok || it.Line() != c.want {
			t.Errorf("%v: line %q, want %q", c.closing, it.Line(), c.want)
		}
		if q.Tick(ended.Add(ClosingTime - 1)); len(q.Visible(9)) != 1 {
			t.Errorf("%v: gone before its time", c.closing)
		}
		if at, _ := q.Next(ended); !at.Equal(ended.Add(ClosingTime)) {
			t.Errorf("%v: changes next at %v", c.closing, at)
		}
		if !q.Tick(ended.Add(ClosingTime)) || len(q.Visible(9)) != 0 {
			t.Errorf("%v: still there", c.closing)
		}
	}
}

func TestDismissedGoesAtOnceAndStaysAway(t *testing.T) {
	var q Queue
	q.Push(im("1", 10*time.Second))
	q.Close("1", Closing{Reason: Dismissed}, noon)
	if len(q.Visible(9)) != 0 {
		t.Error("a dismissed toast is visible")
	}
	if _, ok := q.Close("1", Closing{Reason: Accepted}, noon); ok {
		t.Error("a dismissed toast closed again")
	}
}

func TestPushReplacesTheForecast(t *testing.T) {
	var q Queue
	first := im("1", 10*time.Second)
	first.MostActive = "LAB-PC"
	if !q.Push(first) {
		t.Error("the first push is not new")
	}
	second := first
	second.MostActive, second.ThisDevice, second.Shown = "desk", true, noon.Add(4*time.Second)
	if q.Push(second) {
		t.Error("the second push is new")
	}
	top, _ := q.Top()
	if top.MostActive != "desk" || !top.Shown.Equal(noon) {
		t.Errorf("after the second push: %+v", top)
	}
	q.Close("1", Closing{Reason: Canceled}, noon)
	if q.Push(second); q.Open() != 0 {
		t.Error("a closed toast opened again")
	}
}

func TestCountdown(t *testing.T) {
	this := im("1", 10*time.Second)
	this.ThisDevice, this.MostActive = true, "desk"
	other := im("2", 10*time.Second)
	other.MostActive = "LAB-PC"
	for _, c := range []struct {
		t     Toast
		after time.Duration
		want  string
		bar   int
	}{
		{this, 0, "10 s, then THIS device accepts", 10},
		{this, time.Millisecond, "10 s, then THIS device accepts", 10},
		{this, 3 * time.Second, "7 s, then THIS device accepts", 7},
		{this, 11 * time.Second, "accepting here", 0},
		{other, 6 * time.Second, "4 s, then LAB-PC accepts (more active)", 4},
		{other, 11 * time.Second, "waiting for LAB-PC, then this device", 0},
		{im("3", 10*time.Second), 9500 * time.Millisecond, "1 s, then one of your devices accepts", 1},
		{Toast{Kind: IM, Shown: noon}, time.Hour, "waits for you", 0},
	} {
		now := noon.Add(c.after)
		if got := c.t.Promise(now); got != c.want {
			t.Errorf("after %v: %q, want %q", c.after, got, c.want)
		}
		if got := c.t.Bar(now, 10); got != c.bar {
			t.Errorf("after %v: bar %d, want %d", c.after, got, c.bar)
		}
	}
}

// Next is exactly the moment at which the seconds change.
func TestNextIsWhenThePictureChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q Queue
		toast := im("1", time.Duration(rapid.IntRange(1, 20000).Draw(t, "deadline"))*time.Millisecond)
		q.Push(toast)
		now := noon.Add(time.Duration(rapid.IntRange(0, 19999).Draw(t, "now")) * time.Millisecond)
		at, ok := q.Next(now)
		left, _ := toast.Remaining(now)
		if ok != (left > 0) {
			t.Fatalf("next is %v with %v left", ok, left)
		}
		if !ok {
			return
		}
		before, _ := toast.Seconds(at.Add(-1))
		after, _ := toast.Seconds(at)
		here, _ := toast.Seconds(now)
		if !at.After(now) || before != here || after != here-1 {
			t.Fatalf("at %v: seconds %d, just before next %d, at next %d", left, here, before, after)
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	var q Queue
	for i := range 10 * maxOpen {
		q.Push(im(fmt.Sprint(i), time.Duration(i+1)*time.Second))
	}
	if q.Open() != maxOpen {
		t.Errorf("%d open toasts", q.Open())
	}
	if top, _ := q.Top(); top.ID != "0" {
		t.Errorf("the flood pushed out the most urgent: top is %s", top.ID)
	}
}

func TestClick(t *testing.T) {
	var q Queue
	q.Push(im("im", 10*time.Second))
	q.Push(Toast{ID: "missed", Kind: Missed, Shown: noon})
	for _, c := range []struct {
		id   string
		part Part
		want Action
	}{
		{"im", PartAccept, Accept},
		{"im", PartNotHere, NotHere},
		{"im", PartEverywhere, DeclineEverywhere},
		{"im", PartText, OpenConversation},
		{"im", PartClose, Dismiss},
		{"im", "elsewhere", NoAction},
		{"missed", PartAccept, OpenConversation},
		{"missed", PartNotHere, Dismiss},
		{"none", PartAccept, NoAction},
	} {
		if got, _ := q.Click(c.id, c.part); got != c.want {
			t.Errorf("click on %s of %s is %q, want %q", c.part, c.id, got, c.want)
		}
	}
	q.Close("im", Closing{Reason: AutoAccepted}, noon)
	if got, _ := q.Click("im", PartAccept); got != NoAction {
		t.Errorf("a late click is %q", got)
	}
}

func TestDetect(t *testing.T) {
	for _, c := range []struct {
		env    string
		method Method
		mux    Mux
	}{
		{"TERM=xterm-256color", Bell, NoMux},
		{"TERM=xterm-kitty KITTY_WINDOW_ID=1", OSC99, NoMux},
		{"TERM=tmux-256color TMUX=/tmp/x,1,0 KITTY_WINDOW_ID=1", OSC99, Tmux},
		{"TERM=screen STY=1.x", Bell, Screen},
		{"TERM=xterm-256color TERM_PROGRAM=iTerm.app", OSC9, NoMux},
		{"TERM=xterm-256color TERM_PROGRAM=WezTerm", OSC777, NoMux},
		{"TERM=foot", OSC777, NoMux},
		{"TERM=rxvt-unicode-256color", OSC777, NoMux},
		{"TERM=dumb", Silent, NoMux},
	} {
		env := map[string]string{}
		for _, pair := range strings.Fields(c.env) {
			name, value, _ := strings.Cut(pair, "=")
			env[name] = value
		}
		if method, mux := Detect(func(n string) string { return env[n] }); method != c.method || mux != c.mux {
			t.Errorf("%s: %s %s, want %s %s", c.env, method, mux, c.method, c.mux)
		}
	}
}

func TestSequences(t *testing.T) {
	toast := Toast{ID: "t;1\x1b", Kind: IM, From: "Ca;rol\x1b]0;x\a", Text: "a;b\x1b[2J\nc"}
	b64 := base64.StdEncoding.EncodeToString
	for _, c := range []struct {
		method Method
		mux    Mux
		want   string
	}{
		{Silent, NoMux, ""},
		{Bell, Tmux, "\a"},
		{OSC9, NoMux, "\x1b]9;IM from Ca;rol]0;x: a;b[2J c\x1b\\"},
		{OSC777, NoMux, "\x1b]777;notify;IM from Ca,rol]0,x;a;b[2J c\x1b\\"},
		{OSC777, Tmux, "\x1bPtmux;\x1b\x1b]777;notify;IM from Ca,rol]0,x;a;b[2J c\x1b\x1b\\\x1b\\\a"},
		{OSC777, Screen, "\x1bP\x1b]777;notify;IM from Ca,rol]0,x;a;b[2J c\x1b\x1b\\\x1bP\\\x1b\\\a"},
		{OSC99, NoMux, "\x1b]99;i=offhook-t1:d=0:e=1:p=title;" + b64([]byte("IM from Ca;rol]0;x")) + "\x1b\\" +
			"\x1b]99;i=offhook-t1:d=1:e=1:p=body;" + b64([]byte("a;b[2J c")) + "\x1b\\"},
	} {
		var out strings.Builder
		if err := (Terminal{Out: &out, Method: c.method, Mux: c.mux}).Notify(toast); err != nil {
			t.Fatal(err)
		}
		if out.String() != c.want {
			t.Errorf("%s in %q:\n got %q\nwant %q", c.method, c.mux, out.String(), c.want)
		}
	}
}

// Whatever the text, the sequence is one sequence: no control character but those that frame it.
func FuzzSequence(f *testing.F) {
	f.Add("Bob", "hello")
	f.Add("\x1b]52;c;x\a", "\x9b2J\xff\u202e\u0085")
	f.Add(strings.Repeat("é", 500), strings.Repeat("\x1b\\", 500))
	f.Fuzz(func(t *testing.T, from, text string) {
		for _, m := range []Method{OSC9, OSC777, OSC99} {
			var out strings.Builder
			_ = Terminal{Out: &out, Method: m}.Notify(Toast{ID: text, Kind: IM, From: from, Text: text})
			s := out.String()
			for part := range strings.SplitSeq(strings.TrimSuffix(s, "\x1b\\"), "\x1b\\") {
				body, ok := strings.CutPrefix(part, "\x1b]")
				if !ok || strings.ContainsFunc(body, func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 }) {
					t.Fatalf("%s: %q", m, s)
				}
			}
			if !utf8.ValidString(s) || len(s) > 4096 {
				t.Fatalf("%s: %d bytes, valid %v", m, len(s), utf8.ValidString(s))
			}
		}
	})
}

type counter struct{ got []string }

func (c *counter) Notify(t Toast) error { c.got = append(c.got, t.Text); return nil }

func TestLimited(t *testing.T) {
	var c counter
	l := NewLimited(&c, 5*time.Second, 3)
	for i := range 10 {
		_ = l.Notify(Toast{Text: fmt.Sprint(i), Shown: noon})
	}
	if got := strings.Join(c.got, " "); got != "0 1 2" {
		t.Errorf("passed %s", got)
	}
	_ = l.Notify(Toast{Text: "later", Shown: noon.Add(5 * time.Second)})
	if last := c.got[len(c.got)-1]; last != "(and 7 more) later" {
		t.Errorf("then %q", last)
	}
}

func TestParseMethod(t *testing.T) {
	if _, chosen, err := ParseMethod("auto"); chosen || err != nil {
		t.Errorf("auto: %v %v", chosen, err)
	}
	if m, chosen, err := ParseMethod("OSC99"); m != OSC99 || !chosen || err != nil {
		t.Errorf("OSC99: %v %v %v", m, chosen, err)
	}
	if _, _, err := ParseMethod("smoke"); err == nil || !strings.Contains(err.Error(), "osc777") {
		t.Errorf("smoke: %v", err)
	}
}

// A call rings until somebody decides: its toast counts up, second by second, and has words of its own.
func TestCallToast(t *testing.T) {
	var q Queue
	q.Push(Toast{ID: "im", Kind: IM, Conversation: "c", From: "Carol", Shown: noon, Deadline: noon.Add(10 * time.Second)})
	q.Push(Toast{ID: "call", Kind: Call, Conversation: "c", From: "Carol", Shown: noon.Add(time.Second)})
	now := noon.Add(3500 * time.Millisecond)
	call, ok := q.For("c")
	if !ok || call.ID != "call" || call.Age(now) != 2 {
		t.Errorf("most urgent: %+v after %d s", call, call.Age(now))
	}
	if im, ok := q.For("c", IM); !ok || im.ID != "im" {
		t.Errorf("the message: %+v", im)
	}
	if at, ok := q.Next(now); !ok || !at.Equal(noon.Add(4*time.Second)) {
		t.Errorf("next change at %v", at.Sub(noon))
	}
	for part, want := range map[Part]Action{PartAccept: Accept, PartNotHere: NotHere, PartEverywhere: DeclineEverywhere, PartMessage: DeclineWithMessage, PartCallBack: NoAction} {
		if got, _ := q.Click("call", part); got != want {
			t.Errorf("%s means %q", part, got)
		}
	}
	if got, _ := q.Click("im", PartMessage); got != NoAction {
		t.Errorf("a message declined with a message: %q", got)
	}
	it, _ := q.Close("call", Closing{Reason: Canceled}, now)
	if it.Line() != "caller gave up after 3 s" {
		t.Errorf("it says %q", it.Line())
	}
	q.Push(Toast{ID: "missed", Kind: Missed, From: "Carol", Shown: now})
	if got, _ := q.Click("missed", PartCallBack); got != CallBack {
		t.Errorf("call back means %q", got)
	}
}
