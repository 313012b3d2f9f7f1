package audio

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"offhook/audio/codec"
	"offhook/audio/device"
	"offhook/audio/jitter"
	"offhook/internal/media"
	"offhook/internal/sdp"
)

// defaultPacket is the length of the packets that we like: the usual compromise of delay and overhead.
const defaultPacket = codec.DefaultPtime

// Payload types of our offers that are not registered: dynamic ones (RFC 3551 §6), where others expect them.
const (
	typeOpus          = 111
	typeEvents48000   = 110
	typeEvents8000    = 101
	typeComfort       = 13 // RFC 3389 §4
	firstOtherDynamic = 112
)

const (
	telephoneEvent = "telephone-event"
	comfortNoise   = "cn"
)

// offered are the formats of an offer: the codecs, and beside them telephone events for each clock rate in use.
func offered(codecs []codec.Codec) []sdp.Format {
	var formats []sdp.Format
	next := uint8(firstOtherDynamic)
	clocks := map[int]bool{}
	for _, c := range codecs {
		f := sdp.Format{Name: c.Name, ClockRate: c.ClockRate, Channels: c.Channels, Params: c.Params}
		switch {
		case c.Static >= 0:
			f.PayloadType = uint8(c.Static)
		case c.Name == "opus":
			f.PayloadType = typeOpus
		default:
			f.PayloadType, next = next, next+1
		}
		clocks[c.ClockRate] = true
		formats = append(formats, f)
	}
	if clocks[48000] {
		formats = append(formats, sdp.Format{
			PayloadType: typeEvents48000, Name: telephoneEvent, ClockRate: 48000, Channels: 1, Params: "0-15",
		})
	}
	if clocks[8000] {
		formats = append(formats,
			sdp.Format{PayloadType: typeEvents8000, Name: telephoneEvent, ClockRate: 8000, Channels: 1, Params: "0-15"},
			sdp.Format{PayloadType: typeComfort, Name: comfortNoise, ClockRate: 8000, Channels: 1})
	}
	return formats
}

// cname is the canonical name of RTCP: random, one a call, so that calls cannot be linked by it (RFC 7022 §4.2).
func cname() string {
	b := make([]byte, 12)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// plan is how packets are made under an agreement.
type plan struct {
	codec      codec.Codec
	encoder    codec.Encoder
	format     sdp.Format
	packet     time.Duration
	frame      int    // samples of a packet at the codec's rate
	ticks      uint32 // of the RTP clock in a packet
	events     int    // payload type of telephone events; -1 without
	eventClock int    // in which their duration counts
	sending    bool
	receives   bool
}

// Apply puts an agreement into force.
func (s *Stream) Apply(a sdp.Agreement) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	next, err := s.planLocked(a)
	if err != nil {
		return err
	}
	if err := s.prepareLocked(a); err != nil {
		if s.plan == nil || next.encoder != s.plan.encoder {
			next.encoder.Close()
		}
		return err
	}
	old := s.plan
	s.plan = next
	if old != nil && old.encoder != next.encoder {
		old.encoder.Close()
		s.fill = 0
		s.tell(media.Event{Kind: media.FormatChanged, Text: next.codec.Name})
	}
	if next.sending && (old == nil || !old.sending) {
		s.openLocked()
	}
	return nil
}

// prepareLocked makes decoders, network and device ready for an agreement.
func (s *Stream) prepareLocked(a sdp.Agreement) (err error) {
	if err := s.formatsLocked(a.Receive); err != nil {
		return err
	}
	if err := s.conn.Apply(a); err != nil {
		return fmt.Errorf("audio: %w", err)
	}
	if s.release == nil {
		s.release, err = s.e.use(device.Microphone | device.Speaker)
	}
	return err
}

// planLocked makes a plan, with the encoder of the one in force if that fits.
func (s *Stream) planLocked(a sdp.Agreement) (*plan, error) {
	p := &plan{
		sending: a.Direction&sdp.Sending != 0 && !a.Silent, receives: a.Direction&sdp.Receiving != 0, events: -1,
		packet: min(max(a.Ptime, blockTime), maxPacket).Truncate(blockTime),
	}
	if a.Ptime == 0 {
		p.packet = defaultPacket
	}
	at := slices.IndexFunc(a.Send, func(f sdp.Format) bool {
		c, ok := codec.Find(f.Name)
		if !ok || c.NewEncoder == nil {
			return false
		}
		p.codec, p.format = c, f
		return true
	})
	if at < 0 {
		return nil, errors.New("audio: none of the agreed codecs can be sent by this build")
	}
	for _, f := range a.Send {
		// Phones that know no other rate than 8 kHz take it beside Opus, too.
		if f.Name == telephoneEvent && (p.events < 0 || f.ClockRate == p.codec.ClockRate) {
			p.events, p.eventClock = int(f.PayloadType), f.ClockRate
		}
	}
	p.frame = int(time.Duration(p.codec.SampleRate) * p.packet / time.Second)
	p.ticks = uint32(time.Duration(p.codec.ClockRate) * p.packet / time.Second)
	if old := s.plan; old != nil && old.codec.Name == p.codec.Name && old.packet == p.packet && old.format.Params == p.format.Params {
		p.encoder = old.encoder
		return p, nil
	}
	var err error
	p.encoder, err = p.codec.NewEncoder(codec.EncoderConfig{Ptime: p.packet, Params: p.format.Params})
	if err != nil {
		return nil, fmt.Errorf("audio: encoder for %s: %w", p.codec.Name, err)
	}
	return p, nil
}

// formatsLocked gives the buffer a decoder for each payload type that may arrive. Those it has stay: being held does not
// make a decoder forget.
func (s *Stream) formatsLocked(formats []sdp.Format) error {
	next := map[uint8]decoder{}
	events := new([128]bool)
	for _, f := range formats {
		c, known := codec.Find(f.Name)
		switch had, ok := s.decoders[f.PayloadType]; {
		case f.PayloadType > 127:
		case f.Name == telephoneEvent:
			events[f.PayloadType] = true
		case f.Name == comfortNoise:
			next[f.PayloadType] = decoder{format: f, play: jitter.Format{ClockRate: f.ClockRate, Comfort: true}}
		case ok && had.format.Name == f.Name:
			next[f.PayloadType] = had
		case known:
			d, err := c.NewDecoder()
			if err != nil {
				s.closeDecoders(next, s.decoders)
				return fmt.Errorf("audio: decoder for %s: %w", f.Name, err)
			}
			next[f.PayloadType] = decoder{f, jitter.Format{Decoder: d, ClockRate: c.ClockRate, SampleRate: c.SampleRate}, d}
		}
	}
	for pt := range s.decoders {
		if _, ok := next[pt]; !ok {
			s.buffer.SetFormat(pt, jitter.Format{})
		}
	}
	for pt, d := range next {
		if had, ok := s.decoders[pt]; !ok || had.own != d.own {
			s.buffer.SetFormat(pt, d.play)
		}
	}
	s.closeDecoders(s.decoders, next)
	s.decoders = next
	s.eventTypes.Store(events)
	return nil
}

// closeDecoders closes those of one set that are not in the other.
func (s *Stream) closeDecoders(set, except map[uint8]decoder) {
	for pt, d := range set {
		if d.own != nil && except[pt].own != d.own {
			d.own.Close()
		}
	}
}

// openLocked sends a first packet of silence at once instead of when the microphone has filled one: it opens the way
// through firewalls, and the other side knows that we are there.
func (s *Stream) openLocked() {
	p := s.plan
	s.fill = 0
	clear(s.pcm[:p.frame])
	s.packetLocked(p, true)
}
