package rtpconn

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"offhook/internal/media"
	"offhook/internal/sdp"
	"offhook/internal/vnet"
)

// stranger is a socket of somebody else.
type stranger struct {
	conn net.PacketConn
}

func newStranger(t *testing.T, v *vnet.Net, at string) stranger {
	t.Helper()
	conn, err := v.ListenPacket(t.Context(), "udp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return stranger{conn}
}

func (s stranger) send(t *testing.T, to netip.AddrPort, b []byte) {
	t.Helper()
	if _, err := s.conn.WriteTo(b, net.UDPAddrFromAddrPort(to)); err != nil {
		t.Fatal(err)
	}
}

func (s stranger) at() netip.AddrPort { return addrPort(s.conn.LocalAddr()) }

// rtpBytes is a packet of PCMU.
func rtpBytes(payloadType uint8, ssrc uint32, sequence uint16) []byte {
	b := make([]byte, 172)
	b[0], b[1] = 0x80, payloadType
	binary.BigEndian.PutUint16(b[2:], sequence)
	binary.BigEndian.PutUint32(b[4:], uint32(sequence)*160)
	binary.BigEndian.PutUint32(b[8:], ssrc)
	return b
}

// A flood from elsewhere, of noise and of good packets, changes nothing that is heard, counted or decided.
func TestStrangersChangeNothing(t *testing.T) {
	calm := make(chan Stats, 2)
	for _, flood := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			v := vnet.New()
			a, b := pair(t, v)
			evil := newStranger(t, v, "192.0.2.66:6666")
			near := newStranger(t, v, "192.0.2.1:4002") // the peer's host, another port
			dice := rand.New(rand.NewPCG(1, 2))
			floods := 0
			for i := range 500 {
				if err := a.Write(0, false, uint32(i*160), make([]byte, 160)); err != nil {
					t.Fatal(err)
				}
				for n := range 6 {
					if !flood {
						break
					}
					floods += 2
					noise := make([]byte, dice.IntN(200)+1)
					for i := range noise {
						noise[i] = byte(dice.Uint32())
					}
					evil.send(t, addrB, noise)
					good := rtpBytes(uint8(n%2*8), a.SSRC()*uint32(n%3), uint16(6*i+n))
					if n%2 == 0 {
						evil.send(t, addrB, good)
					} else {
						near.send(t, addrB, good)
					}
				}
				time.Sleep(20 * time.Millisecond)
			}
			s := b.Stats()
			if len(b.packets()) != 500 {
				t.Errorf("%d packets delivered, want 500", len(b.packets()))
			}
			if flood && s.Rejected != uint64(floods) {
				t.Errorf("%d rejected of %d", s.Rejected, floods)
			}
			// Reports come at random times, which shows in the last bit of the round trip.
			s.Rejected, s.RoundTrip, s.Delay = 0, s.RoundTrip/time.Millisecond, s.Delay/time.Millisecond
			calm <- s
			if b.told(media.PeerMoved) != nil {
				t.Error("the stream has moved")
			}
		})
	}
	if diff := cmp.Diff(<-calm, <-calm); diff != "" {
		t.Errorf("a flood changes the statistics:\n%s", diff)
	}
}

// Behind a NAT media come from an address that nobody could know before.
func TestLatch(t *testing.T) {
	tests := []struct {
		name  string
		wait  time.Duration // after the agreement
		talks bool          // the signalled address sends, too
		moves bool
	}{
		{"at once", 0, false, true},
		{"after nine seconds", 9 * time.Second, false, true},
		{"after eleven seconds", 11 * time.Second, false, false},
		{"while the signalled address sends", 0, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := vnet.New()
				a, b := pair(t, v)
				nat := newStranger(t, v, "192.0.2.50:1234")
				if tt.talks {
					a.talk(t, 2)
				}
				time.Sleep(tt.wait)
				for i := range 20 {
					nat.send(t, addrB, rtpBytes(0, 99, uint16(i)))
					time.Sleep(20 * time.Millisecond)
				}
				moved := b.told(media.PeerMoved)
				if !tt.moves {
					if moved != nil || b.Stats().Remote != addrA.String() {
						t.Errorf("moved to %v", b.Stats().Remote)
					}
					return
				}
				if len(moved) != 1 || moved[0].Text != nat.at().String() || b.Stats().Remote != nat.at().String() {
					t.Errorf("told %v, remote %v", moved, b.Stats().Remote)
				}
				if n := len(b.packets()); n != 20-latchRun+1 {
					t.Errorf("%d packets delivered", n)
				}
				if b.told(media.FirstAudio) == nil {
					t.Error("FirstAudio was not told")
				}
			})
		})
	}
}

// What does not form a steady stream does not move anything, nor does a stream of the other IP version or of a payload type
// that was not agreed.
func TestLatchWantsAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		_, b := pair(t, v)
		evil := newStranger(t, v, "192.0.2.50:1234")
		for i := range 400 {
			evil.send(t, addrB, rtpBytes(0, uint32(i), uint16(i)))       // another SSRC each
			evil.send(t, addrB, rtpBytes(0, 7, uint16(i*1000)))          // the sequence leaps
			evil.send(t, addrB, rtpBytes(8, 8, uint16(i)))               // not agreed
			evil.send(t, addrB, rtpBytes(0, 9, uint16(i))[:rtpHeader-1]) // cut off
			time.Sleep(20 * time.Millisecond)
		}
		if s := b.Stats(); b.told(media.PeerMoved) != nil || s.Received != 0 || s.Rejected != 1600 || s.Jitter != 0 {
			t.Errorf("stats %+v", s)
		}
	})
	p := path{}
	p.open(addrA, 0)
	six := netip.MustParseAddrPort("[2001:db8::1]:4000")
	for i := range uint16(20) {
		if ok, _ := p.admit(six, 1, i, 0); ok {
			t.Fatal("a stream over IPv6 moved one over IPv4")
		}
	}
}

// A flood of candidates does not push out one that has sent two packets in order.
func TestLatchDuringFlood(t *testing.T) {
	p := path{}
	p.open(addrA, 0)
	nat := netip.MustParseAddrPort("192.0.2.50:1234")
	for i := range uint16(latchRun) {
		if ok, moved := p.admit(nat, 1, i, time.Second); ok != (i == latchRun-1) || moved != ok {
			t.Errorf("packet %d: %v, %v", i, ok, moved)
		}
		for j := range uint16(100) {
			if i == 0 {
				break
			}
			p.admit(netip.AddrPortFrom(nat.Addr(), 2000+j+100*i), uint32(j), j, time.Second)
		}
	}
}

// The signalled address has the last word, but only while the window is open.
func TestSignalledAddressComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		a, b := pair(t, v)
		nat := newStranger(t, v, "192.0.2.50:1234")
		for i := range 20 {
			nat.send(t, addrB, rtpBytes(0, 99, uint16(i)))
			time.Sleep(20 * time.Millisecond)
		}
		a.talk(t, 20)
		if r := b.Stats().Remote; r != addrA.String() {
			t.Errorf("remote is %v", r)
		}
		if n := len(b.packets()); n < 30 {
			t.Errorf("%d packets delivered", n)
		}
	})
}

// A new agreement, or one that lets the peer speak again, opens the window once more.
func TestLatchAfterResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		a, b := pair(t, v)
		a.talk(t, 5)
		held := plain(addrA)
		held.Direction = sdp.Sending
		apply(t, b.Conn, held)
		time.Sleep(5 * time.Minute)
		apply(t, b.Conn, plain(addrA))
		nat := newStranger(t, v, "192.0.2.50:1234")
		for i := range 20 {
			nat.send(t, addrB, rtpBytes(0, 99, uint16(i)))
			time.Sleep(20 * time.Millisecond)
		}
		if r := b.Stats().Remote; r != nat.at().String() {
			t.Errorf("remote is %v", r)
		}
	})
}

// The peer's source may be replaced, by the same peer.
func TestNewSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		b := open(t, v, addrB)
		apply(t, b.Conn, plain(addrA))
		peer := newStranger(t, v, addrA.String())
		say := func(ssrc uint32, first, n uint16) {
			for i := range n {
				peer.send(t, addrB, rtpBytes(0, ssrc, first+i))
				time.Sleep(20 * time.Millisecond)
			}
		}
		say(1, 100, 50)
		say(2, 7000, 50)
		if n := len(b.packets()); n < 95 || n >= 100 {
			t.Errorf("%d packets delivered of 100 from two sources", n)
		}
		s := b.Stats()
		if s.Lost != 0 {
			t.Errorf("%d lost by a new source", s.Lost)
		}

		// While one source sends, another one does not get in.
		before := len(b.packets())
		for i := range uint16(100) {
			peer.send(t, addrB, rtpBytes(0, 2, 7050+i))
			for j := range uint16(5) {
				peer.send(t, addrB, rtpBytes(0, 3, 5*i+j))
			}
			time.Sleep(20 * time.Millisecond)
		}
		if n := len(b.packets()) - before; n != 100 {
			t.Errorf("%d packets delivered of a source that was disturbed, want 100", n)
		}
	})
}

// A sequence number far off is believed when the next one follows (RFC 3550 A.1).
func TestRestartedNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		b := open(t, v, addrB)
		apply(t, b.Conn, plain(addrA))
		peer := newStranger(t, v, addrA.String())
		for _, sequence := range []uint16{65534, 65535, 0, 1, 30000, 2, 3, 40000, 40001, 40002, 40002, 40001} {
			peer.send(t, addrB, rtpBytes(0, 1, sequence))
			time.Sleep(20 * time.Millisecond)
		}
		var got []uint16
		for _, p := range b.packets() {
			got = append(got, p.SequenceNumber)
		}
		if diff := cmp.Diff([]uint16{65534, 65535, 0, 1, 2, 3, 40001, 40002}, got); diff != "" {
			t.Error(diff)
		}
		if s := b.Stats(); s.Lost != 0 || s.Duplicates != 2 || s.Rejected != 2 {
			t.Errorf("stats %+v", s)
		}
	})
}

// Two with one SSRC: the one who notices takes another (RFC 3550 §8.2); what comes back again is a loop.
func TestCollision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		a, b := pair(t, v)
		a.talk(t, 100)
		b.Conn.mu.Lock()
		b.out.ssrc = a.SSRC()
		b.Conn.mu.Unlock()
		old := a.SSRC()
		b.talk(t, 20)
		if a.SSRC() == old {
			t.Fatal("the SSRC was kept")
		}
		next := a.SSRC()
		synctest.Wait()
		a.talk(t, 20)
		if n := len(b.packets()); n < 110 {
			t.Errorf("%d packets delivered", n)
		}
		// A reflector.
		a.Conn.mu.Lock()
		a.path.heard = true
		a.Conn.mu.Unlock()
		b.Conn.mu.Lock()
		b.out.ssrc = next
		b.Conn.mu.Unlock()
		b.talk(t, 20)
		if a.SSRC() != next {
			t.Error("a loop changes the SSRC again and again")
		}
	})
}
