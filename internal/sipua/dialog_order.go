package sipua

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Times that restoring the order of requests may take.
const (
	// orderGap is how long a request waits for one with a lower CSeq. It covers reordering on the way. It cannot cover
	// loss, which costs at least T1, and it must be short: a gap is legal, for a proxy that challenged or refused a
	// request uses up its number (RFC 3261 §12.2.1.1).
	orderGap = 200 * time.Millisecond
	// orderSettle is the same for the first request, when no number is expected yet.
	orderSettle = 20 * time.Millisecond
	// maxWaiting bounds the requests that wait for their turn.
	maxWaiting = 64
)

// Errors of enter.
var (
	errOldCSeq     = errors.New("sipua: CSeq lower than one already seen")
	errManyWaiting = errors.New("sipua: too many requests out of order")
)

// sequence restores the order of one side's requests. Each arrives on a goroutine of its own; enter blocks until
// it is that request's turn, and leave lets the next one in.
type sequence struct {
	mu sync.Mutex
	// Guarded by mu
	next    uint32 // lowest number that may enter; 0: none seen yet
	busy    bool   // somebody is between enter and leave
	waiting map[uint32]int
	changed chan struct{} // closed and replaced by leave
}

// newSequence expects next first; 0 takes whatever is lowest in the beginning.
func newSequence(next uint32) *sequence {
	return &sequence{next: next, waiting: map[uint32]int{}, changed: make(chan struct{})}
}

// enter waits for the turn of number n.
func (s *sequence) enter(ctx context.Context, n uint32) error {
	s.mu.Lock()
	if n < s.next {
		s.mu.Unlock()
		return errOldCSeq
	}
	if len(s.waiting) >= maxWaiting {
		s.mu.Unlock()
		return errManyWaiting
	}
	s.waiting[n]++
	patience := orderGap
	if s.next == 0 {
		patience = orderSettle
	}
	s.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for patient := true; ; {
		admitted, changed, err := s.try(n, patient)
		if admitted || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-timer.C:
			patient = false
		case <-ctx.Done():
			s.mu.Lock()
			s.dropLocked(n)
			s.mu.Unlock()
			return context.Cause(ctx)
		}
	}
}

// try admits n if it is next, or if it is the lowest there is and has waited long enough.
func (s *sequence) try(n uint32, patient bool) (admitted bool, changed <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case n < s.next:
		s.dropLocked(n)
		return false, nil, errOldCSeq
	case s.busy, !s.lowestLocked(n), patient && n != s.next:
		return false, s.changed, nil
	}
	s.busy = true
	s.dropLocked(n)
	return true, nil, nil
}

func (s *sequence) lowestLocked(n uint32) bool {
	for m := range s.waiting {
		if m < n {
			return false
		}
	}
	return true
}

func (s *sequence) dropLocked(n uint32) {
	if s.waiting[n]--; s.waiting[n] <= 0 {
		delete(s.waiting, n)
	}
}

// leave ends the turn of n.
func (s *sequence) leave(n uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next, s.busy = n+1, false
	close(s.changed)
	s.changed = make(chan struct{})
}
