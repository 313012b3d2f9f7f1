package rtpconn

import (
	"math"
	"time"

	"github.com/pion/rtcp"
)

// Playout is what the jitter buffer knows, as it stands. Counts are since the stream began.
type Playout struct {
	Codec     string        // of what is heard, as sdp.Format.Name
	Delay     time.Duration // from a packet's arrival to the listener's ear, now
	Target    time.Duration // what the buffer aims at
	Max       time.Duration // the most it would hold
	Received  uint64        // packets that were played
	Lost      uint64        // packets that were missing when they were due, and not recovered
	Discarded uint64        // packets that came too late
}

// SetPlayout gives the reports and the estimate of quality what only the jitter buffer knows. f is called at every report,
// by Stats and by Close, never with a lock of this package; it must not wait.
func (c *Conn) SetPlayout(f func() Playout) { c.playout.Store(&f) }

// askPlayout asks the jitter buffer.
func (c *Conn) askPlayout() {
	f := c.playout.Load()
	if f == nil || *f == nil {
		return
	}
	p := (*f)()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sound = p
	missing := p.Lost + p.Discarded
	c.heard.note(c.now(), p.Received+missing, missing)
}

// quality is an estimate of how the peer sounds here.
type quality struct {
	r, mos    float64
	listening float64       // the score of listening alone, without the effect of delay on talking
	delay     time.Duration // from mouth to ear; without the way between, if that is unknown
}

// qualityLocked joins the jitter buffer's view, or without one the network's, with the delays.
func (c *Conn) qualityLocked() quality {
	s, p := c.in.source, c.sound
	if s == nil {
		return quality{}
	}
	loss := s.recent.share()
	if c.heard.expected > 0 {
		loss = c.heard.share()
	}
	codec := p.Codec
	if codec == "" && len(c.agreement.Receive) > 0 {
		codec = c.agreement.Receive[0].Name
	}
	var q quality
	q.delay = c.peer.roundTrip/2 + p.Delay + c.agreement.Ptime + impairmentOf(codec).delay
	burst := s.gaps.ratio(loss)
	q.r, q.mos = EModel(codec, loss, burst, q.delay)
	_, q.listening = EModel(codec, loss, burst, 0)
	return q
}

// ratio is the mean length of a run of losses over what it would be if they were independent: BurstR of the E-model.
func (b *bursts) ratio(loss float64) float64 {
	if b.runs < 8 { // too few to say
		return 1
	}
	mean := float64(b.total) / float64(b.runs)
	return min(max(1, mean*(1-loss)), 4)
}

// unavailable is what the metrics say for what is not known (RFC 3611 §4.7).
const unavailable = 127

// Receiver configuration (RFC 3611 §4.7.6): standard concealment, an adaptive jitter buffer.
const receiverConfig = 0b11<<6 | 0b11<<4

// metricsLocked is the VoIP metrics block about the peer's source.
func (c *Conn) metricsLocked() *rtcp.VoIPMetricsReportBlock {
	s, p, q := c.in.source, c.sound, c.qualityLocked()
	burstDensity, gapDensity, burst, gap := s.gaps.metrics()
	ms := func(packets float64) uint16 {
		return limit16(packets * float64(c.agreement.Ptime.Milliseconds()))
	}
	return &rtcp.VoIPMetricsReportBlock{
		SSRC:           s.ssrc,
		LossRate:       share256(float64(s.lostTotal()), float64(s.expectedTotal())),
		DiscardRate:    share256(float64(p.Discarded), float64(p.Received+p.Lost+p.Discarded)),
		BurstDensity:   share256(burstDensity, 1),
		GapDensity:     share256(gapDensity, 1),
		BurstDuration:  ms(burst),
		GapDuration:    ms(gap),
		RoundTripDelay: limit16(float64(c.peer.roundTrip.Milliseconds())),
		EndSystemDelay: limit16(float64((p.Delay + c.agreement.Ptime).Milliseconds())),
		SignalLevel:    unavailable, NoiseLevel: unavailable, RERL: unavailable,
		Gmin:    gmin,
		RFactor: uint8(math.Round(q.r)), ExtRFactor: unavailable,
		MOSLQ: uint8(math.Round(10 * q.listening)), MOSCQ: uint8(math.Round(10 * q.mos)),
		RXConfig:  receiverConfig,
		JBNominal: limit16(float64(p.Target.Milliseconds())),
		JBMaximum: limit16(float64(max(p.Target, p.Delay).Milliseconds())),
		JBAbsMax:  limit16(float64(p.Max.Milliseconds())),
	}
}

func limit16(v float64) uint16 { return uint16(min(max(v, 0), math.MaxUint16)) }

func share256(part, whole float64) uint8 {
	if whole <= 0 || part <= 0 {
		return 0
	}
	return uint8(min(255, part*256/whole))
}
