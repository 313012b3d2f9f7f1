package session

import "offhook/park"

// ParkDone tells that a call was parked.
type ParkDone struct {
	Conversation string             `json:"conversation"`
	Orbit        park.CallParkOrbit `json:"orbit"`
	Caller       Party              `json:"caller"`
	Note         string             `json:"note,omitempty"`
}

// ParkFailed tells that a call was not parked. It goes on.
type ParkFailed struct {
	Conversation string `json:"conversation"`
	Kind         Kind   `json:"kind"`
	Message      string `json:"message"`
	SIP          int    `json:"sip,omitempty"`
}

// Unparked tells that a call which this user has parked is parked no more.
type Unparked struct {
	FriendlyOrbit string            `json:"friendly_orbit"`
	Reason        park.UnparkReason `json:"reason"`
	Target        Party             `json:"target,omitzero"` // who has it now
	Conversation  string            `json:"conversation"`
	Caller        Party             `json:"caller"`
	Waited        float64           `json:"waited_s"`
}

// BoardChanged tells one line of the board.
type BoardChanged struct {
	park.Row
	Gone bool `json:"gone,omitempty"` // nothing is parked there any more
}

// CallParty tells who is at the other end of a call now, when that is not its conversation's peer.
type CallParty struct {
	Call         string `json:"call"`
	Conversation string `json:"conversation"`
	Party        Party  `json:"party"`
	Parked       bool   `json:"parked,omitempty"` // it is this user who is parked
	By           Party  `json:"by,omitzero"`      // who has parked this user
	Orbit        string `json:"orbit,omitempty"`
}

// BroadcastChanged tells what has become of an announcement at one recipient.
type BroadcastChanged struct {
	Orbit     string         `json:"orbit"`
	Recipient park.Recipient `json:"recipient"`
}

func (ParkDone) Type() string         { return "park.parked" }
func (ParkFailed) Type() string       { return "park.failed" }
func (Unparked) Type() string         { return "park.unparked" }
func (BoardChanged) Type() string     { return "board.orbit" }
func (CallParty) Type() string        { return "call.party" }
func (BroadcastChanged) Type() string { return "park.broadcast" }
