package session

import "time"

// The lasting conditions.
const (
	healthUnregistered = "unregistered"
	healthJournal      = "journal"
	healthPresence     = "presence"
	healthSound        = "sound"
	healthParks        = "parks"
)

// healthTexts is what is said of each condition, and how long it has to last before it is said: what heals by itself in
// a moment is not worth a word.
var healthTexts = map[string]struct {
	severity string
	text     string
	after    time.Duration
}{
	healthUnregistered: {"error", "not signed in: calls and messages do not arrive", 5 * time.Second},
	healthJournal:      {"error", "messages cannot be recorded: they are shown, and the server keeps them until there is room", 0},
	healthSound:        {"error", "a call has no sound here: its microphone, its speaker or the ringer does not work", 0},
	healthParks:        {"error", "parked calls cannot be recorded: after a restart of this program they can be had by their numbers only", 0},
	healthPresence:     {"warning", "presence is not available: nobody sees this status, and forked messages are taken by whichever device has been used last, as each can guess", 2 * time.Second},
}

// condition is a lasting condition that has begun.
type condition struct {
	event HealthChanged
	told  bool // it has lasted long enough
	timer *time.Timer
}

// setHealthLocked begins or clears a condition.
func (e *Endpoint) setHealthLocked(code string, on bool) {
	e.mu.Held()
	c, had := e.health[code]
	switch {
	case on == had || on && e.closing:
	case !on:
		delete(e.health, code)
		if c.timer != nil {
			c.timer.Stop()
		}
		if c.told {
			c.event.Cleared = true
			e.publishLocked(c.event)
		}
	default:
		t := healthTexts[code]
		c = &condition{event: HealthChanged{Code: code, Severity: t.severity, Text: t.text}}
		e.health[code] = c
		if t.after == 0 {
			c.told = true
			e.publishLocked(c.event)
			return
		}
		c.timer = time.AfterFunc(t.after, func() { e.tellHealth(c) })
	}
}

// tellHealth publishes a condition that still lasts.
func (e *Endpoint) tellHealth(c *condition) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.health[c.event.Code] == c && !c.told {
		c.told = true
		e.publishLocked(c.event)
	}
}

// clearHealthLocked forgets all conditions; the endpoint is being closed.
func (e *Endpoint) clearHealthLocked() {
	e.mu.Held()
	for code, c := range e.health {
		if c.timer != nil {
			c.timer.Stop()
		}
		delete(e.health, code)
	}
}

// SetHealth tells a lasting condition that something outside of the session has, for instance the history: it is
// published and kept until it is told again with Cleared.
func (e *Endpoint) SetHealth(h HealthChanged) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, had := e.health[h.Code]
	if h.Cleared == !had || e.closing {
		return
	}
	if h.Cleared {
		delete(e.health, h.Code)
	} else {
		e.health[h.Code] = &condition{event: h, told: true}
	}
	e.publishLocked(h)
}
