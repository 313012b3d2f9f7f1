package rtpconn

import "encoding/binary"

// kind is what a datagram is by its first bytes.
type kind uint8

const (
	other      kind = iota // ZRTP, TURN channels, QUIC, noise
	empty                  // a keep-alive without content (RFC 6263 §4.1)
	stun                   // RFC 8489
	dtlsRecord             // RFC 6347
	rtpPacket              // RTP or SRTP
	rtcpPacket             // RTCP or SRTCP
)

// Lengths below which a datagram cannot be what its first byte promises.
const (
	stunHeader = 20
	dtlsHeader = 13
	rtpHeader  = 12
	rtcpHeader = 8 // with the sender's SSRC
)

// stunCookie is at the same place in every STUN message (RFC 8489 §5).
const stunCookie = 0x2112A442

// classify tells apart what shares the port of RTP: the first byte by RFC 7983 §7, RTP and RTCP by RFC 5761 §4.
func classify(b []byte) kind {
	if len(b) == 0 {
		return empty
	}
	switch first := b[0]; {
	case first <= 3:
		if len(b) >= stunHeader && binary.BigEndian.Uint32(b[4:]) == stunCookie {
			return stun
		}
	case first >= 20 && first <= 63:
		if len(b) >= dtlsHeader {
			return dtlsRecord
		}
	case first >= 128 && first <= 191:
		// Packet types of RTCP are 192 to 223; in RTP they would be payload types 64 to 95 with the marker, which nobody
		// may use together with mux.
		if len(b) >= rtcpHeader && b[1] >= 192 && b[1] <= 223 {
			return rtcpPacket
		}
		if len(b) >= rtpHeader {
			return rtpPacket
		}
	}
	return other
}
