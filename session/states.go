package session

import "offhook/internal/fsm"

// State is a call's state; the names are the UCMA source document's.
type State string

// Input is what moves a call.
type Input string

// ConversationState is Inactive, Active, Parked or Terminated.
type ConversationState string

// The states of a call. An outbound call begins Idle, an inbound one Incoming; the rest they share.
const (
	Idle         State = "Idle"
	Incoming     State = "Incoming"
	Establishing State = "Establishing"
	Established  State = "Established"
	Transferring State = "Transferring"
	Terminating  State = "Terminating"
	Terminated   State = "Terminated"
)

// The inputs of a call.
const (
	Establish           Input = "Establish"          // the user calls
	Ringing             Input = "Ringing"            // the first ringing of any fork
	RingingAgain        Input = "RingingAgain"       // every later one
	EstablishCompleted  Input = "EstablishCompleted" // a 2xx was acknowledged
	EstablishFailed     Input = "EstablishFailed"
	Accept              Input = "Accept"     // the user accepts
	AcceptAutomatically Input = "AutoAccept" // this endpoint is the only one, or elected
	AcceptCompleted     Input = "AcceptCompleted"
	AcceptFailed        Input = "AcceptFailed"
	Decline             Input = "Decline"
	Forward             Input = "Forward"
	RemoteCanceled      Input = "RemoteCanceled"
	Transfer            Input = "Transfer"
	TransferFailed      Input = "TransferFailed"
	TransferCompleted   Input = "TransferCompleted"
	RemoteTerminated    Input = "RemoteTerminated"
	Terminate           Input = "Terminate"
	TerminateCompleted  Input = "TerminateCompleted"
)

type (
	callTable   = fsm.Table[State, Input]
	callEdge    = fsm.Edge[State, Input]
	callIgnored = fsm.Ignored[State, Input]
)

// outbound is the machine of a call this endpoint makes. The numbers are the source document's transitions; G1 and G2 are
// edges it forgot and SIP cannot do without.
var outbound = fsm.Machine[State, Input]{
	Name: "outbound call",
	Table: callTable{
		{From: Idle, On: Establish}:                  Establishing, // 1
		{From: Establishing, On: Ringing}:            Establishing, // 2
		{From: Establishing, On: EstablishFailed}:    Terminating,  // 3a
		{From: Establishing, On: Terminate}:          Terminating,  // 3b, 3c
		{From: Establishing, On: EstablishCompleted}: Established,  // 4
		{From: Established, On: Transfer}:            Transferring, // 5
		{From: Transferring, On: TransferFailed}:     Established,  // 6
		{From: Established, On: Terminate}:           Terminating,  // 7a, 7c
		{From: Established, On: RemoteTerminated}:    Terminating,  // 7b
		{From: Idle, On: Terminate}:                  Terminating,  // 8
		{From: Transferring, On: Terminate}:          Terminating,  // 9a, 9c
		{From: Transferring, On: TransferCompleted}:  Terminating,  // 9b
		{From: Terminating, On: TerminateCompleted}:  Terminated,   // 10
		{From: Establishing, On: RemoteTerminated}:   Terminating,  // G1: BYE crosses the ACK
		{From: Transferring, On: RemoteTerminated}:   Terminating,  // G2: the usual end of a transfer
	},
	Ignored: ignore(callIgnored{
		{From: Idle, On: RemoteTerminated}: true,
	}, map[State][]Input{
		Idle:         {Ringing, RingingAgain},
		Establishing: {RingingAgain},
		Established:  {Ringing, RingingAgain, EstablishCompleted, EstablishFailed, TransferFailed, TransferCompleted},
		Transferring: {Ringing, RingingAgain, EstablishCompleted, EstablishFailed},
		// G3: a 2xx that arrives after the end is acknowledged and ended with BYE; it revives nothing.
		Terminating: {
			Ringing, RingingAgain, EstablishCompleted, EstablishFailed, TransferFailed, TransferCompleted,
			RemoteTerminated, Terminate,
		},
		Terminated: {
			Ringing, RingingAgain, EstablishCompleted, EstablishFailed, TransferFailed, TransferCompleted,
			RemoteTerminated, Terminate, TerminateCompleted,
		},
	}),
}

// inbound is the machine of a call somebody else makes.
var inbound = fsm.Machine[State, Input]{
	Name: "inbound call",
	Table: callTable{
		{From: Incoming, On: Accept}:                Establishing, // 1
		{From: Incoming, On: AcceptAutomatically}:   Establishing, // 1
		{From: Establishing, On: AcceptFailed}:      Terminating,  // 2a
		{From: Establishing, On: Terminate}:         Terminating,  // 2b, 2c
		{From: Establishing, On: AcceptCompleted}:   Established,  // 3
		{From: Established, On: Transfer}:           Transferring, // 4
		{From: Transferring, On: TransferFailed}:    Established,  // 5
		{From: Established, On: Terminate}:          Terminating,  // 6a, 6c
		{From: Established, On: RemoteTerminated}:   Terminating,  // 6b
		{From: Incoming, On: Decline}:               Terminating,  // 7a
		{From: Incoming, On: Forward}:               Terminating,  // 7a
		{From: Incoming, On: Terminate}:             Terminating,  // 7a, 7b
		{From: Incoming, On: RemoteCanceled}:        Terminating,  // 7c
		{From: Transferring, On: Terminate}:         Terminating,  // 8a, 8c
		{From: Transferring, On: TransferCompleted}: Terminating,  // 8b
		{From: Terminating, On: TerminateCompleted}: Terminated,   // 9
		{From: Establishing, On: RemoteTerminated}:  Terminating,  // G1: the caller ends a fork that lost
		{From: Transferring, On: RemoteTerminated}:  Terminating,  // G2
	},
	Ignored: ignore(nil, map[State][]Input{
		// RFC 3261 §9.2: a CANCEL that comes after the 200 has no effect.
		Establishing: {AcceptAutomatically, RemoteCanceled},
		Established: {
			AcceptAutomatically, RemoteCanceled, AcceptCompleted, AcceptFailed, TransferFailed,
			TransferCompleted,
		},
		Transferring: {AcceptAutomatically, RemoteCanceled, AcceptCompleted, AcceptFailed},
		Terminating: {
			AcceptAutomatically, Decline, Forward, RemoteCanceled, AcceptCompleted, AcceptFailed, TransferFailed,
			TransferCompleted, RemoteTerminated, Terminate,
		},
		Terminated: {
			AcceptAutomatically, Decline, Forward, RemoteCanceled, AcceptCompleted, AcceptFailed, TransferFailed,
			TransferCompleted, RemoteTerminated, Terminate, TerminateCompleted,
		},
	}),
}

// ignore spells the inputs that a state ignores out into a set.
func ignore(set callIgnored, states map[State][]Input) callIgnored {
	if set == nil {
		set = callIgnored{}
	}
	for from, inputs := range states {
		for _, on := range inputs {
			set[callEdge{From: from, On: on}] = true
		}
	}
	return set
}

// The states of a conversation. Being on hold is a matter of a call, not of the conversation.
const (
	ConversationInactive   ConversationState = "Inactive"
	ConversationActive     ConversationState = "Active"
	ConversationParked     ConversationState = "Parked"
	ConversationTerminated ConversationState = "Terminated"
)

// conversationInput is what moves a conversation.
type conversationInput string

const (
	connected    conversationInput = "connected"    // its first call was established
	disconnected conversationInput = "disconnected" // its last call ended
	parked       conversationInput = "parked"       // the park service has the other party
	unparked     conversationInput = "unparked"     // we have it back
	gone         conversationInput = "gone"         // somebody else has it, or it hung up
	left         conversationInput = "left"         // likewise, and other calls of the conversation go on
	ended        conversationInput = "ended"        // the user ends the conversation
)

// conversations is the machine of a conversation. Parked is reached by parking an audio call.
var conversations = fsm.Machine[ConversationState, conversationInput]{
	Name: "conversation",
	Table: fsm.Table[ConversationState, conversationInput]{
		{From: ConversationInactive, On: connected}:  ConversationActive,
		{From: ConversationActive, On: disconnected}: ConversationInactive,
		{From: ConversationActive, On: parked}:       ConversationParked,
		{From: ConversationInactive, On: parked}:     ConversationParked, // told late, or read after a restart
		{From: ConversationParked, On: unparked}:     ConversationActive,
		{From: ConversationParked, On: gone}:         ConversationTerminated,
		{From: ConversationParked, On: left}:         ConversationInactive,
		{From: ConversationInactive, On: ended}:      ConversationTerminated,
		{From: ConversationActive, On: ended}:        ConversationTerminated,
		{From: ConversationParked, On: ended}:        ConversationTerminated,
	},
	Ignored: fsm.Ignored[ConversationState, conversationInput]{
		{From: ConversationActive, On: connected}:        true,
		{From: ConversationInactive, On: disconnected}:   true,
		{From: ConversationParked, On: disconnected}:     true, // the parker's own call ends, the park goes on
		{From: ConversationParked, On: connected}:        true, // texts go on beside it
		{From: ConversationTerminated, On: disconnected}: true,
		{From: ConversationTerminated, On: ended}:        true,
		{From: ConversationTerminated, On: gone}:         true,
		{From: ConversationTerminated, On: left}:         true,
	},
}

// Hold says who has put an audio call on hold.
type Hold string

// The ways to be on hold. It is orthogonal to the state of the call: each side holds and resumes for itself.
const (
	HoldNone   Hold = "none"
	HoldLocal  Hold = "local"
	HoldRemote Hold = "remote"
	HoldBoth   Hold = "both"
)

// holdInput is what changes it.
type holdInput string

const (
	hold     holdInput = "hold"     // this user holds
	resume   holdInput = "resume"   // and resumes
	held     holdInput = "held"     // the other side does not take our media any more
	released holdInput = "released" // it takes them again
)

// holds is the machine of being on hold. Every input is possible in every state: what is so already is ignored.
var holds = fsm.Machine[Hold, holdInput]{
	Name: "hold",
	Table: fsm.Table[Hold, holdInput]{
		{From: HoldNone, On: hold}:       HoldLocal,
		{From: HoldRemote, On: hold}:     HoldBoth,
		{From: HoldLocal, On: resume}:    HoldNone,
		{From: HoldBoth, On: resume}:     HoldRemote,
		{From: HoldNone, On: held}:       HoldRemote,
		{From: HoldLocal, On: held}:      HoldBoth,
		{From: HoldRemote, On: released}: HoldNone,
		{From: HoldBoth, On: released}:   HoldLocal,
	},
	Ignored: fsm.Ignored[Hold, holdInput]{
		{From: HoldLocal, On: hold}:     true,
		{From: HoldBoth, On: hold}:      true,
		{From: HoldNone, On: resume}:    true,
		{From: HoldRemote, On: resume}:  true,
		{From: HoldRemote, On: held}:    true,
		{From: HoldBoth, On: held}:      true,
		{From: HoldNone, On: released}:  true,
		{From: HoldLocal, On: released}: true,
	},
}

// here reports whether this side holds; there, whether the other does.
func (h Hold) here() bool  { return h == HoldLocal || h == HoldBoth }
func (h Hold) there() bool { return h == HoldRemote || h == HoldBoth }
