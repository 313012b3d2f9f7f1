package session

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"offhook/internal/fsm"
	"offhook/internal/testkit/golden"
)

var (
	outboundStates = []State{Idle, Establishing, Established, Transferring, Terminating, Terminated}
	inboundStates  = []State{Incoming, Establishing, Established, Transferring, Terminating, Terminated}
	inputs         = []Input{
		Establish, Ringing, RingingAgain, EstablishCompleted, EstablishFailed, Accept, AcceptAutomatically, AcceptCompleted,
		AcceptFailed, Decline, Forward, RemoteCanceled, Transfer, TransferFailed, TransferCompleted, RemoteTerminated,
		Terminate, TerminateCompleted,
	}
	conversationStates = []ConversationState{
		ConversationInactive, ConversationActive, ConversationParked, ConversationTerminated,
	}
	conversationInputs = []conversationInput{connected, disconnected, parked, unparked, gone, left, ended}
	holdStates         = []Hold{HoldNone, HoldLocal, HoldRemote, HoldBoth}
	holdInputs         = []holdInput{hold, resume, held, released}
)

// matrix prints what every input does in every state: the state it leads to, "·" for ignored, "–" for refused.
func matrix[S, I ~string](m *fsm.Machine[S, I], states []S, inputs []I) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%-20s", m.Name, "")
	for _, s := range states {
		fmt.Fprintf(&b, " %-13s", s)
	}
	b.WriteString("\n")
	for _, in := range inputs {
		fmt.Fprintf(&b, "%-20s", in)
		for _, s := range states {
			cell := "–"
			to, outcome, _ := m.Next(s, in)
			switch outcome {
			case fsm.Moved:
				cell = string(to)
			case fsm.Skipped:
				cell = "·"
			case fsm.Refused:
			}
			fmt.Fprintf(&b, " %-13s", cell)
		}
		b.WriteString("\n")
	}
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// The tables are the contract with the source document: every State × Input pair is written down.
func TestMatrix(t *testing.T) {
	golden.Check(t, "matrix.txt", []byte(strings.Join([]string{
		matrix(&outbound, outboundStates, inputs),
		matrix(&inbound, inboundStates, inputs),
		matrix(&conversations, conversationStates, conversationInputs),
		matrix(&holds, holdStates, holdInputs),
	}, "\n")))
}

// Ten outbound and nine inbound transitions, with the two forgotten edges each. A transition of the document with several
// triggers is one number.
func TestTransitionsOfTheSourceDocument(t *testing.T) {
	numbered := func(table callTable) map[[2]State]bool {
		pairs := map[[2]State]bool{}
		for edge, to := range table {
			pairs[[2]State{edge.From, to}] = true
		}
		return pairs
	}
	// G1 and G2 lead where transitions 3 and 9 (2 and 8) lead, so they add no pair.
	if n := len(numbered(outbound.Table)); n != 10 {
		t.Errorf("%d outbound transitions, want 10", n)
	}
	if n := len(numbered(inbound.Table)); n != 9 {
		t.Errorf("%d inbound transitions, want 9", n)
	}
}

// A cell is an edge or ignored, never both, and no table speaks of a state or an input that is not its own.
func TestTablesAreConsistent(t *testing.T) {
	for _, m := range []struct {
		machine *fsm.Machine[State, Input]
		states  []State
	}{{&outbound, outboundStates}, {&inbound, inboundStates}} {
		for edge, to := range m.machine.Table {
			if m.machine.Ignored[edge] {
				t.Errorf("%s: %v is an edge and ignored", m.machine.Name, edge)
			}
			if !slices.Contains(m.states, edge.From) || !slices.Contains(m.states, to) || !slices.Contains(inputs, edge.On) {
				t.Errorf("%s: %v leads to %s", m.machine.Name, edge, to)
			}
		}
		for edge := range m.machine.Ignored {
			if !slices.Contains(m.states, edge.From) || !slices.Contains(inputs, edge.On) {
				t.Errorf("%s: %v is ignored", m.machine.Name, edge)
			}
		}
	}
}

// impossible is what no sequence of inputs may do.
func impossible(from, to State) string {
	switch {
	case from == Terminated && to != Terminated:
		return "Terminated was left"
	case from == Terminating && to != Terminating && to != Terminated:
		return "Terminating led to something else than Terminated"
	case (from == Idle || from == Incoming) && (to == Established || to == Transferring):
		return "a call was Established without having been Establishing"
	case from == Established && (to == Establishing || to == Idle || to == Incoming):
		return "an Established call went back"
	case from == Transferring && (to == Establishing || to == Idle || to == Incoming):
		return "a Transferring call went back"
	case from != Idle && to == Idle, from != Incoming && to == Incoming:
		return "a call went back to its beginning"
	}
	return ""
}

// Random inputs, in any order and number.
func TestRandomWalk(t *testing.T) {
	for _, start := range []struct {
		machine *fsm.Machine[State, Input]
		state   State
		states  []State
	}{{&outbound, Idle, outboundStates}, {&inbound, Incoming, inboundStates}} {
		t.Run(start.machine.Name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				state, establishing := start.state, 0
				for _, in := range rapid.SliceOf(rapid.SampledFrom(inputs)).Draw(t, "inputs") {
					to, outcome, _ := start.machine.Next(state, in)
					if outcome != fsm.Moved && to != state {
						t.Fatalf("%s in %s was not taken and led to %s", in, state, to)
					}
					if wrong := impossible(state, to); wrong != "" {
						t.Fatalf("%s in %s: %s", in, state, wrong)
					}
					if to == Establishing && state != Establishing {
						establishing++
					}
					if !slices.Contains(start.states, to) {
						t.Fatalf("%s in %s led to %s, which is not a state of this call", in, state, to)
					}
					state = to
				}
				if establishing > 1 {
					t.Fatalf("Establishing was entered %d times", establishing)
				}
				// Wherever the walk ended: it can be ended.
				for _, in := range []Input{Terminate, TerminateCompleted} {
					state, _, _ = start.machine.Next(state, in)
				}
				if state != Terminated {
					t.Fatalf("not Terminated but %s in the end", state)
				}
			})
		})
	}
}

func TestConversationEnds(t *testing.T) {
	for _, s := range conversationStates {
		to, outcome, err := conversations.Next(s, ended)
		if to != ConversationTerminated || outcome == fsm.Refused {
			t.Errorf("ended in %s: %s, %v", s, to, err)
		}
		for _, in := range conversationInputs {
			if to, _, _ := conversations.Next(ConversationTerminated, in); to != ConversationTerminated {
				t.Errorf("%s left Terminated for %s", in, to)
			}
		}
	}
}

// Each side holds and resumes for itself: whatever came before, the last word of each is what counts.
func TestHoldIsTwoSwitches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		state, here, there := HoldNone, false, false
		for _, in := range rapid.SliceOf(rapid.SampledFrom(holdInputs)).Draw(t, "inputs") {
			to, outcome, err := holds.Next(state, in)
			if outcome == fsm.Refused {
				t.Fatalf("%s in %s: %v", in, state, err)
			}
			state = to
			switch in {
			case hold, resume:
				here = in == hold
			case held, released:
				there = in == held
			}
			if state.here() != here || state.there() != there {
				t.Fatalf("%s after %s, want here %v there %v", state, in, here, there)
			}
		}
	})
}
