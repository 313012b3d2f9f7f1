package codec

const (
	opusRate = 48000
	// opusUnit is the shortest duration that Opus knows, 2.5 ms; all others are multiples.
	opusUnit = opusRate / 400
)

// opusSettings are what an encoder is told, after everybody was asked.
type opusSettings struct {
	bitrate   int
	bandwidth int // one of the five, 0 narrow to 4 full
	cbr       bool
	fec, dtx  bool
}

// opusBandwidths are the five audio bandwidths (RFC 6716 §2), each with the rate of a decoder that needs no more
// (maxplaybackrate) and the bit rate that we use where nobody says another: the upper ends of what RFC 7587 §3.1.1
// recommends for speech, because copies for lost packets have to fit in, too.
var opusBandwidths = [...]struct{ rate, bitrate int }{
	{8000, 12000}, {12000, 16000}, {16000, 20000}, {24000, 28000}, {48000, 40000},
}

const (
	opusMinBitrate = 6000 // RFC 7587 §6.1
	opusMaxBitrate = 510000
)

// opusConfigure joins our wishes with those of the peer (RFC 7587 §6.1).
func opusConfigure(cfg EncoderConfig) opusSettings {
	full := len(opusBandwidths) - 1
	s := opusSettings{
		bandwidth: full,
		cbr:       flag(cfg.Params, "cbr"),
		fec:       flag(cfg.Params, "useinbandfec"),
		dtx:       flag(cfg.Params, "usedtx"),
	}
	rate := number(cfg.Params, "maxplaybackrate", opusRate)
	for s.bandwidth > 0 && opusBandwidths[s.bandwidth-1].rate >= rate {
		s.bandwidth--
	}
	s.bitrate = cfg.Bitrate
	if s.bitrate == 0 {
		s.bitrate = opusBandwidths[s.bandwidth].bitrate
	}
	s.bitrate = min(s.bitrate, number(cfg.Params, "maxaveragebitrate", opusMaxBitrate))
	s.bitrate = max(opusMinBitrate, min(s.bitrate, opusMaxBitrate))
	return s
}

// opusFrame is the length of the frames of a payload, from its first byte (RFC 6716 §3.1), in samples.
func opusFrame(toc byte) int {
	config := int(toc >> 3)
	switch {
	case config < 12: // SILK: 10, 20, 40, 60 ms
		return [4]int{4, 8, 16, 24}[config&3] * opusUnit
	case config < 16: // hybrid: 10, 20 ms
		return 4 << (config & 1) * opusUnit
	}
	return 1 << (config & 3) * opusUnit // CELT: 2.5, 5, 10, 20 ms
}

// opusDuration is the length of a payload (RFC 6716 §3.2), in samples; 0 if it has none.
func opusDuration(payload []byte) int {
	if len(payload) == 0 {
		return 0
	}
	frames := 0
	switch payload[0] & 3 {
	case 0:
		frames = 1
	case 1, 2:
		frames = 2
	case 3:
		if len(payload) < 2 {
			return 0
		}
		frames = int(payload[1] & 0x3F)
	}
	n := frames * opusFrame(payload[0])
	if n > 48*opusUnit { // 120 ms
		return 0
	}
	return n
}
