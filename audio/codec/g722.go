package codec

// ITU-T G.722, mode 1 (64 kb/s): two filters split 16 kHz into bands of 8 kHz each; the lower one is coded by six bits of
// adaptive differential PCM, the upper one by two, and a byte carries one sample of each, the upper band in its first bits.
// Everything is integer arithmetic that the recommendation fixes to the last bit: an encoder and a decoder keep step only
// if they round alike.

const (
	g722Rate = 16000
	// g722Taps is the length of the filters that split and join the bands.
	g722Taps = 24
	// g722Chunk is how many bytes are made or read between two moves of the filters' history.
	g722Chunk = 160
)

// qmf are the coefficients of the split filter with even numbers, in units of 1/8192 (G.722 §5.2). The filter is symmetric:
// those with odd numbers are the same in reverse order.
var qmf = [g722Taps / 2]int32{3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11}

type g722Encoder struct {
	samples   int
	low, high band
	// history ends with the samples of the chunk in work and begins with the 22 before it.
	history [g722Taps - 2 + 2*g722Chunk]int32
}

func newG722Encoder(cfg EncoderConfig) (Encoder, error) {
	n, err := samples(cfg.Ptime, g722Rate)
	if err != nil {
		return nil, err
	}
	return &g722Encoder{samples: n, low: newLowBand(), high: newHighBand()}, nil
}

func (e *g722Encoder) Encode(dst []byte, pcm []int16) ([]byte, error) {
	if len(pcm) != e.samples {
		return dst, ErrLength
	}
	at := len(dst)
	dst = extend(dst, len(pcm)/2)
	out := dst[at:]
	for len(out) > 0 {
		n := min(len(out), g722Chunk)
		e.chunk(out[:n], pcm[:2*n])
		out, pcm = out[n:], pcm[2*n:]
	}
	return dst, nil
}

func (e *g722Encoder) chunk(out []byte, pcm []int16) {
	for i, x := range pcm {
		e.history[g722Taps-2+i] = int32(x)
	}
	for i := range out {
		x := (*[g722Taps]int32)(e.history[2*i:])
		var even, odd int32
		for k, c := range qmf {
			even += c * x[2*k]
			odd += c * x[g722Taps-1-2*k]
		}
		// The recommendation's input has 15 bits where ours has 16, hence one bit more of shift.
		low, high := (odd+even)>>14, (odd-even)>>14
		out[i] = e.high.encodeHigh(high)<<6 | e.low.encodeLow(low)
	}
	copy(e.history[:g722Taps-2], e.history[len(pcm):])
}

func (*g722Encoder) SetLoss(float64) {}
func (*g722Encoder) Close()          {}

type g722Decoder struct {
	low, high band
	// history holds, in pairs, the difference and the sum of the bands: those of the chunk in work and the 11 before.
	history [g722Taps - 2 + 2*g722Chunk]int32
}

func newG722Decoder() (Decoder, error) {
	return &g722Decoder{low: newLowBand(), high: newHighBand()}, nil
}

func (d *g722Decoder) Decode(pcm []int16, payload []byte) (int, error) {
	switch {
	case len(payload) == 0:
		return 0, ErrMalformed
	case 2*len(payload) > len(pcm):
		return 0, ErrLong
	}
	n := 2 * len(payload)
	for len(payload) > 0 {
		k := min(len(payload), g722Chunk)
		d.chunk(pcm[:2*k], payload[:k])
		pcm, payload = pcm[2*k:], payload[k:]
	}
	return n, nil
}

func (d *g722Decoder) chunk(pcm []int16, payload []byte) {
	for i, code := range payload {
		low, high := d.low.decodeLow(code&0x3F), d.high.decodeHigh(code>>6)
		d.history[g722Taps-2+2*i] = low - high
		d.history[g722Taps-1+2*i] = low + high
	}
	for i := range payload {
		x := (*[g722Taps]int32)(d.history[2*i:])
		var first, second int32
		for k, c := range qmf {
			first += c * x[g722Taps-2-2*k]
			second += c * x[2*k+1]
		}
		pcm[2*i] = int16(saturate(first >> 11))
		pcm[2*i+1] = int16(saturate(second >> 11))
	}
	copy(d.history[:g722Taps-2], d.history[2*len(payload):])
}

func (*g722Decoder) Duration(payload []byte) int  { return 2 * len(payload) }
func (*g722Decoder) Conceal([]int16) bool         { return false }
func (*g722Decoder) Recover([]int16, []byte) bool { return false }
func (*g722Decoder) Close()                       {}

// saturate limits to 16 bits, as every sum of the recommendation is limited.
func saturate(v int32) int32 { return max(-32768, min(v, 32767)) }
