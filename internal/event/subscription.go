package event

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

// SubscribeOptions for Subscribe and Fetch.
type SubscribeOptions struct {
	Target  sip.Uri
	Event   string // presence, reg, dialog
	Name    string // what the target is called in logs; "" is its address, which may be a secret
	Accept  []string
	Expires time.Duration // 0 means 1 h
	Logger  *slog.Logger
}

const (
	defaultSubscribe = time.Hour
	// maxUnread bounds what a slow reader is kept. Documents are full state as a rule: the newest tells all.
	maxUnread = 32
	// stable is how long a dialog has to live for its end to count as the first failure again.
	stable = time.Minute
)

// Subscription is a subscriber's usage (RFC 6665) that heals itself: it refreshes, subscribes again when the notifier
// ends it or forgot it, and backs off.
type Subscription struct {
	// Immutable
	agent *sipua.Agent
	opt   SubscribeOptions
	log   *slog.Logger
	stop  context.CancelFunc // unsubscribes
	abort context.CancelFunc // ends unsubscribing, too
	renew chan struct{}      // capacity 1
	done  chan struct{}      // closed when run has returned

	mu     sync.Mutex
	unread []Notification // Guarded by mu; oldest first.
	news   chan struct{}  // capacity 1: unread or final has changed
	active bool           // Guarded by mu.
	final  error          // Guarded by mu; set when no more will come.
}

// Subscribe starts a subscription that lives until ctx ends; then it unsubscribes. The first NOTIFY may take a while;
// Next tells.
func Subscribe(ctx context.Context, a *sipua.Agent, opt SubscribeOptions) *Subscription {
	opt = opt.withDefaults()
	s := &Subscription{
		agent: a, opt: opt, log: opt.Logger.With("event", opt.Event, "target", opt.Name),
		renew: make(chan struct{}, 1), done: make(chan struct{}), news: make(chan struct{}, 1),
	}
	var leaving context.Context
	leaving, s.abort = context.WithCancel(context.WithoutCancel(ctx))
	ctx, s.stop = context.WithCancel(ctx)
	go s.run(ctx, leaving)
	return s
}

func (o SubscribeOptions) withDefaults() SubscribeOptions {
	o.Target = *o.Target.Clone()
	if o.Name == "" {
		o.Name = o.Target.String()
	}
	if o.Expires == 0 {
		o.Expires = defaultSubscribe
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// run keeps one dialog after the other until nobody wants any or the notifier refuses for good. leaving outlives ctx: it
// bounds saying goodbye.
func (s *Subscription) run(ctx, leaving context.Context) {
	defer close(s.done)
	defer s.abort()
	var failures backoff
	expires := s.opt.Expires
	for {
		began := time.Now()
		end := s.live(ctx, leaving, &expires)
		s.setActive(false)
		if ctx.Err() != nil {
			s.finish(ErrClosed)
			return
		}
		if !end.again {
			s.log.Info("subscription refused", "err", end.err)
			s.finish(end.err)
			return
		}
		if time.Since(began) > stable {
			failures.reset()
		}
		wait := max(failures.next(end.soon), end.wait)
		s.log.Info("subscribing again", "after", wait, "err", end.err)
		pause(ctx, wait, s.renew)
	}
}

// Next waits for the next notification. An error that is not ctx's is final: the notifier refuses, by a response
// (*sipua.StatusError: 403, 404, 489) or by ending the subscription (*Ended), or the subscription was closed (ErrClosed).
func (s *Subscription) Next(ctx context.Context) (Notification, error) {
	for {
		s.mu.Lock()
		if len(s.unread) > 0 {
			n := s.unread[0]
			s.unread = s.unread[1:]
			s.mu.Unlock()
			return n, nil
		}
		final := s.final
		s.mu.Unlock()
		if final != nil {
			return Notification{}, final
		}
		select {
		case <-s.news:
		case <-s.done: // closed after final was set
		case <-ctx.Done():
			return Notification{}, context.Cause(ctx)
		}
	}
}

// Active reports whether the notifier currently accepts the subscription.
func (s *Subscription) Active() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.active
}

// Renew refreshes now, or ends the wait before a new attempt: the network has changed, or the server is back.
func (s *Subscription) Renew() {
	select {
	case s.renew <- struct{}{}:
	default:
	}
}

// Close unsubscribes and waits. When ctx ends first, it stops saying goodbye and returns ctx's cause.
func (s *Subscription) Close(ctx context.Context) error {
	s.stop()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		s.abort()
		<-s.done
		return context.Cause(ctx)
	}
}

func (s *Subscription) setActive(active bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = active
}

func (s *Subscription) push(n Notification) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.unread) == maxUnread {
		s.unread = s.unread[1:]
	}
	s.unread = append(s.unread, n)
	select {
	case s.news <- struct{}{}:
	default:
	}
}

func (s *Subscription) finish(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.final = err
}

// ending says how a dialog ended and what follows from it.
type ending struct {
	err   error
	again bool          // subscribe anew
	soon  bool          // and at once, if this is not the second time
	wait  time.Duration // at least, as the other side asked
}

// refusal judges a failed SUBSCRIBE that was to open a dialog.
func refusal(err error) ending {
	status, ok := statusOf(err)
	if !ok { // no answer, or nobody there
		return ending{err: err, again: !errors.Is(err, sipua.ErrClosed)}
	}
	return ending{err: err, again: temporary(status.Code), wait: retryAfter(status)}
}

// termination judges Subscription-State: terminated (RFC 6665 §4.1.3).
func termination(s substate) ending {
	e := ending{err: &Ended{Reason: s.reason}, again: true, wait: s.retryAfter}
	switch s.reason {
	case "deactivated", "timeout":
		e.soon = true
	case "rejected", "noresource", "invariant":
		e.again = false
	}
	return e // probation, giveup, and what nobody has defined: after a while
}
