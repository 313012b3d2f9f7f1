package ui

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"pgregory.net/rapid"

	"offhook/internal/media"
	"offhook/session"
)

// Every key of a call, and its other doors.
func TestCallKeys(t *testing.T) {
	held := northwind()
	held.Hold = session.HoldLocal
	muted := northwind()
	muted.Muted = true
	recorded := northwind()
	recorded.Recording = "/tmp/x.wav"
	second := ann(session.Established, session.Outbound)
	second.Hold = session.HoldLocal
	for _, c := range []struct {
		call session.CallInfo
		keys []string
		want string
	}{
		{northwind(), []string{"f3"}, "call.hangup call=audio-1"},
		{northwind(), []string{"ctrl+x", "h"}, "call.hangup call=audio-1"},
		{northwind(), []string{"ctrl+u", "/hangup", "enter"}, "call.hangup call=audio-1"},
		{northwind(), []string{"f4"}, "call.hold call=audio-1"},
		{held, []string{"f4"}, "call.resume call=audio-1"},
		{northwind(), []string{"ctrl+x", "space"}, "call.hold call=audio-1"},
		{northwind(), []string{"ctrl+u", "/hold", "enter"}, "call.hold call=audio-1"},
		{northwind(), []string{"f8"}, "call.mute call=audio-1"},
		{muted, []string{"f8"}, "call.unmute call=audio-1"},
		{northwind(), []string{"ctrl+x", "u"}, "call.mute call=audio-1"},
		{northwind(), []string{"ctrl+x", "r"}, "call.record call=audio-1"},
		{recorded, []string{"ctrl+x", "r"}, "call.record call=audio-1 stop=true"},
		{northwind(), []string{"ctrl+x", "7"}, "call.dtmf call=audio-1 digits=7"},
		{northwind(), []string{"ctrl+x", "#"}, "call.dtmf call=audio-1 digits=#"},
		{northwind(), []string{"ctrl+u", "/dtmf 12", "enter"}, "call.dtmf call=audio-1 digits=12"},
		{northwind(), []string{"f7", "carol", "enter"}, "call.transfer call=audio-1 to=" + uri("carol")},
		{northwind(), []string{"f7", "an", "esc"}, ""},
		{northwind(), []string{"f7", "4711", "enter"}, "call.transfer call=audio-1 to=4711"},
		{northwind(), []string{"ctrl+x", "t", "#2", "enter"}, "call.transfer call=audio-1 replaces=audio-2"},
		{northwind(), []string{"ctrl+u", "/transfer #2", "enter"}, "call.transfer call=audio-1 replaces=#2"},
		{northwind(), []string{"ctrl+u", "/conf", "enter"}, "call.conference"},
		{northwind(), []string{"ctrl+x", "c"}, "call.dial conversation=c1"},
		{northwind(), []string{"ctrl+u", "/call", "enter"}, "call.dial conversation=c1"},
		{northwind(), []string{"ctrl+u", "/call carol", "enter"}, "call.dial conversation=c2"},
	} {
		t.Run(strings.Join(c.keys, " "), func(t *testing.T) {
			t.Parallel() // most of the time it waits for ticks that do not come
			calls := []session.CallInfo{c.call, second}
			if c.call.Hold == session.HoldLocal {
				calls = calls[:1]
			}
			s := calling(t, 80, 24, calls...)
			s.press(c.keys...)
			if c.want == "" {
				s.wantsCalls()
			} else {
				s.wantsCalls(c.want)
			}
		})
	}
	s := calling(t, 80, 24, northwind())
	s.press("f7", "enter") // too early
	s.wantsCalls()
	s.wants("TRANSFER Northwind")
}

// Actions are possible or not as the session says, and the keys say why not.
func TestCallKeysSayWhyNot(t *testing.T) {
	s := calling(t, 80, 24)
	for _, keys := range [][]string{{"f3"}, {"f4"}, {"f7"}, {"f8"}, {"ctrl+x", "d"}, {"ctrl+x", "r"}, {"ctrl+x", "q"}, {"ctrl+x", "n"}, {"ctrl+x", "5"}} {
		s.f.mu.Lock()
		s.f.cannot = map[string]string{"transfer": "there is no session to transfer"}
		s.f.mu.Unlock()
		s.press(keys...)
		if why := s.m.message; !strings.HasPrefix(why, "there is no") {
			t.Errorf("%q: %q", keys, why)
		}
	}
	s.wantsCalls()
	s.setCalls(northwind())
	s.f.mu.Lock()
	s.f.cannot = map[string]string{"dtmf": "the call is on hold"}
	s.f.mu.Unlock()
	s.press("ctrl+x", "d")
	s.wants("the call is on hold")
	s.press("f1", "keypad")
	s.wants("not now: the call is on hold")
	s.wantsCalls()
}

// What rings takes neither the focus nor a key, and writing to who calls does not answer.
func TestRingingTakesNothing(t *testing.T) {
	in := ann(session.Incoming, session.Inbound)
	s := calling(t, 80, 24, in)
	s.ringIn(in)
	s.press(" and", " more")
	s.wants("[desk] ok, parking it on the next free orbit and more")
	s.wants("[2] Bob Martin")
	s.press("alt+4", "one moment", "enter")
	s.wantsCalls("im.send conversation=c6 text=one moment")
	for label, want := range map[string]string{
		"F2 answer  F3": "toast.accept toast=t9", "F3 not here (486)": "toast.decline toast=t9 everywhere=false",
		"Ctrl-X D decline": "toast.decline toast=t9 everywhere=true",
	} {
		s := calling(t, 80, 24, in)
		s.ringIn(in)
		x, y := s.at(label)
		if label == "F2 answer  F3" {
			y += 3 // the bar above has one, too
			x, _ = s.at("F3 not here (486)")
			x -= 8
		}
		s.update(tea.MouseClickMsg{X: x, Y: y, Button: tea.MouseLeft})
		s.wantsCalls(want)
	}
	// A toast that was dismissed leaves the call ringing, and the keys with it.
	s = calling(t, 80, 24, in)
	s.ringIn(in)
	s.press("esc")
	s.wantsNot("CALL from")
	s.wants("CALL 2> Ann Lee RINGS")
	s.f.log()
	s.press("f2")
	s.wantsCalls("call.answer call=audio-2")
	s.press("f3")
	s.wantsCalls("call.decline call=audio-2")
}

func TestDeclineWithMessage(t *testing.T) {
	in := ann(session.Incoming, session.Inbound)
	s := calling(t, 80, 24, in)
	s.ringIn(in)
	s.press("ctrl+x", "i", "down", "enter")
	calls := slices.DeleteFunc(s.f.log(), background)
	slices.Sort(calls)
	if want := []string{"call.decline call=audio-2 everywhere=true", "im.send conversation=c6 text=I am in a call. What is it about?"}; !slices.Equal(calls, want) {
		t.Errorf("called %q", calls)
	}
	s.wants("[2] Bob Martin") // the focus stays
	s.press("ctrl+x", "i", "back at noon", "enter")
	if calls := strings.Join(s.f.log(), "|"); !strings.Contains(calls, "text=back at noon") && !slices.Contains(s.m.calls[0].window.outbox, "back at noon") {
		t.Errorf("called %s", calls)
	}
	s.press("ctrl+x", "i", "esc")
	s.wantsCalls()
}

// A key that was meant for what has just gone must not end another call.
func TestHangUpIsSteady(t *testing.T) {
	in := ann(session.Incoming, session.Inbound)
	s := calling(t, 80, 24, northwind(), in)
	s.ringIn(in)
	s.events(session.ToastClosed{Toast: "t9", Reason: "canceled"})
	s.setCalls(northwind())
	s.press("f3")
	s.wantsCalls()
	s.wants("again hangs up Northwind")
	s.press("f3")
	s.wantsCalls("call.hangup call=audio-1")

	other := ann(session.Established, session.Outbound)
	other.Hold = session.HoldLocal
	s = calling(t, 80, 24, northwind(), other)
	s.setCalls(other) // they hang up
	s.press("f3")
	s.wantsCalls()
	s.clock = s.clock.Add(2 * time.Second)
	s.press("f3")
	s.wantsCalls("call.hangup call=audio-2")
}

func TestKeypadSendsInOrder(t *testing.T) {
	s := calling(t, 80, 24, northwind())
	s.press("ctrl+x", "d", "1", "2", "#", "q")
	s.wants("only 0-9")
	s.wants("sent: 12#")
	s.press("esc")
	s.wantsCalls("call.dtmf call=audio-1 digits=1", "call.dtmf call=audio-1 digits=2", "call.dtmf call=audio-1 digits=#")
	s.press("1")
	s.wantsCalls() // a letter again
	s.press("ctrl+x", "d")
	s.setCalls()
	s.wantsNot("KEYPAD")
	s.wants("the call has ended")
	s.setCalls(northwind())
	s.f.fail["call.dtmf"] = errors.New("the other side takes no digits")
	s.press("ctrl+x", "d", "5")
	s.wantsNot("KEYPAD")
	s.wants("not sent: 5: the other side takes no")
}

func TestNumberAlone(t *testing.T) {
	s := calling(t, 80, 24)
	s.press("ctrl+u", "1347", "enter")
	s.wants("d  dial 1347")
	s.wantsCalls()
	s.press("s")
	s.wantsCalls("im.send conversation=c1 text=1347")
	s.m.windows.current.inFlight = ""
	s.press("1348", "enter") // remembered
	s.wantsCalls("im.send conversation=c1 text=1348")
	s.m.dials, s.m.windows.current.inFlight = nil, ""
	s.press("+12065550142", "enter", "esc")
	s.wants("[desk] +12065550142")
	s.press("enter", "d")
	s.wantsCalls("call.dial to=" + uri("+12065550142"))
	s.press("alt+2", "42", "enter", "call 1347", "enter") // no numbers alone
	if calls := strings.Join(s.f.log(), "|"); !strings.Contains(calls, "text=42") {
		t.Errorf("called %s", calls)
	}
	s.press("alt+1", "1347", "enter")
	s.wants("d  dial 1347") // at home nothing can be sent, so it is asked each time
	s.press("s")
	s.wants("d  dial 1347")
	s.press("d")
	s.wantsCalls("call.dial to=" + uri("1347"))
}

func TestMissedCall(t *testing.T) {
	s := calling(t, 80, 24)
	s.events(session.Notice{Conversation: "c2", Time: s.clock, Text: "missed call (0:21)"},
		session.ToastShown{Toast: "t8", Kind: "missed", Conversation: "c2", From: session.Party{URI: uri("carol")}, Text: "0:21"})
	s.wants("MISSED from Carol Diaz")
	s.wants("Act: 3(3)")
	s.press("ctrl+x", "c")
	s.wantsCalls("call.dial conversation=c2")
	s.wants("[3] Carol Diaz")
	s.clock = s.clock.Add(10 * time.Second)
	s.update(tickMsg(s.clock))
	s.wantsNot("MISSED from")
	s.wants("--  missed call (0:21)")

	// Taken on another device is something else.
	in := ann(session.Incoming, session.Inbound)
	s = calling(t, 80, 24, in)
	s.ringIn(in)
	s.events(session.ToastClosed{Toast: "t9", Reason: "answered_elsewhere", By: "LAB-PC"})
	s.wants("Ann Lee: taken by LAB-PC")
	s.setCalls()
	s.wantsNot("Act: 3(2) 4")
}

func TestQuitNamesCalls(t *testing.T) {
	s := calling(t, 80, 24, northwind())
	s.press("ctrl+c", "ctrl+c")
	s.wants("quit and hang up on Northwind (03:12)?")
	s.press("ctrl+c")
	s.wantsNot("quit and")
	s.press("/quit", "enter")
	s.wants("quit and hang up on Northwind (03:12)?")
	s.press("esc")
	s.press("ctrl+z")
	s.m.windows.current.input.undos = nil
	s.press("ctrl+z")
	s.wants("Ctrl-Z does not stop the program")
}

// The duration moves with the seconds of the call, and what is measured with it.
func TestPulse(t *testing.T) {
	s := calling(t, 80, 24, northwind())
	s.wants("03:12")
	s.clock = s.clock.Add(time.Second)
	worse := stats
	worse.MOS = 2.6
	s.update(pulseMsg{"audio-1": worse})
	s.wants("03:13 Opus SRTP q2.6")
	s.setCalls()
	s.m.pulsing = false
	if s.m.pulse() != nil {
		t.Error("it ticks without a call")
	}
}

func TestSilenceClears(t *testing.T) {
	quiet := northwind()
	quiet.Silence = "no sound from them: it stopped arriving"
	s := calling(t, 80, 24, quiet)
	s.wants(" ! no sound from them: it stopped arriving")
	s.setCalls(northwind())
	s.wantsNot("no sound")
}

// Their keys are one line as long as they come quickly.
func TestTheirDigits(t *testing.T) {
	s := calling(t, 80, 24, northwind())
	s.press("alt+4")
	for _, d := range []string{"1", "2", "#", "\x1b"} {
		s.events(session.CallDigit{Call: "audio-1", Conversation: "c5", Digit: d})
	}
	s.wants("they pressed 12#")
}

func TestDeviceChooser(t *testing.T) {
	s := calling(t, 80, 24)
	s.press("ctrl+u", "/device", "enter")
	s.wants("Built-in microphone")
	d := s.m.overlay.(*devices)
	s.f.log()
	s.press("down", "down", "enter")
	s.wantsCalls("audio.select capture=mic", "audio.devices", "audio.select")
	s.press("tab", "tab", "down", "down", "space")
	if calls := s.f.log(); !strings.HasPrefix(calls[0], "audio.select ringers=[default speakers]") {
		t.Errorf("called %q", calls)
	}
	s.update(devicesMsg{of: d, all: headsets()[:3], selected: media.Selection{}})
	s.wantsNot("Built-in speakers") // unplugged
	s.press("t")
	s.wantsCalls("audio.test")
	s.press("esc")
	if cmd := s.m.onLevels(levelsMsg{of: d}); cmd != nil {
		t.Error("the meters move though nobody sees them")
	}
}

// At any size, with any calls, every row is exactly as wide as the screen.
func TestCallsAtAnySize(t *testing.T) {
	in := ann(session.Incoming, session.Inbound)
	in.Peer.Display = strings.Repeat("日本語", 40) + strings.Repeat("long ", 30)
	loud := northwind()
	loud.Muted, loud.Recording, loud.Hold, loud.Conference, loud.Silence = true, "x.wav", session.HoldRemote, "k", strings.Repeat("no sound ", 30)
	s := calling(t, 80, 24, loud, in)
	s.ringIn(in)
	boxes := map[string][]string{
		"nothing": nil, "keypad": {"ctrl+x", "d"}, "stats": {"ctrl+x", "q"}, "devices": {"ctrl+x", "v"}, "refusal": {"ctrl+x", "i"},
		"transfer": {"f7"}, "number": {"ctrl+u", "123456", "enter"}, "help": {"f1"}, "quit": {"ctrl+u", "ctrl+c"},
	}
	var names []string
	for name := range boxes {
		names = append(names, name)
	}
	slices.Sort(names)
	rapid.Check(t, func(t *rapid.T) {
		s.m.overlay, s.m.prefix, s.m.statsShown = nil, "", false
		s.press(boxes[rapid.SampledFrom(names).Draw(t, "box")]...)
		s.m.Update(tea.WindowSizeMsg{Width: rapid.IntRange(20, 250).Draw(t, "w"), Height: rapid.IntRange(5, 80).Draw(t, "h")})
		if problem := screenProblem(s.m); problem != "" {
			t.Fatal(problem)
		}
	})
}

// In a conference MUTE is said only if nobody of it hears the microphone, and F8 is about all of them.
func TestMuteOfConference(t *testing.T) {
	one, two := northwind(), ann(session.Established, session.Inbound)
	one.Conference, two.Conference, one.Muted = "k", "k", true
	s := calling(t, 120, 40, one, two)
	s.wants("Northwind, Ann Lee")
	s.wants("MUTE IN PART")
	s.press("f8")
	s.wantsCalls("call.mute call=audio-1", "call.mute call=audio-2")
	two.Muted = true
	s.setCalls(one, two)
	s.wantsNot("IN PART")
	s.wants("MUTE")
	s.press("f8")
	s.wantsCalls("call.unmute call=audio-1", "call.unmute call=audio-2")
}
