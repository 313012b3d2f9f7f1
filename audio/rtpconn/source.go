package rtpconn

import "time"

// Limits of RFC 3550 A.1, in packets.
const (
	maxDropout  = 3000 // a larger step forward is taken for a restart
	maxMisorder = 100  // a larger step back, too
)

// verdict is what a sequence number says about its packet.
type verdict uint8

const (
	fresh     verdict = iota // newer than all before
	reordered                // late, but for the first time
	duplicate
	jump // far from what was expected; believed when the next one follows it
)

// source is the peer's synchronization source: what its packets say about the way they took.
type source struct {
	ssrc uint32
	left bool          // it has said BYE
	last time.Duration // when the last packet came

	base     uint32 // first sequence number, extended by the cycles as all here
	highest  uint32
	next     uint16                          // what has to follow a jump
	jumped   bool                            // next is valid
	window   uint64                          // which of the 64 numbers up to the highest have come
	received uint64                          // since base
	expected struct{ lost, expected uint64 } // of the runs before a restart

	transit     float64 // of the last packet, in timestamp units, relative
	rate        int     // clock rate of transit; 0: none yet
	timestamp   uint32
	jitter      float64 // in timestamp units (RFC 3550 §6.4.1)
	priorExpect uint64  // at the last report (RFC 3550 A.3)
	priorLost   uint64
	recent      window
	gaps        bursts
}

func newSource(ssrc uint32, sequence uint16, now time.Duration) *source {
	s := &source{ssrc: ssrc, last: now}
	s.restart(sequence)
	return s
}

// restart begins a run of sequence numbers; the first of them is still to be counted.
func (s *source) restart(sequence uint16) {
	if s.received > 0 {
		s.expected.expected += s.runExpected()
		s.expected.lost += s.runLost()
	}
	// One cycle ahead, so that numbers before the first one do not run below zero.
	s.base = 1<<16 | uint32(sequence)
	s.highest = s.base - 1
	s.window, s.received, s.jumped = 0, 0, false
}

// arrive takes one packet into account (RFC 3550 A.1).
func (s *source) arrive(sequence uint16, now time.Duration) verdict {
	switch ahead := sequence - uint16(s.highest); {
	case ahead != 0 && ahead < maxDropout:
		s.advance(uint32(ahead))
	case ahead == 0 && s.received > 0 || ahead > 1<<16-maxMisorder:
		return s.goBack(uint32(-ahead), now)
	case s.jumped && sequence == s.next:
		// Two in a row: the peer has restarted its numbers without telling.
		s.restart(sequence)
		s.advance(1)
	default:
		s.next, s.jumped = sequence+1, true
		return jump
	}
	s.jumped = false
	s.last = now
	s.received++
	s.recent.note(now, s.expectedTotal(), s.lostTotal())
	return fresh
}

// advance moves the highest number forward; what lies between is lost unless it comes later.
func (s *source) advance(by uint32) {
	s.highest += by
	if s.window <<= by; by >= 64 {
		s.window = 0
	}
	s.window |= 1
	s.gaps.lost(int(by) - 1)
	s.gaps.got()
}

// goBack is for a packet that is back packets behind the highest.
func (s *source) goBack(back uint32, now time.Duration) verdict {
	if s.highest-back < s.base {
		// Older than the first one we heard: it takes the place of the first (otherwise more would be received than
		// expected).
		s.base = s.highest - back
	}
	if back < 64 {
		if s.window&(1<<back) != 0 {
			return duplicate
		}
		s.window |= 1 << back
	}
	s.last = now
	s.received++
	return reordered
}

// clock updates the interarrival jitter (RFC 3550 A.8). Packets that repeat a timestamp, as telephone events do, say
// nothing about the way.
func (s *source) clock(timestamp uint32, rate int, now time.Duration) {
	if rate <= 0 || timestamp == s.timestamp && s.rate == rate {
		return
	}
	seconds, rest := now/time.Second, now%time.Second
	arrival := uint32(int64(seconds)*int64(rate) + int64(rest)*int64(rate)/int64(time.Second))
	transit := float64(int32(arrival - timestamp))
	if s.rate == rate {
		// A second or more is no jitter: the peer counts from another offset.
		if d := transit - s.transit; d > -float64(rate) && d < float64(rate) {
			s.jitter += (max(d, -d) - s.jitter) / 16
		}
	} else if s.rate != 0 {
		s.jitter *= float64(rate) / float64(s.rate)
	}
	s.transit, s.rate, s.timestamp = transit, rate, timestamp
}

// interarrival is the jitter as a duration.
func (s *source) interarrival() time.Duration {
	if s.rate == 0 {
		return 0
	}
	return time.Duration(s.jitter / float64(s.rate) * float64(time.Second))
}

func (s *source) runExpected() uint64 { return uint64(s.highest - s.base + 1) }

func (s *source) runLost() uint64 {
	if e := s.runExpected(); e > s.received {
		return e - s.received
	}
	return 0
}

// expectedTotal and lostTotal are since the source was first heard.
func (s *source) expectedTotal() uint64 { return s.expected.expected + s.runExpected() }
func (s *source) lostTotal() uint64     { return s.expected.lost + s.runLost() }

// fraction is the share lost since the last call, in 256ths (RFC 3550 A.3).
func (s *source) fraction() uint8 {
	expected, lost := s.expectedTotal(), s.lostTotal()
	dExpected, dLost := int64(expected-s.priorExpect), int64(lost-s.priorLost)
	s.priorExpect, s.priorLost = expected, lost
	if dExpected <= 0 || dLost <= 0 {
		return 0
	}
	return uint8(min(255, dLost<<8/dExpected))
}

// window is a share over the last seconds: how many of those expected were missing. Totals are noted about once a second.
type window struct {
	notes [8]struct {
		at                time.Duration
		expected, missing uint64
	}
	used, next        int
	expected, missing uint64 // the newest totals
}

func (w *window) note(now time.Duration, expected, missing uint64) {
	w.expected, w.missing = expected, missing
	n := len(w.notes)
	if w.used > 0 && now-w.notes[(w.next+n-1)%n].at < time.Second {
		return
	}
	w.notes[w.next].at, w.notes[w.next].expected, w.notes[w.next].missing = now, expected, missing
	w.next = (w.next + 1) % n
	w.used = min(w.used+1, n)
}

// share is of the last eight seconds or so.
func (w *window) share() float64 {
	if w.used == 0 {
		return 0
	}
	n := len(w.notes)
	oldest := w.notes[(w.next+n-w.used)%n]
	if w.expected <= oldest.expected || w.missing <= oldest.missing {
		return 0
	}
	return min(1, float64(w.missing-oldest.missing)/float64(w.expected-oldest.expected))
}
