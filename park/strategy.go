package park

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

// Strategy knows how to park with one kind of service.
type Strategy interface {
	Name() string
	// Park parks the call. wish is the number of the orbit that the user would like, "" for any; note is for who picks up.
	// When the error is not nil, the call is as it was.
	Park(ctx context.Context, leg Leg, wish, note string) (CallParkOrbit, error)
	// Retrieve is what to call to have this very call back: by the safe URI where there is one, else by number.
	Retrieve(o CallParkOrbit) (sip.Uri, error)
	// Pickup is what to call for whatever is parked at a number.
	Pickup(orbit string) (sip.Uri, error)
	// Safe reports whether Retrieve can never get another call.
	Safe() bool
}

// Settings describe a park service.
type Settings struct {
	Server sip.Uri // the service, e.g. sip:park@example.org
	Domain string  // where numbers are; "" is the host of Server
	// Extension is what is called to park anywhere: a user part or a URI, with {token} for our secret where the service
	// keeps one. "" is the user of Server, and 700 with the strategy asterisk.
	Extension string
	// SlotURI is what is called to park at a chosen orbit, e.g. "park-{orbit}*{token}"; "" the service chooses.
	SlotURI string
	// RetrieveURI is what is called to retrieve, e.g. "get-{orbit}*{token}"; "" is the number. With {token} it is safe.
	RetrieveURI string
	// Orbits are the numbers, e.g. "701-720"; "" not known.
	Orbits string
}

// Names of the strategies.
const (
	RFC5359  = "rfc5359"
	Asterisk = "asterisk"
	Attended = "attended"
)

// strategies are all there are.
var strategies = []struct {
	name string
	make func(service) Strategy
}{
	{RFC5359, func(s service) Strategy { return rfc5359{s} }},
	{Asterisk, func(s service) Strategy { return asterisk{s} }},
	{Attended, func(s service) Strategy { return attended{s} }},
}

// Strategies are the names that NewStrategy knows.
func Strategies() []string {
	var names []string
	for _, s := range strategies {
		names = append(names, s.name)
	}
	return names
}

// NewStrategy makes one. The error of an unknown name lists those that are known.
func NewStrategy(name string, s Settings) (Strategy, error) {
	for _, known := range strategies {
		if known.name != name {
			continue
		}
		service, err := s.check()
		if err != nil {
			return nil, err
		}
		return known.make(service), nil
	}
	return nil, fmt.Errorf("park: there is no strategy %q; there are %s", name, strings.Join(Strategies(), ", "))
}

// Errors of strategies that are no refusals by the service. The call is as it was.
var (
	// ErrWish is returned where an orbit was asked for and the service chooses itself.
	ErrWish = errors.New("this park service chooses the orbit itself")
	// ErrNotLearnt is returned where the service does not tell in signalling where it parks.
	ErrNotLearnt = errors.New("the park service does not tell its orbit: set the numbers of its orbits, which it must let us watch")
)

// service is Settings that have been checked.
type service struct {
	Settings
	orbits []string
}

const (
	slotOrbit = "{orbit}"
	slotToken = "{token}"
)

func (s Settings) check() (service, error) {
	switch {
	case s.Server.Scheme != "sip" && s.Server.Scheme != "sips", s.Server.Host == "":
		return service{}, fmt.Errorf("park: %q is not the address of a service", s.Server.String())
	case s.RetrieveURI != "" && !strings.Contains(s.RetrieveURI, slotOrbit) && !strings.Contains(s.RetrieveURI, slotToken):
		return service{}, fmt.Errorf("park: retrieve_uri %q names neither %s nor %s", s.RetrieveURI, slotOrbit, slotToken)
	case s.SlotURI != "" && !strings.Contains(s.SlotURI, slotOrbit):
		return service{}, fmt.Errorf("park: slot_uri %q does not name %s", s.SlotURI, slotOrbit)
	}
	if s.Domain == "" {
		s.Domain = s.Server.Host
		if s.Server.Port != 0 {
			s.Domain += ":" + strconv.Itoa(s.Server.Port)
		}
	}
	out := service{Settings: s}
	var err error
	if out.orbits, err = Numbers(s.Orbits); err != nil {
		return service{}, err
	}
	for _, template := range []string{s.Extension, s.SlotURI, s.RetrieveURI} {
		if _, err := out.fill(template, "701", "token"); template != "" && err != nil {
			return service{}, err
		}
	}
	return out, nil
}

// fill makes a URI of a template.
func (s service) fill(template, orbit, token string) (sip.Uri, error) {
	text := strings.NewReplacer(slotOrbit, orbit, slotToken, token).Replace(template)
	if !strings.HasPrefix(text, "sip:") && !strings.HasPrefix(text, "sips:") {
		text = s.Server.Scheme + ":" + text + "@" + s.Domain
	}
	uri, err := sipua.ParseURI(text)
	if err != nil {
		return sip.Uri{}, fmt.Errorf("park: %q makes no address: %w", template, err)
	}
	return uri, nil
}

// Pickup is the number at the service's domain.
func (s service) Pickup(orbit string) (sip.Uri, error) {
	if orbit == "" || strings.ContainsAny(orbit, "@:;?") {
		return sip.Uri{}, ErrOrbitNotFound
	}
	uri, err := s.fill(slotOrbit, orbit, "")
	if err != nil {
		return sip.Uri{}, ErrOrbitNotFound
	}
	return uri, nil
}

// Retrieve calls the safe URI where the park has one.
func (s service) Retrieve(o CallParkOrbit) (sip.Uri, error) {
	if o.SafeRetrieveURI == "" {
		return s.Pickup(o.FriendlyOrbit)
	}
	uri, err := sipua.ParseURI(o.SafeRetrieveURI)
	if err != nil {
		return sip.Uri{}, errors.New("park: the safe retrieve URI is malformed") // which it was is a secret
	}
	return uri, nil
}

// maxNumbers bounds the orbits of a service that we watch one by one.
const maxNumbers = 200

// Numbers reads orbits as Settings has them: "701-720" or "701,703,710-712". They come in order, each once.
func Numbers(s string) ([]string, error) {
	var out []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		first, last, isRange := strings.Cut(part, "-")
		from, err := orbitNumber(first)
		to := from
		if err == nil && isRange {
			to, err = orbitNumber(last)
		}
		if err != nil || to < from || to-from >= maxNumbers-len(out) {
			return nil, fmt.Errorf("park: orbits %q are not numbers as in 701-720, at most %d", s, maxNumbers)
		}
		for n := from; n <= to; n++ {
			out = append(out, fmt.Sprintf("%0*d", len(strings.TrimSpace(first)), n))
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// orbitNumber reads a number of up to six digits.
func orbitNumber(s string) (int, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 32)
	if err != nil || n > 999_999 {
		return 0, errors.New("no orbit number")
	}
	return int(n), nil
}
