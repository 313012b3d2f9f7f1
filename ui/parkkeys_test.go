package ui

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"pgregory.net/rapid"

	"offhook/internal/command"
	"offhook/park"
	"offhook/session"
	"offhook/toast"
)

func doneParking(s *stage, orbit string) session.ParkDone {
	return session.ParkDone{
		Conversation: "c5", Caller: session.Party{URI: uri("+12065550142"), Display: "Northwind"},
		Orbit: park.CallParkOrbit{FriendlyOrbit: orbit, Parked: s.clock, RingBack: s.clock.Add(90 * time.Second)},
	}
}

// One key parks: nothing is put on hold before, the number is on screen for a while, counts down and is copied.
func TestParkKey(t *testing.T) {
	for _, keys := range [][]string{{"f5"}, {"ctrl+x", "p"}, {"ctrl+u", "/park", "enter"}} {
		s := parked(t, 80, 24, lot(), northwind())
		s.f.called = func(method string, _ map[string]any) {
			if method == "park.park" && !s.m.parks.asked["c5"] {
				t.Error("the bar does not say that the call is being parked")
			}
		}
		s.press(keys...)
		s.wantsCalls("park.park call=audio-1")
		s.wants("PARKING ...")
		s.press("f5")
		s.wantsCalls() // once is enough
		s.wants("is being parked")
		s.setCalls()
		s.m.clipboard.obeys = true
		s.events(doneParking(s, "1348"))
		s.wants(" PARKED 1348  Northwind   copied   F9 board   Ctrl-X B tell others         1:30")
		s.clock = s.clock.Add(7 * time.Second)
		s.wants("1:23")
		s.clock = s.clock.Add(time.Second)
		s.wantsNot("PARKED 1348")
	}
}

// What cannot be parked says so on the key, and a park that fails leaves the call as it was.
func TestParkFails(t *testing.T) {
	s := parked(t, 80, 24, lot(), northwind())
	s.f.cannot = map[string]string{"park": "there is no park service"}
	s.press("f5")
	s.wants("there is no park service")
	s.wantsCalls()
	s.f.cannot = nil
	s.f.fail["park.park"] = &session.Error{Op: "park", Kind: session.KindNoOrbit, Code: 486, Err: park.ErrNoOrbit}
	s.press("f5")
	s.events(session.ParkFailed{Conversation: "c5", Kind: session.KindNoOrbit, Message: "park: no free orbit (35002)"})
	s.wants(" PARK FAILED  no free orbit (35002)    you are still talking to Northwind")
	s.wants("03:12 Opus SRTP") // the call's own row stays
	s.wantsNot("PARKING ...")
	s.clock = s.clock.Add(bannerTime)
	s.wantsNot("PARK FAILED")
	// Asked for through the control API there is only the event.
	s.events(session.ParkFailed{Conversation: "c5", Kind: session.KindTimeout, Message: "park sip:a@b: parking took too long (35004)"})
	s.wants(" PARK FAILED  parking took too long (35004)")
}

// The clipboard is written by OSC 52, by the ways that a multiplexer lets through, and never where it would be printed.
func TestClipboard(t *testing.T) {
	const plain = "\x1b]52;c;NzAx\a"
	for name, c := range map[string]struct {
		env        map[string]string
		want, said string
	}{
		"kitty":    {map[string]string{"TERM": "xterm-kitty"}, plain, saidCopied},
		"xterm":    {map[string]string{"TERM": "xterm-256color"}, plain, saidSent},
		"tmux":     {map[string]string{"TERM": "tmux-256color", "TMUX": "/tmp/t,1,0"}, plain + "\x1bPtmux;\x1b" + plain + "\x1b\\", saidSent},
		"screen":   {map[string]string{"TERM": "screen", "STY": "1.a"}, "\x1bP" + plain + "\x1b\\", saidSent},
		"console":  {map[string]string{"TERM": "linux"}, "", ""},
		"dumb":     {map[string]string{"TERM": "dumb"}, "", ""},
		"terminal": {map[string]string{"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, "", ""},
	} {
		cmd, said := newClipboard(func(name string) string { return c.env[name] }).copy("701")
		got := ""
		if cmd != nil {
			got = fmt.Sprint(cmd().(tea.RawMsg).Msg)
		}
		if got != c.want || said != c.said {
			t.Errorf("%s: %q, said %q", name, got, said)
		}
	}
}

// Only who has parked with a key here finds the number in the clipboard.
func TestClipboardIsLeftAlone(t *testing.T) {
	s := parked(t, 80, 24, lot())
	if cmd := s.m.onParkDone(doneParking(s, "1348")); cmd != nil || s.m.parks.banner.copied != "" {
		t.Error("a park by the control API writes the clipboard")
	}
}

// Count-downs cost one frame a second, and none where none is on screen.
func TestParkTicks(t *testing.T) {
	next := func(s *stage) time.Duration {
		s.m.timer = time.Time{}
		s.m.windows.current.composing = time.Time{}
		s.m.schedule()
		return s.m.timer.Sub(s.clock)
	}
	s := parked(t, 80, 24, parkView{})
	s.clock = s.clock.Add(300 * time.Millisecond)
	if d := next(s); d < 50*time.Second {
		t.Errorf("nothing is parked, and it ticks after %v", d)
	}
	s.setPark(lot())
	if d := next(s); d != 700*time.Millisecond {
		t.Errorf("the next tick comes after %v", d)
	}
	s.setCalls(northwind())
	if d := next(s); d < 50*time.Second {
		t.Errorf("the clock of the call draws already, and it ticks after %v", d)
	}
	s.setCalls()
	v := lot()
	for i := range v.rows {
		v.rows[i].RingBack = time.Time{}
	}
	s.setPark(v)
	if d := next(s); d < 50*time.Second {
		t.Errorf("nothing counts down, and it ticks after %v", d)
	}
	s.press("f9") // ages are on the board
	if d := next(s); d != 700*time.Millisecond {
		t.Errorf("with the board open the next tick comes after %v", d)
	}
}

func TestPickUp(t *testing.T) {
	for _, c := range []struct {
		keys []string
		want string
	}{
		{[]string{"f6", "enter"}, "park.retrieve orbit=1347"},
		{[]string{"ctrl+x", "o", "down", "enter"}, "park.retrieve orbit=1349"},
		{[]string{"f6", "1351", "enter"}, "park.retrieve orbit=1351"},
		{[]string{"f6", "fabri", "enter"}, "park.retrieve orbit=1349"},
		{[]string{"f6", "ann", "tab", "enter"}, "park.retrieve orbit=1351"},
		{[]string{"f6", "999", "enter"}, "park.retrieve orbit=999"}, // what the board does not know
		{[]string{"f6", "13", "esc"}, ""},
		{[]string{"ctrl+u", "/pickup 1351", "enter"}, "park.retrieve orbit=1351"},
		{[]string{"f9", "enter"}, "park.retrieve orbit=1347"},
		{[]string{"ctrl+x", "b", "j", "j", "k", "enter"}, "park.retrieve orbit=1349"},
		{[]string{"f9", "1351", "enter"}, "park.retrieve orbit=1351"},
		{[]string{"f9", "/", "rma", "enter"}, "park.retrieve orbit=1349"},
		{[]string{"f9", "q"}, ""},
		{[]string{"f9", "f9"}, ""},
		{[]string{"f9", "esc"}, ""},
		{[]string{"ctrl+u", "1351", "enter", "p"}, "park.retrieve orbit=1351"},
		{[]string{"ctrl+u", "1351", "enter", "s"}, "im.send conversation=c1 text=1351"},
	} {
		t.Run(strings.Join(c.keys, " "), func(t *testing.T) {
			s := parked(t, 80, 24, lot())
			s.press(c.keys...)
			if c.want == "" {
				s.wantsCalls()
			} else {
				s.wantsCalls(c.want)
			}
			if s.m.overlay != nil {
				t.Errorf("a box is left open:\n%s", s.screen())
			}
		})
	}
	s := parked(t, 80, 24, lot())
	s.press("f6", "13")
	s.wants("[desk] /pickup 13")
	s.press("esc")
	s.wants("[desk] ok, parking it on the next free orbit")
}

// What was picked up is shown as soon as the session has told of it.
func TestPickedUpIsShown(t *testing.T) {
	s := parked(t, 80, 24, lot())
	s.f.results = map[string]any{"park.retrieve": struct {
		Conversation string `json:"conversation"`
		Call         string `json:"call"`
	}{"c5", "audio-1"}}
	s.press("f6", "1351", "enter")
	s.wants("[2] Bob Martin")
	s.setCalls(northwind())
	s.wants("[4] Northwind")
}

// Where somebody else is parked than the one expected, nobody is put through by a letter that was meant for a message.
func TestRefusedPickUp(t *testing.T) {
	open := func(orbit string, err error) *stage {
		s := parked(t, 80, 24, lot())
		s.f.fail["park.retrieve"] = err
		s.press("f6", orbit, "enter")
		s.f.log()
		return s
	}
	s := open("1347", errStale)
	s.wants("Contoso is gone.")
	s.press("a")
	s.wantsCalls() // too early to have been read
	s.wants("next free orbita")
	s.clock = s.clock.Add(steadyTime)
	s.press("a")
	s.wantsCalls() // and now somebody writes
	s.wants("next free orbitaa")
	s.wants("[F6] take it anyway")
	s.press("enter")
	s.wantsCalls()
	s.f.fail["park.retrieve"] = nil
	s.press("f6")
	s.wantsCalls("park.retrieve orbit=1347 anyway=true")

	s = open("1347", errStale)
	s.clock = s.clock.Add(steadyTime)
	s.press("x", "backspace") // typed, and taken back
	s.wants("[a] take it anyway")
	s.press("a")
	s.wantsCalls("park.retrieve orbit=1347 anyway=true")

	s = open("1347", errStale)
	s.press("esc")
	s.wantsNot("is gone.")
	s.wantsCalls()

	s = open("1351", errStranger())
	s.wants("It holds Wingtip +12025550177 now; Ann Lee announced")
	s.press("enter")
	s.wantsCalls()
	s.clock = s.clock.Add(steadyTime)
	s.press("enter")
	s.wantsCalls("park.retrieve orbit=1351 anyway=true")

	s = open("1351", errStranger())
	s.clock = s.clock.Add(steadyTime)
	s.press("m")
	s.wants("Ann Lee A")
	s.wants("Wingtip +12025550177 is on 1351 now")
	s.wantsCalls() // a draft

	s = open("1351", &session.Error{Op: "pick up", Kind: session.KindOrbitNotFound, Err: park.ErrOrbitNotFound})
	s.wants("not picked up: ")
	if s.m.overlay != nil {
		t.Error("a box opened")
	}
}

// A call that came back rings as a call of its caller, and one key takes an announced one.
func TestParkToasts(t *testing.T) {
	back := northwind()
	back.State = session.Incoming
	s := parked(t, 80, 24, lot(), back)
	s.events(session.ToastShown{
		Toast: "t5", Kind: "ringback", Conversation: "c5", Call: back.Call, From: back.Peer, Text: "BACK from park 1349, waited 1:30", Orbit: "1349",
	})
	s.wants("BACK from park 1349, waited 1:30")
	s.wants("Northwind  +12065550142")
	s.wants("RINGS 03:20 BACK from park 1349")
	s.press("f3")
	s.wantsCalls("toast.decline toast=t5 everywhere=false")
	s.press("f2")
	s.wantsCalls("toast.accept toast=t5")
	s.events(session.ToastClosed{Toast: "t5", Reason: "accepted"})
	s.wants("you have the call back")

	s = parked(t, 80, 24, lot())
	told := session.ToastShown{Toast: "t6", Kind: "orbit", Conversation: "c7", From: session.Party{URI: uri("ann")}, Orbit: "1351", Text: "Call for you on 1351"}
	s.events(told)
	s.wants("F2 Pick up  F3 Leave")
	s.press("f3")
	s.wantsCalls("toast.dismiss toast=t6")
	told.Toast = "t7"
	s.events(told)
	s.f.fail["toast.accept"] = errStranger()
	s.press("f2")
	s.wantsCalls("toast.accept toast=t7")
	s.wants("It holds Wingtip")
	s.press("esc")
	s.events(session.ToastClosed{Toast: "t7", Reason: string(toast.AnsweredElsewhere), By: "Bob Martin"})
	s.wants("picked up by Bob Martin")
}

// The end of a parked caller's conversation is not the end of the parked call, and that is said before.
func TestParkedConversation(t *testing.T) {
	v := lot()
	v.records[0].Conversation = "c2"
	s := parked(t, 80, 24, v)
	s.events(session.ConversationChanged{Conversation: "c2", Peer: session.Party{URI: uri("carol")}, State: session.ConversationParked})
	s.press("alt+3")
	s.wants("Carol Diaz waits in park 1347 for 0:32, rings back in")
	s.wants("PARK│")
	s.press("/close", "enter")
	s.wants("Carol Diaz stays parked on 1347")
	s.press("esc")
	s.wantsCalls()
	s.press("f6", "enter")
	s.wantsCalls("park.retrieve orbit=1347")
	s.press("/close", "enter", "enter")
	s.wantsCalls("conversation.end conversation=c2")
	s.press("ctrl+u", "ctrl+c")
	s.wants("nobody will be here when they ring back:")
	s.wants("1347,")
}

// Who is at the other end of a call is at the bar when that is not its peer.
func TestCallParty(t *testing.T) {
	c := northwind()
	c.Parked, c.ParkedBy, c.Orbit = true, session.Party{URI: uri("bob")}, "701"
	s := parked(t, 120, 40, lot(), c)
	s.wants("CALL 1> Northwind PARKED by Bob Martin on 701 03:12")
	c.Parked, c.Party = false, session.Party{URI: uri("carol")}
	s.setCalls(c)
	s.wants("CALL 1> Northwind now: Carol Diaz 03:12")
	// A stranger does not hear the microphone until the user says so, and why is at the bar.
	c.Muted = true
	s.setCalls(c)
	s.events(session.CallTrouble{Call: c.Call, Conversation: "c5", Kind: session.KindStranger, Text: "this is Carol, not Northwind: unmute to talk"})
	s.wants(" ! this is Carol, not Northwind: unmute to talk")
	c.Muted = false
	s.setCalls(c)
	s.wantsNot("not Northwind")
}

// Actions that are not possible say why, on the key and in the help.
func TestParkWhyNot(t *testing.T) {
	s := parked(t, 80, 24, parkView{service: session.ParkService{Why: "the server has no park service"}})
	s.press("f6")
	s.wants("the server has no park service")
	s.press("f5")
	s.wants(whyNoCall)
	s.press("f1", "tell others")
	s.wants("- ")
	s.wants(" - not now: " + whyNothingParked)
	s.wantsCalls()
	for _, name := range []string{"park", "pickup", "broadcast"} {
		if why := s.m.formWhy(command.Command{}, command.Form{Name: name}); why == "" {
			t.Errorf("/%s says nothing against it", name)
		}
	}
}

func TestHowParksEnd(t *testing.T) {
	s := parked(t, 80, 24, lot())
	for _, c := range []struct {
		reason park.UnparkReason
		target string
		want   string
	}{
		{park.Retrieved, "dev", "picked up by Dev Patel"},
		{park.Retrieved, "desk", "picked up by me"},
		{park.Retrieved, "", "picked up"},
		{park.Ringback, "desk", "rang back, answered here"},
		{park.Ringback, "carol", "rang back, answered by Carol Diaz"},
		{park.Abandoned, "", "caller hung up"},
		{park.Disconnected, "", "line lost"},
		{park.Fallback, "ops", "went to fallback (ops)"},
		{park.Fallback, "", "went to fallback"},
		{park.Dropped, "", "nobody took it, hung up"},
		{park.Unknown, "", "ended, no reason given"},
	} {
		r := park.Record{Reason: c.reason}
		if c.target != "" {
			r.Target.URI = uri(c.target)
		}
		if got := s.m.howEnded(r); got != c.want {
			t.Errorf("%s %s: %q", c.reason, c.target, got)
		}
	}
}

// At any size, with whatever is parked, every row is exactly as wide as the screen.
func TestParkAtAnySize(t *testing.T) {
	v := crowded(40)
	wide := strings.Repeat("日本語", 40) + "👩‍👩‍👧" + strings.Repeat("long ", 30)
	v.rows[1].Caller.Display, v.rows[2].ParkedBy.Display, v.rows[0].Note, v.rows[3].Orbit = wide, wide, wide, "123456789012"
	v.rows[4].Note = "\x1b[2J\x9bnote\nof two lines"
	v.records[0].Sent[0].URI, v.records[4].Target.Display = "sip:"+strings.Repeat("x", 300)+"@example.com", wide
	back := northwind()
	back.State, back.Peer.Display = session.Incoming, wide
	talk := ann(session.Established, session.Inbound)
	talk.Party, talk.Muted = session.Party{URI: uri("x"), Display: wide}, true
	s := parked(t, 80, 24, v, talk, back)
	s.events(
		session.ToastShown{Toast: "t5", Kind: "ringback", Conversation: "c5", Call: back.Call, From: back.Peer, Text: wide, Orbit: "1349"},
		session.ToastShown{Toast: "t6", Kind: "orbit", Conversation: "c7", From: session.Party{URI: uri("ann"), Display: wide}, Orbit: wide, Text: wide},
		session.CallTrouble{Call: "audio-2", Kind: session.KindStranger, Text: wide},
		session.ParkDone{Conversation: "c6", Caller: session.Party{URI: uri("x"), Display: wide}, Orbit: park.CallParkOrbit{FriendlyOrbit: wide, RingBack: s.clock.Add(time.Minute)}},
	)
	stale, strange := errStale, errStranger()
	boxes := map[string]func(){
		"nothing": func() {}, "board": func() { s.press("f9") }, "filter": func() { s.press("f9", "/", "caller") },
		"note": func() { s.press("f9", "n") }, "tell": func() { s.press("f9", "t", "a") }, "broadcast": func() { s.press("f9", "b") },
		"broadcast text": func() { s.press("f9", "b", "tab", wide) }, "nobody": func() { s.press("f9", "b", "zzz") }, "pick up": func() { s.press("f6") },
		"pick up nothing": func() { s.press("f6", "9999") }, "number": func() { s.press("ctrl+u", "1349", "enter") },
		"stale":    func() { s.f.fail["park.retrieve"] = stale; s.press("f6", "1347", "enter") },
		"stranger": func() { s.f.fail["park.retrieve"] = strange; s.press("f6", "1351", "enter") },
		"failed":   func() { s.m.parkFailed("c6", wide) },
		"empty":    func() { s.m.parks.rows = nil; s.press("f9") },
	}
	var names []string
	for name := range boxes {
		names = append(names, name)
	}
	slices.Sort(names)
	rapid.Check(t, func(t *rapid.T) {
		s.m.overlay, s.m.prefix, s.m.parks.rows = nil, "", v.rows
		s.setPark(v)
		boxes[rapid.SampledFrom(names).Draw(t, "box")]()
		s.m.Update(tea.WindowSizeMsg{Width: rapid.IntRange(20, 250).Draw(t, "w"), Height: rapid.IntRange(5, 80).Draw(t, "h")})
		if problem := screenProblem(s.m); problem != "" {
			t.Fatal(problem)
		}
		s.m.Update(tea.KeyPressMsg{Code: rapid.SampledFrom([]rune{tea.KeyPgUp, tea.KeyPgDown, tea.KeyDown, tea.KeyTab}).Draw(t, "key")})
		if problem := screenProblem(s.m); problem != "" {
			t.Fatal(problem)
		}
	})
}

// What became of a parked call is told whatever is on screen, and a caller who is lost counts as a missed call.
func TestParkEnds(t *testing.T) {
	s := parked(t, 80, 24, lot())
	over := session.Unparked{
		FriendlyOrbit: "1347", Conversation: "c2", Caller: session.Party{URI: uri("carol")}, Waited: 72, Reason: park.Retrieved,
		Target: session.Party{URI: uri("dev")},
	}
	s.events(over)
	s.wants(" 1347  Carol Diaz: picked up by Dev Patel, waited 1:12")
	s.wants("Act: 3(2)")
	s.press("x")
	s.wantsNot("waited 1:12")
	over.Reason, over.Target = park.Abandoned, session.Party{}
	s.events(over)
	s.wants(" 1347  Carol Diaz: caller hung up, waited 1:12")
	s.wants("Act: 3(3)")
	s.press("x")
	over.Reason, over.Target = park.Retrieved, session.Party{URI: uri("desk")}
	s.events(over)
	s.wantsNot("waited 1:12") // who has taken it back knows
}

// To quit is to leave alone whoever comes back: that is asked, by whatever key.
func TestQuitWhileParked(t *testing.T) {
	for _, keys := range [][]string{{"/quit", "enter"}, {"ctrl+c"}} {
		s := parked(t, 80, 24, lot())
		s.press("ctrl+u")
		s.press(keys...)
		s.wants("nobody will be here when they ring back: 1347")
	}
}
