//go:build unix

package line

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	"offhook/internal/sdp"
	"offhook/park/music"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// cpu is what the process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// memory is what is in use: live heap and stacks of goroutines.
func memory() (heap, stack int64) {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc), int64(m.StackInuse)
}

// twoLines are lines on loopback that are each other's peers, with SDES if they have keys, with DTLS if they have
// certificates.
func twoLines(b testing.TB, f sdp.Format, s security) (two [2]*Line) {
	b.Helper()
	for i := range two {
		cfg := Config{Local: loopback, Policy: s.policy}
		if s.dtls {
			id := identities()[i]
			cfg.Certificate, cfg.Fingerprint = id.certificate, id.fingerprint
		}
		var err error
		if two[i], err = Open(context.Background(), cfg); err != nil {
			b.Fatal(err)
		}
	}
	only := func(l *Line) *sdp.Negotiation {
		local := l.Local()
		local.Formats = []sdp.Format{f}
		return sdp.NewNegotiation(local)
	}
	from, to := only(two[0]), only(two[1])
	offer, err := from.Offer(sdp.Both)
	if err != nil {
		b.Fatal(err)
	}
	answer, second, err := to.Answer(offer, sdp.Both)
	if err != nil {
		b.Fatal(err)
	}
	first, err := from.Accept(answer)
	if err != nil {
		b.Fatal(err)
	}
	for i, a := range []sdp.Agreement{first, second} {
		if err := two[i].Apply(a); err != nil {
			b.Fatal(err)
		}
	}
	return two
}

// BenchmarkParked is a second of 500 parked calls over loopback, each of which sends to another one: all play music, and
// all throw away what they hear. It tells the memory of a call and how much of one processor all of them take.
func BenchmarkParked(b *testing.B) {
	const calls = 500
	for _, c := range []struct {
		name string
		f    sdp.Format
		s    security
	}{{"pcmu", pcmu, plain}, {"pcmu-sdes", pcmu, bySDES}, {"pcmu-dtls", pcmu, byDTLS}, {"opus-sdes", opus, bySDES}} {
		if _, ok := find(formats(), c.f); !ok {
			continue // without cgo
		}
		b.Run(c.name, func(b *testing.B) {
			identities()
			loop := music.Default() // shared by all calls of a process
			heap, stack := memory()
			source := music.New(loop, nil)
			var calling []*Line
			for range calls / 2 {
				two := twoLines(b, c.f, c.s)
				calling = append(calling, two[:]...)
			}
			received := func() (packets uint64) {
				for _, l := range calling {
					packets += l.Stats().Received
				}
				return packets
			}
			for _, l := range calling {
				if err := l.Play(source); err != nil {
					b.Fatal(err)
				}
			}
			for received() < calls*50 {
				time.Sleep(100 * time.Millisecond) // wall clock: until the handshakes are over and all play
			}
			used, begun, got := cpu(), time.Now(), received()
			for b.Loop() {
				time.Sleep(time.Second) // wall clock: this is what is measured
			}
			took := time.Since(begun)
			b.ReportMetric(float64(cpu()-used)/float64(took)*100, "%cpu")
			b.ReportMetric(float64(received()-got)/took.Seconds()/calls, "packets/s/call")
			h, st := memory()
			b.ReportMetric(float64(h-heap)/calls, "heapB/call")
			b.ReportMetric(float64(st-stack)/calls, "stackB/call")
			for _, l := range calling {
				if err := l.Close(); err != nil {
					b.Fatal(err)
				}
			}
			source.Close()
		})
	}
}

// passage is a joined pair of lines with a phone at each end, all on loopback.
type passage struct {
	in, out *net.UDPConn
	to      netip.AddrPort // of the line that takes packets in
	packet  []byte
	got     [1500]byte
}

func newPassage(t testing.TB) *passage {
	t.Helper()
	p := &passage{packet: make([]byte, 12+160)}
	var lines [2]*Line
	var phones [2]*net.UDPConn
	for i := range lines {
		var err error
		if phones[i], err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0))); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { phones[i].Close() }) //nolint:errcheck // the test is over
		if lines[i], err = Open(context.Background(), Config{Local: loopback}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { lines[i].Close() }) //nolint:errcheck // the test is over
		to := phones[i].LocalAddr().(*net.UDPAddr).AddrPort()
		f := pcmu
		f.PayloadType = uint8(96 + i)
		if err := lines[i].Apply(sdp.Agreement{
			Remote: to, RemoteRTCP: netip.AddrPort{}, Direction: sdp.Both, Send: []sdp.Format{f}, Receive: []sdp.Format{f},
			Protection: sdp.Protection{Method: sdp.Plain},
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := lines[0].Join(lines[1]); err != nil {
		t.Fatal(err)
	}
	p.in, p.out, p.to = phones[0], phones[1], lines[0].Local().Addr
	p.packet[0], p.packet[1] = 0x80, 96
	return p
}

// pass sends a packet in at one end and waits for it at the other.
func (p *passage) pass(t testing.TB) {
	sequence := binary.BigEndian.Uint16(p.packet[2:]) + 1
	binary.BigEndian.PutUint16(p.packet[2:], sequence)
	binary.BigEndian.PutUint32(p.packet[4:], uint32(sequence)*160)
	if _, err := p.in.WriteToUDPAddrPort(p.packet, p.to); err != nil {
		t.Fatal(err)
	}
	if n, _, err := p.out.ReadFromUDPAddrPort(p.got[:]); err != nil || n != len(p.packet) || p.got[1]&0x7f != 97 {
		t.Fatalf("%d bytes, payload type %d, %v", n, p.got[1]&0x7f, err)
	}
}

func TestRelayDoesNotAllocate(t *testing.T) {
	p := newPassage(t)
	p.pass(t)
	if n := testing.AllocsPerRun(500, func() { p.pass(t) }); n > 0 && !racing {
		t.Errorf("%v allocations for a packet relayed", n)
	}
}

// BenchmarkRelay is a packet from one phone through two lines to the other, and for comparison one from socket to socket.
func BenchmarkRelay(b *testing.B) {
	b.Run("relay", func(b *testing.B) {
		p := newPassage(b)
		p.pass(b)
		b.ReportAllocs()
		for b.Loop() {
			p.pass(b)
		}
	})
	b.Run("direct", func(b *testing.B) {
		p := newPassage(b)
		at := p.out.LocalAddr().(*net.UDPAddr).AddrPort()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := p.in.WriteToUDPAddrPort(p.packet, at); err != nil {
				b.Fatal(err)
			}
			if _, _, err := p.out.ReadFromUDPAddrPort(p.got[:]); err != nil {
				b.Fatal(err)
			}
		}
	})
}
