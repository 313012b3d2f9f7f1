package session

import (
	"context"
	"errors"
	"time"

	"offhook/internal/sipua"
)

const (
	// maxOffline is how long after it was written a text waits for the server. Who is cut off for longer has left, and
	// what he wrote may be out of place by then; it stays in the conversation as failed.
	maxOffline = 5 * time.Minute
	// doubtTold is how long the server may take to prove that it is there before the user is told that a text waits.
	doubtTold = time.Second
	// nudgeEvery is how often a failed registration is tried again while a text waits for it, whatever its back-off is.
	nudgeEvery = 10 * time.Second
)

// silent reports whether an error of a request says that nobody has answered it, rather than what the answer was.
func silent(err error) bool {
	return statusOf(err) == 0 &&
		(errors.Is(err, sipua.ErrTimeout) || errors.Is(err, sipua.ErrUnreachable) || errors.Is(err, sipua.ErrTLS))
}

// awaitServer blocks until this endpoint is signed in, so that a text can go out: not at all if it is, unless doubt says
// that a request has just found no answer. The registration is tried at once then. The text is told as waiting meanwhile.
func (e *Endpoint) awaitServer(ctx context.Context, m *Message, doubt bool) error {
	e.mu.Blocking()
	e.mu.Lock()
	since := e.registrations
	ready := e.cfg.NoRegister || e.regErr != nil || !doubt && e.registration.State == registered
	e.mu.Unlock()
	if ready {
		return nil
	}
	e.hurry()
	ctx, cancel := context.WithDeadlineCause(ctx, m.Time.Add(maxOffline), sipua.ErrUnreachable)
	defer cancel()
	tell := time.NewTimer(doubtTold)
	defer tell.Stop()
	nudge := time.NewTicker(nudgeEvery)
	defer nudge.Stop()
	for {
		e.mu.Lock()
		up, changed, err := e.registrations > since, e.regChanged, e.regErr
		if (up || err != nil) && m.Waiting {
			m.Waiting = false
			e.tellOutboundLocked(*m)
		}
		e.mu.Unlock()
		if up || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-nudge.C:
			e.hurry()
		case <-tell.C:
			m.Waiting = true
			e.mu.Lock()
			e.tellOutboundLocked(*m)
			e.mu.Unlock()
		case <-ctx.Done():
			m.Waiting = false
			return context.Cause(ctx)
		}
	}
}

// hurry has the registration tried now, unless it is being tried.
func (e *Endpoint) hurry() {
	e.mu.Lock()
	idle := e.registration.State != "registering"
	e.mu.Unlock()
	if idle {
		e.agent.Reregister()
	}
}
