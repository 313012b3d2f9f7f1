package codec

import (
	"math"
	"testing"
)

// laws are the two laws with values from the tables of G.711, for 16 bits.
var laws = []struct {
	name     string
	compress func(int16) byte
	expand   func(byte) int16
	table    *[256]int16
	values   map[byte]int16
	zeros    int            // codes that come back as another one
	largest  int            // value
	step     func(byte) int // in the segment of a code
}{
	{"pcmu", compressMu, expandMu, pcmuTable, map[byte]int16{
		0xFF: 0, 0x7F: 0, 0xFE: 8, 0x7E: -8, 0xEF: 132, 0x8F: 16764, 0x80: 32124, 0x00: -32124, 0x9F: 8316, 0xF0: 120,
	}, 1, 32124, func(code byte) int { return 8 << (^code >> 4 & 7) }},
	{"pcma", compressA, expandA, pcmaTable, map[byte]int16{
		0xD5: 8, 0x55: -8, 0xD4: 24, 0xC5: 264, 0xAA: 32256, 0x2A: -32256, 0xA5: 16896, 0x85: 4224, 0xE5: 1056,
	}, 0, 32256, func(code byte) int { return 16 << max(int(code^0x55)>>4&7-1, 0) }},
}

func TestLawValues(t *testing.T) {
	for _, l := range laws {
		for code, want := range l.values {
			if got := l.expand(code); got != want {
				t.Errorf("%s: code %#02x is %d, want %d", l.name, code, got, want)
			}
		}
	}
}

// All 256 codes come back from their values, but for the second zero of the µ-law.
func TestLawRoundTrip(t *testing.T) {
	for _, l := range laws {
		others := 0
		for code := range 256 {
			v := l.table[code]
			back := l.compress(v)
			if l.table[back] != v {
				t.Errorf("%s: code %#02x comes back as another value, %d for %d", l.name, code, l.table[back], v)
			}
			if back != byte(code) {
				others++
			}
		}
		if others != l.zeros {
			t.Errorf("%s: %d codes come back as others, want %d", l.name, others, l.zeros)
		}
	}
}

// Every sample goes to a value no more than half a step away (but for what is beyond the last one), and a louder sample
// never to a smaller value.
func TestLawMonotone(t *testing.T) {
	for _, l := range laws {
		last := int16(math.MinInt16)
		for x := math.MinInt16; x <= math.MaxInt16; x++ {
			code := l.compress(int16(x))
			v := l.table[code]
			if v < last {
				t.Fatalf("%s: %d goes to %d, after %d", l.name, x, v, last)
			}
			last = v
			if got := distance(x, int(v)); got > l.step(code)/2 && distance(x, 0) <= l.largest+l.step(code)/2 {
				t.Fatalf("%s: %d goes to %d, which is %d away with a step of %d", l.name, x, v, got, l.step(code))
			}
		}
	}
}

func distance(a, b int) int { return max(a-b, b-a) }
