package session

import "time"

// Event is something that happened on an Endpoint. Type is its name in the control API; the JSON fields are the
// contract's. Events are values: a reader may keep them.
type Event interface{ Type() string }

// RegistrationChanged tells how the registration stands.
type RegistrationChanged struct {
	State     string `json:"state"`             // registering, registered, failed, unregistered
	Expires   int    `json:"expires,omitempty"` // seconds
	Endpoints int    `json:"endpoints,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Retry     int    `json:"retry,omitempty"` // with failed: seconds until it is tried again; 0 means never
}

// ToastShown offers something to the user.
type ToastShown struct {
	Toast        string    `json:"toast"`
	Kind         string    `json:"kind"` // im, call, ringback, orbit, missed
	Conversation string    `json:"conversation"`
	Call         string    `json:"call,omitempty"`
	From         Party     `json:"from"`
	Text         string    `json:"text"`
	Deadline     time.Time `json:"deadline,omitzero"` // when somebody accepts by election; zero: never
	// MostActive is the name of the device that will accept, as far as is known; "" unknown. ThisDevice says it is us.
	MostActive string   `json:"most_active,omitempty"`
	ThisDevice bool     `json:"this_device,omitempty"`
	Devices    []string `json:"devices,omitempty"` // names of all devices it is offered to, most active first
}

// ToastClosed takes the offer away.
type ToastClosed struct {
	Toast  string `json:"toast"`
	Reason string `json:"reason"`       // accepted, auto_accepted, declined, dismissed, answered_elsewhere, missed, canceled
	By     string `json:"by,omitempty"` // the device that answered, if known
}

// CallStateChanged is a transition of a call's table.
type CallStateChanged struct {
	Call         string    `json:"call"`
	Conversation string    `json:"conversation"`
	Kind         string    `json:"kind"` // im, audio
	Direction    Direction `json:"direction"`
	State        State     `json:"state"`
	FromState    State     `json:"from_state"`
	Trigger      Input     `json:"trigger"`
	Reason       string    `json:"reason,omitempty"`
	SIP          int       `json:"sip,omitempty"`
}

// CallRinging is published once a call, at the first ringing of any fork.
type CallRinging struct {
	Call         string `json:"call"`
	Conversation string `json:"conversation"`
}

// AutoAccept tells that this endpoint accepts by itself: at once as the sole endpoint, or elected after the window.
type AutoAccept struct {
	Call         string `json:"call"`
	Conversation string `json:"conversation"`
	Immediate    bool   `json:"immediate,omitempty"`
	Elected      bool   `json:"elected,omitempty"`
	Rank         *int   `json:"rank,omitempty"` // 0 is the most active; set when elected
}

// ConversationChanged tells a conversation's state.
type ConversationChanged struct {
	Conversation string            `json:"conversation"`
	Peer         Party             `json:"peer"`
	State        ConversationState `json:"state"`
	Reason       string            `json:"reason,omitempty"`
	Target       string            `json:"target,omitempty"`
}

// ActionAvailability tells that Can would now answer otherwise.
type ActionAvailability struct {
	Conversation string `json:"conversation"`
	Action       string `json:"action"`
	Available    bool   `json:"available"`
	Why          string `json:"why,omitempty"`
}

// MessageChanged carries a message, when it is new and whenever its status changes.
type MessageChanged struct{ Message }

// Composing tells that the peer types or stopped.
type Composing struct {
	Conversation string `json:"conversation"`
	From         Party  `json:"from"`
	Active       bool   `json:"active"`
}

// PresenceChanged is a watched address's presence. Own presence comes with the account's own URI.
type PresenceChanged struct{ Presence }

// HealthChanged is a lasting condition that began or was cleared.
type HealthChanged struct {
	Code     string `json:"code"`
	Severity string `json:"severity"` // warning, error
	Text     string `json:"text"`
	Cleared  bool   `json:"cleared,omitempty"`
}

// Notice is a line for the thread of a conversation: taken by another device, sender gave up.
type Notice struct {
	Conversation string    `json:"conversation"`
	Time         time.Time `json:"time"`
	Text         string    `json:"text"`
}

func (RegistrationChanged) Type() string { return "registration" }
func (ToastShown) Type() string          { return "toast.shown" }
func (ToastClosed) Type() string         { return "toast.closed" }
func (CallStateChanged) Type() string    { return "call.state" }
func (CallRinging) Type() string         { return "call.ringing" }
func (AutoAccept) Type() string          { return "call.auto_accept" }
func (ConversationChanged) Type() string { return "conversation.state" }
func (ActionAvailability) Type() string  { return "action.availability" }
func (MessageChanged) Type() string      { return "im.message" }
func (Composing) Type() string           { return "im.composing" }
func (PresenceChanged) Type() string     { return "presence.changed" }
func (HealthChanged) Type() string       { return "health" }
func (Notice) Type() string              { return "conversation.notice" }
