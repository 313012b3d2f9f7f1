package fsm_test

import (
	"errors"
	"testing"

	"offhook/internal/fsm"
)

type state string

type input string

var door = fsm.Machine[state, input]{
	Name: "door",
	Table: fsm.Table[state, input]{
		{"open", "close"}:  "closed",
		{"closed", "open"}: "open",
		{"closed", "lock"}: "locked",
		{"open", "knock"}:  "open",
	},
	Ignored: fsm.Ignored[state, input]{{"open", "open"}: true},
}

func TestNext(t *testing.T) {
	for _, c := range []struct {
		from    state
		on      input
		to      state
		outcome fsm.Outcome
	}{
		{"open", "close", "closed", fsm.Moved},
		{"open", "knock", "open", fsm.Moved}, // a self-edge is an event
		{"open", "open", "open", fsm.Skipped},
		{"open", "lock", "open", fsm.Refused},
		{"locked", "open", "locked", fsm.Refused},
		{"nowhere", "open", "nowhere", fsm.Refused},
	} {
		to, outcome, err := door.Next(c.from, c.on)
		if to != c.to || outcome != c.outcome || (err != nil) != (outcome == fsm.Refused) {
			t.Errorf("%s on %s: %s, %d, %v", c.from, c.on, to, outcome, err)
		}
	}
}

func TestErrorTellsStateAndInput(t *testing.T) {
	_, _, err := door.Next("locked", "open")
	var refused *fsm.Error
	if !errors.As(err, &refused) || refused.State != "locked" || refused.Input != "open" {
		t.Fatalf("got %v", err)
	}
	if want := "door: open is not possible in state locked"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}

func TestCan(t *testing.T) {
	if !door.Can("closed", "lock") || door.Can("open", "lock") || door.Can("open", "open") {
		t.Error("Can does not follow the edges")
	}
}
