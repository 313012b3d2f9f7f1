package event

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	firstWait = 2 * time.Second
	maxWait   = 5 * time.Minute
	// soonWait is the wait when the peer asked for a new attempt at once.
	soonWait = 500 * time.Millisecond
	// minRefresh keeps us from flooding a server that grants next to nothing.
	minRefresh = 2 * time.Second
)

// backoff says how long to wait before the next attempt. Half of it is random.
type backoff struct{ failures int }

// next counts a failure. soon makes the first wait short: the attempt before it did not really fail.
func (b *backoff) next(soon bool) time.Duration {
	wait := maxWait
	if b.failures < 8 {
		wait = min(maxWait, firstWait<<b.failures)
	}
	if soon && b.failures == 0 {
		wait = soonWait
	}
	b.failures++
	return wait/2 + rand.N(wait/2)
}

func (b *backoff) reset() { b.failures = 0 }

// pause waits for d, or until ctx ends or wake says that waiting makes no sense any more.
func pause(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-wake:
	case <-ctx.Done():
	}
}

// refreshTime is when state granted for d is refreshed: late, but with room for a transaction that times out where d
// allows it.
func refreshTime(d time.Duration) time.Duration {
	return d*4/5 + rand.N(d/10+1)
}
