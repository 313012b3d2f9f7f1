package rtpconn

// gmin is how many packets in a row must arrive to end a burst (RFC 3611 §4.7.2).
const gmin = 16

// bursts divides a stream into bursts, which begin and end with a loss and have no gmin packets in a row between, and the
// gaps between them. A burst is told from a lone loss, which belongs to a gap, only when the next loss comes.
type bursts struct {
	run   int    // packets received since the last loss
	begun bool   // there was a loss
	many  bool   // the run of losses that is open has more than one
	total uint64 // losses
	runs  uint64 // of losses without anything received between

	open struct{ lost, packets uint64 } // from the first loss of what may become a burst up to the last one
	gap  struct{ lost, packets, count uint64 }
	full struct{ lost, packets, count uint64 } // of the bursts that have ended
}

// got is one packet received.
func (b *bursts) got() {
	b.run++
	if b.begun && b.run >= gmin {
		b.settle()
	}
	if !b.begun {
		b.gap.packets += uint64(b.run)
		b.run = 0
	}
}

// lost is n packets lost in a row.
func (b *bursts) lost(n int) {
	if n <= 0 {
		return
	}
	b.total += uint64(n)
	b.runs++
	for range min(n, maxDropout) {
		b.many = b.begun
		b.begun = true
		b.open.packets += uint64(b.run) + 1
		b.open.lost++
		b.run = 0
	}
}

// settle decides what the open run of losses was: gmin packets have arrived since.
func (b *bursts) settle() {
	if b.many {
		b.full.lost += b.open.lost
		b.full.packets += b.open.packets
		b.full.count++
		b.gap.count++
	} else {
		b.gap.lost += b.open.lost
		b.gap.packets += b.open.packets
	}
	b.open.lost, b.open.packets = 0, 0
	b.begun, b.many = false, false
}

// metrics are the densities, as shares, and the mean lengths in packets of bursts and of gaps.
func (b *bursts) metrics() (burstDensity, gapDensity, burst, gap float64) {
	if b.full.count > 0 {
		burstDensity = float64(b.full.lost) / float64(b.full.packets)
		burst = float64(b.full.packets) / float64(b.full.count)
	}
	if b.gap.packets > 0 {
		gapDensity = float64(b.gap.lost) / float64(b.gap.packets)
		// There is one gap more than bursts: the one that is open.
		gap = float64(b.gap.packets) / float64(b.gap.count+1)
	}
	return burstDensity, gapDensity, burst, gap
}
