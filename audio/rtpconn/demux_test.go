package rtpconn

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/pion/rtcp"

	"offhook/internal/sdp"
)

func TestClassify(t *testing.T) {
	long := func(first ...byte) []byte { return append(first, make([]byte, 40)...) }
	tests := []struct {
		b    []byte
		want kind
	}{
		{nil, empty},
		{long(0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42), stun},
		{long(0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x43), other},
		{long(4), other},
		{long(16), other}, // ZRTP
		{long(20), dtlsRecord},
		{long(22), dtlsRecord},
		{long(63), dtlsRecord},
		{long(64), other}, // TURN
		{long(127), other},
		{long(128, 0), rtpPacket},
		{long(128, 63), rtpPacket},
		{long(128, 64), rtpPacket}, // without the marker it is no packet type of RTCP
		{long(128, 96|128), rtpPacket},
		{long(128, 191), rtpPacket},
		{long(128, 192), rtcpPacket},
		{long(128, 200), rtcpPacket},
		{long(128, 223), rtcpPacket},
		{long(128, 224), rtpPacket},
		{long(191, 200), rtcpPacket},
		{long(192, 0), other},
		{make([]byte, 19), other},
		{[]byte{22, 0, 0}, other},
		{[]byte{128, 0, 0}, other},
		{[]byte{128, 200, 0, 0}, other},
		{[]byte("\r\n\r\n"), other},
	}
	for _, tt := range tests {
		if got := classify(tt.b); got != tt.want {
			t.Errorf("%v: %d, want %d", tt.b[:min(len(tt.b), 2)], got, tt.want)
		}
	}
}

// fuzzed is a connection that never runs; its socket discards.
func fuzzed(t testing.TB, p sdp.Protection) *Conn {
	t.Helper()
	id := identities()[0]
	c, err := New(Config{RTP: nowhere{}, CNAME: "x", Certificate: &id.cert})
	if err != nil {
		t.Fatal(err)
	}
	a := plain(addrB)
	a.Protection = p
	if err := c.Apply(a); err != nil {
		t.Fatal(err)
	}
	return c
}

// FuzzInput gives two datagrams to a connection, from the peer and from a stranger. With keys nothing but the count of
// rejected ones may change; without, what is from the stranger.
func FuzzInput(f *testing.F) {
	f.Add(rtpBytes(0, 1, 1), rtpBytes(0, 1, 2))
	f.Add([]byte{}, []byte{22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1})
	compound, err := rtcp.Marshal([]rtcp.Packet{
		&rtcp.SenderReport{SSRC: 1, Reports: []rtcp.ReceptionReport{{SSRC: 2}}},
		rtcp.NewCNAMESourceDescription(1, "x"),
		&rtcp.ExtendedReport{SenderSSRC: 1, Reports: []rtcp.ReportBlock{
			&rtcp.ReceiverReferenceTimeReportBlock{NTPTimestamp: 1}, &rtcp.DLRRReportBlock{Reports: []rtcp.DLRRReport{{SSRC: 1}}},
			&rtcp.VoIPMetricsReportBlock{SSRC: 1},
		}},
		&rtcp.Goodbye{Sources: []uint32{1}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(compound, compound)
	padded := append(bytes.Clone(compound[:28+24]), 0xa1, 203, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 4)
	f.Add(padded, padded[:9])
	keys := sdp.Protection{Method: sdp.SDES, Suite: gcm, LocalKey: newKey(gcm), RemoteKey: newKey(gcm)}
	print := sdp.Protection{Method: sdp.DTLS, Fingerprints: []string{identities()[1].print}}
	evil := netip.MustParseAddrPort("192.0.2.66:6666")
	f.Fuzz(func(t *testing.T, one, two []byte) {
		one, two = one[:min(len(one), maxPacket)], two[:min(len(two), maxPacket)]
		for _, p := range []sdp.Protection{{Method: sdp.Plain}, keys, print} {
			c := fuzzed(t, p)
			r := &reader{}
			for i, b := range [][]byte{one, two, two, one} {
				from := []netip.AddrPort{addrB, evil}[i%2]
				before := c.Stats()
				c.handle(r, from, r.buf[:copy(r.buf[:], b)], i == 3)
				after := c.Stats()
				if from == addrB && p.Method == sdp.Plain {
					continue
				}
				if classify(b) != dtlsRecord && after.Rejected == before.Rejected && from == evil {
					t.Errorf("%v: %x from a stranger was not rejected", p.Method, b)
				}
				before.Rejected, before.SinceHeard = after.Rejected, after.SinceHeard
				if before != after {
					t.Errorf("%v: %x changes %+v to %+v", p.Method, b, before, after)
				}
			}
			c.Close() //nolint:errcheck // closes nothing
		}
	})
}
