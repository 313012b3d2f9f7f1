package rtpconn

import (
	"time"

	"github.com/pion/rtp"

	"offhook/internal/sdp"
)

// Relay is the way of another stream into ours: packets that were numbered and stamped elsewhere, by another peer or by a
// player of sound, leave as a part of the one stream that our peer hears. Sequence numbers and timestamps move by a constant
// amount, so what was lost or overtaken before it came here looks so to our peer, too, and can be concealed there; nothing
// waits here. The SSRC is ours, and contributing sources and header extensions are left out, because they were agreed with
// others (a translator as in RFC 3550 §7.1 would keep them).
//
// Where a stream begins (the first packet, another SSRC, a restart of its numbers, after a hold) it is put behind what has
// been sent so far: the next number, a timestamp that has gone on with time, and the marker.
//
// A Relay belongs to one goroutine. The zero value is ready; several may lead into one Conn, one after the other.
type Relay struct {
	begun  bool
	source uint32 // SSRC of what comes
	ours   uint32 // SSRC of what leaves
	newest uint16 // the highest sequence number that has come
	next   uint64 // the index that follows it, as it leaves
	skip   uint64 // indices to leave out before the next packet: what was missing among those left out
	floor  uint64 // indices below are not of this stretch of the stream
	window uint64 // which of the 64 up to the newest have left
	shift  uint32 // of timestamps
}

// minGap is the least time by which a stream is put behind another one: the length of its last packet is not known.
const minGap = 20 * time.Millisecond

// Forward sends the packet by this connection, under a payload type of its agreement. Where Write would send nothing, neither
// does Forward. It is called from the goroutine that the relay belongs to, and does not allocate.
func (c *Conn) Forward(r *Relay, payloadType uint8, p *rtp.Packet) error {
	if len(p.Payload) > maxPacket-overhead {
		return ErrTooLong
	}
	s := takeSealer()
	defer s.release()
	c.mu.Lock()
	if !c.maySendLocked() || c.agreement.Direction&sdp.Sending == 0 {
		r.Restart()
		c.mu.Unlock()
		return nil
	}
	index, first, ok := r.place(&c.out, &p.Header, c.now())
	if !ok {
		c.mu.Unlock()
		return nil
	}
	b, err := c.sealAtLocked(s, index, payloadType, p.Marker || first, p.Timestamp+r.shift, p.Payload)
	to := c.path.current
	c.mu.Unlock()
	if err != nil {
		return err
	}
	return c.send(c.rtp, b, to)
}

// Omit says that a packet of the stream is not forwarded, because our peer would not understand it: it leaves no gap.
func (r *Relay) Omit(h *rtp.Header) {
	ahead := h.SequenceNumber - r.newest
	if !r.begun || r.source != h.SSRC || ahead == 0 || ahead >= maxDropout {
		return
	}
	r.newest = h.SequenceNumber
	r.skip += uint64(ahead - 1)
	// What comes late has another distance before this packet than behind it.
	r.floor, r.window = r.next+r.skip, 0
}

// Restart puts what comes next behind what has been sent so far.
func (r *Relay) Restart() { r.begun = false }

// place finds the index under which a packet leaves; first says that a stream begins with it. It is not ok for what has left
// already, or comes so late that its place is not known any more.
func (r *Relay) place(o *outbound, h *rtp.Header, now time.Duration) (index uint64, first, ok bool) {
	ahead := h.SequenceNumber - r.newest
	switch {
	case !r.begun || r.source != h.SSRC || r.ours != o.ssrc || ahead >= maxDropout && ahead <= 1<<16-maxMisorder:
		*r = Relay{
			begun: true, source: h.SSRC, ours: o.ssrc, newest: h.SequenceNumber,
			next: o.index + 1, floor: o.index, window: 1, shift: o.resume(now) - h.Timestamp,
		}
		return o.index, true, true
	case ahead == 0:
		return 0, false, false
	case ahead < maxDropout:
		if r.next != o.index { // a keep-alive has left in between
			r.floor, r.window = o.index, 0
		}
		index = o.index + r.skip + uint64(ahead) - 1
		r.newest, r.next, r.skip = h.SequenceNumber, index+1, 0
		r.window <<= ahead
		r.window |= 1
		return index, false, true
	default:
		back := uint64(-ahead)
		if back >= 64 || r.window&(1<<back) != 0 || r.next < 1+back+max(r.floor, o.floor) {
			return 0, false, false
		}
		r.window |= 1 << back
		return r.next - 1 - back, false, true
	}
}

// resume is the timestamp at which a stream goes on after a pause.
func (o *outbound) resume(now time.Duration) uint32 {
	if o.rate == 0 {
		return o.offset
	}
	return o.timestamp + ticks(max(now-o.stamped, minGap), o.rate)
}
