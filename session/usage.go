package session

import (
	"context"
	"time"

	"offhook/internal/event"
)

const (
	// farewell bounds each of the things that are said to the server at the end.
	farewell = 2 * time.Second
	// askAgain is when something that the server has refused for good is asked for again: it may have been repaired.
	askAgain = 10 * time.Minute
)

// usage is a subscription or publication that can be told to hurry.
type usage interface {
	Active() bool
	Renew()
}

// follower is told what a subscription brings. Its functions run on the goroutine of follow.
type follower struct {
	began func(usage)                            // tells whether what was told still holds
	told  func(n event.Notification, first bool) // first: after a subscription that was new
	lost  func(error)                            // refused for good, for now
}

// follow keeps a subscription until ctx ends.
func (e *Endpoint) follow(ctx context.Context, opt event.SubscribeOptions, f follower) {
	e.mu.Blocking()
	if !e.awaitRegistered(ctx) {
		return
	}
	for ctx.Err() == nil {
		err := e.followOnce(ctx, opt, f)
		if ctx.Err() != nil {
			return
		}
		f.lost(err)
		select {
		case <-time.After(askAgain):
		case <-ctx.Done():
		}
	}
}

func (e *Endpoint) followOnce(ctx context.Context, opt event.SubscribeOptions, f follower) error {
	sub := event.Subscribe(ctx, e.agent, opt)
	defer e.unsubscribe(sub)
	f.began(sub)
	for first := true; ; first = false {
		n, err := sub.Next(ctx)
		if err != nil {
			return err
		}
		f.told(n, first)
	}
}

// unsubscribe ends a subscription within a moment.
func (e *Endpoint) unsubscribe(sub *event.Subscription) {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	if err := sub.Close(ctx); err != nil {
		e.log.Debug("subscription could not be ended", "err", err)
	}
}

// renewLocked makes subscriptions and the publication try again at once: the server is back, perhaps without memory.
func (e *Endpoint) renewLocked() {
	e.mu.Held()
	for _, u := range []usage{e.registry.usage, e.ownPresence} {
		if u != nil {
			u.Renew()
		}
	}
	for _, w := range e.watches {
		if w.usage != nil {
			w.usage.Renew()
		}
	}
	if e.publication != nil {
		e.publication.Renew()
	}
}
