package rtpconn

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/pion/rtcp"
)

// feedback is what the peer's RTCP has told.
type feedback struct {
	// The peer's last sender report and receiver reference time, to be sent back (RFC 3550 §6.4.1, RFC 3611 §4.5).
	sender, receiver mark
	// When ours were sent: an answer to another one is stale or invented.
	sent, asked [4]uint32

	roundTrip time.Duration // 0: unknown
	loss      float64       // the share of ours that was lost, as the peer says
	jitter    uint32        // of ours, in timestamp units
	mos       float64       // of what the peer hears; 0: unknown
}

// mark is a time of the peer, and when it came.
type mark struct {
	ssrc   uint32
	middle uint32 // the middle 32 bits of an NTP timestamp
	at     time.Duration
	valid  bool
}

// remember keeps the last times we have sent.
func remember(times *[4]uint32, middle uint32) {
	copy(times[1:], times[:3])
	times[0] = middle
}

func contains(times [4]uint32, middle uint32) bool {
	for _, t := range times {
		if t == middle && t != 0 {
			return true
		}
	}
	return false
}

// acceptRTCPLocked decides about a compound packet and takes in what it says; or it returns why it is rejected.
func (c *Conn) acceptRTCPLocked(r *reader, from netip.AddrPort, b []byte, control bool, now time.Duration) string {
	if !c.agreed {
		return "before the agreement"
	}
	if c.keys.secure() {
		clear, err := c.keys.openRTCP(r.clear.buf[:0], b, now)
		if err != nil {
			return reason(err)
		}
		b = clear
	} else if !c.controlFromLocked(from, b, control, now) {
		return "RTCP from elsewhere"
	}
	if !validCompound(b) {
		return "malformed"
	}
	if c.keys.secure() && control {
		c.control.follow(from, true)
	}
	for len(b) > 0 {
		n := 4 * (int(binary.BigEndian.Uint16(b[2:])) + 1)
		c.digestLocked(b[:n], now)
		b = b[n:]
	}
	return ""
}

// controlFromLocked decides whether a compound packet without authentication is the peer's. Without mux it comes from
// where it was signalled, or, behind a NAT, from the same host as the media and with their SSRC.
func (c *Conn) controlFromLocked(from netip.AddrPort, b []byte, control bool, now time.Duration) bool {
	if from == c.path.current {
		return true
	}
	if !control {
		return false
	}
	if from == c.control.current {
		c.control.heard = true
		return true
	}
	ssrc := binary.BigEndian.Uint32(b[4:])
	s := c.in.source
	if now >= c.control.until || c.control.heard || s == nil || s.ssrc != ssrc || from.Addr() != c.path.current.Addr() {
		return false
	}
	c.control.current, c.control.heard = from, true
	return true
}

// validCompound checks what RFC 3550 A.2 asks of a compound packet: the version throughout, a report first, padding only
// at the end, and lengths that add up.
func validCompound(b []byte) bool {
	if len(b) < rtcpHeader || b[1] != 200 && b[1] != 201 {
		return false
	}
	for len(b) > 0 {
		if len(b) < 4 || b[0]>>6 != 2 {
			return false
		}
		n := 4 * (int(binary.BigEndian.Uint16(b[2:])) + 1)
		padded := b[0]&0x20 != 0
		if n > len(b) || padded && n != len(b) {
			return false
		}
		b = b[n:]
	}
	return true
}

// digestLocked takes in one packet of a compound packet. What cannot be read is left out; the others may be good.
func (c *Conn) digestLocked(b []byte, now time.Duration) {
	if b[0]&0x20 != 0 {
		// Padding counts in the length; the parsers expect none.
		pad := int(b[len(b)-1])
		if pad == 0 || pad%4 != 0 || pad > len(b)-4 {
			return
		}
		b = append([]byte(nil), b[:len(b)-pad]...)
		b[0] &^= 0x20
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)/4-1))
	}
	switch b[1] {
	case 200:
		var sr rtcp.SenderReport
		if sr.Unmarshal(b) != nil {
			return
		}
		c.peer.sender = mark{sr.SSRC, uint32(sr.NTPTime >> 16), now, true}
		c.blocksLocked(sr.Reports, now)
	case 201:
		var rr rtcp.ReceiverReport
		if rr.Unmarshal(b) == nil {
			c.blocksLocked(rr.Reports, now)
		}
	case 203:
		var bye rtcp.Goodbye
		if bye.Unmarshal(b) != nil {
			return
		}
		for _, ssrc := range bye.Sources {
			if s := c.in.source; s != nil && s.ssrc == ssrc {
				s.left = true
			}
		}
	case 207:
		var xr rtcp.ExtendedReport
		if xr.Unmarshal(b) == nil {
			c.extendedLocked(&xr, now)
		}
	}
}

// blocksLocked takes in what the peer says about our stream.
func (c *Conn) blocksLocked(blocks []rtcp.ReceptionReport, now time.Duration) {
	for _, r := range blocks {
		if r.SSRC != c.out.ssrc {
			continue
		}
		c.peer.loss = float64(r.FractionLost) / 256
		c.peer.jitter = r.Jitter
		if contains(c.peer.sent, r.LastSenderReport) {
			c.roundTripLocked(r.LastSenderReport, r.Delay, now)
		}
	}
}

// extendedLocked takes in the blocks of RFC 3611 that we ask for and give ourselves.
func (c *Conn) extendedLocked(xr *rtcp.ExtendedReport, now time.Duration) {
	for _, block := range xr.Reports {
		switch b := block.(type) {
		case *rtcp.ReceiverReferenceTimeReportBlock:
			c.peer.receiver = mark{xr.SenderSSRC, uint32(b.NTPTimestamp >> 16), now, true}
		case *rtcp.DLRRReportBlock:
			for _, d := range b.Reports {
				if d.SSRC == c.out.ssrc && contains(c.peer.asked, d.LastRR) {
					c.roundTripLocked(d.LastRR, d.DLRR, now)
				}
			}
		case *rtcp.VoIPMetricsReportBlock:
			if b.SSRC == c.out.ssrc {
				c.peer.mos = reportedMOS(b)
			}
		}
	}
}

// reportedMOS prefers the score that includes delay; 127 means that there is none (RFC 3611 §4.7.5).
func reportedMOS(b *rtcp.VoIPMetricsReportBlock) float64 {
	for _, v := range []uint8{b.MOSCQ, b.MOSLQ} {
		if v >= 10 && v <= 50 {
			return float64(v) / 10
		}
	}
	return 0
}

// roundTripLocked computes the round-trip time from when we asked, how long the peer kept it, and now (RFC 3550 §6.4.1).
// All three are in units of 1/65536 s.
func (c *Conn) roundTripLocked(asked, kept uint32, now time.Duration) {
	units := int32(middle(c.ntp(now)) - asked - kept)
	if units < 0 || units > 30<<16 {
		return
	}
	c.peer.roundTrip = max(time.Duration(units)*time.Second/65536, time.Microsecond)
}

// ntp is the time as NTP counts it, from the wall clock at the start and the monotonic clock since, so that it never
// jumps (RFC 3550 §4).
func (c *Conn) ntp(now time.Duration) uint64 {
	t := c.start.Round(0).Add(now)
	const epoch = 2208988800 // from 1900 to 1970
	return uint64(t.Unix()+epoch)<<32 | uint64(t.Nanosecond())<<32/1e9
}

func middle(ntp uint64) uint32 { return uint32(ntp >> 16) }
