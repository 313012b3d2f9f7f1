package session

import (
	"cmp"
	"slices"
	"time"

	"offhook/park"
)

// Snapshot is a copy of an endpoint's state.
type Snapshot struct {
	Account       Account            `json:"account"`
	Conversations []ConversationInfo `json:"conversations"`
	Calls         []CallInfo         `json:"calls"`
	Toasts        []ToastShown       `json:"toasts"`
	Presences     []Presence         `json:"presences"`
	Health        []HealthChanged    `json:"health"`
	Board         []park.Row         `json:"board"`
	Park          ParkService        `json:"park"`
}

// Account is how this endpoint is signed in.
type Account struct {
	AOR          string   `json:"aor"`
	Display      string   `json:"display,omitempty"`
	Device       string   `json:"device"`
	Instance     string   `json:"instance"`
	Registered   bool     `json:"registered"`
	State        string   `json:"state"`            // as RegistrationChanged.State
	Reason       string   `json:"reason,omitempty"` // why it is not
	Endpoints    int      `json:"endpoints"`
	Server       string   `json:"server"`
	Transport    string   `json:"transport"`
	Availability string   `json:"availability"`
	Note         string   `json:"note,omitempty"`
	Devices      []Device `json:"devices"` // this user's, most active first
}

// ConversationInfo describes a conversation.
type ConversationInfo struct {
	Conversation string            `json:"conversation"`
	Peer         Party             `json:"peer"`
	State        ConversationState `json:"state"`
	Call         string            `json:"call,omitempty"` // live IM call
	Unread       int               `json:"unread"`
	Composing    bool              `json:"composing,omitempty"`
	Last         time.Time         `json:"last,omitzero"`
	// Orbit is where its call is parked; nil unless it is Parked.
	Orbit *park.CallParkOrbit `json:"orbit,omitempty"`
}

// CallInfo describes a call. What is not about audio calls alone is set for every call.
type CallInfo struct {
	Call         string    `json:"call"`
	Conversation string    `json:"conversation"`
	Kind         string    `json:"kind"`
	Direction    Direction `json:"direction"`
	State        State     `json:"state"`
	Peer         Party     `json:"peer"`
	Began        time.Time `json:"began"`             // when it was made, or arrived
	Since        time.Time `json:"since,omitzero"`    // when it was Established
	Ringing      bool      `json:"ringing,omitempty"` // outbound: it rings at the other end

	EarlyMedia bool   `json:"early_media,omitempty"` // outbound: an announcement is heard before the answer
	Waiting    bool   `json:"waiting,omitempty"`     // inbound: it rings while another call goes on
	Hold       Hold   `json:"hold,omitempty"`
	Muted      bool   `json:"muted,omitempty"`
	Codec      string `json:"codec,omitempty"`    // that is sent
	Security   string `json:"security,omitempty"` // none, sdes, dtls
	Suite      string `json:"suite,omitempty"`
	Recording  string `json:"recording,omitempty"`  // path
	Conference string `json:"conference,omitempty"` // the same for calls that are joined
	Silence    string `json:"silence,omitempty"`    // why nothing is heard; "" while something is

	Party    Party  `json:"party,omitzero"`     // who is there now, if that is not the conversation's peer
	Parked   bool   `json:"parked,omitempty"`   // it is this user who is parked
	ParkedBy Party  `json:"parked_by,omitzero"` // by whom
	Orbit    string `json:"orbit,omitempty"`    // where that is, or where the call was picked up
}

// Snapshot is everything a front end needs to draw itself from nothing.
func (e *Endpoint) Snapshot() Snapshot {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := Snapshot{
		Account:       e.accountLocked(),
		Conversations: make([]ConversationInfo, 0, len(e.byID)),
		Calls:         make([]CallInfo, 0, len(e.calls)),
		Toasts:        make([]ToastShown, 0, len(e.toasts)),
		Presences:     make([]Presence, 0, len(e.watches)),
		Health:        make([]HealthChanged, 0, len(e.health)),
	}
	for _, c := range e.byID {
		s.Conversations = append(s.Conversations, c.infoLocked())
	}
	slices.SortFunc(s.Conversations, func(a, b ConversationInfo) int { return byID(a.Conversation, b.Conversation) })
	for _, c := range e.calls {
		s.Calls = append(s.Calls, c.infoLocked())
	}
	slices.SortFunc(s.Calls, func(a, b CallInfo) int { return byID(a.Call, b.Call) })
	for _, o := range e.toasts {
		t := o.shown
		if t.Kind == toastIM {
			o.call.forecastLocked(&t)
		}
		s.Toasts = append(s.Toasts, t)
	}
	for _, o := range e.parking.offers {
		s.Toasts = append(s.Toasts, o.shown)
	}
	slices.SortFunc(s.Toasts, func(a, b ToastShown) int { return byID(a.Toast, b.Toast) })
	for _, w := range e.watches {
		if w.last != nil {
			s.Presences = append(s.Presences, *w.last)
		}
	}
	slices.SortFunc(s.Presences, func(a, b Presence) int { return cmp.Compare(a.URI, b.URI) })
	for _, c := range e.health {
		if c.told {
			s.Health = append(s.Health, c.event)
		}
	}
	slices.SortFunc(s.Health, func(a, b HealthChanged) int { return cmp.Compare(a.Code, b.Code) })
	s.Board, s.Park = e.rowsLocked(), e.parking.service
	return s
}

// byID orders ids of one kind by their number: conversation-9 before conversation-10.
func byID(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

func (e *Endpoint) accountLocked() Account {
	return Account{
		AOR: e.self.URI, Display: e.cfg.DisplayName, Device: e.cfg.DeviceName, Instance: e.cfg.Instance,
		Registered: e.registration.State == registered, State: e.registration.State, Reason: e.registration.Reason,
		Endpoints: e.populationLocked().count(), Server: e.cfg.Server, Transport: e.transport(),
		Availability: e.wish.availability, Note: e.wish.note, Devices: e.devicesLocked(),
	}
}

// transport is what the account's server is reached over.
func (e *Endpoint) transport() string {
	if t, ok := e.server.UriParams.Get("transport"); ok {
		return t
	}
	if e.server.Scheme == "sips" {
		return "tls"
	}
	return "udp"
}
