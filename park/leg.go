package park

import (
	"context"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/body"
)

// Leg is the call that is to be parked, as a strategy sees it. All methods block until the outcome is known.
type Leg interface {
	// ReferTo is whom to refer a service to: the parkee, with Replaces for this call (RFC 3891 §6.1).
	ReferTo() sip.Uri
	// Remote is the parkee.
	Remote() Party
	// Supports reports what the parkee has said it supports, e.g. "replaces".
	Supports(option string) bool
	// ReferOut sends a REFER outside of the call and returns the final sipfrag. A refused one is a *sipua.StatusError.
	ReferOut(ctx context.Context, to, referTo sip.Uri, note string) (body.Sipfrag, error)
	// ReferIn sends a REFER to the parkee, inside of the call, and returns as ReferOut does.
	ReferIn(ctx context.Context, referTo sip.Uri) (body.Sipfrag, error)
	// Invite calls a service beside the call. The service is sent silence at once, and the user hears nothing of it.
	Invite(ctx context.Context, to sip.Uri) (Consultation, error)
	// Lamps watches orbits by their dialog state (RFC 4235). It returns once every orbit's state is known, or is known to
	// stay unknown; an error says that it is so with all.
	Lamps(ctx context.Context, orbits []sip.Uri) (Lamps, error)
}

// Consultation is the call to a service in an attended transfer.
type Consultation interface {
	// ReferTo is the service's Contact, with Replaces for the consultation.
	ReferTo() sip.Uri
	// Asserted is the P-Asserted-Identity of the service (RFC 3325), the latest if it changed; zero without.
	Asserted() Party
	// CallInfo is the values of Call-Info that the service has sent: in its 200, and later, its BYE included.
	CallInfo() []string
	// Done is closed when it has ended.
	Done() <-chan struct{}
	// Close hangs up if it has not ended.
	Close(ctx context.Context) error
}

// Lamps are watched orbits.
type Lamps interface {
	// Occupied is the user parts of the orbits where a call is.
	Occupied() []string
	// Wait waits for a change since Lamps or the last Wait. Changes that came in between are not lost.
	Wait(ctx context.Context) error
	Close()
}
