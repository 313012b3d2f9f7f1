package rtpconn

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/pion/rtcp"

	"offhook/internal/sdp"
)

const (
	// reportInterval is between reports. RFC 3550 §6.2 computes it from bandwidth and the number of participants; for
	// two with a voice codec that is less than the minimum, so the minimum holds.
	reportInterval = 5 * time.Second
	// firstReport is before the first one: RFC 3550 §6.2 lets unicast sessions be quick, and a round-trip time that
	// comes after five seconds comes too late for short calls.
	firstReport = 500 * time.Millisecond
)

// schedule is when something is due that is not media.
type schedule struct {
	due      time.Duration // the next report
	greet    bool          // a keep-alive is due at once: we listen only, and the peer may have to learn where
	farewell uint32        // an SSRC of ours that is no more, to be told with the next report
	sent     bool          // something was sent, so that a BYE is due at the end
}

// jittered is d, made irregular so that reports of many calls do not march in step (RFC 3550 §6.3.1). There is no
// reconsideration of timers with two participants, so its correction of the mean is left out.
func jittered(d time.Duration) time.Duration {
	return d/2 + rand.N(d)
}

// housekeep sends the reports and keep-alives that are due, and returns when it wants to be called again.
func (c *Conn) housekeep() time.Duration {
	c.askPlayout()
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if !c.maySendLocked() {
		return time.Hour // Apply and the handshake wake
	}
	if c.reports.greet || c.idleAtLocked() <= now {
		c.reports.greet = false
		s := takeSealer()
		b, to := c.idleLocked(s), c.path.current
		c.mu.Unlock()
		if b != nil {
			_ = c.send(c.rtp, b, to) // failures are counted there
		}
		s.release()
		c.mu.Lock()
	}
	if c.reports.due <= now {
		c.reports.due = now + jittered(reportInterval)
		c.sendReportLocked(c.compoundLocked(now, false))
	}
	return max(min(c.reports.due, c.idleAtLocked(), c.doubtLocked(now), c.keys.settle(now))-now, time.Millisecond)
}

// idleAtLocked is when a keep-alive is due because we have not sent media for a while. With mux the reports keep the way
// open.
func (c *Conn) idleAtLocked() time.Duration {
	if c.agreement.Mux {
		return c.now() + time.Hour
	}
	return max(c.out.last, c.since) + keepAlive
}

// sendReportLocked protects and sends a compound packet. It lets go of the lock while it sends.
func (c *Conn) sendReportLocked(packets []rtcp.Packet) {
	s, to := c.controlToLocked()
	b, err := rtcp.Marshal(packets)
	if err == nil && to.IsValid() {
		b, err = c.keys.sealRTCP(b)
	}
	if err != nil || !to.IsValid() {
		return
	}
	c.reports.sent = true
	c.out.control++
	c.mu.Unlock()
	_ = c.send(s, b, to) // counted there
	c.mu.Lock()
}

// controlToLocked is where RTCP goes, by which socket. It goes nowhere with DTLS and without mux: that takes a second
// association for the second port (RFC 5764 §4.1.1), and those who can do DTLS can mux.
func (c *Conn) controlToLocked() (*socket, netip.AddrPort) {
	switch {
	case c.agreement.Mux:
		return c.rtp, c.path.current
	case c.keys.method == sdp.DTLS:
		return c.rtp, netip.AddrPort{}
	case c.rtcp == nil:
		return c.rtp, c.control.current
	default:
		return c.rtcp, c.control.current
	}
}

// compoundLocked makes a compound packet: a report, our name, what RFC 3611 adds, and at the end BYE.
func (c *Conn) compoundLocked(now time.Duration, bye bool) []rtcp.Packet {
	o := &c.out
	blocks := c.receptionLocked(now)
	var packets []rtcp.Packet
	ntp := c.ntp(now)
	if o.active > 0 {
		o.active--
		remember(&c.peer.sent, middle(ntp))
		packets = append(packets, &rtcp.SenderReport{
			SSRC: o.ssrc, NTPTime: ntp, RTPTime: o.timestamp + ticks(now-o.stamped, o.rate),
			PacketCount: uint32(o.packets), OctetCount: uint32(o.octets), Reports: blocks,
		})
	} else {
		packets = append(packets, &rtcp.ReceiverReport{SSRC: o.ssrc, Reports: blocks})
	}
	packets = append(packets, rtcp.NewCNAMESourceDescription(o.ssrc, c.cfg.CNAME))
	if x := c.extendLocked(now, ntp); len(x) > 0 {
		packets = append(packets, &rtcp.ExtendedReport{SenderSSRC: o.ssrc, Reports: x})
	}
	if old := c.reports.farewell; old != 0 {
		packets = append(packets, &rtcp.Goodbye{Sources: []uint32{old}})
		c.reports.farewell = 0
	}
	if bye {
		packets = append(packets, &rtcp.Goodbye{Sources: []uint32{o.ssrc}})
	}
	return packets
}

// receptionLocked is the block about the peer's source (RFC 3550 §6.4.1), if it has sent since the last report.
func (c *Conn) receptionLocked(now time.Duration) []rtcp.ReceptionReport {
	s := c.in.source
	if s == nil || s.expectedTotal() == s.priorExpect {
		return nil
	}
	r := rtcp.ReceptionReport{
		SSRC:               s.ssrc,
		FractionLost:       s.fraction(),
		TotalLost:          uint32(min(s.lostTotal(), 1<<23-1)),
		LastSequenceNumber: s.highest - 1<<16,
		Jitter:             uint32(s.jitter),
	}
	if m := c.peer.sender; m.valid && m.ssrc == s.ssrc {
		r.LastSenderReport, r.Delay = m.middle, delaySince(m.at, now)
	}
	return []rtcp.ReceptionReport{r}
}

// extendLocked is what RFC 3611 adds: a receiver's reference time, because a side that does not send has no sender
// report to be answered (§4.4), the answer to the peer's (§4.5), and how the call sounds (§4.7).
func (c *Conn) extendLocked(now time.Duration, ntp uint64) []rtcp.ReportBlock {
	var blocks []rtcp.ReportBlock
	if c.out.active == 0 {
		remember(&c.peer.asked, middle(ntp))
		blocks = append(blocks, &rtcp.ReceiverReferenceTimeReportBlock{NTPTimestamp: ntp})
	}
	if m := c.peer.receiver; m.valid {
		blocks = append(blocks, &rtcp.DLRRReportBlock{
			Reports: []rtcp.DLRRReport{{SSRC: m.ssrc, LastRR: m.middle, DLRR: delaySince(m.at, now)}},
		})
		c.peer.receiver.valid = false
	}
	if c.in.source != nil && c.in.source.expectedTotal() > 0 {
		blocks = append(blocks, c.metricsLocked())
	}
	return blocks
}

// delaySince is in units of 1/65536 s.
func delaySince(at, now time.Duration) uint32 {
	return uint32((now - at).Seconds() * 65536)
}

// sayBye ends our source (RFC 3550 §6.3.7), unless the peer has never heard of it or must not hear anything.
func (c *Conn) sayBye() {
	c.askPlayout()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.maySendLocked() && (c.reports.sent || c.out.packets > 0) {
		c.sendReportLocked(c.compoundLocked(c.now(), true))
	}
}
