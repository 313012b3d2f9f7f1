package jitter

import (
	"sync"
	"time"
)

// Bounds that hold whatever the network sends.
const (
	maxPackets = 128  // held at a time
	maxPayload = 4096 // bytes of one; 120 ms of Opus at its highest rate have less
	maxPacket  = 120 * time.Millisecond
	block      = 10 * time.Millisecond  // what Pull returns
	burst      = 500 * time.Millisecond // what may be held above the longest target before sound is skipped
	dead       = time.Minute            // without a packet, after which comfort noise ends, too
)

// Decoder is what the buffer needs of a codec. Its methods are called under the buffer's lock, one at a time.
type Decoder interface {
	// Decode decodes a whole packet; pcm has room for 120 ms.
	Decode(pcm []int16, payload []byte) (n int, err error)
	// Conceal makes len(pcm) samples in place of lost ones; false means that the codec cannot.
	Conceal(pcm []int16) (ok bool)
	// Recover decodes the copy of the previous packet that payload may carry; false where there is none.
	Recover(pcm []int16, payload []byte) (ok bool)
	// Duration is the length of a payload in samples; 0 if it is malformed.
	Duration(payload []byte) int
}

// Packet is an RTP packet as far as the buffer needs it.
type Packet struct {
	Sequence    uint16
	Timestamp   uint32
	PayloadType uint8
	Marker      bool
	Payload     []byte
}

// Config are the limits of the target delay, from the moment a sound is spoken.
type Config struct {
	Min, Max time.Duration // 0: 20 ms and 500 ms
}

// Format is how a payload type is played. Both rates must divide 48000.
type Format struct {
	Decoder    Decoder
	ClockRate  int  // of the timestamps
	SampleRate int  // of what Decoder makes
	Comfort    bool // comfort noise (RFC 3389); Decoder is not used
}

func (f *Format) known() bool { return f.Comfort || f.Decoder != nil }

// Buffer is the jitter buffer of one stream. Push and Pull are meant for two goroutines; all methods may be called from
// any. The lock is held for as long as it takes to decode a packet, never longer.
type Buffer struct {
	mu sync.Mutex

	// Guarded by mu: all below.

	cfg     Config
	formats [128]Format
	now     time.Duration // of the newest Push or Pull

	// What has come: push.go.
	queue    []*slot // ordered by sequence number
	free     []*slot
	made     int // slots made so far
	newest   newest
	suspect  suspect
	seen     window
	arrivals arrivals

	// What is played: pull.go.
	state   state
	format  *Format // that played last
	sound   sound
	rated   bool   // a format has set the rate
	next    ticks  // end of what is decoded
	seq     int64  // of the packet consumed last
	base    int64  // of the first packet consumed
	missing int64  // sequence numbers before seq that were skipped since the last packet that was played
	filled  ticks  // made up since next, in place of what is not decided yet
	rough   bool   // what follows does not continue what was decoded before
	anew    bool   // the delay begins anew with the next packet
	delays  recent // when packets were played minus their time
	shifted time.Duration
	calm    time.Duration // until when the delay may not get less
	rest    int           // blocks until the next look at the delay
	fec     time.Duration // until when packets are held longer, so that the next one can repair a lost one
	fecLost time.Duration // of the last loss that could be repaired

	ghost ghost // waveform concealment
	back  background

	stats Stats
	gaps  gaps
	out   [480]int16
}

// New returns an empty buffer. It plays silence until a format is set and packets come.
func New(cfg Config) *Buffer {
	if cfg.Min <= 0 {
		cfg.Min = 20 * time.Millisecond
	}
	if cfg.Max <= 0 {
		cfg.Max = 500 * time.Millisecond
	}
	cfg.Max = max(cfg.Max, cfg.Min)
	b := &Buffer{cfg: cfg}
	b.sound.reset(48000)
	b.Reset()
	return b
}

// SetFormat sets how a payload type is played. A Format without Decoder takes it back: packets of that type keep their
// place in the sequence and play nothing, which is right for telephone events. Rates that do not divide 48000 are refused
// in the same way. When it returns, the decoder that was there before is not used any more.
func (b *Buffer) SetFormat(pt uint8, f Format) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f.ClockRate <= 0 || 48000%f.ClockRate != 0 || !f.Comfort && (f.SampleRate < 8000 || 48000%f.SampleRate != 0) {
		f = Format{}
	}
	at := &b.formats[pt&127]
	*at = f
	if !f.known() || f.Comfort {
		if b.format == at {
			b.format = nil
		}
		return
	}
	if !b.rated {
		b.rated = true
		b.setRate(f.SampleRate)
	}
}

// Reset forgets all packets and everything learned about the path: another source speaks now, or another path is used. The
// formats stay, and so do the counters.
func (b *Buffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free = append(b.free, b.queue...)
	b.queue = b.queue[:0]
	b.newest = newest{}
	b.suspect.set = false
	b.seen = window{}
	b.arrivals = arrivals{}
	b.state = waiting
	b.format = nil
	b.settle(true)
	b.base, b.missing, b.rough, b.anew = 0, 0, false, true
	b.fec, b.fecLost = 0, 0
	b.back = background{}
	b.ghost.active = false
}

func (b *Buffer) setRate(rate int) {
	if rate == b.sound.rate {
		return
	}
	b.sound.reset(rate)
	b.ghost.active = false
	b.back = background{}
}

// ticks is time in 1/48000 s.
type ticks int64

func (t ticks) duration() time.Duration { return time.Duration(t) * 62500 / 3 }

func toTicks(d time.Duration) ticks { return ticks(d * 3 / 62500) }
