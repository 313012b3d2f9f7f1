package rtpconn

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"

	"offhook/internal/vnet"
)

// An answer to a report that was never sent is an invention or hours old: it says nothing about the way.
func TestInventedRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		a, b := pair(t, v)
		a.talk(t, 200)
		before := a.Stats().RoundTrip
		a.Conn.mu.Lock()
		asked := middle(a.ntp(a.now())) - 3<<16
		a.Conn.mu.Unlock()
		for _, lsr := range []uint32{0, asked} {
			send(t, b, &rtcp.ReceiverReport{SSRC: b.SSRC(), Reports: []rtcp.ReceptionReport{
				{SSRC: a.SSRC(), LastSenderReport: lsr, FractionLost: 128},
			}})
		}
		synctest.Wait()
		if s := a.Stats(); s.RoundTrip != before || s.RemoteLoss != 0.5 {
			t.Errorf("round trip %v instead of %v, remote loss %v", s.RoundTrip, before, s.RemoteLoss)
		}
		send(t, b, &rtcp.ReceiverReport{SSRC: b.SSRC(), Reports: []rtcp.ReceptionReport{{SSRC: 1, FractionLost: 255}}})
		synctest.Wait()
		if s := a.Stats(); s.RemoteLoss != 0.5 {
			t.Errorf("a block about somebody else was believed: %v", s.RemoteLoss)
		}
	})
}

// send makes a side say something in RTCP that it would not say by itself.
func send(t *testing.T, s *side, packets ...rtcp.Packet) {
	t.Helper()
	b, err := rtcp.Marshal(packets)
	if err != nil {
		t.Fatal(err)
	}
	s.Conn.mu.Lock()
	to := s.path.current
	s.Conn.mu.Unlock()
	if err := s.rtp.write(b, to); err != nil {
		t.Fatal(err)
	}
}

// After BYE the next source is believed without a pause.
func TestSourceAfterBye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := vnet.New()
		b := open(t, v, addrB)
		apply(t, b.Conn, plain(addrA))
		peer := newStranger(t, v, addrA.String())
		for i := range uint16(10) {
			peer.send(t, addrB, rtpBytes(0, 1, i))
			time.Sleep(20 * time.Millisecond)
		}
		bye, err := rtcp.Marshal([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: 1}, &rtcp.Goodbye{Sources: []uint32{1}}})
		if err != nil {
			t.Fatal(err)
		}
		peer.send(t, addrB, bye)
		for i := range uint16(10) {
			peer.send(t, addrB, rtpBytes(0, 2, 500+i))
			time.Sleep(20 * time.Millisecond)
		}
		if n := len(b.packets()); n != 19 {
			t.Errorf("%d packets delivered, want all but the one on probation", n)
		}
	})
}

func TestValidCompound(t *testing.T) {
	good, err := rtcp.Marshal([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: 1}, rtcp.NewCNAMESourceDescription(1, "x")})
	if err != nil {
		t.Fatal(err)
	}
	change := func(at int, to byte) []byte {
		b := append([]byte(nil), good...)
		b[at] = to
		return b
	}
	for name, b := range map[string][]byte{
		"empty":               {},
		"cut off":             good[:len(good)-4],
		"a name first":        good[8:],
		"version 1":           change(0, 0x40),
		"second of version 1": change(8, 0x41),
		"padding too early":   change(0, 0xa0),
		"length too long":     change(11, 200),
	} {
		if validCompound(b) {
			t.Errorf("%s is taken for valid", name)
		}
	}
	if !validCompound(good) {
		t.Error("a valid packet is not")
	}
}
