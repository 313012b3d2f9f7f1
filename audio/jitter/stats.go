package jitter

import "time"

// Stats is how the buffer is doing. Counts and times of what happened are since it was made; Reset keeps them.
type Stats struct {
	Buffered time.Duration // sound that is held now, decoded or not
	Target   time.Duration // delay that is aimed at, from mouth to play-out, network's least delay taken as 0
	Delay    time.Duration // delay that is had, counted in the same way
	Max      time.Duration // limit of Target
	Jitter   time.Duration // interarrival jitter (RFC 3550 §6.4.1)

	Received   uint64 // packets that were pushed
	Played     uint64 // packets that were decoded
	Comfort    uint64 // comfort noise packets that were obeyed
	Lost       uint64 // packets that have not come until now
	Late       uint64 // packets that came after something else was played in their place
	Discarded  uint64 // packets that were skipped because too much was held
	Duplicates uint64
	Reordered  uint64 // packets that were overtaken by others
	Recovered  uint64 // lost packets that were repaired by forward error correction
	Malformed  uint64 // packets that could not be understood

	// Output is all that Pull has returned, Decoded what came out of packets. With what is held decoded (at most a few
	// blocks), Output = Decoded + Concealed + Silent + Undecided + Inserted - Removed.
	Output    time.Duration
	Decoded   time.Duration
	Concealed time.Duration // made up in place of what was lost or late
	Silent    time.Duration // silence and comfort noise where nothing was sent
	Undecided time.Duration // made up since the last packet; the next one tells which of both it is
	Inserted  time.Duration // by playing slower
	Removed   time.Duration // by playing faster
	Stretched time.Duration // Inserted and Removed together

	Gaps Gaps
}

// Stats tells how the buffer is doing.
func (b *Buffer) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.stats
	s.Buffered = b.length(b.sound.pending())
	for _, p := range b.queue {
		if !p.hollow && !b.formats[p.pt].Comfort {
			s.Buffered += p.dur.duration()
		}
	}
	s.Target, s.Max, s.Jitter = b.target(), b.cfg.Max, b.arrivals.jitter
	if b.state == talking {
		s.Delay = b.delay()
	}
	s.Undecided = b.filled.duration()
	s.Stretched = s.Inserted + s.Removed
	s.Gaps = b.gaps.report()
	return s
}

// Gmin is how many packets in a row must be played to end a burst (RFC 3611 §4.7.2).
const Gmin = 16

// Gaps is how losses are spread, in the terms of the VoIP metrics of RFC 3611 §4.7.2. A burst is a time with many losses, a
// gap is between bursts. Lost and discarded packets count alike.
type Gaps struct {
	BurstDensity, GapDensity   float64       // share of packets that were missing within bursts and within gaps
	BurstDuration, GapDuration time.Duration // mean
	Bursts                     uint64
}

// gaps counts packets in the order in which they should be played.
type gaps struct {
	length time.Duration // of a packet
	run    uint64        // played since the last that was missing

	// A burst, or a lonely loss: which of both is not known before the next loss.
	open               bool
	openLost, openSize uint64

	bursts, burstLost, burstSize uint64
	gapLost, gapSize             uint64
}

func (g *gaps) good(n uint64) { g.run += n }

func (g *gaps) bad() {
	if g.open && g.run < Gmin {
		g.openLost++
		g.openSize += g.run + 1
	} else {
		g.close()
		g.open, g.openLost, g.openSize = true, 1, 1
	}
	g.run = 0
}

// close ends what is open. What was played since belongs to a gap.
func (g *gaps) close() {
	if g.openLost > 1 {
		g.bursts++
		g.burstLost += g.openLost
		g.burstSize += g.openSize
	} else {
		g.gapLost += g.openLost
		g.gapSize += g.openSize
	}
	g.gapSize += g.run
	g.open, g.openLost, g.openSize, g.run = false, 0, 0, 0
}

// report closes a copy, so that what is open now may still grow.
func (g gaps) report() Gaps {
	g.close()
	r := Gaps{Bursts: g.bursts}
	if g.burstSize > 0 {
		r.BurstDensity = float64(g.burstLost) / float64(g.burstSize)
		r.BurstDuration = time.Duration(g.burstSize/g.bursts) * g.length
	}
	if g.gapSize > 0 {
		r.GapDensity = float64(g.gapLost) / float64(g.gapSize)
		r.GapDuration = time.Duration(g.gapSize/(g.bursts+1)) * g.length
	}
	return r
}
