package rtpconn

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"offhook/internal/media"
	"offhook/internal/sdp"
	"offhook/internal/vnet"
)

// identity is a certificate and its fingerprint.
type identity struct {
	cert  tls.Certificate
	print string
}

var identities = sync.OnceValue(func() []*identity {
	list := make([]*identity, 3)
	for i := range list {
		cert, print, err := NewCertificate()
		if err != nil {
			panic(err)
		}
		list[i] = &identity{cert, print}
	}
	return list
})

func shaken(a sdp.Agreement, active bool, fingerprint string) sdp.Agreement {
	a.Protection = sdp.Protection{Method: sdp.DTLS, Active: active, Fingerprints: []string{fingerprint}}
	return a
}

// dtlsPair has certificates and no agreement yet.
func dtlsPair(t *testing.T, v *vnet.Net) (a, b *side, idA, idB *identity) {
	t.Helper()
	ids := identities()
	a, b = open(t, v, addrA, withCertificate(&ids[0].cert)), open(t, v, addrB, withCertificate(&ids[1].cert))
	return a, b, ids[0], ids[1]
}

func TestDTLS(t *testing.T) {
	tests := []struct {
		name        string
		aActive     bool
		link        vnet.Link
		late        time.Duration // how much later B has the agreement
		securedSoon time.Duration
	}{
		{"active", true, vnet.Link{Delay: 10 * time.Millisecond}, 0, 100 * time.Millisecond},
		{"passive", false, vnet.Link{Delay: 10 * time.Millisecond}, 0, 100 * time.Millisecond},
		{"the handshake is faster than the answer", true, vnet.Link{Delay: 10 * time.Millisecond}, 200 * time.Millisecond, 100 * time.Millisecond},
		{"lossy", true, vnet.Link{Delay: 10 * time.Millisecond, Loss: 0.3}, 0, handshakeTime},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := vnet.New()
				v.Default(tt.link)
				clearText(t, v)
				a, b, idA, idB := dtlsPair(t, v)
				apply(t, a.Conn, shaken(plain(addrB), tt.aActive, idB.print))
				a.talk(t, 2) // goes nowhere yet
				time.Sleep(tt.late)
				start := time.Now()
				apply(t, b.Conn, shaken(plain(addrA), !tt.aActive, idA.print))
				for a.told(media.Secured) == nil || b.told(media.Secured) == nil {
					if time.Since(start) > tt.securedSoon {
						t.Fatalf("not secured after %v", time.Since(start))
					}
					time.Sleep(10 * time.Millisecond)
				}
				v.Default(vnet.Link{Delay: 10 * time.Millisecond})
				for _, s := range []*side{a, b} {
					if e := s.told(media.Secured); len(e) != 1 || e[0].Text != "dtls AEAD_AES_128_GCM" {
						t.Errorf("told %v", e)
					}
				}
				go b.talk(t, 100)
				a.talk(t, 100)
				time.Sleep(10 * time.Second)
				if len(a.packets()) != 100 || len(b.packets()) != 100 {
					t.Errorf("%d and %d packets", len(a.packets()), len(b.packets()))
				}
				// A hold keeps the association.
				held := shaken(plain(addrB), !tt.aActive, idB.print)
				held.Direction = sdp.Receiving
				apply(t, a.Conn, held)
				apply(t, a.Conn, shaken(plain(addrB), tt.aActive, idB.print))
				a.talk(t, 10)
				time.Sleep(time.Second)
				if n := len(b.packets()); n != 110 || len(a.told(media.Secured)) != 1 {
					t.Errorf("%d packets, secured %d times", n, len(a.told(media.Secured)))
				}
				if s := b.Stats(); s.Rejected != 0 || s.Security != sdp.DTLS || s.RoundTrip == 0 {
					t.Errorf("stats %+v", s)
				}
			})
		})
	}
}

// Whoever has another certificate than the signalling said does not get or give any media.
func TestDTLSWrongFingerprint(t *testing.T) {
	for _, active := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			v := vnet.New()
			clearText(t, v)
			a, b, idA, _ := dtlsPair(t, v)
			defer v.Tap(func(p vnet.Packet) {
				if k := classify(p.Data); k != dtlsRecord {
					t.Errorf("kind %d leaves", k)
				}
			})()
			apply(t, a.Conn, shaken(plain(addrB), active, identities()[2].print))
			apply(t, b.Conn, shaken(plain(addrA), !active, idA.print))
			for range 100 {
				a.talk(t, 10)
				b.talk(t, 10)
			}
			e := a.told(media.SecurityFailed)
			if len(e) != 1 || !errors.Is(e[0].Err, errFingerprint) {
				t.Errorf("told %v", e)
			}
			if len(a.packets()) != 0 || len(b.packets()) != 0 || a.told(media.Secured) != nil {
				t.Error("media passed")
			}
			if n := len(b.told(media.SecurityFailed)); n != 1 {
				t.Errorf("the peer was told %d times", n)
			}
		})
	}
}

func TestDTLSTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		a, _, _, idB := dtlsPair(t, v)
		start := time.Now()
		apply(t, a.Conn, shaken(plain(addrB), true, idB.print))
		for a.told(media.SecurityFailed) == nil {
			if time.Since(start) > 2*handshakeTime {
				t.Fatal("nothing was told")
			}
			time.Sleep(100 * time.Millisecond)
		}
		if d := time.Since(start); d < handshakeTime/2 {
			t.Errorf("gave up after %v", d)
		}
	})
}

// A forged alert, which nothing protects, ends an attempt and not the call.
func TestDTLSForgedAlert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		v.Default(vnet.Link{Delay: 10 * time.Millisecond})
		a, b, idA, idB := dtlsPair(t, v)
		apply(t, a.Conn, shaken(plain(addrB), true, idB.print))
		alert := []byte{21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 99, 0, 2, 2, 40}
		if _, err := b.cfg.RTP.WriteTo(alert, a.cfg.RTP.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Millisecond)
		apply(t, b.Conn, shaken(plain(addrA), false, idA.print))
		time.Sleep(handshakeTime)
		if a.told(media.Secured) == nil || b.told(media.Secured) == nil {
			t.Error("not secured")
		}
	})
}

// An impostor who is faster than the peer delays the call and does not get it.
func TestDTLSImpostor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		v.Default(vnet.Link{Delay: 10 * time.Millisecond})
		a, b, idA, idB := dtlsPair(t, v)
		evil := open(t, v, after(after(addrB)), withCertificate(&identities()[2].cert))
		apply(t, b.Conn, shaken(plain(addrA), false, idA.print))
		apply(t, evil.Conn, shaken(plain(addrB), true, idB.print))
		time.Sleep(3 * time.Second)
		apply(t, a.Conn, shaken(plain(addrB), true, idB.print))
		time.Sleep(5 * time.Second)
		if a.told(media.Secured) == nil || b.told(media.Secured) == nil || b.told(media.SecurityFailed) != nil {
			t.Fatalf("told %v and %v", a.events, b.events)
		}
		evil.talk(t, 10)
		a.talk(t, 10)
		if n := len(b.packets()); n != 10 || b.Stats().Remote != addrA.String() {
			t.Errorf("%d packets from %v", n, b.Stats().Remote)
		}
	})
}

// Behind a NAT the handshake comes from another address than was signalled; media follow it.
func TestDTLSBehindNAT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		a, b, idA, idB := dtlsPair(t, v)
		private := after(after(addrA))
		apply(t, b.Conn, shaken(plain(private), false, idA.print))
		apply(t, a.Conn, shaken(plain(addrB), true, idB.print))
		time.Sleep(time.Second)
		b.talk(t, 10)
		if n := len(a.packets()); n != 10 || len(b.told(media.PeerMoved)) != 1 {
			t.Errorf("%d packets, told %v", n, b.events)
		}
	})
}

// Another fingerprint is another peer: keys are agreed anew, and nothing passes before.
func TestDTLSNewPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		clearText(t, v)
		a, b, idA, idB := dtlsPair(t, v)
		apply(t, b.Conn, shaken(plain(addrA), false, idA.print))
		apply(t, a.Conn, shaken(plain(addrB), true, idB.print))
		time.Sleep(time.Second)
		a.talk(t, 10)
		third := open(t, v, after(after(addrB)), withCertificate(&identities()[2].cert))
		apply(t, third.Conn, shaken(plain(addrA), true, idA.print))
		apply(t, a.Conn, shaken(plain(third.at), false, identities()[2].print))
		time.Sleep(time.Second)
		a.talk(t, 10)
		if len(b.packets()) != 10 || len(third.packets()) != 10 {
			t.Errorf("%d and %d packets", len(b.packets()), len(third.packets()))
		}
	})
}

// The same on the sockets of the system.
func TestDTLSLoopback(t *testing.T) {
	ids := identities()
	type end struct {
		*Conn
		secured, heard chan struct{}
	}
	newEnd := func(id *identity) end {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		e := end{secured: make(chan struct{}), heard: make(chan struct{})}
		e.Conn, err = New(Config{RTP: conn, CNAME: "x", Certificate: &id.cert, Told: func(ev media.Event) {
			switch ev.Kind {
			case media.Secured:
				close(e.secured)
			case media.FirstAudio:
				close(e.heard)
			default:
				t.Errorf("told %v", ev)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); e.Run(ctx) }()
		t.Cleanup(func() { cancel(); <-ended })
		return e
	}
	a, b := newEnd(ids[0]), newEnd(ids[1])
	apply(t, a.Conn, shaken(plain(addrPort(b.cfg.RTP.LocalAddr())), true, ids[1].print))
	apply(t, b.Conn, shaken(plain(addrPort(a.cfg.RTP.LocalAddr())), false, ids[0].print))
	<-a.secured
	<-b.secured
	if err := a.Write(0, true, 0, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	<-b.heard
}

func TestFingerprints(t *testing.T) {
	id, other := identities()[0], identities()[1]
	der := id.cert.Certificate[0]
	sha1 := fingerprint("sha-1", hashes[4].hash, der)
	tests := []struct {
		list []string
		want bool
	}{
		{nil, false},
		{[]string{id.print}, true},
		{[]string{strings.ToLower(id.print)}, true},
		{[]string{other.print}, false},
		{[]string{other.print, id.print}, true},
		{[]string{sha1}, true},
		{[]string{sha1, other.print}, false}, // the stronger one decides
		{[]string{"md5 00"}, false},
		{[]string{"sha-256"}, false},
		{[]string{fingerprint("sha-512", hashes[0].hash, der)}, true},
	}
	for _, tt := range tests {
		if got := matches(der, tt.list); got != tt.want {
			t.Errorf("%q: %v", tt.list, got)
		}
	}
}
