package session

import (
	"context"
	"time"

	"offhook/internal/body"
	"offhook/internal/event"
)

// When a device's class changes without input: the figures that people know from OCS.
const (
	inactiveAfter = 5 * time.Minute
	awayAfter     = 20 * time.Minute
)

// When input is published. Transitions of the class are published at once. Otherwise input is news after a pause, or when
// another device has published since and would wrongly stand before this one; and at most once in publishEvery.
const (
	quietBefore  = 15 * time.Second
	publishEvery = 10 * time.Second
	publishAgain = 30 * time.Second // after a failure
)

// machine is the state of this device: is somebody using it. Guarded by the endpoint's mu.
type machine struct {
	input    time.Time // last user input; zero: none yet
	attached bool      // a person can see this endpoint's screen
	wake     chan struct{}
	news     bool // there is input worth publishing

	published      deviceClass // what others have been told last
	publishedInput time.Time
	publishedAt    time.Time
}

func (m *machine) init() { m.attached, m.wake = true, make(chan struct{}, 1) }

// class is how active this device is. A screen that nobody sees is never active.
func (m *machine) class(now time.Time) deviceClass {
	switch idle := m.idle(now); {
	case !m.attached, idle >= awayAfter:
		return classAway
	case idle < 0:
		return classUnknown
	case idle >= inactiveAfter:
		return classInactive
	default:
		return classActive
	}
}

// idle is the time since the last input; negative if there was none.
func (m *machine) idle(now time.Time) time.Duration {
	if m.input.IsZero() {
		return -1
	}
	return max(0, now.Sub(m.input))
}

// nextChange is when the class changes if nothing happens; zero: never.
func (m *machine) nextChange(now time.Time) time.Time {
	switch m.class(now) {
	case classActive:
		return m.input.Add(inactiveAfter)
	case classInactive:
		return m.input.Add(awayAfter)
	default:
		return time.Time{}
	}
}

func (m *machine) signal() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Input reports user input on this endpoint at a time not in the future.
func (e *Endpoint) Input(at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	if at.After(now) || at.IsZero() {
		at = now
	}
	at = now.Add(-now.Sub(at)) // on the monotonic clock, whatever clock the caller read
	m := &e.machine
	if at.Before(m.input) {
		return
	}
	pause := m.input.IsZero() || at.Sub(m.input) >= quietBefore
	m.input = at
	if pause || e.overtakenLocked(now) {
		m.news = true
	}
	if m.news || m.class(now) != m.published {
		m.signal()
	}
}

// overtakenLocked reports whether another device wrongly stands before this one, for all that others know.
func (e *Endpoint) overtakenLocked(now time.Time) bool {
	m := &e.machine
	told := now.Sub(m.publishedInput)
	for instance, d := range e.devices {
		idle := d.idleAt(now)
		if instance == e.cfg.Instance || idle < 0 || d.class != m.class(now) {
			continue
		}
		if idle/idleGrain < told/idleGrain && m.idle(now)/idleGrain <= idle/idleGrain {
			return true
		}
	}
	return false
}

// Attached tells whether a person can see this endpoint's screen. A detached one never claims to be active.
func (e *Endpoint) Attached(attached bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.machine.attached != attached {
		e.machine.attached = attached
		e.machine.signal()
	}
}

// runMachine publishes this device's state until the endpoint is closed, and then takes it away.
func (e *Endpoint) runMachine(ctx context.Context) {
	e.mu.Blocking()
	if !e.awaitRegistered(ctx) {
		return
	}
	pub := event.NewPublication(e.agent, event.PublishOptions{Target: e.aor, Event: "presence", Logger: e.log})
	e.mu.Lock()
	e.publication = pub
	e.mu.Unlock()
	refreshed := make(chan struct{})
	go func() {
		defer close(refreshed)
		pub.Refresh(ctx)
	}()
	due := time.NewTimer(0)
	defer due.Stop()
	for {
		select {
		case <-due.C:
		case <-e.machine.wake:
		case <-ctx.Done():
			<-refreshed
			e.unpublish(pub)
			return
		}
		e.mu.Lock()
		doc, next := e.dueLocked(time.Now())
		e.mu.Unlock()
		if doc != nil && !e.publishDocument(ctx, pub, doc) {
			next = publishAgain
		}
		if next > 0 {
			due.Reset(next)
		}
	}
}

// dueLocked returns the document to publish now, nil if there is nothing new, and when to look again, 0 for never.
func (e *Endpoint) dueLocked(now time.Time) (doc []byte, next time.Duration) {
	m := &e.machine
	class := m.class(now)
	first := m.publishedAt.IsZero()
	if !first && class == m.published && !m.news {
		if at := m.nextChange(now); !at.IsZero() {
			next = max(at.Sub(now), time.Millisecond)
		}
		return nil, next
	}
	// Only input waits its turn; a change of class does not.
	if wait := m.publishedAt.Add(publishEvery).Sub(now); !first && class == m.published && wait > 0 {
		return nil, wait
	}
	m.published, m.publishedInput, m.publishedAt, m.news = class, m.input, now, false
	if at := m.nextChange(now); !at.IsZero() {
		next = max(at.Sub(now), time.Millisecond)
	}
	return e.documentLocked(now), next
}

// publishDocument reports whether the document was accepted. If not, the state counts as never told.
func (e *Endpoint) publishDocument(ctx context.Context, pub *event.Publication, doc []byte) bool {
	err := pub.Publish(ctx, body.TypePIDF, doc)
	if ctx.Err() != nil {
		return false
	}
	if err != nil {
		e.log.Warn("device state could not be published", "err", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.publishErr = err
	e.presenceHealthLocked()
	if e.publishDone != nil {
		close(e.publishDone)
		e.publishDone = nil
	}
	if err != nil {
		e.machine.publishedAt = time.Time{}
	}
	return err == nil
}

func (e *Endpoint) unpublish(pub *event.Publication) {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	if err := pub.Remove(ctx); err != nil {
		e.log.Debug("device state could not be taken away", "err", err)
	}
}

// documentLocked is the presence document of this endpoint: how to reach the user here, how the user is, and the state
// of this device.
func (e *Endpoint) documentLocked(now time.Time) []byte {
	m := &e.machine
	open := e.wish.availability != availabilityOffline
	class := m.class(now)
	device := body.Device{
		ID: "d-" + shortInstance(e.cfg.Instance), DeviceID: e.cfg.Instance, Name: e.cfg.DeviceName, Idle: -1,
		Timestamp: now,
	}
	switch class {
	case classActive:
		device.UserInput = "active"
	case classInactive, classAway:
		device.UserInput = "idle"
	case classUnknown, classOff:
	}
	if class != classUnknown {
		device.Class = class.String()
	}
	if idle := m.idle(now); idle >= 0 && !e.cfg.HideIdle {
		device.LastInput, device.Idle, device.Threshold = now.Add(-idle), idle, inactiveAfter
	}
	contact := e.agent.GRUU() // RFC 5627: the address of this device alone
	if contact == "" {
		contact = e.self.URI
	}
	return body.PIDF{
		Entity: e.self.URI,
		Tuples: []body.Tuple{{
			ID: "t-" + shortInstance(e.cfg.Instance), Open: open, DeviceID: e.cfg.Instance, Contact: contact,
			Note: e.wish.note, Timestamp: now,
		}},
		Devices: []body.Device{device},
		Person:  e.wish.person(),
	}.Marshal()
}

// shortInstance is an instance id without what an XML id cannot have.
func shortInstance(instance string) string {
	out := make([]byte, 0, len(instance))
	for i := range len(instance) {
		if c := instance[i]; c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c == '-' {
			out = append(out, c)
		}
	}
	return string(out)
}
