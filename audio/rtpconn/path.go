package rtpconn

import (
	"net/netip"
	"time"
)

const (
	latchTime   = 10 * time.Second // how long after an agreement media from elsewhere may move the target
	latchRun    = 5                // as many packets in a row it takes
	latchGap    = 16               // and so many may be missing between two of them
	latchSlots  = 4                // senders considered at a time
	noCandidate = -1
)

// path is where one kind of packets goes to and comes from. It answers the question who of those that send to our port is
// the peer, without keys and with.
type path struct {
	signalled netip.AddrPort // by the agreement
	current   netip.AddrPort // where we send, and whom we hear
	until     time.Duration  // until then the current address may be replaced
	heard     bool           // something has come from the current address since the window was opened
	slots     [latchSlots]candidate
}

// candidate is a stranger who sends what could be the peer's media.
type candidate struct {
	from     netip.AddrPort
	ssrc     uint32
	sequence uint16
	run      int
}

// open sets the target and lets it be corrected for a while.
func (p *path) open(to netip.AddrPort, now time.Duration) {
	if to != p.signalled {
		p.signalled, p.current = to, to
	}
	p.until, p.heard, p.slots = now+latchTime, false, [latchSlots]candidate{}
}

// admit decides about a packet without authentication. An address that was signalled is believed. Another one becomes
// the current one when it sends a steady stream while nothing comes from the current one, and that only while the
// window is open: later a stranger could divert a call by guessing the port.
func (p *path) admit(from netip.AddrPort, ssrc uint32, sequence uint16, now time.Duration) (ok, moved bool) {
	if from == p.current {
		p.heard = true
		return true, false
	}
	if now >= p.until || !p.current.IsValid() || from.Addr().Is4() != p.current.Addr().Is4() {
		return false, false
	}
	if from == p.signalled {
		p.current, p.heard = from, true
		return true, true
	}
	if p.heard || !p.steady(from, ssrc, sequence) {
		return false, false
	}
	p.current, p.heard = from, true
	return true, true
}

// steady counts how many packets a stranger has sent in order, and reports whether they are enough.
func (p *path) steady(from netip.AddrPort, ssrc uint32, sequence uint16) bool {
	slot, weakest := noCandidate, 0
	for i, c := range p.slots {
		if c.from == from && c.ssrc == ssrc {
			slot = i
			break
		}
		if c.run < p.slots[weakest].run {
			weakest = i
		}
	}
	if slot == noCandidate {
		p.slots[weakest] = candidate{from, ssrc, sequence, 1}
		return false
	}
	c := &p.slots[slot]
	if ahead := sequence - c.sequence; ahead == 0 || ahead > latchGap {
		*c = candidate{from, ssrc, sequence, 1}
		return false
	}
	c.sequence = sequence
	c.run++
	return c.run >= latchRun
}

// follow moves the path to where an authenticated packet came from. Only the newest packet may do that: an old one that was
// delayed on the former way must not move it back.
func (p *path) follow(from netip.AddrPort, newest bool) (moved bool) {
	p.heard = p.heard || from == p.current
	if from == p.current || !newest {
		return false
	}
	p.current, p.heard = from, true
	return true
}
