package rtpconn

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/rtp"

	"offhook/internal/sdp"
)

// maxPacket is the largest packet that is sent or received: more than any path carries without fragments.
const maxPacket = 4096

// overhead is what header, authentication tag and master key identifier may take of it.
const overhead = 512

// sealer is the memory in which a packet is made or opened.
type sealer struct {
	buf    [maxPacket]byte
	header rtp.Header
}

// sealers are shared by all connections: each needs one for some microseconds, fifty times a second, and hundreds of calls
// that wait would keep megabytes otherwise.
var sealers = sync.Pool{New: func() any { return new(sealer) }}

func takeSealer() *sealer { return sealers.Get().(*sealer) }

func (s *sealer) release() { sealers.Put(s) }

// outbound is our synchronization source.
type outbound struct {
	ssrc      uint32
	index     uint64        // of the next packet: rollover counter and sequence number (RFC 3711 §3.3.1)
	offset    uint32        // of timestamps
	timestamp uint32        // of the last packet with sound, offset included
	rate      int           // its clock rate; 0: none has been sent
	stamped   time.Duration // when it was sent
	last      time.Duration // when the last packet was sent
	packets   uint64        // of this SSRC, for the sender report, as octets
	octets    uint64
	floor     uint64 // lower indices belong to former keys
	control   uint32 // compound packets of this SSRC: the SRTCP index (RFC 3711 §3.4)
	active    int    // reports to go that are sender reports, because RTP was sent (RFC 3550 §6.4)

	totalPackets, totalOctets uint64 // since the connection was made

	collided map[netip.AddrPort]bool // addresses from which our own SSRC has come
}

// renew draws a new identity. The first sequence number is in the lower half: losing the first packets before a wrap
// would leave the peer with the wrong rollover counter (RFC 3711 §3.3.1).
func (o *outbound) renew() {
	o.ssrc, o.offset = random32(), random32()
	o.index = uint64(random32() & 0x7fff)
	o.packets, o.octets, o.control, o.active, o.rate, o.floor = 0, 0, 0, 0, 0, 0
}

// format is what packets of one payload type mean. It is small, for every connection has 256 of them.
type format struct {
	rate   int32 // of timestamps, in Hz
	known  bool
	events bool // telephone events and comfort noise: their timestamps say nothing about the way
}

// formats are those of an agreement, by payload type.
type formats struct {
	send, receive [128]format
	idle          uint8 // a payload type that neither side uses
}

func formatsOf(a sdp.Agreement) formats {
	var f formats
	set := func(table *[128]format, list []sdp.Format) {
		for _, s := range list {
			table[s.PayloadType&0x7f] = format{int32(s.ClockRate), true, s.Name == "telephone-event" || s.Name == "cn"}
		}
	}
	set(&f.send, a.Send)
	set(&f.receive, a.Receive)
	for f.idle = 127; f.send[f.idle].known || f.receive[f.idle].known; f.idle-- {
	}
	return f
}

// Write sends one RTP packet with the next sequence number. timestamp is relative to the random one of this connection.
// While nothing may be sent (before the agreement and the keys, on hold, after Close) the packet vanishes without using
// up a number, so that the peer sees no loss. Write does not allocate.
func (c *Conn) Write(payloadType uint8, marker bool, timestamp uint32, payload []byte) error {
	if len(payload) > maxPacket-overhead {
		return ErrTooLong
	}
	s := takeSealer()
	defer s.release()
	c.mu.Lock()
	if !c.maySendLocked() || c.agreement.Direction&sdp.Sending == 0 {
		c.mu.Unlock()
		return nil
	}
	b, err := c.sealLocked(s, payloadType, marker, c.out.offset+timestamp, payload)
	to := c.path.current
	c.mu.Unlock()
	if err != nil {
		return err
	}
	return c.send(c.rtp, b, to)
}

// maySendLocked reports whether anything but DTLS may leave.
func (c *Conn) maySendLocked() bool {
	return c.agreed && !c.agreement.Silent && c.path.current.IsValid() && c.keys.ready() && !c.isClosed()
}

// sealLocked makes the next packet and protects it. The result is in the sealer.
func (c *Conn) sealLocked(s *sealer, payloadType uint8, marker bool, timestamp uint32, payload []byte) ([]byte, error) {
	return c.sealAtLocked(s, c.out.index, payloadType, marker, timestamp, payload)
}

// sealAtLocked is sealLocked for any index: a later one leaves a gap, an earlier one fills one. No index may be used twice
// under one key (RFC 3711 §9.1).
func (c *Conn) sealAtLocked(s *sealer, index uint64, payloadType uint8, marker bool, timestamp uint32, payload []byte) ([]byte, error) {
	o, now := &c.out, c.now()
	b := s.buf[:rtpHeader+len(payload)]
	b[0] = 2 << 6 // version, RFC 3550 §5.1
	b[1] = payloadType & 0x7f
	if marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], uint16(index))
	binary.BigEndian.PutUint32(b[4:], timestamp)
	binary.BigEndian.PutUint32(b[8:], o.ssrc)
	copy(b[rtpHeader:], payload)
	b, err := c.keys.sealRTP(b, &s.header)
	if err != nil {
		return nil, err
	}
	late := index < o.index
	if !late {
		o.index = index + 1
	}
	o.packets++
	o.octets += uint64(len(payload))
	o.totalPackets++
	o.totalOctets += uint64(len(payload))
	o.last, o.active = now, 2
	// A telephone event has the timestamp of its beginning, which says nothing about now.
	if f := c.formats.send[payloadType&0x7f]; f.known && !f.events && !late {
		o.timestamp, o.rate, o.stamped = timestamp, int(f.rate), now
	}
	return b, nil
}

// send writes a datagram. What the network says about it (nobody listens, no route at the moment) is no reason to end
// a call: it is counted.
func (c *Conn) send(s *socket, b []byte, to netip.AddrPort) error {
	err := s.write(b, to)
	if err == nil {
		return nil
	}
	c.faults.Add(1)
	if errors.Is(err, net.ErrClosed) && c.isClosed() {
		return net.ErrClosed
	}
	return nil
}

// keepAlive is how often something has to pass for NATs to remember us (RFC 6263 §4).
const keepAlive = 15 * time.Second

// idleLocked makes a packet that keeps the way open where we do not send media. With mux the reports do that. Without,
// or right after an agreement, when the peer may have to learn where we are, it is an RTP packet without payload of a
// type that nobody has agreed on (RFC 6263 §4.6): receivers have to ignore it (RFC 3550 §5.1), also those that would
// play comfort noise or stumble over an empty datagram, and it counts as received, so no loss is reported.
func (c *Conn) idleLocked(s *sealer) []byte {
	o := c.out
	timestamp := o.offset
	if o.rate > 0 {
		timestamp = o.timestamp + ticks(c.now()-o.stamped, o.rate)
	}
	b, err := c.sealLocked(s, c.formats.idle, false, timestamp, nil)
	if err != nil {
		return nil
	}
	c.out.active = o.active // this does not make us a sender
	return b
}

// ticks are the timestamp units that pass in d.
func ticks(d time.Duration, rate int) uint32 {
	return uint32(int64(d.Seconds() * float64(rate)))
}
