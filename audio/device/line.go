package device

import "sync/atomic"

// line is what a card's thread shares with the engine: a ring, a signal, and a sign of life.
type line struct {
	ring   *ring
	signal chan struct{} // capacity 1: the card has given or taken samples
	total  atomic.Int64  // samples that it has given or taken
}

func newLine() line { return line{ring: newRing(ringSize), signal: make(chan struct{}, 1)} }

func (l *line) called(samples int) {
	l.total.Add(int64(samples))
	select {
	case l.signal <- struct{}{}:
	default:
	}
}

// listener is a microphone that is a card.
type listener struct{ line }

func newListener() *listener { return &listener{newLine()} }

// data is called by the card's thread.
func (l *listener) data(samples []int16) {
	l.ring.Write(samples)
	l.called(len(samples))
}
