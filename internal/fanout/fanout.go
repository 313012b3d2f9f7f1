// Package fanout delivers events from one publisher to many readers.
//
// Nobody waits for a reader. Publish appends to each reader's queue and returns, whatever the readers do; a slow reader
// can only hurt itself. A reader pulls: Next waits for something and returns all that is pending, so a busy user
// interface renders once per batch. Events of level type (a meter, a typing notice) are published with a key; a newer
// one replaces the pending older one with the same key, in the older one's place.
//
// A queue has a bound, in events or in bytes. When it is reached the whole queue is dropped and the next Next returns
// ErrOverflow once: the reader takes a snapshot of the state and continues from there. Losing silently is not possible.
package fanout

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrOverflow tells a reader that it fell behind and its queue was dropped. Events published since are still delivered.
var ErrOverflow = errors.New("fanout: reader fell behind, events were dropped")

// ErrClosed tells a reader that no more events will come.
var ErrClosed = errors.New("fanout: closed")

// DefaultLimit is the bound of a queue, in events.
const DefaultLimit = 16384

// Hub publishes events of type E. The zero value is ready to use.
type Hub[E any] struct {
	mu      sync.Mutex
	readers map[*Reader[E]]struct{} // Guarded by mu.
	closed  bool                    // Guarded by mu.
}

// Reader is one queue of events. Its methods may be called from one goroutine at a time.
type Reader[E any] struct {
	// Immutable.
	Name   string
	hub    *Hub[E]
	limit  int
	size   func(E) int
	filter func(E) bool
	wake   chan struct{} // capacity 1

	mu       sync.Mutex
	queue    []item[E]      // Guarded by mu.
	keys     map[string]int // Guarded by mu; index into queue.
	weight   int            // Guarded by mu; events, or bytes with Sized.
	overflow bool           // Guarded by mu.
	closed   bool           // Guarded by mu.
	since    time.Time      // Guarded by mu; when the oldest pending event came.
}

type item[E any] struct {
	key string
	Timed[E]
}

// Timed is an event and when it was published.
type Timed[E any] struct {
	At    time.Time
	Event E
}

// Option changes a new reader.
type Option[E any] func(*Reader[E])

// Limit bounds the queue to n events.
func Limit[E any](n int) Option[E] { return func(r *Reader[E]) { r.limit = n } }

// Sized bounds the queue to n bytes, as counted by size.
func Sized[E any](n int, size func(E) int) Option[E] {
	return func(r *Reader[E]) { r.limit, r.size = n, size }
}

// Only delivers the events for which keep is true. keep runs on the publisher and must not wait.
func Only[E any](keep func(E) bool) Option[E] { return func(r *Reader[E]) { r.filter = keep } }

// Subscribe adds a reader that receives what is published from now on. Close it when done.
func (h *Hub[E]) Subscribe(name string, opts ...Option[E]) *Reader[E] {
	r := &Reader[E]{Name: name, hub: h, limit: DefaultLimit, wake: make(chan struct{}, 1), keys: map[string]int{}}
	for _, o := range opts {
		o(r)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		r.closed = true
		return r
	}
	if h.readers == nil {
		h.readers = map[*Reader[E]]struct{}{}
	}
	h.readers[r] = struct{}{}
	return r
}

// Publish appends e to every reader's queue.
func (h *Hub[E]) Publish(e E) { h.PublishKeyed("", e) }

// PublishKeyed is Publish for events of level type: e replaces a pending event with the same key.
func (h *Hub[E]) PublishKeyed(key string, e E) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for r := range h.readers {
		r.push(key, e)
	}
}

// Lagging returns the names of readers whose oldest event has waited longer than d.
func (h *Hub[E]) Lagging(d time.Duration) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var names []string
	for r := range h.readers {
		r.mu.Lock()
		if len(r.queue) > 0 && time.Since(r.since) > d {
			names = append(names, r.Name)
		}
		r.mu.Unlock()
	}
	return names
}

// Close ends all readers once they have read what is pending.
func (h *Hub[E]) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for r := range h.readers {
		r.end()
	}
	h.readers = nil
}

func (r *Reader[E]) push(key string, e E) {
	if r.filter != nil && !r.filter(e) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, ok := r.keys[key]; ok && key != "" {
		r.weight += r.weigh(e) - r.weigh(r.queue[at].Event)
		r.queue[at].Timed = Timed[E]{time.Now(), e}
		return
	}
	if r.weight+r.weigh(e) > r.limit {
		r.queue, r.weight, r.overflow = nil, 0, true
		clear(r.keys)
	}
	now := time.Now()
	if len(r.queue) == 0 {
		r.since = now
	}
	if key != "" {
		r.keys[key] = len(r.queue)
	}
	r.queue = append(r.queue, item[E]{key, Timed[E]{now, e}})
	r.weight += r.weigh(e)
	r.signal()
}

func (r *Reader[E]) weigh(e E) int {
	if r.size == nil {
		return 1
	}
	return r.size(e)
}

func (r *Reader[E]) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *Reader[E]) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.signal()
}

// Next waits until something is pending and returns all of it, in order. It returns ErrOverflow once after a drop,
// ErrClosed after Close, or the context's error.
func (r *Reader[E]) Next(ctx context.Context) ([]E, error) {
	batch, err := r.NextTimed(ctx)
	if err != nil {
		return nil, err
	}
	events := make([]E, len(batch))
	for i, t := range batch {
		events[i] = t.Event
	}
	return events, nil
}

// NextTimed is Next for a reader that tells when things happened, which is before it comes to read of them.
func (r *Reader[E]) NextTimed(ctx context.Context) ([]Timed[E], error) {
	for {
		if batch, err := r.take(); batch != nil || err != nil {
			return batch, err
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (r *Reader[E]) take() ([]Timed[E], error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.overflow {
		r.overflow = false
		if len(r.queue) > 0 {
			r.signal()
		}
		return nil, ErrOverflow
	}
	if len(r.queue) == 0 {
		if r.closed {
			r.signal()
			return nil, ErrClosed
		}
		return nil, nil
	}
	batch := make([]Timed[E], len(r.queue))
	for i, it := range r.queue {
		batch[i] = it.Timed
	}
	r.queue, r.weight = r.queue[:0], 0
	clear(r.keys)
	return batch, nil
}

// Close removes the reader from its hub. A Next that waits returns ErrClosed.
func (r *Reader[E]) Close() {
	r.hub.mu.Lock()
	delete(r.hub.readers, r)
	r.hub.mu.Unlock()
	r.end()
}
