package ui

import (
	"errors"
	"testing"
	"time"

	"offhook/session"
)

// What cannot be done is in the help, with its reason, and says so when it is chosen.
func TestHelpSaysWhatIsNotPossible(t *testing.T) {
	s := mockA(t, 120, 40)
	s.f.cannot = map[string]string{"transfer": "there is no session to transfer"}
	s.press("f1", "transfer")
	s.wants("- /transfer")
	s.wants(" - not now: there is no session to transfer")
	s.press("enter")
	s.wants("not now: there is no session to transfer")
	s.wants("HELP") // the box stays: something else can be chosen
	s.press("esc", "f1", "f2")
	s.press("ctrl+u", "accept the message")
	s.wants(" - not now: " + whyNoOffer)
	s.press("esc")
	s.events(offer(s, true))
	s.press("f1", "accept the message")
	s.wantsNot("not now")
}

// To choose the line of Enter in the help must not send what is half typed.
func TestHelpSendsNothing(t *testing.T) {
	s := mockA(t, 80, 24)
	s.press("f1", "send the line", "enter")
	s.wantsCalls()
}

// The promise of a toast follows the devices, which change while it counts down.
func TestForecastFollowsDevices(t *testing.T) {
	s := mockA(t, 80, 24)
	o := offer(s, false)
	s.events(o)
	s.wants("10 s, then LAB-PC accepts (more active)")
	s.wants("[##########] 10 s") // there is room for the bar from the first second on
	o.MostActive, o.ThisDevice, o.Devices = "desk", true, []string{"desk", "LAB-PC"}
	s.f.mu.Lock()
	s.f.snapshot.Toasts = []session.ToastShown{o}
	s.f.mu.Unlock()
	s.press("x") // somebody types here
	s.wants("10 s, then THIS device accepts")
	s.wants("offered to: this desk (most active), LAB-PC")
	o.MostActive, o.ThisDevice = "LAB-PC", false
	s.f.mu.Lock()
	s.f.snapshot.Toasts = []session.ToastShown{o}
	s.f.mu.Unlock()
	s.clock = s.clock.Add(4 * time.Second)
	s.update(tickMsg(s.clock))
	s.wants("6 s, then LAB-PC accepts")
	s.wants("F2 take it here")
}

// A name is learnt from the messages of a peer that is in no contact list, and is in the lines before it, too.
func TestNameIsLearnt(t *testing.T) {
	s := newStage(t, office(), 80, 24)
	s.press("/query grace", "enter")
	first := inbound("c9", "grace", "1", "09:59:00", "who is there")
	s.events(first)
	s.wants("  grace  who is there")
	second := inbound("c9", "grace", "2", "09:59:10", "it is me")
	second.From.Display = "Grace Hopper"
	s.events(second)
	s.wants("Grace Hopper")
	s.wants("  Grace  who is there")
	// The contact list is the user's own word.
	third := inbound("c1", "bob", "3", "09:59:20", "hi")
	third.From.Display = "The Boss"
	s.update(peopleMsg(s.f.groups))
	s.events(third)
	s.wantsNot("The Boss")
}

// A search result far back is read from the record, shown with what was said before it, and stands out.
func TestSearchResultFarBack(t *testing.T) {
	f := office()
	const lines = 3*seekLimit + 500
	for i := range lines {
		f.lines[uri("bob")] = append(f.lines[uri("bob")], recordLine(i))
	}
	for _, at := range []int{lines - 1, lines - 300, seekLimit, 0} {
		s := newStage(t, f, 80, 24)
		f.found = []session.Message{recordLine(at).Message}
		s.press("/search -all word", "enter", "enter")
		s.wants(f.found[0].Text)
		w := s.m.windows.current
		if w.thread.pointed == nil || w.thread.pointed.id != f.found[0].ID {
			t.Errorf("line %d of %d does not stand out", at, lines)
		}
		if at < lines-30 && w.thread.more(s.m.style()) == 0 {
			t.Errorf("line %d: not scrolled back", at)
		}
		s.press("alt+end")
		s.wants(recordLine(lines - 1).Text)
	}
	s := newStage(t, f, 80, 24)
	f.found = []session.Message{inbound("c1", "bob", "gone", "09:59:00", "gone").Message}
	s.press("/search -all word", "enter", "enter")
	s.wants("the record has this message no longer")
}

// A window that is closed no longer follows its peer, unless the contact list does.
func TestClosedWindowIsNotWatched(t *testing.T) {
	s := newStage(t, office(), 80, 24)
	s.update(peopleMsg(s.f.groups))
	s.press("/query grace", "enter", "/close", "enter")
	s.press("/query bob", "enter", "/close", "enter")
	var unwatched []string
	for _, call := range s.f.log() {
		if len(call) > 16 && call[:16] == "presence.unwatch" {
			unwatched = append(unwatched, call[17:])
		}
	}
	if len(unwatched) != 1 || unwatched[0] != "uri="+uri("grace") {
		t.Errorf("no longer watched: %q", unwatched)
	}
}

// A failure of the server says in words how things stand, and when that changes.
func TestSignedOut(t *testing.T) {
	s := newStage(t, office(), 80, 24)
	s.events(session.RegistrationChanged{State: "failed", Reason: "no answer", Retry: 42})
	s.wants("! sign-in failed: no answer, next try 09:59:42")
	s.clock = s.clock.Add(42 * time.Second)
	s.events(session.RegistrationChanged{State: "registering"})
	s.wants("! signing in again: no answer")
	s.events(session.RegistrationChanged{State: "failed", Reason: "no answer from 192.0.2.1"})
	s.wants("sign-in failed: no answer from 192.0.2.1")
	s.f.fail["im.send"] = errors.New("im.send: no answer")
	s.press("alt+2", "hello", "enter")
	m := outbound("c1", "bob", "w1", "09:59:50", "another", session.Sending)
	m.Waiting = true
	s.events(m)
	s.wants("waiting for the server")
	s.wants("not sent: im.send: no answer; the text is")
	s.events(session.RegistrationChanged{State: "registered", Endpoints: 1})
	s.wants("A Available")
	s.press("alt+1")
	s.wants("signed in again")
}
