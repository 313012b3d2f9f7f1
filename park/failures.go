package park

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

// Failure is a refusal by a park service. Numbers are those of Lync's call park service (MS-OCER §7.25), which operators
// know; Status is the SIP status that goes with it on our wire.
type Failure struct {
	Number int
	Status int
	Text   string
}

// Error is the text with the number, as in "no free orbit (35002)".
func (f *Failure) Error() string { return fmt.Sprintf("%s (%d)", f.Text, f.Number) }

// Is makes errors.Is compare numbers, for a Failure may have been read from the wire.
func (f *Failure) Is(other error) bool {
	o, ok := other.(*Failure)
	return ok && o.Number == f.Number
}

// The failures.
var (
	ErrOrbitNotFound = &Failure{35000, 404, "nothing is parked there"}
	ErrProcessing    = &Failure{35001, 500, "the park service failed"}
	ErrNoOrbit       = &Failure{35002, 486, "no free orbit"}
	ErrOutside       = &Failure{35003, 403, "not allowed from outside of the domain"}
	ErrParkTimeout   = &Failure{35004, 504, "parking took too long"}
	ErrDoublePark    = &Failure{35006, 403, "the call is parked already"}
	ErrReplaces      = &Failure{35007, 480, "the other side could not be taken over"}
	ErrBadRequest    = &Failure{35009, 400, "the request made no sense"}
	ErrStaleOrbit    = &Failure{35010, 410, "that parked call is over"}
	ErrLotClosed     = &Failure{35012, 503, "the park service is closing"}
	ErrExpired       = &Failure{35013, 480, "park time expired"}
	ErrNoCall        = &Failure{35016, 481, "there is no such call to park"}
	ErrRetrieve      = &Failure{35017, 480, "the parked call could not be connected"}
)

// Those that have no number with Lync: ours begin at 35900.
var (
	ErrOccupied   = &Failure{35901, 486, "that orbit is in use"}
	ErrTooMany    = &Failure{35902, 486, "too many calls of one user are parked"}
	ErrNotAllowed = &Failure{35903, 403, "not allowed"}
	ErrProbing    = &Failure{35904, 503, "too many wrong orbits, wait a moment"}
)

// Failures are all of them.
var Failures = []*Failure{
	ErrOrbitNotFound, ErrProcessing, ErrNoOrbit, ErrOutside, ErrParkTimeout, ErrDoublePark, ErrReplaces, ErrBadRequest,
	ErrStaleOrbit, ErrLotClosed, ErrExpired, ErrNoCall, ErrRetrieve, ErrOccupied, ErrTooMany, ErrNotAllowed, ErrProbing,
}

var failureNumber = regexp.MustCompile(`\((35\d{3})\)`)

// FailureIn finds the failure that a Warning header names by its number, as in `399 example.org "no free orbit (35002)"`
// (RFC 3261 §20.43); nil if it names none that is known.
func FailureIn(warning string) *Failure {
	m := failureNumber.FindStringSubmatch(warning)
	if m == nil {
		return nil
	}
	n, _ := strconv.Atoi(m[1]) // five digits
	if at := slices.IndexFunc(Failures, func(f *Failure) bool { return f.Number == n }); at >= 0 {
		return Failures[at]
	}
	return nil
}

// Warning is the value of a Warning header that names the failure.
func (f *Failure) Warning(host string) string { return fmt.Sprintf("399 %s %q", host, f.Error()) }
