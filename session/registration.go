package session

import (
	"context"
	"errors"
	"time"

	"offhook/internal/sipua"
)

// registered is the state of a registration that holds.
const registered = "registered"

const defaultRegisterExpires = 10 * time.Minute

// bindings is what the registrar said of this address of record in its last answer.
type bindings struct {
	instances int
	ids       []string // distinct instance ids among them
}

// runRegistration keeps this endpoint registered until it is closed, and then unregisters.
func (e *Endpoint) runRegistration(ctx context.Context) {
	e.mu.Blocking()
	if e.cfg.NoRegister {
		e.registered.release()
		return
	}
	expires := e.cfg.RegisterExpires
	if expires == 0 {
		expires = defaultRegisterExpires
	}
	err := e.agent.Register(ctx, expires, e.registrationChanged)
	if ctx.Err() != nil {
		return
	}
	e.log.Error("registration was given up", "err", err)
	e.mu.Lock()
	e.regErr = err
	if e.registration.State != "failed" {
		e.registration = RegistrationChanged{State: "failed", Reason: reasonOf(err)}
		e.publishLocked(e.registration)
	}
	e.setHealthLocked(healthUnregistered, true)
	e.stirLocked()
	e.mu.Unlock()
	e.registered.release()
	e.counted.release()
}

// registrationChanged runs on the goroutine of Register. A refresh that changes nothing is no event.
func (e *Endpoint) registrationChanged(s sipua.RegistrationState) {
	e.mu.Lock()
	defer e.mu.Unlock()
	defer e.stirLocked()
	now := RegistrationChanged{State: s.State, Expires: int(s.Expires / time.Second), Retry: int((s.Retry + time.Second - 1) / time.Second)}
	switch {
	case s.State == registered:
		e.registrations++
		e.bindings = bindings{instances: s.Instances}
		for _, b := range s.Bindings {
			if id, ok := b.Params.Get("+sip.instance"); ok {
				e.bindings.ids = append(e.bindings.ids, normalInstance(id))
			}
		}
		now.Endpoints = e.populationLocked().count()
		if e.lapsed {
			e.lapsed = false
			e.renewLocked()
		}
	case s.Err != nil:
		e.lapsed = true
		now.Reason = reasonOf(s.Err)
		e.log.Warn("registration failed", "err", s.Err, "retry", s.Retry)
	case e.registration.State == registered && s.State == "registering":
		return // a refresh: the registration holds meanwhile
	}
	if now != e.registration {
		e.registration = now
		e.publishLocked(now)
	}
	e.setHealthLocked(healthUnregistered, s.State != registered && e.ctx.Err() == nil)
	e.tellAllActionsLocked() // a park service is reached through the server
	if s.State == registered {
		e.registered.release()
	}
}

// stirLocked wakes who waits for the registration.
func (e *Endpoint) stirLocked() {
	e.mu.Held()
	close(e.regChanged)
	e.regChanged = make(chan struct{})
}

// WaitRegistered blocks until the first registration succeeded or failed for good, or ctx ends.
func (e *Endpoint) WaitRegistered(ctx context.Context) error {
	e.mu.Blocking()
	if err := e.registered.wait(ctx, 0); err != nil {
		e.mu.Lock()
		reason := e.registration.Reason
		e.mu.Unlock()
		if reason != "" {
			err = errors.Join(err, errors.New(reason))
		}
		return fail("register", e.self.URI, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return fail("register", e.self.URI, e.regErr)
}

// awaitRegistered blocks until requests can be expected to be served: usages begin after the registration.
func (e *Endpoint) awaitRegistered(ctx context.Context) bool {
	return e.registered.wait(ctx, 0) == nil && ctx.Err() == nil
}
