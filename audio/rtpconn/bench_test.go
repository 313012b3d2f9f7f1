package rtpconn

import (
	"net"
	"testing"
	"time"

	"github.com/pion/rtp"

	"offhook/internal/sdp"
)

// nowhere is a socket that swallows everything.
type nowhere struct{}

func (nowhere) ReadFrom([]byte) (int, net.Addr, error)    { return 0, nil, net.ErrClosed }
func (nowhere) WriteTo(b []byte, _ net.Addr) (int, error) { return len(b), nil }
func (nowhere) Close() error                              { return nil }
func (nowhere) LocalAddr() net.Addr                       { return net.UDPAddrFromAddrPort(addrA) }
func (nowhere) SetDeadline(time.Time) error               { return nil }
func (nowhere) SetReadDeadline(time.Time) error           { return nil }
func (nowhere) SetWriteDeadline(time.Time) error          { return nil }

// protections are those that are measured, with the keys of both sides.
func protections() map[string][2]sdp.Protection {
	m := map[string][2]sdp.Protection{"none": {{Method: sdp.Plain}, {Method: sdp.Plain}}}
	for _, s := range suites {
		one, two := newKey(s.name), newKey(s.name)
		m[s.name] = [2]sdp.Protection{
			{Method: sdp.SDES, Suite: s.name, LocalKey: one, RemoteKey: two},
			{Method: sdp.SDES, Suite: s.name, LocalKey: two, RemoteKey: one},
		}
	}
	return m
}

// loop is two connections on loopback: what one writes, the other reads in the same goroutine.
type loop struct {
	a, b *Conn
	r    *reader
}

func newLoop(t testing.TB, p [2]sdp.Protection) *loop {
	t.Helper()
	l := &loop{r: &reader{}}
	var conns [2]*Conn
	var socks [2]net.PacketConn
	for i := range conns {
		var err error
		if socks[i], err = net.ListenPacket("udp4", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { socks[i].Close() }) //nolint:errcheck // the test is over
		if conns[i], err = New(Config{RTP: socks[i], CNAME: "x", Packet: func(*rtp.Packet) {}}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range conns {
		a := plain(addrPort(socks[1-i].LocalAddr()))
		a.Protection = p[i]
		if err := conns[i].Apply(a); err != nil {
			t.Fatal(err)
		}
	}
	l.a, l.b = conns[0], conns[1]
	return l
}

func (l *loop) pass(t testing.TB, timestamp uint32, payload []byte) {
	if err := l.a.Write(0, false, timestamp, payload); err != nil {
		t.Fatal(err)
	}
	n, from, err := l.b.rtp.read(l.r.buf[:])
	if err != nil {
		t.Fatal(err)
	}
	l.b.handle(l.r, from, l.r.buf[:n], false)
}

// Neither way may allocate: both are walked fifty times a second for each call, next to the engine.
func TestNoAllocation(t *testing.T) {
	payload := make([]byte, 160)
	for name, p := range protections() {
		l := newLoop(t, p)
		timestamp := uint32(0)
		l.pass(t, timestamp, payload)
		if n := testing.AllocsPerRun(200, func() { timestamp += 160; l.pass(t, timestamp, payload) }); n > 0 && !racing {
			t.Errorf("%s: %v allocations for a packet written and read", name, n)
		}
		if s := l.b.Stats(); s.Received < 200 || s.Rejected != 0 {
			t.Errorf("%s: stats %+v", name, s)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	for name, p := range protections() {
		b.Run(name, func(b *testing.B) {
			c := fuzzed(b, p[0])
			payload := make([]byte, 160)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := c.Write(0, false, uint32(i*160), payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLoopback includes the system calls of both sides.
func BenchmarkLoopback(b *testing.B) {
	for name, p := range protections() {
		b.Run(name, func(b *testing.B) {
			l := newLoop(b, p)
			payload := make([]byte, 160)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				l.pass(b, uint32(i*160), payload)
			}
		})
	}
}

// BenchmarkReceive is a packet from the reader to the callback, without the system call.
func BenchmarkReceive(b *testing.B) {
	for name, p := range protections() {
		b.Run(name, func(b *testing.B) {
			from, to := fuzzed(b, p[0]), fuzzed(b, p[1])
			r := &reader{}
			var seal sealer
			payload := make([]byte, 160)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				from.mu.Lock()
				packet, err := from.sealLocked(&seal, 0, false, uint32(i*160), payload)
				from.mu.Unlock()
				if err != nil {
					b.Fatal(err)
				}
				n := copy(r.buf[:], packet)
				b.StartTimer()
				to.handle(r, addrB, r.buf[:n], false)
			}
		})
	}
}
