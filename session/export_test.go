package session

import (
	"net/netip"
	"time"
)

// SetWall replaces the wall clock, so that a test can put the machine to sleep.
func (e *Endpoint) SetWall(wall func() time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.wall = wall
}

// SetLocal says where media are received from now on, as if the network had changed.
func (e *Endpoint) SetLocal(local func() netip.Addr) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.local = local
}
