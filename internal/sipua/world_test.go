package sipua

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/vnet"
)

// world is a network of stacks for one test.
type world struct {
	t     *testing.T
	net   *vnet.Net
	start time.Time

	mu      sync.Mutex
	packets []vnet.Packet // Guarded by mu; as sent
}

func newWorld(t *testing.T, opts ...vnet.Option) *world {
	w := &world{t: t, net: vnet.New(opts...), start: time.Now()}
	w.net.Tap(func(p vnet.Packet) {
		p.Data = append([]byte(nil), p.Data...)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.packets = append(w.packets, p)
	})
	return w
}

// stack makes a stack on port 5060 of a host.
func (w *world) stack(host string, change ...func(*StackConfig)) *Stack {
	w.t.Helper()
	cfg := StackConfig{Listeners: []Listener{{"udp", host + ":5060"}}, ListenPacket: w.net.ListenPacket}
	for _, f := range change {
		f(&cfg)
	}
	s, err := NewStack(context.Background(), cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = s.Close() })
	return s
}

// socket opens a bare socket.
func (w *world) socket(address string) net.PacketConn {
	w.t.Helper()
	pc, err := w.net.ListenPacket(context.Background(), "udp", address)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = pc.Close() })
	return pc
}

// sentBy lists the packets an address has sent.
func (w *world) sentBy(address string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, p := range w.packets {
		if p.From.String() == address {
			out = append(out, string(p.Data))
		}
	}
	return out
}

// times lists when an address has sent packets that begin with prefix, in seconds since the start.
func (w *world) times(address, prefix string) []float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []float64
	for _, p := range w.packets {
		if p.From.String() == address && strings.HasPrefix(string(p.Data), prefix) {
			out = append(out, p.Time.Sub(w.start).Seconds())
		}
	}
	return out
}

// send starts a transaction towards port 5060 of a host.
func (w *world) send(s *Stack, req *sip.Request, host string) *ClientTx {
	w.t.Helper()
	tx, err := s.Send(context.Background(), req, Target{Network: "udp", Addr: netip.MustParseAddrPort(host + ":5060")})
	if err != nil {
		w.t.Fatal(err)
	}
	return tx
}
