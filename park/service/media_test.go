package service

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"offhook/internal/vnet"
)

// ear is the socket that a telephone receives sound at.
type ear struct {
	mu       sync.Mutex
	heard    map[byte]int    // Guarded by mu; packets by payload type
	from     netip.AddrPort  // Guarded by mu; where they come from
	marked   map[string]int  // Guarded by mu; packets by the text that they carry
	payloads map[string]bool // Guarded by mu
}

// listen opens the ear of a telephone: port 4000, as its descriptions say.
func (p *phone) listen(ctx context.Context) (*ear, func(text string, payloadType byte, n int)) {
	p.w.t.Helper()
	pc, err := p.w.net.ListenPacket(ctx, "udp", netip.AddrPortFrom(p.at.Addr(), 4000).String())
	if err != nil {
		p.w.t.Fatal(err)
	}
	p.w.t.Cleanup(func() { _ = pc.Close() })
	e := &ear{heard: map[byte]int{}, marked: map[string]int{}, payloads: map[string]bool{}}
	go func() {
		buf := make([]byte, vnet.MaxPacket)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			if n < 12 || buf[1]&0x7f >= 64 && buf[1]&0x7f < 96 { // RTCP
				continue
			}
			e.mu.Lock()
			e.heard[buf[1]&0x7f]++
			e.from = netip.MustParseAddrPort(from.String())
			e.payloads[string(buf[12:n])] = true
			if n-12 < 40 {
				e.marked[string(buf[12:n])]++
			}
			e.mu.Unlock()
		}
	}()
	seq := uint16(1)
	return e, func(text string, payloadType byte, n int) { // speaks: packets with a text for sound
		for range n {
			e.mu.Lock()
			to := e.from
			e.mu.Unlock()
			packet := make([]byte, 12, 12+len(text))
			packet[0], packet[1] = 0x80, payloadType
			binary.BigEndian.PutUint16(packet[2:], seq)
			binary.BigEndian.PutUint32(packet[4:], uint32(seq)*160)
			binary.BigEndian.PutUint32(packet[8:], 0x1234)
			seq++
			if _, err := pc.WriteTo(append(packet, text...), net.UDPAddrFromAddrPort(to)); err != nil {
				p.w.t.Error(err)
			}
			p.w.sleep(20 * time.Millisecond)
		}
	}
}

func (e *ear) count(payloadType byte) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.heard[payloadType]
}

// variety is how many different payloads came.
func (e *ear) variety() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.payloads)
}

func (e *ear) hears(text string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.marked[text]
}

// P6: the caller hears music while parked. Picked up, she hears who picked up, and nothing else; parked again, music again.
func TestWhatIsHeard(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob, mary, carol := w.phone("bob"), w.phone("mary"), w.phone("carol")
		hers, marySays := mary.listen(t.Context())
		its, carolSays := carol.listen(t.Context())
		p := w.park(bob, mary)
		w.sleep(time.Second)
		if n := hers.count(0) + hers.count(8); n < 45 || hers.variety() < 3 {
			t.Fatalf("mary hears %d packets of music, %d different ones", n, hers.variety())
		}
		c := carol.mustDial("701")
		pcmu := byte(c.media().Send[0].PayloadType)
		w.sleep(100 * time.Millisecond)
		its.mu.Lock()
		its.from = c.media().Remote
		its.mu.Unlock()
		before := hers.count(0) + hers.count(8)
		marySays("this is mary", byte(p.mary.media().Send[0].PayloadType), 10)
		carolSays("this is carol", pcmu, 10)
		w.sleep(time.Second)
		if a, b := its.hears("this is mary"), hers.hears("this is carol"); a < 9 || b < 9 {
			t.Errorf("carol hears %d of 10, mary %d", a, b)
		}
		if n := hers.count(0) + hers.count(8) - before; n > 12 {
			t.Errorf("mary hears %d packets of something else", n-10)
		}
		parkedAs(t, carol.refer(c, userPark, "Mary").final(patience))
		before = hers.count(0) + hers.count(8)
		w.sleep(time.Second)
		if n := hers.count(0) + hers.count(8) - before; n < 45 {
			t.Errorf("parked again, mary hears %d packets", n)
		}
	}, func(c *Config) { c.NoMusic = false; c.Music = tone() })
}

// Row 7: a parker who asks for an orbit hears its number, again and again.
func TestPark7_TheOrbitIsSpoken(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		bob := w.phone("bob")
		ear, _ := bob.listen(t.Context())
		bob.mustDial(userPark)
		w.sleep(10 * time.Second)
		if n := ear.count(0) + ear.count(8); n < 450 || ear.variety() < 50 {
			t.Errorf("bob hears %d packets, %d different ones", n, ear.variety())
		}
	})
}

// tone is a loop that no two frames of are the same.
func tone() []int16 {
	samples := make([]int16, 48000)
	for i := range samples {
		samples[i] = int16(i * 7 % 8000)
	}
	return samples
}
