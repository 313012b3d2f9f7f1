package jitter

import "time"

// How the delay is kept.
const (
	hysteresis = 1 * time.Millisecond // above the target before anything is removed
	pause      = 6                    // blocks between two changes
	calm       = time.Second          // after a packet was not there in time, in which nothing is removed
	retry      = 2                    // blocks until the next look after no good place was found
)

// late is how late a packet of a length may come and still be played on time.
func (b *Buffer) late(length ticks) time.Duration {
	d := length.duration()
	late := b.arrivals.lateness(b.now)
	if b.now < b.fec {
		late += d
	}
	return max(min(late, b.cfg.Max-d), b.cfg.Min-d, margin)
}

// target is the delay that the buffer aims at.
func (b *Buffer) target() time.Duration { return b.newest.dur.duration() + b.late(b.newest.dur) }

// measure notes when sound is played, compared with its place on the time line. A device may ask for two blocks at a time
// and then wait for twice as long; the block it asks for earliest is the one that counts, whether a packet begins in it or
// not, since that changes with every stretch.
func (b *Buffer) measure() {
	if b.state != talking || b.filled > 0 || b.rough || b.anew {
		return
	}
	b.delays.add(b.played()-b.shifted, b.now, 100*time.Millisecond)
}

// remeasure begins anew with a packet that is not played where the one before it left off.
func (b *Buffer) remeasure() {
	if b.filled > 0 && b.missing == 0 {
		b.calm = b.now + calm
	}
	if b.anew || b.filled > 0 || b.rough {
		b.anew, b.shifted = false, 0
		b.delays.restart(b.played())
	}
}

// played is when the end of what is decoded will be played, minus its place on the time line.
func (b *Buffer) played() time.Duration {
	return b.now + b.length(b.sound.pending()) - b.next.duration()
}

// delay is from the moment something is spoken until it is played, over the fastest path.
func (b *Buffer) delay() time.Duration { return b.delays.min() + b.shifted - b.arrivals.base }

// adjust removes or repeats a pitch period if the delay is too long or too short, and says whether it did.
//
// Packets are needed at the beginning of a block. What a packet leaves over after whole blocks therefore is delay that
// helps nobody: removing exactly that much costs nothing, and any more costs a whole block of safety.
func (b *Buffer) adjust() bool {
	if b.rest--; b.rest > 0 || b.ghost.active || b.filled > 0 {
		return false
	}
	wasted := b.length(b.sound.pending() % (b.sound.rate / 100))
	have := b.delay() - wasted
	if lack := b.target() - have; lack > 0 {
		return b.slower(lack)
	}
	switch spare := have - b.target() - hysteresis; {
	case b.now < b.calm: // a path that has just got longer looks like spare time until the target knows of it
		return false
	case spare >= block:
		return b.faster(wasted + spare/block*block)
	case spare >= 0 && wasted >= block/2:
		done := b.faster(wasted)
		b.rest = max(b.rest, 10*retry) // no hurry
		return done
	}
	return false
}

// likeness is how alike two places must be to be faded into each other, for a delay that is off by some time.
func likeness(off time.Duration) float64 {
	switch {
	case off < 30*time.Millisecond:
		return 0.9
	case off < 80*time.Millisecond:
		return 0.75
	case off < 160*time.Millisecond:
		return 0.6
	default:
		return 0.3
	}
}

// faster removes at most excess.
func (b *Buffer) faster(excess time.Duration) bool {
	s := &b.sound
	fade := s.samples(overlap)
	low, high := s.samples(shortest), min(s.samples(longest), s.samples(excess))
	if s.pending() < fade+high {
		b.ahead(fade + high)
	}
	high = min(high, s.pending()-fade)
	b.rest = retry
	if high < low {
		return false
	}
	lag, like := s.bestLag(s.start-fade, 2*fade, low, high, 1)
	if like < likeness(excess) && !b.still(fade+lag) {
		return false
	}
	s.remove(lag, fade)
	b.shift(-lag, excess)
	return true
}

// slower repeats sound; lack is what is missing.
func (b *Buffer) slower(lack time.Duration) bool {
	s := &b.sound
	fade := s.samples(overlap)
	b.rest = retry
	if s.pending() < fade {
		return false
	}
	lag, like := s.bestLag(s.start-fade, 2*fade, s.samples(shortest), s.samples(longest), -1)
	if like < likeness(8*lack) && !b.still(fade) { // a lack ends in a gap, which is worse than a repetition that shows
		return false
	}
	s.insert(lag, fade)
	b.shift(lag, lack)
	return true
}

// shift notes that n samples were added, or removed.
func (b *Buffer) shift(n int, off time.Duration) {
	d := b.length(n)
	b.shifted += d
	if n > 0 {
		b.stats.Inserted += d
	} else {
		b.stats.Removed -= d
	}
	b.rest = pause
	if off > 100*time.Millisecond {
		b.rest = pause / 2
	}
}

// still reports whether the next n samples are so quiet that any change goes unnoticed.
func (b *Buffer) still(n int) bool {
	s := &b.sound
	loud := max(2*b.back.level(), 16)
	return power(s.buf[s.start:min(s.end, s.start+n)]) < loud*loud
}

// ahead decodes packets that follow without a gap until n samples are there.
func (b *Buffer) ahead(n int) {
	for b.sound.pending() < n && len(b.queue) > 0 {
		head := b.queue[0]
		f := &b.formats[head.pt]
		if head.hollow || head.fresh || head.t != b.next || f.Comfort || f.SampleRate != b.sound.rate {
			return
		}
		b.play()
	}
}
