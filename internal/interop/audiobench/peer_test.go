//go:build bench && linux

package audiobench

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/audio/codec"
	"offhook/internal/body"
	"offhook/internal/sdp"
	"offhook/internal/sipua"
	"offhook/internal/testkit/sound"
)

// peer calls programs under test.
type peer struct {
	t     *testing.T
	agent *sipua.Agent
	host  netip.Addr
}

func newPeer(t *testing.T, host string) *peer {
	t.Helper()
	addr := netip.MustParseAddr(host)
	stack, err := sipua.NewStack(t.Context(), sipua.StackConfig{Listeners: []sipua.Listener{{Network: "udp", Address: host + ":0"}}})
	if err != nil {
		t.Fatal(err)
	}
	agent, err := sipua.NewAgent(sipua.AgentConfig{Stack: stack, AOR: sip.Uri{Scheme: "sip", User: "peer", Host: host}})
	if err != nil {
		t.Fatal(err)
	}
	agent.Serve(sipua.Mux{})
	t.Cleanup(func() {
		_ = agent.Close()
		_ = stack.Close()
	})
	return &peer{t, agent, addr}
}

// flow is RTP with a program under test.
type flow struct {
	conn    *net.UDPConn
	payload []byte
	ticks   uint32
	kind    uint8
	to      atomic.Pointer[netip.AddrPort]
	answer  time.Duration // from the INVITE to the 200
	acked   time.Time

	mu       sync.Mutex
	arrivals []time.Time // Guarded by mu; by the kernel's clock.
}

// newFlow opens a socket whose packets are stamped on arrival.
func newFlow(t *testing.T, host netip.Addr, name string) *flow {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(host, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_TIMESTAMPNS, 1)
	}); err != nil {
		t.Fatal(err)
	}
	c, _ := codec.Find(name)
	encoder, err := c.NewEncoder(codec.EncoderConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close()
	f := &flow{conn: conn, ticks: uint32(c.ClockRate / 50), kind: uint8(max(c.Static, 0))}
	if c.Static < 0 {
		f.kind = 111
	}
	if f.payload, err = encoder.Encode(nil, sound.Sine(440, 0.2, c.SampleRate, c.SampleRate/50)); err != nil {
		t.Fatal(err)
	}
	go f.read()
	return f
}

// read notes when RTP arrives.
func (f *flow) read() {
	b, oob := make([]byte, 2048), make([]byte, 128)
	for {
		n, m, _, _, err := f.conn.ReadMsgUDP(b, oob)
		if err != nil {
			return
		}
		if n < 12 || b[1]&0x7f >= 64 && b[1]&0x7f < 96 { // RTCP
			continue
		}
		f.mu.Lock()
		f.arrivals = append(f.arrivals, stamp(oob[:m]))
		f.mu.Unlock()
	}
}

// stamp reads the kernel's time of arrival.
func stamp(oob []byte) time.Time {
	all, err := syscall.ParseSocketControlMessage(oob)
	if err == nil {
		for _, m := range all {
			if m.Header.Type == syscall.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
				return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
			}
		}
	}
	return time.Now()
}

// send sends a packet on each flow every 20 ms until ctx ends.
func send(ctx context.Context, flows []*flow) {
	packets := make([][]byte, len(flows))
	for i, f := range flows {
		packets[i] = append([]byte{0x80, f.kind, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(i + 1)}, f.payload...)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := uint32(0); ; n++ {
		for i, f := range flows {
			to := f.to.Load()
			if to == nil {
				continue
			}
			binary.BigEndian.PutUint16(packets[i][2:], uint16(n))
			binary.BigEndian.PutUint32(packets[i][4:], n*f.ticks)
			_, _ = f.conn.WriteToUDPAddrPort(packets[i], *to)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// call calls a program and connects a flow to it.
func (p *peer) call(target string, name string) *flow {
	p.t.Helper()
	f := newFlow(p.t, p.host, name)
	uri, err := sipua.ParseURI(target)
	if err != nil {
		p.t.Fatal(err)
	}
	c, _ := codec.Find(name)
	talk := sdp.NewNegotiation(sdp.Local{
		Addr: f.conn.LocalAddr().(*net.UDPAddr).AddrPort(), Ptime: 20 * time.Millisecond, Policy: sdp.Off,
		Formats: []sdp.Format{{PayloadType: f.kind, Name: c.Name, ClockRate: c.ClockRate, Channels: c.Channels}},
	})
	offer, err := talk.Offer(sdp.Both)
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), 10*time.Second)
	defer cancel()
	began := time.Now()
	dlg, res, err := p.agent.Invite(ctx, sipua.InviteOptions{Target: uri, ContentType: body.TypeSDP, Body: offer})
	if err != nil {
		p.t.Fatalf("call to %s: %v", target, err)
	}
	f.acked = time.Now()
	f.answer = f.acked.Sub(began)
	agreed, err := talk.Accept(res.Body())
	if err != nil {
		p.t.Fatal(err)
	}
	f.to.Store(&agreed.Remote)
	p.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = dlg.Bye(ctx, "")
	})
	return f
}

// intervals describes how evenly packets came: the number of them, and mean and standard deviation of the time between
// two, and the longest.
func (f *flow) intervals(since time.Time) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var n, sum, squares, longest float64
	for i := 1; i < len(f.arrivals); i++ {
		if f.arrivals[i-1].Before(since) {
			continue
		}
		ms := float64(f.arrivals[i].Sub(f.arrivals[i-1])) / 1e6
		n, sum, squares, longest = n+1, sum+ms, squares+ms*ms, max(longest, ms)
	}
	if n == 0 {
		return "no packets"
	}
	mean := sum / n
	return fmt.Sprintf("%.0f packets, every %.3f ms, standard deviation %.3f ms, longest %.2f ms", n, mean, math.Sqrt(squares/n-mean*mean), longest)
}

// firstAfterACK is how long after the ACK the first packet came. A packet may come before: the answer opens the way.
func (f *flow) firstAfterACK() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.arrivals) == 0 {
		return -1
	}
	return f.arrivals[0].Sub(f.acked)
}
