package rtpconn

import (
	"time"

	"offhook/internal/sdp"
)

// Stats is how the connection is doing. Counts are since it was made; shares and times are recent.
type Stats struct {
	Security      sdp.Method // "" while keys are being agreed
	Suite         string     // of SRTP; "" without
	Local, Remote string     // addresses of RTP

	Sent, Received           uint64 // RTP packets
	SentBytes, ReceivedBytes uint64 // of payload
	Lost                     uint64
	Duplicates, Reordered    uint64
	Rejected                 uint64 // datagrams that did not count
	Faults                   uint64 // errors of the sockets

	Loss         float64       // share lost on the way to us, 0 to 1
	RemoteLoss   float64       // share lost on the way to the peer, as it reports
	Jitter       time.Duration // RFC 3550 §6.4.1
	RemoteJitter time.Duration // as the peer reports
	RoundTrip    time.Duration // 0: unknown
	Delay        time.Duration // estimate from their mouth to our ear; 0 without Playout and round trip
	R            float64       // rating of the E-model, 0 to 100
	MOS          float64       // of what is heard here; 0: nothing is
	RemoteMOS    float64       // as the peer reports; 0: unknown
	SinceHeard   time.Duration // since the last RTP packet, or since the agreement
}

// Stats tells how the connection is doing.
func (c *Conn) Stats() Stats {
	c.askPlayout()
	c.mu.Lock()
	defer c.mu.Unlock()
	in, out := &c.in, &c.out
	s := Stats{
		Security: c.keys.method, Suite: c.keys.suite,
		Local: addrPort(c.cfg.RTP.LocalAddr()).String(),
		Sent:  out.totalPackets, SentBytes: out.totalOctets,
		Received: in.packets, ReceivedBytes: in.octets,
		Lost: in.lost, Duplicates: in.duplicates, Reordered: in.reorders,
		Rejected: in.rejected, Faults: c.faults.Load(),
		RemoteLoss: c.peer.loss, RoundTrip: c.peer.roundTrip, RemoteMOS: c.peer.mos,
	}
	if c.path.current.IsValid() {
		s.Remote = c.path.current.String()
	}
	if c.agreed {
		s.SinceHeard = c.now() - in.last
	}
	if out.rate > 0 {
		s.RemoteJitter = time.Duration(float64(c.peer.jitter) / float64(out.rate) * float64(time.Second))
	}
	if src := in.source; src != nil {
		s.Lost += src.lostTotal()
		s.Loss = src.recent.share()
		s.Jitter = src.interarrival()
		q := c.qualityLocked()
		s.R, s.MOS = q.r, q.mos
		if c.peer.roundTrip > 0 || c.sound.Delay > 0 {
			s.Delay = q.delay
		}
	}
	return s
}
