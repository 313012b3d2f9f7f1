package session

import (
	"context"
	"sync"
	"time"
)

// latch is an event that happens once.
type latch struct {
	once sync.Once
	done chan struct{}
}

func newLatch() *latch    { return &latch{done: make(chan struct{})} }
func (l *latch) release() { l.once.Do(func() { close(l.done) }) }

// wait blocks until the latch is released, ctx ends or d has passed; 0 is no limit.
func (l *latch) wait(ctx context.Context, d time.Duration) error {
	if d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
