package park

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// asterisk parks with Asterisk's parking lot, or with helpers in its dialplan.
//
// Asterisk refuses REFER outside of a call, and speaks the orbit instead of signalling it. What was found to work with
// versions 16 and 22, alone and behind a proxy:
//
//   - Always by attended transfer. A blind REFER to a slot that is taken costs the call when Asterisk is in the middle, one
//     to a bare orbit number ends it: that number means retrieval.
//   - Helpers that take a secret of ours, park*TOKEN or park-ORBIT*TOKEN, answer with the orbit in P-Asserted-Identity,
//     and get-ORBIT*TOKEN retrieves that call or answers 404: a safe retrieval.
//   - Without helpers (extension 700) the orbit shows only on the lamps of the orbits, which have no caller in them. It is
//     the one that became occupied while we called; if that is not one, the call is not parked. Retrieval is by number and
//     not safe.
//   - The parkee is referred to the number that we called, with Replaces: Asterisk's Contact means nothing to a proxy in
//     front of it.
type asterisk struct{ service }

// plainExtension is where a stock Asterisk parks.
const plainExtension = "700"

// maxTries bounds how many orbits are tried that turn out to be taken.
const maxTries = 5

func (asterisk) Name() string { return Asterisk }

// Safe: only with helpers that take the token whichever way we park.
func (a asterisk) Safe() bool {
	parks := 0
	for _, template := range []string{a.Extension, a.SlotURI} {
		if template != "" && !strings.Contains(template, slotToken) {
			return false
		}
		parks += len(template)
	}
	return parks > 0 && strings.Contains(a.RetrieveURI, slotToken)
}

// Park transfers the parkee to the extension, or to an orbit that we choose.
func (a asterisk) Park(ctx context.Context, leg Leg, wish, _ string) (CallParkOrbit, error) {
	token := newToken()
	o, err := a.place(ctx, leg, wish, token)
	if err != nil {
		return CallParkOrbit{}, err
	}
	if a.Safe() {
		uri, err := a.fill(a.RetrieveURI, o.FriendlyOrbit, token)
		if err == nil { // it is parked: an orbit that makes no address is no error any more
			o.SafeRetrieveURI = uri.String()
		}
	}
	return o, nil
}

func (a asterisk) place(ctx context.Context, leg Leg, wish, token string) (CallParkOrbit, error) {
	if wish != "" {
		return a.at(ctx, leg, wish, token)
	}
	if a.Extension == "" && a.SlotURI != "" && len(a.orbits) > 0 {
		return a.anywhere(ctx, leg, token)
	}
	extension := a.Extension
	if extension == "" {
		extension = plainExtension
	}
	to, err := a.fill(extension, "", token)
	if err != nil {
		return CallParkOrbit{}, err
	}
	// A helper tells the orbit.
	return a.transfer(ctx, leg, consult{to: to, via: true, watch: !strings.Contains(extension, slotToken)})
}

// at parks at one orbit. A slot that is taken answers 486, and nothing has happened.
func (a asterisk) at(ctx context.Context, leg Leg, orbit, token string) (CallParkOrbit, error) {
	if a.SlotURI == "" {
		return CallParkOrbit{}, ErrWish
	}
	if len(a.orbits) > 0 && !slices.Contains(a.orbits, orbit) {
		return CallParkOrbit{}, ErrOrbitNotFound
	}
	to, err := a.fill(a.SlotURI, orbit, token)
	if err != nil {
		return CallParkOrbit{}, err
	}
	o, err := a.transfer(ctx, leg, consult{to: to, orbit: orbit, via: true})
	if errors.Is(err, ErrNoOrbit) {
		err = ErrOccupied
	}
	return o, err
}

// anywhere chooses an orbit: those whose lamps are dark first, as far as there are lamps.
func (a asterisk) anywhere(ctx context.Context, leg Leg, token string) (CallParkOrbit, error) {
	free := slices.Clone(a.orbits)
	uris, err := a.uris()
	if err != nil {
		return CallParkOrbit{}, err
	}
	if lamps, err := leg.Lamps(ctx, uris); err == nil {
		taken := lamps.Occupied()
		lamps.Close()
		free = slices.DeleteFunc(free, func(o string) bool { return slices.Contains(taken, o) })
	}
	for _, orbit := range free[:min(len(free), maxTries)] {
		o, err := a.at(ctx, leg, orbit, token)
		if !errors.Is(err, ErrOccupied) {
			return o, err
		}
	}
	return CallParkOrbit{}, ErrNoOrbit
}
