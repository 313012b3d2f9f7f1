package jitter

import (
	"slices"
	"time"
)

// What is learned of arrivals.
const (
	bucket      = 1 * time.Millisecond // width of a class of the histogram
	buckets     = 512
	forget      = 10 * time.Second       // after which a packet counts 1/e of a new one
	share       = 0.97                   // of the packets that shall come in time
	margin      = 1 * time.Millisecond   // between the packet that just comes in time and its play-out
	learning    = time.Second            // from the first packet, during which target is at least cautious
	cautious    = 10 * time.Millisecond  //
	step        = 20 * time.Millisecond  // a path that got slower by this at once is another path
	spikeHeight = 10 * time.Millisecond  // above the quantile
	spikeLength = 500 * time.Millisecond // what lasts longer is no spike
	spikeMemory = 20 * time.Second       // within which two make a pattern
	stallMost   = 30 * time.Millisecond  // what is later is no stall of a busy machine
	stallMemory = 10 * time.Second       // after which a stall begins to be forgotten
	stallForget = 500                    // times as long as it was, in which it is forgotten then
)

// recent is the least value of the last eight slices of time.
type recent struct {
	least [8]time.Duration
	at    int
	until time.Duration
}

func (r *recent) restart(v time.Duration) {
	for i := range r.least {
		r.least[i] = v
	}
}

// add takes a value. Time without values does not count, so that the least is not forgotten over a pause.
func (r *recent) add(v, now, slice time.Duration) {
	if now >= r.until {
		r.at = (r.at + 1) % len(r.least)
		r.least[r.at] = v
		r.until = now + slice
	}
	r.least[r.at] = min(r.least[r.at], v)
}

func (r *recent) max() time.Duration { return slices.Max(r.least[:]) }
func (r *recent) min() time.Duration { return slices.Min(r.least[:]) }

// arrivals learns how regularly packets come. A packet's delay is its arrival minus the end of its sound on the time line,
// when the sender had it complete; its lateness is how much that is more than the least delay within two seconds.
type arrivals struct {
	any    bool
	first  time.Duration // arrival
	least  recent
	base   time.Duration // of least
	last   time.Duration // delay of the packet before
	jitter time.Duration // RFC 3550 §6.4.1

	weights [buckets]float64 // how often packets were how late
	total   float64
	weight  float64 // of the next packet; it grows instead of all others shrinking

	quantile time.Duration
	spikes   [8]spike
	spike    int // the newest
	rising   bool

	stall   time.Duration // how late a packet was for which sound had to be made up
	stalled time.Duration // when
}

// spike is a short time in which packets were much later than usual.
type spike struct {
	began  time.Duration
	height time.Duration
}

func (a *arrivals) restart(delay time.Duration) {
	a.least.restart(delay)
	a.base, a.last = delay, delay
}

// add learns of a packet, and says how late it is.
func (a *arrivals) add(delay, length, now, limit time.Duration) (late time.Duration) {
	if !a.any {
		*a = arrivals{any: true, first: now, weight: 1}
		a.restart(delay)
	}
	a.jitter += (max(delay-a.last, a.last-delay) - a.jitter) / 16
	a.last = delay
	if delay-a.base > limit {
		a.restart(delay) // a path that stood still, not jitter: no delay could have covered it
	}
	a.least.add(delay, now, 250*time.Millisecond)
	base := a.least.min()
	if rise := base - a.base; rise >= step && a.least.max()-base < step {
		a.lower(int(rise / bucket))
	}
	a.base = base
	late = delay - base
	a.count(late, length)
	a.quantile = a.above(1 - share)
	a.watch(late, now)
	return late
}

// missed learns at once from a packet that came too late to go on without making something up. A machine on which
// programs stall does that again before long, though too seldom for the quantile; on a quiet one it is forgotten. The
// stalls of a call that is just being set up tell nothing.
func (a *arrivals) missed(late, now time.Duration) {
	if late <= stallMost && now-a.first >= learning {
		a.stall, a.stalled = max(late, a.stallNow(now)), now
	}
}

// stallNow is what is left of the latest stalls.
func (a *arrivals) stallNow(now time.Duration) time.Duration {
	return max(0, a.stall-max(0, now-a.stalled-stallMemory)/stallForget)
}

// count adds to the histogram. A packet counts as much as it is long.
func (a *arrivals) count(late, length time.Duration) {
	w := a.weight * float64(max(length, block)) / float64(20*time.Millisecond)
	a.weights[min(int(late/bucket), buckets-1)] += w
	a.total += w
	a.weight *= 1 + float64(length)/float64(forget)
	if a.weight > 1e9 {
		for i := range a.weights {
			a.weights[i] /= a.weight
		}
		a.total /= a.weight
		a.weight = 1
	}
}

// lower moves the histogram down: the path has got longer for good, and what was late is normal now.
func (a *arrivals) lower(by int) {
	a.stall = max(0, a.stall-time.Duration(by)*bucket)
	by = min(by, buckets-1)
	for i := 1; i <= by; i++ {
		a.weights[0] += a.weights[i]
	}
	copy(a.weights[1:], a.weights[by+1:])
	clear(a.weights[buckets-by:])
}

// above is the lateness that a share of the packets exceeds.
func (a *arrivals) above(share float64) time.Duration {
	i, below := 0, a.weights[0]
	for ; i < buckets-1 && below <= (1-share)*a.total; below += a.weights[i] {
		i++
	}
	return time.Duration(i+1) * bucket
}

// watch finds spikes, which are too rare for the quantile.
func (a *arrivals) watch(late, now time.Duration) {
	if late <= a.quantile+spikeHeight {
		a.rising = false
		return
	}
	if !a.rising {
		a.rising = true
		a.spike = (a.spike + 1) % len(a.spikes)
		a.spikes[a.spike] = spike{began: now}
	}
	s := &a.spikes[a.spike]
	s.height = max(s.height, late)
	if now-s.began > spikeLength {
		*s = spike{}
	}
}

// lateness is how late packets may be and still be played: the target, without the length of a packet.
func (a *arrivals) lateness(now time.Duration) time.Duration {
	n, high := 0, time.Duration(0)
	for _, s := range a.spikes {
		if s.height > 0 && now-s.began < spikeMemory {
			n++
			high = max(high, s.height)
		}
	}
	late := max(a.quantile, a.stallNow(now))
	if n >= 2 {
		late = max(late, high)
	}
	if now-a.first < learning {
		late = max(late, cautious)
	}
	return late + margin
}
