// Package fsm holds state machines as data.
//
// A protocol's state machine is a literal table of edges: this state, on this input, leads to that state. The table
// does no work. The code around it asks Next first and acts only when the table agrees, so that two events that race
// (a click and a timer, a CANCEL and an answer) are decided by whoever asks first, and the second is refused.
//
// Three answers exist, because the protocols here need three:
//
//   - an edge: the state changes (or a self-edge is taken, which is still an event);
//   - ignored: the input is known and harmless here (a second 180, a duplicate BYE); nothing happens, no error;
//   - refused: the input makes no sense here; nothing happens and the caller gets *Error.
//
// A state that has no edges out is terminal.
package fsm

import "fmt"

// Edge is one cell of a table: input On arriving in state From.
type Edge[S, I comparable] struct {
	From S
	On   I
}

// Table maps an edge to the state it leads to.
type Table[S, I comparable] map[Edge[S, I]]S

// Ignored is the set of inputs that change nothing and are no error.
type Ignored[S, I comparable] map[Edge[S, I]]bool

// Machine is a table together with what it ignores. It has no current state; the owner keeps that.
type Machine[S, I comparable] struct {
	Name    string
	Table   Table[S, I]
	Ignored Ignored[S, I]
}

// Outcome says what an input did.
type Outcome int

// The outcomes of an input.
const (
	Refused Outcome = iota
	Skipped
	Moved
)

// Next tells where input on leads from state from. With Skipped and Refused the returned state is from itself;
// with Refused the error is *Error.
func (m *Machine[S, I]) Next(from S, on I) (S, Outcome, error) {
	if to, ok := m.Table[Edge[S, I]{from, on}]; ok {
		return to, Moved, nil
	}
	if m.Ignored[Edge[S, I]{from, on}] {
		return from, Skipped, nil
	}
	return from, Refused, &Error{Machine: m.Name, State: fmt.Sprint(from), Input: fmt.Sprint(on)}
}

// Can reports whether input on has an edge from state from.
func (m *Machine[S, I]) Can(from S, on I) bool {
	_, ok := m.Table[Edge[S, I]{from, on}]
	return ok
}

// Error is an input that a table refuses.
type Error struct {
	Machine string
	State   string
	Input   string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s is not possible in state %s", e.Machine, e.Input, e.State)
}
