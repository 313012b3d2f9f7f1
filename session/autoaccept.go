package session

import (
	"cmp"
	"crypto/sha256"
	"math"
	"slices"
	"time"
)

// The election: which of a user's endpoints accepts a forked IM that nobody clicked.
//
// Nobody is asked and nobody decides for the others. Every endpoint computes the same order of all endpoints from the
// device state that all publish, finds its own place in it, and waits the longer the lower it stands. The most active
// one therefore answers first and the CANCEL that follows suppresses the rest. If it is dead or asleep the next one's
// timer simply runs out; if two of them see different orders and both answer, the caller keeps the first 2xx and ends the
// other. A message can so be accepted twice for a moment, which is repaired, but never by nobody.
const (
	// acceptWindow is the time a person has to click a toast, from the arrival of the INVITE.
	acceptWindow = 10 * time.Second
	// rankStagger separates the deadlines of two neighbours in the order. It has to cover the 200, its way through the
	// proxy and the CANCEL, on slow links.
	rankStagger = 2 * time.Second
	// idleSpread separates endpoints which, through outdated views, believe to have the same rank: per doubling of the
	// idle time. At most idleSpreadMax, so that the most active endpoint accepts within 11.5 s however idle it is.
	idleSpread    = 100 * time.Millisecond
	idleSpreadMax = time.Second
	// blindSpread does the same job alone where no device state is to be had, and so has to be wider; blindJitter
	// separates endpoints with equal idle times.
	blindSpread    = 600 * time.Millisecond
	blindSpreadMax = 7 * time.Second
	blindJitter    = 400 * time.Millisecond
	// decideBefore is how long before the window ends the order is computed, from the newest state.
	decideBefore = 500 * time.Millisecond
	// idleGrain makes idle times that differ by less than it equal, for they cannot be compared better than that.
	idleGrain = time.Second
)

// deviceClass is how active an endpoint is; the order is that of the aggregation rules of OCS: lower is more active.
type deviceClass int

const (
	classActive deviceClass = iota
	classInactive
	classUnknown
	classAway
	classOff
)

// candidate is one endpoint as this one sees it.
type candidate struct {
	instance string
	class    deviceClass
	idle     time.Duration // since its last user input, estimated; negative: unknown
}

// ranked returns the candidates in the order of the election for one call, most active first. The order is total and the
// same on every endpoint that knows the same facts: ties fall to a hash of instance and Call-ID, which no endpoint wins
// always.
func ranked(devices []candidate, callID string) []candidate {
	type keyed struct {
		candidate
		grain int64
		hash  [sha256.Size]byte
	}
	keys := make([]keyed, len(devices))
	for i, d := range devices {
		grain := int64(math.MaxInt64)
		if d.idle >= 0 {
			grain = int64(d.idle / idleGrain)
		}
		keys[i] = keyed{d, grain, sha256.Sum256([]byte(d.instance + callID))}
	}
	slices.SortFunc(keys, func(a, b keyed) int {
		return cmp.Or(
			cmp.Compare(a.class, b.class),
			cmp.Compare(a.grain, b.grain),
			slices.Compare(a.hash[:], b.hash[:]),
			cmp.Compare(a.instance, b.instance),
		)
	})
	out := make([]candidate, len(keys))
	for i, k := range keys {
		out[i] = k.candidate
	}
	return out
}

// rank is the place of instance self among devices, 0 being the most active. An endpoint that does not find itself in
// its own list stands last.
func rank(self string, devices []candidate, callID string) int {
	order := ranked(devices, callID)
	if at := slices.IndexFunc(order, func(c candidate) bool { return c.instance == self }); at >= 0 {
		return at
	}
	return len(order)
}

// delayInput is what acceptDelay decides from.
type delayInput struct {
	window     time.Duration // 0 means acceptWindow
	rank       int
	idle       time.Duration // own time since last input; negative: never any
	haveDevice bool          // the others' device state is known
	jitter     float64       // in [0,1), used without device state only
}

// acceptDelay is when this endpoint accepts, counted from the arrival of the INVITE.
func acceptDelay(in delayInput) time.Duration {
	window := in.window
	if window == 0 {
		window = acceptWindow
	}
	if in.haveDevice {
		return window + time.Duration(in.rank)*rankStagger + spread(idleSpread, idleSpreadMax, in.idle)
	}
	return window + spread(blindSpread, blindSpreadMax, in.idle) + time.Duration(in.jitter*float64(blindJitter))
}

// spread grows with the logarithm of the idle time: seconds of difference matter among the active, hours do not among
// the idle.
func spread(step, most, idle time.Duration) time.Duration {
	if idle < 0 {
		return most
	}
	return min(most, time.Duration(float64(step)*math.Log2(1+idle.Seconds())))
}

// population is what is known of the number of a user's endpoints, from three sources that see different parts.
type population struct {
	registered int  // distinct instances in the registrar's last 200
	regEvent   int  // distinct instances in the reg-event state
	presence   int  // endpoints that publish device state
	certain    bool // a source that lists all of them is live
}

// count is the number of endpoints that may be offered a call; at least this one.
func (p population) count() int { return max(1, p.registered, p.regEvent, p.presence) }

// sole reports whether this is certainly the only endpoint. Where that is not certain the answer is no: the toast shows
// at once in any case, and a wrong yes would take calls from a device in use.
func (p population) sole() bool { return p.certain && p.count() == 1 }
