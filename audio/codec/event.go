package codec

import (
	"encoding/binary"
	"strings"
)

// Event is a telephone event (RFC 4733 §2.3): a key held down, mostly. All packets of one event carry the timestamp of its
// beginning, and a duration that grows; the first has the marker bit, and the last, with End, is sent three times.
type Event struct {
	Code     uint8
	End      bool
	Volume   uint8  // power of the tone in -dBm0, 0 to 63
	Duration uint16 // in units of the RTP clock
}

// eventSize is the length of its payload.
const eventSize = 4

// digits are the keys in the order of their codes (RFC 4733 §3.2).
const digits = "0123456789*#ABCD"

// Append appends the payload of the event to dst.
func (e Event) Append(dst []byte) []byte {
	flags := e.Volume & 0x3F
	if e.End {
		flags |= 0x80
	}
	dst = append(dst, e.Code, flags)
	return binary.BigEndian.AppendUint16(dst, e.Duration)
}

// ParseEvent reads the payload of a telephone event. What follows the four bytes is ignored.
func ParseEvent(payload []byte) (Event, error) {
	if len(payload) < eventSize {
		return Event{}, ErrMalformed
	}
	return Event{
		Code:     payload[0],
		End:      payload[1]&0x80 != 0,
		Volume:   payload[1] & 0x3F,
		Duration: binary.BigEndian.Uint16(payload[2:]),
	}, nil
}

// Digit is the key of the event, one of 0-9 * # A-D.
func (e Event) Digit() (string, bool) {
	if int(e.Code) >= len(digits) {
		return "", false
	}
	return digits[e.Code : e.Code+1], true
}

// DigitCode is the event code of a key; letters may be small.
func DigitCode(digit rune) (uint8, bool) {
	if digit >= 'a' && digit <= 'd' {
		digit += 'A' - 'a'
	}
	i := strings.IndexRune(digits, digit)
	return uint8(max(i, 0)), i >= 0
}
