package rtpconn

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"

	"offhook/internal/media"
	"offhook/internal/sdp"
)

// inbound is what arrives from the peer.
type inbound struct {
	source   *source // nil until the first packet
	newcomer struct {
		ssrc  uint32
		next  uint16
		since time.Duration
		run   int
	}
	first bool // no packet has been delivered under this agreement

	packets, octets      uint64
	lost, expected       uint64 // of sources that are gone
	duplicates, reorders uint64
	rejected             uint64
	last                 time.Duration // when the last packet counted
}

// datagram is one that waits.
type datagram struct {
	from netip.AddrPort
	data []byte
}

// reader is the memory of one reading goroutine.
type reader struct {
	buf    [maxPacket]byte
	packet rtp.Packet
	clear  *sealer // what is decrypted goes there
}

// read takes datagrams from a socket until it is closed. control: the socket is for RTCP.
func (c *Conn) read(s *socket, control bool) {
	r := &reader{}
	for {
		n, from, err := s.read(r.buf[:])
		switch {
		case err == nil && n == len(r.buf):
			// Perhaps cut off, and no packet of ours or of a reasonable peer is as long.
			c.mu.Lock()
			c.rejectLocked("too long")
			c.mu.Unlock()
		case err == nil:
			c.handle(r, from, r.buf[:n], control)
		case errors.Is(err, net.ErrClosed) || c.isClosed():
			return
		default:
			// Some systems report here that a packet we sent found nobody. The next one may.
			c.faults.Add(1)
			select {
			case <-c.done:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
}

// handle sorts one datagram.
func (c *Conn) handle(r *reader, from netip.AddrPort, b []byte, control bool) {
	r.clear = takeSealer()
	defer r.clear.release()
	k := classify(b)
	now := c.now()
	c.mu.Lock()
	deliver := false
	why := ""
	switch {
	case k == rtpPacket && !control:
		deliver, why = c.acceptRTPLocked(r, from, b, now)
	case k == rtcpPacket:
		why = c.acceptRTCPLocked(r, from, b, control, now)
	case k == dtlsRecord && !control:
		why = c.acceptDTLSLocked(from, b)
	case from == c.path.current && (k == empty || k == stun || len(b) <= 4):
		// A keep-alive of the peer (RFC 6263 §4).
	default:
		why = "neither RTP nor DTLS"
	}
	if why != "" {
		c.rejectLocked(why)
	}
	c.mu.Unlock()
	if deliver && c.cfg.Packet != nil {
		c.cfg.Packet(&r.packet)
	}
}

// rejectLocked counts what changes nothing else.
func (c *Conn) rejectLocked(why string) {
	c.in.rejected++
	c.logged[why]++
}

// acceptRTPLocked decides about an RTP packet: whether it is to be delivered, or why it is rejected. On delivery it is in r.
func (c *Conn) acceptRTPLocked(r *reader, from netip.AddrPort, b []byte, now time.Duration) (deliver bool, why string) {
	if !c.agreed {
		return false, "before the agreement"
	}
	secure := c.keys.secure()
	if secure {
		clear, err := c.keys.openRTP(r.clear.buf[:0], b, &r.packet.Header, now)
		if err != nil {
			return false, reason(err)
		}
		b = clear
	}
	if r.packet.Unmarshal(b) != nil || r.packet.Version != 2 {
		return false, "malformed"
	}
	p := &r.packet
	f := c.formats.receive[p.PayloadType]
	if !f.known && !secure {
		switch s := c.in.source; {
		case from == c.path.current && s == nil:
			return false, "" // a keep-alive before any media
		case from != c.path.current || s.ssrc != p.SSRC:
			return false, "payload type not agreed"
		}
	}
	if !secure {
		ok, moved := c.path.admit(from, p.SSRC, p.SequenceNumber, now)
		if !ok {
			return false, "from elsewhere"
		}
		if moved {
			if s := c.in.source; s != nil && s.ssrc != p.SSRC {
				c.forgetSourceLocked() // the one that moves has proved itself by moving
			}
			c.movedLocked()
		}
	}
	if p.SSRC == c.out.ssrc {
		c.collisionLocked(from)
		return false, "our own SSRC"
	}
	s := c.sourceLocked(p.SSRC, p.SequenceNumber, secure, now)
	if s == nil {
		return false, "source on probation"
	}
	return c.countLocked(s, f, from, secure, now, r)
}

// countLocked takes a packet of the peer's source into account.
func (c *Conn) countLocked(s *source, f format, from netip.AddrPort, secure bool, now time.Duration, r *reader) (bool, string) {
	in, p := &c.in, &r.packet
	v := s.arrive(p.SequenceNumber, now)
	switch v {
	case duplicate:
		in.duplicates++
		return false, ""
	case jump:
		return false, "sequence number far off"
	case reordered:
		in.reorders++
	case fresh:
	}
	if secure && c.path.follow(from, v == fresh) {
		c.movedLocked()
	}
	in.packets++
	in.octets += uint64(len(p.Payload))
	in.last = now
	if !f.known {
		// The peer is allowed to send it, and nobody has to understand it (RFC 3550 §5.1): another keep-alive.
		return false, ""
	}
	if !f.events && v == fresh {
		s.clock(p.Timestamp, int(f.rate), now)
	}
	if c.agreement.Direction&sdp.Receiving == 0 {
		return false, ""
	}
	if in.first {
		in.first = false
		c.tellLocked(media.Event{Kind: media.FirstAudio})
	}
	return true, ""
}

// takeover is how long the source in force has to be silent before another one may take its place without keys.
const takeover = 60 * time.Millisecond

// sourceLocked is the source that a packet belongs to, or nil while it is on probation. The first one is believed, for its
// address has been; a second one has to send two packets in order (RFC 3550 §6.2.1), and meanwhile the first one must not
// have sent any. Without keys that has to go on for a while, for anybody can send two packets quickly.
func (c *Conn) sourceLocked(ssrc uint32, sequence uint16, secure bool, now time.Duration) *source {
	in := &c.in
	if in.source == nil {
		in.source = newSource(ssrc, sequence, now)
		return in.source
	}
	n := &in.newcomer
	if in.source.ssrc == ssrc {
		n.run = 0
		return in.source
	}
	if n.run == 0 || n.ssrc != ssrc || sequence != n.next {
		n.ssrc, n.run, n.since = ssrc, 0, now
	}
	n.run++
	n.next = sequence + 1
	proved := secure || in.source.left || now-in.source.last >= takeover && now-n.since >= takeover/3
	if n.run < 2 || !proved {
		return nil
	}
	c.forgetSourceLocked()
	c.log.Debug("the peer sends from another source", "ssrc", ssrc)
	in.source = newSource(ssrc, sequence, now)
	return in.source
}

// forgetSourceLocked keeps what the source has lost in the totals.
func (c *Conn) forgetSourceLocked() {
	if s := c.in.source; s != nil {
		c.in.lost += s.lostTotal()
		c.in.expected += s.expectedTotal()
	}
	c.in.source, c.in.newcomer.run = nil, 0
}

// movedLocked says that we send elsewhere from now on.
func (c *Conn) movedLocked() {
	c.tellLocked(media.Event{Kind: media.PeerMoved, Text: c.path.current.String()})
}

// collisionLocked is for packets with our own SSRC (RFC 3550 §8.2). The first time it is a coincidence, and we take another
// SSRC. When it happens again from the same address, our packets come back to us, and nothing is to be done.
func (c *Conn) collisionLocked(from netip.AddrPort) {
	o := &c.out
	if o.collided[from] || len(o.collided) >= 8 {
		return
	}
	if o.collided == nil {
		o.collided = map[netip.AddrPort]bool{}
	}
	o.collided[from] = true
	c.log.Debug("the peer uses our SSRC; taking another one")
	c.reports.farewell = o.ssrc
	c.reports.due = c.now()
	o.renew()
	c.wake()
}

// reason puts an error of SRTP into words that can be counted.
func reason(err error) string {
	switch {
	case errors.Is(err, errNoKeys):
		return "before the keys"
	case errors.Is(err, srtp.ErrFailedToVerifyAuthTag), errors.Is(err, srtp.ErrMKINotFound):
		return "not authentic"
	default:
		return "replayed or cut off"
	}
}
