package jitter

import (
	"slices"
	"time"
)

// slot is a packet that waits.
type slot struct {
	seq     int64 // extended
	t       ticks // when its sound begins
	dur     ticks
	behind  time.Duration // the fastest packet
	pt      uint8
	hollow  bool // plays nothing: a telephone event, an unknown payload type
	late    bool // other sound was played in its place; only its sequence number is of use
	fresh   bool // begins a talk spurt that the timestamps do not show as one
	plain   bool // has no copy of the packet before it
	payload []byte
}

// newest is what is known of the packet with the highest sequence number.
type newest struct {
	any bool
	raw uint16 // sequence number
	seq int64  // the same, extended

	// Of the newest packet with sound.
	sound   bool
	ts      uint32
	clock   int
	audio   int64 // sequence number
	t, dur  ticks
	arrived time.Duration
}

// Sequence numbers further away than these do not belong to the stream as it went on so far (RFC 3550 appendix A.1).
const (
	maxDropout  = 3000
	maxMisorder = 100
)

// suspect is a packet whose sequence number makes no sense. Two of them in a row do: the sender began anew.
type suspect struct {
	set     bool
	packet  Packet
	payload []byte
	arrived time.Duration
}

// window remembers which of the latest sequence numbers have come.
type window [8]uint64

const windowSize = 8 * 64

// advance makes room for the sequence numbers above old up to and including highest.
func (w *window) advance(old, highest int64) {
	if highest-old >= windowSize {
		*w = window{}
		return
	}
	for s := old + 1; s <= highest; s++ {
		w[s%windowSize/64] &^= 1 << (s % 64)
	}
}

// mark says whether a sequence number had come before.
func (w *window) mark(seq int64) (before bool) {
	word, bit := &w[seq%windowSize/64], uint64(1)<<(seq%64)
	before = *word&bit != 0
	*word |= bit
	return before
}

// Push takes a packet of the stream. The payload is copied. now is the time of its arrival on a clock that only goes
// forward and that Pull uses, too.
func (b *Buffer) Push(p Packet, now time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	// A packet that was not there for the last Pull came after it, whatever the clock of its reader says.
	now = max(now, b.now)
	b.now = now
	p.PayloadType &= 127
	b.stats.Received++
	if len(p.Payload) > maxPayload {
		b.stats.Malformed++
		return
	}
	if !b.newest.any {
		b.start(p.Sequence)
	}
	if away := int64(int16(p.Sequence - b.newest.raw)); away > maxDropout || away < -maxMisorder {
		b.doubt(p, now)
		return
	}
	b.suspect.set = false
	b.accept(p, now)
}

// sequenceBase leaves room below the first sequence number, so that none is negative.
const sequenceBase = 1 << 20

func (b *Buffer) start(seq uint16) {
	b.newest = newest{any: true, raw: seq - 1, seq: sequenceBase - 1}
	b.seq = sequenceBase - 1
}

// doubt keeps a packet that is far off until the next one confirms it. The stream then goes on with them without a gap.
func (b *Buffer) doubt(p Packet, now time.Duration) {
	s := &b.suspect
	if !s.set || p.Sequence != s.packet.Sequence+1 {
		if s.set {
			b.stats.Malformed++
		}
		s.payload = append(s.payload[:0], p.Payload...)
		s.packet, s.arrived, s.set = p, now, true
		s.packet.Payload = s.payload
		return
	}
	s.set = false
	b.newest.raw = s.packet.Sequence - 1
	b.accept(s.packet, s.arrived)
	b.accept(p, now)
}

// accept takes a packet whose sequence number is plausible.
func (b *Buffer) accept(p Packet, now time.Duration) {
	seq := b.newest.seq + int64(int16(p.Sequence-b.newest.raw))
	front := seq > b.newest.seq
	if front {
		b.seen.advance(b.newest.seq, seq)
		b.newest.raw, b.newest.seq = p.Sequence, seq
	}
	if b.seen.mark(seq) {
		b.stats.Duplicates++
		return
	}
	if !front {
		b.stats.Reordered++
	}
	s := b.slot()
	*s = slot{seq: seq, pt: p.PayloadType, payload: s.payload}
	if !b.date(s, p, front, now) {
		b.stats.Malformed++
		b.free = append(b.free, s)
		return
	}
	if seq <= b.seq && !b.unbegun(seq) {
		b.stats.Late++
		if seq > b.base {
			b.stats.Lost--
		}
		b.free = append(b.free, s)
		return
	}
	if b.passed(s) {
		b.stats.Late++
		s.hollow, s.late = true, true
	}
	s.payload = append(s.payload[:0], p.Payload...)
	at, _ := slices.BinarySearchFunc(b.queue, seq, func(s *slot, seq int64) int { return int(s.seq - seq) })
	b.queue = slices.Insert(b.queue, at, s)
}

// unbegun lets a stream whose first packets came in disorder begin with the lowest of them.
func (b *Buffer) unbegun(seq int64) bool {
	if b.base > 0 {
		return false
	}
	b.seq = min(b.seq, seq-1)
	return true
}

// passed reports whether what was made up for s has gone beyond it, with later packets ready to play.
func (b *Buffer) passed(s *slot) bool {
	return !s.hollow && b.state == talking && len(b.queue) > 0 && b.queue[0].seq > s.seq && s.t+s.dur <= b.next+b.filled
}

// date finds out when the sound of p begins and how long it is. False means that it cannot be.
func (b *Buffer) date(s *slot, p Packet, front bool, now time.Duration) bool {
	f := &b.formats[p.PayloadType]
	n := &b.newest
	switch {
	case !f.known():
		s.hollow = true
		s.t, s.dur = n.t, 0
		return true
	case f.Comfort:
		s.dur = n.dur
	default:
		s.dur = ticks(f.Decoder.Duration(p.Payload)) * ticks(48000/f.SampleRate)
		if s.dur <= 0 || s.dur > toTicks(maxPacket) {
			return false
		}
	}
	switch {
	case !n.sound:
		s.t = 0
	case front:
		b.follow(s, p, f, now)
	default:
		s.t = n.t + ticks(int32(p.Timestamp-n.ts))*ticks(48000/f.ClockRate)
		if f.ClockRate != n.clock || !b.fits(s) {
			return false
		}
	}
	delay := now - (s.t + s.dur).duration()
	if s.fresh {
		b.arrivals.restart(delay)
	}
	s.behind = b.arrivals.add(delay, s.dur.duration(), now, b.cfg.Max)
	if front || !n.sound {
		n.sound, n.ts, n.clock, n.audio, n.t, n.arrived = true, p.Timestamp, f.ClockRate, s.seq, s.t, now
		n.dur = s.dur
	}
	return true
}

// early is how much sooner than the fastest packet before it a packet may come, if its timestamp is to be believed.
const early = 60 * time.Millisecond

// follow dates a packet after the newest one. A timestamp that goes back, or that is ahead of the time that has passed,
// comes from a sender that set its clock anew: the packet is taken to follow directly. So is one that the marker bit calls
// the first after a pause (RFC 3551 §4.1) if the timestamp does not know of the pause.
func (b *Buffer) follow(s *slot, p Packet, f *Format, now time.Duration) {
	n := &b.newest
	direct := n.t + n.dur*ticks(s.seq-n.audio)
	s.t = n.t + ticks(int32(p.Timestamp-n.ts))*ticks(48000/f.ClockRate)
	ahead := b.arrivals.base - (now - (s.t + s.dur).duration())
	switch {
	case f.ClockRate != n.clock, s.t < n.t+n.dur && !f.Comfort, s.t < n.t, s.t > direct && ahead > early:
		s.t, s.fresh = direct, true
	case p.Marker && s.t == direct:
		s.fresh = now-n.arrived > (direct-n.t).duration()+200*time.Millisecond
	}
}

// fits reports whether a packet that was overtaken has room between its neighbours.
func (b *Buffer) fits(s *slot) bool {
	for _, q := range b.queue {
		switch {
		case q.hollow:
		case q.seq < s.seq && q.t+q.dur > s.t, q.seq > s.seq && s.t+s.dur > q.t:
			return false
		}
	}
	return true
}

// slot returns one that is free. With all in use the oldest packet is given up.
func (b *Buffer) slot() *slot {
	if len(b.free) == 0 && b.made == maxPackets {
		b.skip()
	}
	if n := len(b.free); n > 0 {
		s := b.free[n-1]
		b.free = b.free[:n-1]
		return s
	}
	b.made++
	return &slot{payload: make([]byte, 0, 192)}
}

// skip gives up the oldest packet.
func (b *Buffer) skip() {
	s := b.take()
	if s.hollow {
		return
	}
	b.account(s, false)
	b.stats.Discarded++
	b.next = s.t + s.dur
	b.rough = true
}

// take takes the oldest packet out of the queue. What it points to stays as it is until the next Push.
func (b *Buffer) take() *slot {
	s := b.queue[0]
	if b.base == 0 {
		b.base, b.seq = s.seq, s.seq-1
	}
	b.queue = slices.Delete(b.queue, 0, 1)
	b.free = append(b.free, s)
	b.missing += max(0, s.seq-b.seq-1)
	b.seq = s.seq
	return s
}
