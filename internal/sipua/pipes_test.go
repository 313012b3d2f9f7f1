package sipua

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
)

// pipes is a network of streams in memory, for bubbles.
type pipes struct {
	mu        sync.Mutex
	listeners map[string]*pipeListener // Guarded by mu; by address
	ports     uint16                   // Guarded by mu
}

func newPipes() *pipes { return &pipes{listeners: map[string]*pipeListener{}, ports: 40000} }

// pipeListener is a listener on it.
type pipeListener struct {
	net   *pipes
	addr  *net.TCPAddr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// pipeConn is one end of a connection, with addresses like those of real ones.
type pipeConn struct {
	net.Conn
	local, remote net.Addr
}

func (c pipeConn) LocalAddr() net.Addr  { return c.local }
func (c pipeConn) RemoteAddr() net.Addr { return c.remote }

func (p *pipes) listen(_ context.Context, _, address string) (net.Listener, error) {
	l := &pipeListener{
		net: p, addr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address)), conns: make(chan net.Conn), done: make(chan struct{}),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listeners[address] = l
	return l, nil
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Addr() net.Addr { return l.addr }

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// dialFrom returns a Dial of a host.
func (p *pipes) dialFrom(host string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, address string) (net.Conn, error) {
		p.mu.Lock()
		l := p.listeners[address]
		p.ports++
		local := net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(host), p.ports))
		p.mu.Unlock()
		if l == nil {
			return nil, syscall.ECONNREFUSED
		}
		ours, theirs := net.Pipe()
		select {
		case l.conns <- pipeConn{theirs, l.addr, local}:
			return pipeConn{ours, local, l.addr}, nil
		case <-l.done:
			return nil, syscall.ECONNREFUSED
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// A server that goes away takes its connections with it: its clients register again at once, then ever more slowly, and
// are back as soon as one of these tries finds it.
func TestRegisterAgainAfterServerRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, streams := newWorld(t), newPipes()
		start := func() *Stack {
			s := w.stack(serverHost, func(c *StackConfig) {
				c.Listeners, c.Listen = []Listener{{"tcp", serverHost + ":5060"}}, streams.listen
			})
			s.Serve(func(_ context.Context, req *Request) { granting(3600)(req) })
			return s
		}
		srv := start()
		stack := w.stack(aliceHost, func(c *StackConfig) { c.Dial = streams.dialFrom(aliceHost) })
		alice := w.agentOn(stack, "alice", server(serverHost), func(c *AgentConfig) { c.Server.UriParams.Add("transport", "tcp") })
		ctx, cancel := context.WithCancel(t.Context())
		states, end := alice.registering(ctx, time.Hour)
		state(t, states, time.Second, "registering")
		state(t, states, time.Second, "registered")
		time.Sleep(time.Minute)

		_ = srv.Close()
		down := time.Now()
		state(t, states, time.Second, "registering") // at once
		tries := 0
		for time.Since(down) < time.Minute {
			if s := within(t, states, 5*time.Minute, "state"); s.State == "failed" {
				tries++
			}
		}
		if tries < 3 || tries > 7 {
			t.Errorf("%d tries in the first minute", tries)
		}
		start()
		for s := range states {
			if s.State == "registered" {
				break
			}
			if time.Since(down) > 2*time.Minute+maxBackoff {
				t.Fatalf("%s after %s", s.State, time.Since(down))
			}
		}
		cancel()
		state(t, states, time.Second, "unregistered")
		if err := within(t, end, time.Second, "end"); err != nil {
			t.Error(err)
		}
	})
}

// IPv6 is as good as IPv4: brackets where a URI or a Via needs them, none where an address is compared.
func TestExchangeOverIPv6(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			made := func() *Stack {
				s, err := NewStack(t.Context(), StackConfig{Listeners: []Listener{{"udp", "[::1]:0"}, {"tcp", "[::1]:0"}}})
				if err != nil {
					t.Skipf("no IPv6 on this machine: %v", err)
				}
				t.Cleanup(func() { _ = s.Close() })
				return s
			}
			alice, bob := made(), made()
			bob.Serve(func(_ context.Context, req *Request) { _ = req.Send(req.Response(200, "OK", req.Body())) })
			alice.Serve(func(context.Context, *Request) {})
			at, _ := bob.Local(network, netip.IPv6Loopback())
			req := sip.NewRequest(sip.MESSAGE, sip.Uri{Scheme: "sip", User: "bob", Host: "[::1]", Port: int(at.Port())})
			req.AppendHeader(&sip.FromHeader{Address: sip.Uri{Scheme: "sip", Host: "[::1]"}, Params: sip.HeaderParams{{K: "tag", V: "1"}}})
			req.AppendHeader(&sip.ToHeader{Address: req.Recipient})
			id := sip.CallIDHeader("six")
			req.AppendHeader(&id)
			req.AppendHeader(&sip.CSeqHeader{SeqNo: 1, MethodName: sip.MESSAGE})
			req.SetBody([]byte("hello"))
			targets, err := alice.Locate(t.Context(), sip.Uri{
				Scheme: "sip", Host: "[::1]", Port: int(at.Port()), UriParams: sip.HeaderParams{{K: "transport", V: network}},
			})
			if err != nil || len(targets) == 0 || targets[0] != (Target{Network: network, Addr: at, Host: targets[0].Host}) {
				t.Fatalf("located %v, %v", targets, err)
			}
			tx, err := alice.Send(t.Context(), req, targets[0])
			if err != nil {
				t.Fatal(err)
			}
			res := <-tx.Responses()
			if res == nil || res.StatusCode != 200 || string(res.Body()) != "hello" {
				t.Fatalf("%v, %v", res, tx.Err())
			}
			if received, _ := res.Via().Params.Get("received"); bareHost(received) != "::1" {
				t.Errorf("Via %s", res.Via().Value())
			}
		})
	}
}
