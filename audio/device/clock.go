package device

import (
	"time"
)

// Clock waits for deadlines. Sleep is called by one goroutine, Wake by any.
type Clock interface {
	// Sleep returns at the deadline at, or soon after a Wake that came since the last Sleep returned.
	Sleep(at time.Time)
	Wake()
	Close() error
}

// TimerClock is a Clock by timers of the Go runtime. They are late by half a millisecond on average, since the runtime
// waits in whole milliseconds; a system clock (NewClock) is better by a factor of five.
func TimerClock() Clock {
	c := &timerClock{wake: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
	c.timer.Stop()
	return c
}

type timerClock struct {
	wake  chan struct{}
	timer *time.Timer
}

func (c *timerClock) Sleep(at time.Time) {
	c.timer.Reset(time.Until(at))
	select {
	case <-c.timer.C:
	case <-c.wake:
		c.timer.Stop()
	}
}

func (c *timerClock) Wake() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *timerClock) Close() error {
	c.timer.Stop()
	return nil
}

// beat counts blocks by absolute deadlines, so that the lateness of one does not delay the next.
type beat struct {
	next time.Time
}

// maxBehind is how far a beat may lag before it gives up what it missed: a laptop that was asleep must not catch up
// hours in a burst, a machine that hiccupped shall keep its time line.
const maxBehind = 200 * time.Millisecond

// due says when the next block is due, having dropped deadlines that are missed for good.
func (b *beat) due(now time.Time) time.Time {
	if b.next.IsZero() || now.Sub(b.next) > maxBehind {
		b.next = now
	}
	return b.next
}

// done counts a block.
func (b *beat) done() { b.next = b.next.Add(BlockTime) }

// restart makes a block due one block time from now: whoever led had its own clock.
func (b *beat) restart(now time.Time) { b.next = now.Add(BlockTime) }
