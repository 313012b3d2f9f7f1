package session

import "time"

const (
	// asleepLook is how often it is looked whether the machine has been asleep while a toast is shown.
	asleepLook = time.Second
	// asleepLeast is how long a sleep has to be to matter. Timers stand still meanwhile, the world does not: the caller
	// has made up its mind, and the other devices have held their election without this one.
	asleepLeast = 30 * time.Second
)

// asleep tells by two clocks whether the machine was suspended: the wall clock goes on, monotonic time stands still.
type asleep struct {
	wall func() time.Time
	seen time.Time // by the wall clock
	mono time.Time
}

func (e *Endpoint) newAsleep() asleep {
	e.mu.Lock()
	defer e.mu.Unlock()
	return asleep{wall: e.wall, seen: e.wall(), mono: time.Now()}
}

// was reports a sleep since the last look.
func (a *asleep) was() bool {
	wall, mono := a.wall(), time.Now()
	slept := wall.Sub(a.seen) - mono.Sub(a.mono)
	a.seen, a.mono = wall, mono
	return slept >= asleepLeast
}

// overslept gives an Incoming call up after the machine has been asleep. A late answer would find nobody, or take the
// conversation from where it is by now; the text is on record, and told as missed.
func (c *InstantMessagingCall) overslept() {
	c.e.agent.Reregister()
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	if !c.machine.Can(c.state, Terminate) || c.state != Incoming {
		return
	}
	c.missedLocked(toastMissed, "this device was asleep")
	_ = c.decideLocked(decision{input: Terminate}, why{reason: "this device was asleep"})
}
