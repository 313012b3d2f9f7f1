package session

import "time"

// SetWall replaces the wall clock, so that a test can put the machine to sleep.
func (e *Endpoint) SetWall(wall func() time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.wall = wall
}
