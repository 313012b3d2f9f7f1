package park

import (
	"log/slog"
	"time"
)

// Record is what the parker keeps of a park. It outlives the program: with its safe URI the call can be taken back after
// a restart, and once it has ended it is history.
type Record struct {
	ID           string        `json:"id"`
	Orbit        CallParkOrbit `json:"orbit"`
	Caller       Party         `json:"caller"`
	ParkedBy     Party         `json:"parked_by"`
	Note         string        `json:"note,omitempty"`
	Conversation string        `json:"conversation,omitempty"`
	Service      string        `json:"service,omitempty"` // URI of the park service
	Ended        time.Time     `json:"ended_at,omitzero"` // zero: still parked
	Reason       UnparkReason  `json:"reason,omitempty"`
	Target       Party         `json:"target,omitzero"` // who has the call now
	Sent         []Recipient   `json:"sent,omitempty"`  // to whom the orbit was announced
}

// LogValue keeps the safe URI out of logs.
func (r Record) LogValue() slog.Value { return slog.StringValue(r.ID + " at " + r.Orbit.FriendlyOrbit) }

// Recipient is one to whom an orbit was announced, and what has become of the message.
type Recipient struct {
	URI    string `json:"uri"`
	Status string `json:"status"` // sent, delivered, displayed, failed
	Error  string `json:"error,omitempty"`
}
