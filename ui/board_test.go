package ui

import (
	"errors"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"offhook/park"
	"offhook/session"
)

func TestBoardActions(t *testing.T) {
	s := parked(t, 80, 24, lot())
	s.press("f9", "n", "ctrl+u", "order 78", "enter")
	s.wantsCalls("park.note note=order 78 orbit=1347")
	s.wants("PARK BOARD")
	s.press("n", "zzz", "esc")
	s.wantsCalls()
	s.press("c")
	s.wants("1347 was sent to the clipboard")
	s.press("j", "t", "dev", "enter")
	s.wantsCalls("park.broadcast to=[" + uri("dev") + "] orbit=1349")
	s.wants("PARK BOARD") // whose details say what became of it
	s.events(session.BroadcastChanged{Orbit: "1349", Recipient: park.Recipient{URI: uri("dev"), Status: "displayed"}})
	s.wants("told: Dev Patel (seen)")
	// Another line goes, and the selection stays.
	v := lot()
	v.rows = v.rows[1:]
	s.setPark(v)
	s.wants("> 1349 *")
	s.press("x", "z", "space") // no command, and no text
	s.wantsCalls()
	s.setPark(parkView{})
	s.press("b", "n", "t", "c", "enter")
	s.wantsCalls()
	s.wants(whyNothingParked)
	x, y := 0, 0
	s.press("esc")
	s.setPark(lot())
	x, y = s.at("1349  mine")
	s.update(tea.MouseClickMsg{X: x, Y: y, Button: tea.MouseLeft})
	s.wants("> 1349 *")
	x, y = s.at("1351   +")
	s.update(tea.MouseClickMsg{X: x, Y: y, Button: tea.MouseLeft})
	s.wants("> 1351")
	s.wantsCalls()
}

func TestBroadcast(t *testing.T) {
	s := parked(t, 80, 24, lot())
	s.m.parks.last = "1349"
	s.press("ctrl+x", "B")
	s.wants("BROADCAST ORBIT 1349  Fabrikam")
	s.wants("[x] Bob Martin A") // the conversation one is in
	s.wants("F7 takes the call back and transfers it to Bob")
	s.wantsNot("Draft to") // something is half typed there
	s.press("support", "space", "carol", "enter", "grace@example.com", "enter")
	s.wants("Send to 5")
	s.wantsNot("F7 takes the call back")
	s.press("tab", " Thanks.", "enter", "enter")
	s.wantsCalls("park.broadcast to=[" + strings.Join([]string{uri("eva"), uri("finn"), uri("bob"), uri("carol"), uri("grace")}, " ") +
		"] text=Call for you on 1349: Fabrikam. Dial 1349 or press F6 1349. Thanks. orbit=1349")

	s.f.results = map[string]any{"park.broadcast": map[string]any{"recipients": []park.Recipient{
		{URI: uri("bob"), Status: "delivered"}, {URI: uri("eva"), Status: "failed"},
	}}}
	s.press("esc", "ctrl+x", "B", "tab", "tab", "enter")
	s.wantsCalls("park.broadcast to=[" + uri("bob") + "] orbit=1349") // a text that nobody has changed is made when it is sent
	s.wants("1 of 2 were told of 1349; not reached: Eva Novak")
	s.wants("told: Bob Martin (delivered), Eva Novak (not reached)")

	// A draft goes where nothing is half typed, and is not sent.
	s.press("esc", "ctrl+u", "ctrl+x", "B", "tab", "tab", "tab")
	s.wants(">[ Draft to Bob ]<")
	s.f.log()
	s.press("enter")
	s.wants("[desk] Call for you on 1349")
	s.wantsCalls()

	// Nobody ticked, nothing sent; Esc goes back.
	s.press("ctrl+u", "alt+1", "ctrl+x", "B", "enter", "enter")
	s.wants("nobody is ticked")
	s.press("esc")
	s.wantsNot("BROADCAST")
	s.press("esc", "/broadcast 1351 carol dev", "enter")
	s.wantsCalls("park.broadcast to=[carol dev] orbit=1351")
	s.setPark(parkView{})
	s.press("ctrl+x", "B")
	s.wants(whyNothingParked)
}

// For one person the safer way is on a key: the call is taken back and transferred.
func TestTransferInsteadOfBroadcast(t *testing.T) {
	s := parked(t, 80, 24, lot())
	s.f.results = map[string]any{"park.retrieve": map[string]any{"conversation": "c5", "call": "audio-9"}}
	s.press("f9", "b", "f7")
	s.wantsCalls("park.retrieve orbit=1347", "call.transfer call=audio-9 to="+uri("bob"))
	s.press("f9", "b", "carol", "space", "f7")
	s.wantsCalls()
	s.wants("tick one")
	s.press("esc", "esc", "f9", "j", "j", "b", "f7")
	s.wantsCalls()
	s.wants("only a call that you parked")
	s.press("esc", "esc")
	s.f.fail["park.retrieve"] = errors.New("nothing is parked there")
	s.press("f9", "b", "f7")
	s.wantsCalls("park.retrieve orbit=1347") // and no transfer of who knows what
	s.wants("nothing is parked there")
}

// What was selected and is gone hands over to nobody: Enter must not pick up another call.
func TestGoneWhileChosen(t *testing.T) {
	for _, open := range []string{"f9", "f6"} {
		s := parked(t, 80, 24, lot())
		s.press(open, "down")
		v := lot()
		v.rows = append(v.rows[:1:1], v.rows[2])
		s.setPark(v)
		s.press("enter")
		s.wantsCalls()
		s.wants("is parked no more; choose another")
		s.press("down", "down", "enter")
		s.wantsCalls("park.retrieve orbit=1351")
	}
}
