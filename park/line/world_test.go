package line

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/pion/rtp"

	"offhook/audio/rtpconn"
	"offhook/internal/media"
	"offhook/internal/sdp"
	"offhook/internal/vnet"
)

var (
	addrService = netip.MustParseAddr("192.0.2.1")
	addrMary    = netip.MustParseAddr("192.0.2.2")
	addrBob     = netip.MustParseAddr("192.0.2.3")
)

// identity is a certificate with its fingerprint, made once: that takes a while.
type identity struct {
	certificate *tls.Certificate
	fingerprint string
}

var identities = sync.OnceValue(func() (list [3]identity) {
	for i := range list {
		c, print, err := rtpconn.NewCertificate()
		if err != nil {
			panic(err)
		}
		list[i] = identity{&c, print}
	}
	return list
})

// phone is a peer of the service.
type phone struct {
	t      testing.TB
	conn   *rtpconn.Conn
	talk   *sdp.Negotiation // its side
	line   *Line            // the other end
	theirs *sdp.Negotiation
	mine   sdp.Local
	at     sdp.Agreement

	mu     sync.Mutex
	got    []rtp.Packet  // Guarded by mu.
	events []media.Event // Guarded by mu; of the line.
}

// security is how a leg is to be protected.
type security struct {
	policy sdp.Policy
	dtls   bool
}

var (
	plain  = security{sdp.Off, false}
	bySDES = security{sdp.Required, false}
	byDTLS = security{sdp.Opportunistic, true}
)

var (
	opus       = sdp.Format{PayloadType: 96, Name: "opus", ClockRate: 48000, Channels: 2}
	opusEvents = sdp.Format{PayloadType: 97, Name: "telephone-event", ClockRate: 48000, Channels: 1, Params: "0-15"}
	g722       = sdp.Format{PayloadType: 9, Name: "g722", ClockRate: 8000, Channels: 1}
	pcmu       = sdp.Format{PayloadType: 0, Name: "pcmu", ClockRate: 8000, Channels: 1}
	pcma       = sdp.Format{PayloadType: 8, Name: "pcma", ClockRate: 8000, Channels: 1}
	events     = sdp.Format{PayloadType: 100, Name: "telephone-event", ClockRate: 8000, Channels: 1, Params: "0-15"}
	noise      = sdp.Format{PayloadType: 13, Name: "cn", ClockRate: 8000, Channels: 1}
)

type listenFunc func(ctx context.Context, network, address string) (net.PacketConn, error)

// call connects a phone with a line of its own. offers: the phone is who offers, so that the numbers of payload types are
// its own.
func call(t testing.TB, listen listenFunc, local, at netip.Addr, s security, offers bool, formats ...sdp.Format) *phone {
	t.Helper()
	id := identities()
	p := &phone{t: t}
	cfg := Config{Local: local, ListenPacket: listen, Policy: s.policy, Told: func(e media.Event) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.events = append(p.events, e)
	}}
	mine := sdp.Local{Formats: formats, Policy: s.policy}
	var certificate *tls.Certificate
	if s.dtls {
		cfg.Certificate, cfg.Fingerprint = id[0].certificate, id[0].fingerprint
		certificate, mine.Fingerprint = id[1].certificate, id[1].fingerprint
	}
	var err error
	if p.line, err = Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	rtpSocket, rtcpSocket, where, err := rtpconn.ListenPair(t.Context(), listen, at)
	if err != nil {
		t.Fatal(err)
	}
	mine.Addr = where
	p.mine = mine
	if p.conn, err = rtpconn.New(rtpconn.Config{RTP: rtpSocket, RTCP: rtcpSocket, Certificate: certificate, Packet: p.arrived}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); p.conn.Run(context.Background()) }()
	t.Cleanup(func() {
		p.conn.Close() //nolint:errcheck // the test is over
		<-ended
		if err := p.line.Close(); err != nil {
			t.Error(err)
		}
	})
	p.talk, p.theirs = sdp.NewNegotiation(mine), sdp.NewNegotiation(p.line.Local())
	p.agree(offers, sdp.Both)
	return p
}

func (p *phone) arrived(packet *rtp.Packet) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := *packet
	c.Payload = slices.Clone(packet.Payload)
	p.got = append(p.got, c)
}

// agree exchanges an offer and an answer and puts them into force. offers: it is the phone's, which wants a direction.
func (p *phone) agree(offers bool, wants sdp.Direction) {
	p.t.Helper()
	from, to := p.theirs, p.talk
	mine, theirs := sdp.Both, wants
	if offers {
		from, to = to, from
		mine, theirs = wants, sdp.Both
	}
	offer, err := from.Offer(mine)
	if err != nil {
		p.t.Fatal(err)
	}
	answer, second, err := to.Answer(offer, theirs)
	if err != nil {
		p.t.Fatalf("%v\n%s", err, offer)
	}
	first, err := from.Accept(answer)
	if err != nil {
		p.t.Fatalf("%v\n%s\n%s", err, offer, answer)
	}
	if !offers {
		first, second = second, first
	}
	p.at = first
	if err := p.conn.Apply(first); err != nil { // before anything comes that the line sends for it
		p.t.Fatal(err)
	}
	if err := p.line.Apply(second); err != nil {
		p.t.Fatal(err)
	}
}

// number is the payload type under which this phone sends a format.
func (p *phone) number(f sdp.Format) uint8 {
	g, ok := find(p.at.Send, f)
	if !ok {
		p.t.Fatalf("%v has not been agreed: %v", f, p.at.Send)
	}
	return g.PayloadType
}

// packets are those that have arrived since the last call.
func (p *phone) packets() []rtp.Packet {
	p.mu.Lock()
	defer p.mu.Unlock()
	got := p.got
	p.got = nil
	return got
}

// pair is Mary, parked, and Bob, who is about to pick her up.
func pair(t testing.TB, v *vnet.Net, marys, bobs security, formats ...sdp.Format) (mary, bob *phone) {
	t.Helper()
	mary = call(t, v.ListenPacket, addrService, addrMary, marys, true, formats...)
	bob = call(t, v.ListenPacket, addrService, addrBob, bobs, false, formats...)
	return mary, bob
}

func join(t testing.TB, a, b *phone) {
	t.Helper()
	if err := a.line.Join(b.line); err != nil {
		t.Fatal(err)
	}
}
