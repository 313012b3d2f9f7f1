package park

import (
	"log/slog"
	"time"
)

// CallParkOrbit is what a parker is told when a call is parked, and all that is needed to take it back.
type CallParkOrbit struct {
	// FriendlyOrbit is what people say and type, e.g. "701". Once this park has ended another call may be parked there.
	FriendlyOrbit string `json:"friendly_orbit"`
	// SafeRetrieveURI reaches this very call or nothing. It is a secret: whoever knows it can take the call. "" where the
	// service has no such thing.
	SafeRetrieveURI string    `json:"safe_retrieve_uri"`
	Parked          time.Time `json:"parked_at"`
	RingBack        time.Time `json:"ringback_at,omitzero"` // when the service rings the parker back; zero: not told
}

// String is the orbit for people. The safe URI never prints.
func (o CallParkOrbit) String() string { return o.FriendlyOrbit }

// GoString keeps the safe URI out of prints.
func (o CallParkOrbit) GoString() string { return "park.CallParkOrbit{" + o.FriendlyOrbit + "}" }

// LogValue keeps the safe URI out of logs.
func (o CallParkOrbit) LogValue() slog.Value { return slog.StringValue(o.FriendlyOrbit) }

// Party is somebody: who is parked, who has parked, who picks up.
type Party struct {
	URI     string `json:"uri"`
	Display string `json:"display,omitempty"`
}

// Name is what people read: the display name, or else the address.
func (p Party) Name() string {
	if p.Display != "" {
		return p.Display
	}
	return p.URI
}

// UnparkReason is the way a park ended: the reasons of Lync's CallUnparkReason, and Dropped.
type UnparkReason string

// The reasons. Retrieved and Ringback come with a target: who has the call now.
const (
	Retrieved    UnparkReason = "retrieved"    // somebody picked it up
	Ringback     UnparkReason = "ringback"     // it came back and was answered
	Abandoned    UnparkReason = "abandoned"    // the caller hung up
	Disconnected UnparkReason = "disconnected" // the caller's line was lost
	Fallback     UnparkReason = "fallback"     // nobody wanted it: it went to the fallback address
	Dropped      UnparkReason = "dropped"      // nobody wanted it: the service hung up
	Unknown      UnparkReason = "unknown"      // the service has not said
)
