//go:build !linux

package device

// NewClock gives the most exact clock of the platform.
func NewClock() Clock { return TimerClock() }
