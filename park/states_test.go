package park

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"offhook/internal/fsm"
	"offhook/internal/testkit/golden"
)

var (
	allStates = []State{Free, Reserved, Parking, Parked, Retrieving, Recalling, Dropping, Quarantine}
	allInputs = []orbitInput{
		park, promise, occupy, release, expire, claim, retrieved, retrieveFailed, ring, answered, unanswered, fallBack, drop,
		leave, rested,
	}
	withCaller = []State{Parked, Retrieving, Recalling, Dropping}
)

// grid prints a table with a column for every state.
func grid(title string, rows []string, cell func(row string, s State) string) string {
	var b strings.Builder
	line := func(first string, cells func(State) string) {
		text := fmt.Sprintf("%-28s", first)
		for _, s := range allStates {
			text += fmt.Sprintf(" %-17s", cells(s))
		}
		b.WriteString(strings.TrimRight(text, " ") + "\n")
	}
	line(title, func(s State) string { return string(s) })
	for _, row := range rows {
		line(row, func(s State) string { return cell(row, s) })
	}
	return b.String()
}

// Every State × Input pair is written down: the state it leads to, "·" for ignored, "–" for refused.
func TestMatrix(t *testing.T) {
	var rows []string
	for _, in := range allInputs {
		rows = append(rows, string(in))
	}
	golden.Check(t, "orbit.txt", []byte(grid("", rows, func(row string, s State) string {
		to, outcome, _ := orbits.Next(s, orbitInput(row))
		switch outcome {
		case fsm.Moved:
			return string(to)
		case fsm.Skipped:
			return "·"
		case fsm.Refused:
		}
		return "–"
	})))
}

func TestTableIsConsistent(t *testing.T) {
	for edge, to := range orbits.Table {
		if orbits.Ignored[edge] {
			t.Errorf("%v is an edge and ignored", edge)
		}
		if !slices.Contains(allStates, edge.From) || !slices.Contains(allStates, to) || !slices.Contains(allInputs, edge.On) {
			t.Errorf("%v leads to %s", edge, to)
		}
		// The lock: only the end of the retrieval leads out of Retrieving, and only claim in.
		if edge.From == Retrieving && !slices.Contains([]orbitInput{retrieved, retrieveFailed, leave}, edge.On) {
			t.Errorf("%v breaks the lock", edge)
		}
		if to == Retrieving && edge.On != claim {
			t.Errorf("%v retrieves without claim", edge)
		}
		// A caller comes by occupy and goes into Quarantine, by nothing else.
		before, after := slices.Contains(withCaller, edge.From), slices.Contains(withCaller, to)
		if !before && after && edge.On != occupy || before && !after && to != Quarantine {
			t.Errorf("%v leads to %s: where does the caller come from or go to?", edge, to)
		}
	}
	for edge := range orbits.Ignored {
		if !slices.Contains(allStates, edge.From) || !slices.Contains(allInputs, edge.On) || edge.On == claim {
			t.Errorf("%v is ignored", edge)
		}
	}
}

// Wherever a walk has led: when the caller is gone and time has passed, the orbit is free.
func TestRandomWalk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Free
		step := func(in orbitInput) { s, _, _ = orbits.Next(s, in) }
		for _, in := range rapid.SliceOf(rapid.SampledFrom(allInputs)).Draw(t, "inputs") {
			step(in)
		}
		from := s
		step(leave)
		step(rested)
		if s != Free {
			t.Fatalf("from %s to %s", from, s)
		}
	})
}

const second = time.Second

var (
	start = time.Date(2030, 5, 4, 12, 0, 0, 0, time.UTC)
	bob   = Party{"sip:bob@example.test", "Bob"}
	mary  = Party{"sip:mary@example.test", "Mary"}
	carol = Party{"sip:carol@example.test", "Carol"}
)

func newLot(t testing.TB, cfg LotConfig) *Lot {
	t.Helper()
	if cfg.First == 0 {
		cfg.First, cfg.Last = 701, 703
	}
	l, err := NewLot(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// at makes a lot whose orbit 701 is in a state, with the park that is or was there.
func at(t testing.TB, s State, cfg LotConfig) (*Lot, Orbit, time.Time) {
	t.Helper()
	l, now := newLot(t, cfg), start
	if s == Free {
		return l, Orbit{Number: "701"}, now
	}
	o, err := l.Reserve(now, bob, "sip:bob@192.0.2.1", "order 77", "701", s == Reserved)
	if err != nil {
		t.Fatal(err)
	}
	if s == Reserved || s == Parking {
		return l, o, now
	}
	if o, err = l.Occupy(now, o.ID, mary); err != nil {
		t.Fatal(err)
	}
	ring := func() {
		now = now.Add(l.cfg.Timeout)
		if due := l.Due(now); len(due) != 1 || due[0].Kind != DueRecall {
			t.Fatalf("due: %v", due)
		}
	}
	switch s {
	case Retrieving:
		if _, _, err := l.Claim(now, "701"); err != nil {
			t.Fatal(err)
		}
	case Recalling:
		ring()
	case Dropping:
		for l.slots[0].state != Dropping {
			ring()
			now = now.Add(l.cfg.RingFor)
			l.Unanswered(now, o.ID)
		}
	case Quarantine:
		l.Leave(now, o.ID)
	case Free, Reserved, Parking, Parked:
	}
	if got := l.slots[0].state; got != s {
		t.Fatalf("state %s, want %s", got, s)
	}
	return l, o, now
}

// operations are what the service can do to the orbit, each with what it tells the service.
var operations = []struct {
	name string
	do   func(l *Lot, o Orbit, now time.Time) any
}{
	{"Reserve", func(l *Lot, o Orbit, now time.Time) any {
		_, err := l.Reserve(now, carol, "", "", o.Number, false)
		return err
	}},
	{"Reserve attended", func(l *Lot, o Orbit, now time.Time) any {
		_, err := l.Reserve(now, carol, "", "", o.Number, true)
		return err
	}},
	{"Arrive", func(l *Lot, o Orbit, now time.Time) any { _, ok := l.Arrive(now, o.ID); return ok }},
	{"Arrive, Due 10 min later", func(l *Lot, o Orbit, now time.Time) any {
		l.Arrive(now, o.ID)
		if due := l.Due(now.Add(10 * time.Minute)); len(due) > 0 {
			return due[0].Kind
		}
		return ""
	}},
	{"TurnBack", func(l *Lot, o Orbit, now time.Time) any { l.TurnBack(now, o.ID); return "" }},
	{"Move", func(l *Lot, o Orbit, _ time.Time) any { return l.Move(o.ID, carol) }},
	{"Occupy", func(l *Lot, o Orbit, now time.Time) any { _, err := l.Occupy(now, o.ID, mary); return err }},
	{"Release", func(l *Lot, o Orbit, now time.Time) any { l.Release(now, o.ID); return "" }},
	{"Claim by number", func(l *Lot, o Orbit, now time.Time) any { _, _, err := l.Claim(now, o.Number); return err }},
	{"Claim by token", func(l *Lot, o Orbit, now time.Time) any { _, _, err := l.Claim(now, o.Token); return err }},
	{"Retrieved", func(l *Lot, o Orbit, now time.Time) any { return l.Retrieved(now, o.ID) }},
	{"RetrieveFailed", func(l *Lot, o Orbit, now time.Time) any { l.RetrieveFailed(now, o.ID); return "" }},
	{"Leave", func(l *Lot, o Orbit, now time.Time) any { return l.Leave(now, o.ID) }},
	{"Answered", func(l *Lot, o Orbit, now time.Time) any { return l.Answered(now, o.ID) }},
	{"Unanswered", func(l *Lot, o Orbit, now time.Time) any { return l.Unanswered(now, o.ID).Kind }},
	{"Unanswered, last attempt", func(l *Lot, o Orbit, now time.Time) any {
		if p := l.slots[0].park; p != nil {
			p.attempt = l.cfg.Attempts
		}
		return l.Unanswered(now, o.ID).Kind
	}},
	{"Due, 10 min later", func(l *Lot, _ Orbit, now time.Time) any {
		if due := l.Due(now.Add(10 * time.Minute)); len(due) > 0 {
			return due[0].Kind
		}
		return ""
	}},
}

// Every operation in every state, on the lot itself: the state it leads to ("·": the same) and what it says.
func TestOperations(t *testing.T) {
	var rows []string
	for _, op := range operations {
		rows = append(rows, op.name)
	}
	golden.Check(t, "lot.txt", []byte(grid("", rows, func(row string, s State) string {
		l, o, now := at(t, s, LotConfig{})
		op := operations[slices.Index(rows, row)]
		said := op.do(l, o, now)
		cell := "·"
		if to := l.slots[0].state; to != s {
			cell = string(to)
		}
		switch said := said.(type) {
		case *Failure:
			cell += fmt.Sprintf(" %d", said.Number)
		case string, DueKind:
			cell += fmt.Sprintf(" %s", said)
		case bool:
			cell += fmt.Sprintf(" %v", said)
		}
		return strings.TrimSpace(cell)
	})))
}
