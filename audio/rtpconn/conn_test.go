package rtpconn

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"

	"offhook/internal/media"
	"offhook/internal/sdp"
	"offhook/internal/vnet"
)

var (
	addrA = netip.MustParseAddrPort("192.0.2.1:4000")
	addrB = netip.MustParseAddrPort("192.0.2.2:5000")
)

// side is one end of a call, and everything it was given.
type side struct {
	*Conn
	at  netip.AddrPort
	net *vnet.Net

	mu     sync.Mutex
	got    []rtp.Packet
	events []media.Event
}

func (s *side) packets() []rtp.Packet {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got
}

func (s *side) told(kind media.EventKind) (list []media.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Kind == kind {
			list = append(list, e)
		}
	}
	return list
}

type setting func(*Config, *vnet.Net, netip.AddrPort)

func withCertificate(c *tls.Certificate) setting {
	return func(cfg *Config, _ *vnet.Net, _ netip.AddrPort) { cfg.Certificate = c }
}

func withControl(cfg *Config, v *vnet.Net, at netip.AddrPort) {
	conn, err := v.ListenPacket(context.Background(), "udp", after(at).String())
	if err != nil {
		panic(err)
	}
	cfg.RTCP = conn
}

func after(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr(), a.Port()+1) }

// open makes a running side; it ends with the test.
func open(t *testing.T, v *vnet.Net, at netip.AddrPort, settings ...setting) *side {
	t.Helper()
	s := &side{at: at, net: v}
	conn, err := v.ListenPacket(t.Context(), "udp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		RTP: conn, CNAME: at.String(),
		Packet: func(p *rtp.Packet) {
			s.mu.Lock()
			defer s.mu.Unlock()
			c := *p
			c.Payload = bytes.Clone(p.Payload)
			s.got = append(s.got, c)
		},
		Told: func(e media.Event) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.events = append(s.events, e)
		},
	}
	for _, set := range settings {
		set(&cfg, v, at)
	}
	if s.Conn, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return s
}

var pcmu = []sdp.Format{{PayloadType: 0, Name: "pcmu", ClockRate: 8000, Channels: 1}}

// plain is an agreement to send and receive PCMU without keys.
func plain(remote netip.AddrPort) sdp.Agreement {
	return sdp.Agreement{
		Remote: remote, RemoteRTCP: remote, Mux: true, Direction: sdp.Both, Send: pcmu, Receive: pcmu,
		Ptime: 20 * time.Millisecond, Protection: sdp.Protection{Method: sdp.Plain},
	}
}

func apply(t *testing.T, c *Conn, a sdp.Agreement) {
	t.Helper()
	if err := c.Apply(a); err != nil {
		t.Fatal(err)
	}
}

// talk sends n packets of 20 ms in real time.
func (s *side) talk(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		if err := s.Write(0, i == 0, uint32(i*160), []byte(fmt.Sprintf("packet %d", i))); err != nil {
			t.Error(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// pair is two plain sides that talk to each other.
func pair(t *testing.T, v *vnet.Net) (a, b *side) {
	t.Helper()
	a, b = open(t, v, addrA), open(t, v, addrB)
	apply(t, a.Conn, plain(addrB))
	apply(t, b.Conn, plain(addrA))
	return a, b
}

func TestPacketsArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, vnet.New())
		a.talk(t, 50)
		got := b.packets()
		if len(got) != 50 {
			t.Fatalf("%d packets arrived, want 50", len(got))
		}
		for i, p := range got {
			if want := fmt.Sprintf("packet %d", i); string(p.Payload) != want {
				t.Errorf("payload %q, want %q", p.Payload, want)
			}
			if p.SequenceNumber != got[0].SequenceNumber+uint16(i) || p.Timestamp != got[0].Timestamp+uint32(i*160) {
				t.Errorf("packet %d: sequence number or timestamp does not go on", i)
			}
			if p.Marker != (i == 0) || p.SSRC != a.SSRC() {
				t.Errorf("packet %d: marker %v, SSRC %x", i, p.Marker, p.SSRC)
			}
		}
		if first := b.told(media.FirstAudio); len(first) != 1 {
			t.Errorf("FirstAudio was told %d times", len(first))
		}
		apply(t, b.Conn, plain(addrA))
		a.talk(t, 2)
		if first := b.told(media.FirstAudio); len(first) != 2 {
			t.Errorf("FirstAudio was told %d times after the second agreement", len(first))
		}
		s := b.Stats()
		if s.Received != 52 || s.ReceivedBytes == 0 || s.Lost != 0 || s.Rejected != 0 || s.Remote != addrA.String() {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestNothingBeforeTheAgreement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		a, b := open(t, v, addrA), open(t, v, addrB)
		if err := a.Write(0, false, 0, nil); err != nil || v.Stats().Sent != 0 {
			t.Errorf("%v, %d packets left", err, v.Stats().Sent)
		}
		apply(t, a.Conn, plain(addrB))
		a.talk(t, 3)
		if s := b.Stats(); len(b.packets()) != 0 || s.Received != 0 || s.Rejected != 3 {
			t.Errorf("stats %+v", s)
		}
	})
}

// A held stream sends nothing, and the numbers go on where they were, so that the peer does not see a loss.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		a, b := pair(t, v)
		a.talk(t, 10)
		held := plain(addrB)
		held.Direction = sdp.Receiving
		apply(t, a.Conn, held)
		a.talk(t, 10)
		if n := len(b.packets()); n != 10 {
			t.Errorf("%d packets arrived, want 10", n)
		}
		apply(t, a.Conn, plain(addrB))
		a.talk(t, 10)
		if s := b.Stats(); len(b.packets()) != 20 || s.Lost != 0 || s.Rejected != 0 {
			t.Errorf("%d packets, stats %+v", len(b.packets()), s)
		}
	})
}

// 0.0.0.0 is the old way to hold: neither RTP nor RTCP (RFC 3264 §8.4).
func TestSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		a, b := pair(t, v)
		a.talk(t, 10)
		silent := plain(netip.MustParseAddrPort("0.0.0.0:5000"))
		silent.Silent = true
		apply(t, a.Conn, silent)
		sent := 0
		defer v.Tap(func(p vnet.Packet) {
			if p.From == addrA {
				sent++
			}
		})()
		a.talk(t, 10)
		time.Sleep(time.Minute)
		synctest.Wait()
		if sent != 0 {
			t.Errorf("%d datagrams left", sent)
		}
		b.talk(t, 3)
		if n := len(a.packets()); n != 3 {
			t.Errorf("%d packets arrived from the peer that is silent to", n)
		}
		if err := a.Close(); err != nil || sent != 0 {
			t.Errorf("close: %v, %d datagrams left", err, sent)
		}
	})
}

func TestCloseSaysBye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, vnet.New())
		a.talk(t, 5)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		b.Conn.mu.Lock()
		left := b.in.source.left
		b.Conn.mu.Unlock()
		if !left {
			t.Error("the peer has not heard BYE")
		}
		if err := a.Write(0, false, 0, nil); err != nil {
			t.Errorf("Write after Close: %v", err)
		}
		if err := a.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	})
}

func TestApplyRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := open(t, vnet.New(), addrA)
		for _, p := range []sdp.Protection{
			{},
			{Method: "zrtp"},
			{Method: sdp.SDES},
			{Method: sdp.SDES, Suite: "AES_CM_128_HMAC_SHA1_80", LocalKey: make(sdp.Key, 30), RemoteKey: make(sdp.Key, 29)},
			{Method: sdp.SDES, Suite: "F8_128_HMAC_SHA1_80", LocalKey: make(sdp.Key, 30), RemoteKey: make(sdp.Key, 30)},
			{Method: sdp.DTLS, Fingerprints: []string{"sha-256 00"}}, // without a certificate
		} {
			ag := plain(addrB)
			ag.Protection = p
			if err := a.Apply(ag); err == nil {
				t.Errorf("%+v was accepted", p)
			}
			if a.agreed {
				t.Error("a refused agreement is in force")
			}
		}
	})
}

func TestWriteTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := pair(t, vnet.New())
		if err := a.Write(0, false, 0, make([]byte, maxPacket)); err != ErrTooLong {
			t.Errorf("error %v", err)
		}
	})
}

// refusing is a socket whose writes fail, as they do when ICMP says that nobody listens.
type refusing struct{ net.PacketConn }

func (refusing) WriteTo([]byte, net.Addr) (int, error) { return 0, syscall.ECONNREFUSED }

func TestWriteErrorsAreSurvived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		a := open(t, v, addrA, func(cfg *Config, _ *vnet.Net, _ netip.AddrPort) { cfg.RTP = refusing{cfg.RTP} })
		b := open(t, v, addrB)
		apply(t, a.Conn, plain(addrB))
		apply(t, b.Conn, plain(addrA))
		a.talk(t, 10)
		b.talk(t, 10)
		if s := a.Stats(); s.Faults < 10 || len(a.packets()) != 10 {
			t.Errorf("%d packets, stats %+v", len(a.packets()), s)
		}
	})
}

// An IPv6 socket shows IPv4 addresses in its own way, and a description may, too.
func TestMappedAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t, vnet.New())
		mapped := netip.AddrPortFrom(netip.AddrFrom16(addrA.Addr().As16()), addrA.Port())
		apply(t, b.Conn, plain(mapped))
		a.talk(t, 5)
		if n := len(b.packets()); n != 5 {
			t.Errorf("%d packets", n)
		}
	})
}
