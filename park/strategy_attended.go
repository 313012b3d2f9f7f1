package park

import (
	"context"
	"slices"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/plaintext"
	"offhook/internal/sipua"
)

// attended parks by an attended transfer (RFC 5589 §7.3), which plain services understand: we call the service, learn from
// its P-Asserted-Identity which orbit it has reserved, and refer the parkee to it in place of us.
//
//	parker                    service                  parkee
//	  |---- INVITE ------------>|                          |
//	  |<--- 200, PAI: orbit ----|                          |
//	  |---- REFER (Refer-To: service?Replaces) ----------->|
//	  |                         |<---- INVITE Replaces ----|
//	  |<--- BYE ----------------|                          |
//	  |<--- NOTIFY 200 ------------------------------------|
//
// As the orbit is known before anything has happened to the call, one that cannot be learnt is not committed to. What to
// call to have this very park back is known only if the service tells it, in Call-Info.
type attended struct{ service }

func (attended) Name() string { return Attended }

// Safe is not promised by services that we know nothing of.
func (attended) Safe() bool { return false }

// Park transfers the parkee to the service. The service chooses the orbit.
func (a attended) Park(ctx context.Context, leg Leg, wish, _ string) (CallParkOrbit, error) {
	if wish != "" {
		return CallParkOrbit{}, ErrWish
	}
	to := a.Server
	if a.Extension != "" {
		var err error
		if to, err = a.fill(a.Extension, "", ""); err != nil {
			return CallParkOrbit{}, err
		}
	}
	return a.transfer(ctx, leg, consult{to: to})
}

// consult is how one attended transfer is made.
type consult struct {
	to    sip.Uri // the service
	orbit string  // which it is if the service does not tell; "" not known
	watch bool    // learn the orbit from lamps if the service does not tell
	via   bool    // refer the parkee to the address that we have called, not to the Contact that answered
}

const (
	// hangUpTime is how long the end of a consultation may take, whatever has become of the context.
	hangUpTime = 4 * time.Second
	// handOverTime is how long a service has to end the consultation after a transfer that worked.
	handOverTime = 2 * time.Second
	// shortTime is the same for Asterisk, which first says the number to the end, to nobody.
	shortTime = 200 * time.Millisecond
	// lampTime is how long after the answer an orbit may take to show: 0.5 s was seen.
	lampTime = 3 * time.Second
	// settleTime is how long a lamp is looked at before it is believed: of two who park at the same moment both see two.
	settleTime = 700 * time.Millisecond
)

// transfer makes an attended transfer. Whatever fails, the consultation is ended and the call is as it was.
func (s service) transfer(ctx context.Context, leg Leg, how consult) (CallParkOrbit, error) {
	var lamps Lamps
	var before []string
	if how.watch {
		uris, err := s.uris()
		if err != nil {
			return CallParkOrbit{}, err
		}
		if lamps, err = leg.Lamps(ctx, uris); err != nil {
			return CallParkOrbit{}, ErrNotLearnt
		}
		defer lamps.Close()
		if before = lamps.Occupied(); len(before) == len(s.orbits) {
			return CallParkOrbit{}, ErrNoOrbit // it would answer all the same, and say so by voice
		}
	}
	consultation, err := leg.Invite(ctx, how.to)
	if err != nil {
		return CallParkOrbit{}, refusal(err)
	}
	defer hangUp(ctx, consultation)
	orbit := s.asserted(consultation, how.to)
	if orbit == "" {
		orbit = how.orbit
	}
	if orbit == "" && lamps != nil {
		orbit = appeared(ctx, lamps, before)
	}
	if ctx.Err() != nil {
		return CallParkOrbit{}, context.Cause(ctx)
	}
	if orbit == "" {
		return CallParkOrbit{}, ErrNotLearnt
	}
	referTo := consultation.ReferTo()
	if how.via {
		referTo = *how.to.Clone()
		referTo.Headers = consultation.ReferTo().Headers
	}
	frag, err := leg.ReferIn(ctx, referTo)
	if err != nil {
		return CallParkOrbit{}, parkeeRefusal(err)
	}
	if frag.Code < 200 || frag.Code > 299 {
		return CallParkOrbit{}, outcomeFailure(frag)
	}
	patience := handOverTime
	if how.via {
		patience = shortTime
	}
	select {
	case <-consultation.Done():
	case <-time.After(patience):
	case <-ctx.Done(): // it is parked all the same
	}
	o := CallParkOrbit{Parked: time.Now()}
	o.learn(consultation.CallInfo())
	o.FriendlyOrbit = orbit
	return o, nil
}

func hangUp(ctx context.Context, c Consultation) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hangUpTime)
	defer cancel()
	_ = c.Close(ctx) // what cannot be told ends by itself
}

// uris are the orbits as addresses.
func (s service) uris() ([]sip.Uri, error) {
	if len(s.orbits) == 0 {
		return nil, ErrNotLearnt
	}
	var out []sip.Uri
	for _, o := range s.orbits {
		uri, err := s.Pickup(o)
		if err != nil {
			return nil, err
		}
		out = append(out, uri)
	}
	return out, nil
}

// asserted is the orbit that the service says it is, or "".
func (s service) asserted(c Consultation, called sip.Uri) string {
	uri, err := sipua.ParseURI(c.Asserted().URI)
	if err != nil || uri.User == "" || uri.User == called.User {
		return ""
	}
	orbit := plaintext.Line(uri.User, maxOrbitText)
	if len(s.orbits) > 0 && !slices.Contains(s.orbits, orbit) {
		return ""
	}
	return orbit
}

// appeared is the one orbit that has become occupied, or "" if none has or several have: then nobody can tell whose is
// whose.
func appeared(ctx context.Context, lamps Lamps, before []string) string {
	fresh := func() []string {
		return slices.DeleteFunc(slices.Clone(lamps.Occupied()), func(o string) bool { return slices.Contains(before, o) })
	}
	patience, cancel := context.WithTimeout(ctx, lampTime)
	defer cancel()
	for len(fresh()) == 0 {
		if lamps.Wait(patience) != nil {
			return ""
		}
	}
	settle, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for lamps.Wait(settle) == nil {
	}
	if now := fresh(); len(now) == 1 {
		return now[0]
	}
	return ""
}
