//go:build cgo

package codec

// Whether a packet carries a copy of the one before it has to be found out by hand: libopus 1.3 conceals without a word when
// it is asked for a copy that is not there.

// opusFirst returns the first frame of a payload (RFC 6716 §3.2); nil if there is none.
func opusFirst(payload []byte) []byte {
	if len(payload) < 2 {
		return nil
	}
	body := payload[1:]
	switch payload[0] & 3 {
	case 0:
		return body
	case 1:
		return body[:len(body)/2]
	case 2:
		size, body := opusLength(body)
		return body[:min(size, len(body))]
	}
	frames, flags := int(body[0]&0x3F), body[0]
	body = body[1:]
	padding := 0
	for more := flags&0x40 != 0; more; {
		if len(body) == 0 {
			return nil
		}
		padding += min(int(body[0]), 254)
		more = body[0] == 255
		body = body[1:]
	}
	if frames == 0 || padding > len(body) {
		return nil
	}
	body = body[:len(body)-padding]
	if flags&0x80 == 0 { // constant bit rate: all have one size
		return body[:len(body)/frames]
	}
	if frames == 1 {
		return body
	}
	size, body := opusLength(body)
	for range frames - 2 {
		_, body = opusLength(body)
	}
	return body[:min(size, len(body))]
}

// opusLength reads the length of a frame (RFC 6716 §3.2.1) and returns what comes after it.
func opusLength(body []byte) (int, []byte) {
	switch {
	case len(body) == 0:
		return 0, nil
	case body[0] < 252:
		return int(body[0]), body[1:]
	case len(body) == 1:
		return 0, nil
	}
	return 4*int(body[1]) + int(body[0]), body[2:]
}

// opusHasCopy reports whether a payload carries a copy of the audio before it. The speech layer (SILK) of its first frame
// begins with bits of equal probability, which range coding leaves in plain sight: voice activity for each 20 ms, then one
// that says that a copy is there; twice in stereo (RFC 6716 §4.2.3).
func opusHasCopy(payload []byte) bool {
	frame := opusFirst(payload)
	if len(frame) == 0 || payload[0]>>3 >= 16 { // CELT alone has no copies
		return false
	}
	parts := max(1, opusFrame(payload[0])/(8*opusUnit))
	if frame[0]>>(7-parts)&1 != 0 {
		return true
	}
	stereo := payload[0]&4 != 0
	return stereo && frame[0]>>(6-2*parts)&1 != 0
}
