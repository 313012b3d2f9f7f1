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
	Orbit      string   `json:"orbit,omitempty"`   // of a parked call that comes back, or is announced
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

// CallHold tells that an audio call was put on hold or resumed, by either side.
type CallHold struct {
	Call         string `json:"call"`
	Conversation string `json:"conversation"`
	Hold         Hold   `json:"hold"`
}

// CallMuted tells that this user's microphone was switched off for a call, or on again.
type CallMuted struct {
	Call         string `json:"call"`
	Conversation string `json:"conversation"`
	Muted        bool   `json:"muted"`
}

// CallMedia tells how the sound of a call travels, whenever that changes.
type CallMedia struct {
	Call         string `json:"call"`
	Conversation string `json:"conversation"`
	Codec        string `json:"codec"` // that is sent
	ReceiveCodec string `json:"receive_codec"`
	Security     string `json:"security"` // none, sdes, dtls
	Suite        string `json:"suite,omitempty"`
	Local        string `json:"local"`
	Remote       string `json:"remote"`
	Early        bool   `json:"early,omitempty"` // before the answer: an announcement
	Heard        bool   `json:"heard,omitempty"` // the first sound of theirs has arrived
}

// CallSilence tells that nothing is heard of the other side although something should be, or that it is heard again.
type CallSilence struct {
	Call         string `json:"call"`
	Conversation string `json:"conversation"`
	Silent       bool   `json:"silent"`
	Cause        string `json:"cause,omitempty"` // never_heard, rejected, muted, stopped
	Text         string `json:"text,omitempty"`  // a sentence that names the likely cause
}

// CallRecording tells that a call is recorded from now on, or no more.
type CallRecording struct {
	Call         string `json:"call"`
	Conversation string `json:"conversation"`
	Recording    bool   `json:"recording"`
	File         string `json:"file"`
}

// CallDigit is a key that the other side has pressed.
type CallDigit struct {
	Call         string `json:"call"`
	Conversation string `json:"conversation"`
	Digit        string `json:"digit"`
}

// CallConference tells that a call has joined a conference of this endpoint, or left it.
type CallConference struct {
	Call         string `json:"call"`
	Conversation string `json:"conversation"`
	Conference   string `json:"conference,omitempty"` // "" when it has left
}

// CallTrouble tells what is wrong with a call that goes on all the same.
type CallTrouble struct {
	Call         string `json:"call"`
	Conversation string `json:"conversation"`
	Kind         Kind   `json:"kind"`
	Text         string `json:"text"`
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
func (CallHold) Type() string            { return "call.hold" }
func (CallMuted) Type() string           { return "call.mute" }
func (CallMedia) Type() string           { return "call.media" }
func (CallSilence) Type() string         { return "call.silence" }
func (CallRecording) Type() string       { return "call.recording" }
func (CallDigit) Type() string           { return "call.digit" }
func (CallConference) Type() string      { return "call.conference" }
func (CallTrouble) Type() string         { return "call.trouble" }
func (ConversationChanged) Type() string { return "conversation.state" }
func (ActionAvailability) Type() string  { return "action.availability" }
func (MessageChanged) Type() string      { return "im.message" }
func (Composing) Type() string           { return "im.composing" }
func (PresenceChanged) Type() string     { return "presence.changed" }
func (HealthChanged) Type() string       { return "health" }
func (Notice) Type() string              { return "conversation.notice" }
