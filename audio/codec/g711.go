package codec

import "math/bits"

// ITU-T G.711: a sample is a sign, a segment of three bits (its size in octaves) and four bits of place in the segment.
// The tables of the recommendation follow from that, and are computed here.

const g711Rate = 8000

var (
	pcmuTable = table(expandMu)
	pcmaTable = table(expandA)
)

func table(expand func(byte) int16) *[256]int16 {
	var t [256]int16
	for code := range t {
		t[code] = expand(byte(code))
	}
	return &t
}

// muBias moves the segments of the µ-law to powers of two, in the 14-bit units of the law.
const muBias = 33

// compressMu is the µ-law. The magnitude of a negative sample is its one's complement, as in G.191, so that the decision
// values lie evenly about zero; every code but the second zero, 0x7F, comes back from its own value.
func compressMu(x int16) byte {
	sign := byte(0x80)
	v := int(x)
	if v < 0 {
		sign, v = 0, ^v
	}
	m := min(v>>2+muBias, 0x1FFF)
	segment := bits.Len(uint(m)) - 6
	code := sign | byte(segment<<4) | byte(m>>(segment+1)&0xF)
	return code ^ 0x7F // all magnitude bits are inverted on the line
}

func expandMu(code byte) int16 {
	c := code ^ 0x7F
	segment, place := int(c>>4&7), int(c&0xF)
	m := (2*place+muBias)<<segment - muBias // the middle of the interval
	if c&0x80 == 0 {
		m = -m
	}
	return int16(m << 2)
}

// compressA is the A-law, in 12-bit units; even bits are inverted on the line.
func compressA(x int16) byte {
	sign := byte(0x80)
	v := int(x)
	if v < 0 {
		sign, v = 0, ^v
	}
	m := v >> 4
	segment := 0
	if m > 0xF {
		segment = bits.Len(uint(m)) - 4
		m >>= segment - 1
	}
	return (sign | byte(segment<<4) | byte(m&0xF)) ^ 0x55
}

func expandA(code byte) int16 {
	c := code ^ 0x55
	segment, place := int(c>>4&7), int(c&0xF)
	m := place<<4 + 8 // the middle of the interval
	if segment > 0 {
		m = (m + 0x100) << (segment - 1)
	}
	if c&0x80 == 0 {
		m = -m
	}
	return int16(m)
}

func newPCMUEncoder(cfg EncoderConfig) (Encoder, error) { return newG711Encoder(cfg, compressMu) }
func newPCMAEncoder(cfg EncoderConfig) (Encoder, error) { return newG711Encoder(cfg, compressA) }
func newPCMUDecoder() (Decoder, error)                  { return &g711Decoder{table: pcmuTable}, nil }

func newPCMADecoder() (Decoder, error) { return &g711Decoder{table: pcmaTable}, nil }

type g711Encoder struct {
	samples  int
	compress func(int16) byte
}

func newG711Encoder(cfg EncoderConfig, compress func(int16) byte) (Encoder, error) {
	n, err := samples(cfg.Ptime, g711Rate)
	if err != nil {
		return nil, err
	}
	return &g711Encoder{samples: n, compress: compress}, nil
}

func (e *g711Encoder) Encode(dst []byte, pcm []int16) ([]byte, error) {
	if len(pcm) != e.samples {
		return dst, ErrLength
	}
	at := len(dst)
	dst = extend(dst, len(pcm))
	out := dst[at:]
	for i, x := range pcm {
		out[i] = e.compress(x)
	}
	return dst, nil
}

func (*g711Encoder) SetLoss(float64) {}
func (*g711Encoder) Close()          {}

// g711Decoder has no state: a payload is a table look-up for each byte.
type g711Decoder struct{ table *[256]int16 }

func (d *g711Decoder) Decode(pcm []int16, payload []byte) (int, error) {
	switch {
	case len(payload) == 0:
		return 0, ErrMalformed
	case len(payload) > len(pcm):
		return 0, ErrLong
	}
	out := pcm[:len(payload)]
	for i, code := range payload {
		out[i] = d.table[code]
	}
	return len(payload), nil
}

func (*g711Decoder) Duration(payload []byte) int  { return len(payload) }
func (*g711Decoder) Conceal([]int16) bool         { return false }
func (*g711Decoder) Recover([]int16, []byte) bool { return false }
func (*g711Decoder) Close()                       {}
