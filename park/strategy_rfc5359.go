package park

import (
	"context"
	"errors"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

// rfc5359 parks as RFC 5359 §2.15 does: a REFER outside of the call asks the service to take our place with the parkee by
// an INVITE with Replaces. The service tells the orbit in the final NOTIFY, whose sipfrag may hold header fields
// (RFC 3515 §2.4.5).
//
//	parker                    service                  parkee
//	  | REFER (Refer-To: parkee?Replaces) |                |
//	  |------------------------>|         INVITE Replaces  |
//	  |                         |------------------------->|
//	  |<----------------------------------------- BYE -----|
//	  |<-- NOTIFY 200, orbit ---|                          |
//
// Where the service cannot reach the parkee, or an intermediary gave the two sides different dialog identifiers, the same
// service is asked the other way, by attended transfer.
type rfc5359 struct{ service }

func (rfc5359) Name() string { return RFC5359 }

// Safe: the service gives a URI for every park.
func (rfc5359) Safe() bool { return true }

// Park refers the service to the parkee.
func (r rfc5359) Park(ctx context.Context, leg Leg, wish, note string) (CallParkOrbit, error) {
	if !leg.Supports("replaces") {
		return attended(r).Park(ctx, leg, wish, note)
	}
	to := r.Server
	if wish != "" {
		var err error
		if to, err = r.Pickup(wish); err != nil {
			return CallParkOrbit{}, err
		}
	}
	frag, err := leg.ReferOut(ctx, to, leg.ReferTo(), note)
	if err != nil {
		if refused(err) {
			return r.otherwise(ctx, leg, wish, note, refusal(err))
		}
		return CallParkOrbit{}, refusal(err)
	}
	o, err := ParseOutcome(frag, time.Now())
	var failure *Failure
	switch {
	case err == nil && o.FriendlyOrbit == "":
		o.FriendlyOrbit = wish
		return o, nil
	case errors.As(err, &failure) && unreachable(failure):
		return r.otherwise(ctx, leg, wish, note, err)
	}
	return o, err
}

// otherwise parks by attended transfer after the REFER has failed. With a wish it cannot, and the first error stands.
func (r rfc5359) otherwise(ctx context.Context, leg Leg, wish, note string, first error) (CallParkOrbit, error) {
	if wish != "" {
		return CallParkOrbit{}, first
	}
	return attended(r).Park(ctx, leg, "", note)
}

// refused reports whether the REFER itself was refused for being one, or for the dialog that it names.
func refused(err error) bool {
	var status *sipua.StatusError
	if !errors.As(err, &status) {
		return false
	}
	var failure *Failure
	switch named := errors.As(refusal(err), &failure); status.Code {
	case 405, 420, 501:
		return true
	case 403:
		// Without a Warning it is the method that is not allowed, as far as we know.
		return !named || failure.Is(ErrNotAllowed) && !hasWarning(status.Response)
	case 481:
		return !named || unreachable(failure)
	}
	return false
}

func hasWarning(res *sip.Response) bool { return res != nil && res.GetHeader("Warning") != nil }

// unreachable reports whether a failure may be about the way to the parkee only: no answer, a dialog that is not known
// by its identifiers, an extension (Replaces) that is not known.
func unreachable(f *Failure) bool {
	if !f.Is(ErrReplaces) && !f.Is(ErrNoCall) {
		return false
	}
	switch f.Status {
	case 408, 420, 480, 481:
		return true
	}
	return false
}
