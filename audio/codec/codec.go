// Package codec turns blocks of samples into the payloads of RTP packets, and payloads back into samples.
//
//	opus  RFC 6716, payload RFC 7587   fullband, 6 to 510 kb/s, loss concealment and in-band FEC
//	g722  ITU-T G.722, RFC 3551 §4.5.2 7 kHz, 64 kb/s
//	pcmu  ITU-T G.711, RFC 3551 §4.5.14 3.4 kHz, 64 kb/s, spoken by every phone
//	pcma  the same with the other companding law
//
// A rate is two things here. SampleRate is that of the sound; ClockRate is that of RTP timestamps, and RFC 3551 keeps an old
// mistake alive by which G.722, sampled at 16 kHz, counts 8,000 a second. Opus always counts 48,000 and is always described
// with two channels, whatever it carries; sound is mono here, and a payload in stereo is mixed down.
//
// A packet holds 10 to 60 ms. An encoder that has nothing to say appends nothing to its packet (DTX), and nothing is to be
// sent; the timestamps go on meanwhile. When a packet is lost, Opus has two answers: the packet after it may carry a
// coarse copy of it (Recover, in-band FEC, which the encoder makes when the peer tells of losses), and the decoder can
// continue what it heard (Conceal). The others leave concealment to the jitter buffer.
//
// Beside sound, keys are sent as telephone events (RFC 4733, Event). Comfort noise (RFC 3389) is no codec but a state of the
// jitter buffer, which reads it itself.
//
// Payloads come from strangers: whatever their bytes are, a decoder returns sound or an error. Nothing here allocates once
// it is made. Opus needs cgo; without it, a decoder in Go (which does allocate) receives, and NewEncoder is nil.
package codec

import (
	"errors"
	"slices"
	"time"
)

// MaxPayload is the longest payload that an encoder makes. Given that much room in dst, Encode does not allocate; with the
// headers of RTP, SRTP, UDP and IPv6 it fits the 1,280 bytes that every IPv6 path carries.
const MaxPayload = 1200

// MaxDuration is the longest time that one payload can hold, and what the buffer of a decoder should have room for.
const MaxDuration = 120 * time.Millisecond

// DefaultPtime is the duration of a packet where nobody asks for another (RFC 3551 §4.2).
const DefaultPtime = 20 * time.Millisecond

// Errors of encoders and decoders.
var (
	ErrMalformed = errors.New("codec: malformed payload")
	ErrLong      = errors.New("codec: payload holds more than there is room for")
	ErrLength    = errors.New("codec: samples do not fill a packet")
	ErrPtime     = errors.New("codec: unsupported packet duration")
	ErrClosed    = errors.New("codec: closed")
)

// Codec is one way to code sound.
type Codec struct {
	Name       string // in lower case, as in sdp.Format
	ClockRate  int    // of RTP timestamps
	SampleRate int    // of the samples
	Channels   int    // as a=rtpmap says
	Static     int    // payload type of RFC 3551 §6; -1 for a dynamic one
	Params     string // what we say of ourselves in a=fmtp
	// NewEncoder is nil if this program can only receive.
	NewEncoder func(EncoderConfig) (Encoder, error)
	NewDecoder func() (Decoder, error)
}

// EncoderConfig is what the agreement asks of an encoder.
type EncoderConfig struct {
	Ptime   time.Duration // of a packet: 10 to 60 ms in steps of 10; 0 means 20
	Params  string        // the peer's a=fmtp
	Bitrate int           // bits a second; 0 leaves it to the codec
}

// Encoder makes packets of one stream. It belongs to one goroutine.
type Encoder interface {
	// Encode appends the payload of one packet to dst. pcm holds exactly one packet. If nothing was appended, nothing is to be
	// sent. With MaxPayload bytes of room in dst it does not allocate.
	Encode(dst []byte, pcm []int16) ([]byte, error)
	// SetLoss tells what share of packets is lost, 0 to 1, so that the encoder can prepare for it.
	SetLoss(share float64)
	// Close frees what the encoder holds. Closing twice does no harm.
	Close()
}

// Decoder reads the packets of one stream. It belongs to one goroutine.
type Decoder interface {
	// Decode decodes a whole payload into pcm and returns the number of samples. pcm has room for MaxDuration.
	Decode(pcm []int16, payload []byte) (n int, err error)
	// Conceal fills pcm with what may have been in a lost packet; false means that the codec cannot, and pcm is as it was.
	Conceal(pcm []int16) bool
	// Recover fills pcm, which is as long as the lost packet, from the copy of it in the payload of the packet after it; false
	// means that there is none. The payload itself is to be decoded as usual afterwards.
	Recover(pcm []int16, payload []byte) bool
	// Duration is the number of samples in a payload, without decoding it; 0 if it is malformed.
	Duration(payload []byte) int
	// Close frees what the decoder holds. Closing twice does no harm.
	Close()
}

// All are the codecs, best first.
var All = []Codec{
	{
		Name: "opus", ClockRate: opusRate, SampleRate: opusRate, Channels: 2, Static: -1, Params: opusParams, // RFC 7587 §7
		NewEncoder: newOpusEncoder, NewDecoder: newOpusDecoder,
	},
	{
		Name: "g722", ClockRate: 8000, SampleRate: g722Rate, Channels: 1, Static: 9, // RFC 3551 §4.5.2
		NewEncoder: newG722Encoder, NewDecoder: newG722Decoder,
	},
	{
		Name: "pcmu", ClockRate: g711Rate, SampleRate: g711Rate, Channels: 1, Static: 0,
		NewEncoder: newPCMUEncoder, NewDecoder: newPCMUDecoder,
	},
	{
		Name: "pcma", ClockRate: g711Rate, SampleRate: g711Rate, Channels: 1, Static: 8,
		NewEncoder: newPCMAEncoder, NewDecoder: newPCMADecoder,
	},
}

// Find returns the codec of a name.
func Find(name string) (Codec, bool) {
	i := slices.IndexFunc(All, func(c Codec) bool { return c.Name == name })
	if i < 0 {
		return Codec{}, false
	}
	return All[i], true
}

// samples is the length of a packet. Packets are whole blocks of 10 ms, for that is how sound arrives.
func samples(ptime time.Duration, rate int) (int, error) {
	const step = 10 * time.Millisecond
	if ptime == 0 {
		ptime = DefaultPtime
	}
	if ptime < step || ptime > 6*step || ptime%step != 0 {
		return 0, ErrPtime
	}
	return int(ptime/step) * rate / 100, nil
}

// extend gives dst room for n more bytes and returns it with them.
func extend(dst []byte, n int) []byte {
	return slices.Grow(dst, n)[:len(dst)+n]
}
