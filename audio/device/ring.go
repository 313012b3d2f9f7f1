package device

import "sync/atomic"

// ring is a queue of samples between two threads, one of which writes and one of which reads. It needs no lock: each
// position is written by one side only, and the samples between them belong to one side at any moment.
type ring struct {
	samples []int16 // length is a power of two
	written atomic.Uint64
	taken   atomic.Uint64
}

// ringSize is 341 ms: enough for the longest stall whose samples anybody would still want to hear.
const ringSize = 1 << 14

func newRing(size int) *ring { return &ring{samples: make([]int16, size)} }

// Len is how many samples wait. The writer may see too many, the reader too few, never the other way round.
func (r *ring) Len() int { return int(r.written.Load() - r.taken.Load()) }

// Write appends as many samples as there is room for, and says how many.
func (r *ring) Write(s []int16) int {
	w := r.written.Load()
	n := min(len(s), len(r.samples)-int(w-r.taken.Load()))
	at := int(w & uint64(len(r.samples)-1))
	c := copy(r.samples[at:], s[:n])
	copy(r.samples, s[c:n])
	r.written.Store(w + uint64(n))
	return n
}

// Read takes up to len(s) samples, and says how many.
func (r *ring) Read(s []int16) int {
	t := r.taken.Load()
	n := min(len(s), int(r.written.Load()-t))
	at := int(t & uint64(len(r.samples)-1))
	c := copy(s[:n], r.samples[at:])
	copy(s[c:n], r.samples)
	r.taken.Store(t + uint64(n))
	return n
}

// Drop takes all but the newest keep samples and throws them away. It is the reader's.
func (r *ring) Drop(keep int) int {
	w, t := r.written.Load(), r.taken.Load()
	n := max(int(w-t)-keep, 0)
	r.taken.Store(t + uint64(n))
	return n
}
