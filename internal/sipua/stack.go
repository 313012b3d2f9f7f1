package sipua

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Listener is an address to listen on. Network is "udp", "tcp" or "tls".
type Listener struct {
	Network string
	Address string // host:port; port 0 picks one
}

// StackConfig configures a Stack. Only Listeners is required.
type StackConfig struct {
	Listeners []Listener
	// ListenPacket opens UDP sockets; tests put an in-memory network here. Default net.ListenConfig.
	ListenPacket func(ctx context.Context, network, address string) (net.PacketConn, error)
	// Listen and Dial open streams in the same way. With ListenPacket set and Dial not, there are no streams: an
	// in-memory world has no way out into a real network.
	Listen    func(ctx context.Context, network, address string) (net.Listener, error)
	Dial      func(ctx context.Context, network, address string) (net.Conn, error)
	ServerTLS *tls.Config // for tls listeners
	ClientTLS *tls.Config // roots and names for outgoing tls; default: system roots
	UserAgent string      // User-Agent and Server header
	Resolver  Resolver    // default: the system's
	Logger    *slog.Logger
	// Trace sees every message that enters or leaves, credentials removed.
	Trace func(TraceEvent)
	// MaxMessage bounds a message in bytes; 0 means 64 KiB. Longer ones are refused with 513 on a stream and dropped
	// on a datagram socket.
	MaxMessage int
	// Limit is asked before anything from an address is parsed; false drops it unread. Nil lets everything in.
	Limit func(netip.Addr) bool
	// MayAnswer is asked before the stack answers a request by itself, without its handler: one that is malformed or one
	// too many, or a CANCEL of nothing. received and answer are lengths in bytes; false drops the answer. A server can so
	// keep strangers from making it send more than they did. Nil answers all.
	MayAnswer func(source Target, received, answer int) bool
	// HoldCancel leaves the final response to a canceled INVITE to the handler: a proxy forwards what its branches
	// answer (RFC 3261 §16.10). Otherwise the stack answers 487 at once.
	HoldCancel bool
}

// Resolver is what locating a server needs (RFC 3263). *net.Resolver is one.
type Resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Handler serves one request. It runs on its own goroutine and must give a final response to everything but ACK before
// it returns; otherwise the stack answers 500. ctx ends when the stack closes.
type Handler func(ctx context.Context, req *Request)

// Bounds on what strangers can make a stack hold.
const (
	maxTransactions = 1 << 16 // server transactions alive at a time; beyond: 503
	maxAccepted     = 1024    // connections that others opened; beyond: refused
	maxPerPeer      = 256     // of these, from one address
)

// Target is a place to send a request to.
type Target struct {
	Network string // udp, tcp, tls
	Addr    netip.AddrPort
	Host    string // the name to verify with TLS
}

func (t Target) String() string { return t.Network + ":" + t.Addr.String() }

// Stack is listeners, transports and transactions (RFC 3261 §17 and §18) over the library's message model. It knows
// nothing of dialogs or users; Agent (a user agent) and the server's proxy are built on it.
type Stack struct {
	// Immutable
	cfg       StackConfig
	log       *slog.Logger
	ctx       context.Context // ends with Close
	cancel    context.CancelFunc
	sockets   []*udpSocket
	listeners []*streamListener
	addrs     []Listener
	secret    [16]byte // makes tags that only this stack can make

	seq      atomic.Uint64 // of requests that arrived
	counters counters

	wg sync.WaitGroup // every goroutine but timers

	mu sync.Mutex
	// Guarded by mu
	closed   bool
	handler  Handler
	stray    func(context.Context, *sip.Response)
	clients  map[string]*ClientTx
	servers  map[string]*serverTx
	acks     map[string]chan struct{} // being served, by Call-ID; closed afterwards
	conns    map[connKey]*conn
	dials    map[connKey]*dialing
	accepted int                // connections that others opened
	peers    map[netip.Addr]int // the same, by address
	noTCP    map[netip.AddrPort]time.Time
}

// counters count what is dropped without an answer.
type counters struct{ limited, malformed, overflow, stray, faults atomic.Uint64 }

// Stats are counts since the start, for a health display and for tests.
type Stats struct {
	Limited      uint64 // datagrams and connections refused by StackConfig.Limit
	Malformed    uint64 // messages that could not be understood, whether answered or not
	Overflow     uint64 // requests beyond the bound on transactions, responses beyond a reader's queue
	Stray        uint64 // responses that belong to nothing
	Faults       uint64 // messages that met a fault of this program
	Transactions int    // alive now, client and server
	Connections  int    // open now
}

// NewStack opens the listeners. Nothing is served until Serve.
func NewStack(ctx context.Context, cfg StackConfig) (*Stack, error) {
	s := &Stack{
		log: cfg.Logger, clients: map[string]*ClientTx{}, servers: map[string]*serverTx{}, acks: map[string]chan struct{}{}, conns: map[connKey]*conn{},
		dials: map[connKey]*dialing{}, noTCP: map[netip.AddrPort]time.Time{},
		peers: map[netip.Addr]int{},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxMessage <= 0 {
		cfg.MaxMessage = 64 << 10
	}
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
	}
	if cfg.Dial == nil && cfg.ListenPacket == nil {
		cfg.Dial = dialFrom(cfg.Listeners)
	}
	if cfg.Listen == nil {
		cfg.Listen = (&net.ListenConfig{}).Listen
	}
	if cfg.ListenPacket == nil {
		cfg.ListenPacket = (&net.ListenConfig{}).ListenPacket
	}
	s.cfg = cfg
	_, _ = rand.Read(s.secret[:]) // crypto/rand.Read does not fail
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for _, l := range cfg.Listeners {
		if err := s.listen(ctx, l); err != nil {
			_ = s.Close()
			return nil, fmt.Errorf("listen on %s %s: %w", l.Network, l.Address, err)
		}
	}
	return s, nil
}

// listen opens one listener.
func (s *Stack) listen(ctx context.Context, l Listener) error {
	switch l.Network {
	case "udp":
		pc, err := s.cfg.ListenPacket(ctx, "udp", l.Address)
		if err != nil {
			return err
		}
		sock := &udpSocket{stack: s, pc: pc, local: addrPort(pc.LocalAddr())}
		s.sockets = append(s.sockets, sock)
		s.addrs = append(s.addrs, Listener{"udp", sock.local.String()})
	case "tcp", "tls":
		if l.Network == "tls" && s.cfg.ServerTLS == nil {
			return fmt.Errorf("%w: a tls listener needs a certificate", ErrTLS)
		}
		nl, err := s.cfg.Listen(ctx, "tcp", l.Address)
		if err != nil {
			return err
		}
		ln := &streamListener{stack: s, Listener: nl, network: l.Network, local: addrPort(nl.Addr())}
		s.listeners = append(s.listeners, ln)
		s.addrs = append(s.addrs, Listener{l.Network, ln.local.String()})
	default:
		return fmt.Errorf("unknown network %q: use udp, tcp or tls", l.Network)
	}
	return nil
}

// HandleStray sets what is done with a 2xx to an INVITE whose client transaction is gone, which must still be
// acknowledged and ended (RFC 3261 §13.2.2.4). Call it before Serve. f runs on its own goroutine.
func (s *Stack) HandleStray(f func(ctx context.Context, res *sip.Response)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stray = f
}

// Serve starts to hand requests to h and returns at once. ACK requests for a 2xx are handed over too.
func (s *Stack) Serve(h Handler) {
	s.mu.Lock()
	s.handler = h
	s.mu.Unlock()
	for _, sock := range s.sockets {
		s.spawn(sock.read)
	}
	for _, l := range s.listeners {
		s.spawn(l.accept)
	}
}

// spawn runs f on a goroutine that Close waits for. It reports false, and runs nothing, when the stack is closed.
func (s *Stack) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Go(f)
	return true
}

// Close ends all transactions, closes the listeners and waits for handlers.
func (s *Stack) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		s.wg.Wait()
		return nil
	}
	s.closed = true
	clients, servers := s.clients, s.servers
	s.clients, s.servers = map[string]*ClientTx{}, map[string]*serverTx{}
	s.mu.Unlock()

	s.cancel()
	for _, t := range clients {
		t.Terminate()
	}
	for _, t := range servers {
		t.terminate()
	}
	for _, sock := range s.sockets {
		_ = sock.pc.Close()
	}
	for _, l := range s.listeners {
		_ = l.Close()
	}
	s.wg.Wait() // connections end with the context
	return nil
}

// Addrs lists what is listened on, with the real ports.
func (s *Stack) Addrs() []Listener { return append([]Listener(nil), s.addrs...) }

// Stats returns the counts.
func (s *Stack) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{
		Limited: s.counters.limited.Load(), Malformed: s.counters.malformed.Load(),
		Overflow: s.counters.overflow.Load(), Stray: s.counters.stray.Load(),
		Faults:       s.counters.faults.Load(),
		Transactions: len(s.clients) + len(s.servers), Connections: len(s.conns),
	}
}

// Local returns the address this stack is reached at over a network ("udp", "tcp", "tls"), for Via and Contact: the
// listener's, or the one the system would use towards remote where the listener is unspecified. ok is false where there
// is no such listener.
func (s *Stack) Local(network string, remote netip.Addr) (addr netip.AddrPort, ok bool) {
	best := netip.AddrPort{}
	for _, l := range s.addrs {
		if l.Network != network {
			continue
		}
		a := netip.MustParseAddrPort(l.Address)
		if !best.IsValid() || suits(a.Addr(), remote) > suits(best.Addr(), remote) {
			best = a
		}
	}
	if !best.IsValid() {
		return netip.AddrPort{}, false
	}
	if best.Addr().IsUnspecified() {
		best = netip.AddrPortFrom(sourceFor(remote, best.Addr()), best.Port())
	}
	return best, true
}

// suits ranks a local address for reaching remote: 0 not at all (another family), 1 perhaps, 2 well.
func suits(local, remote netip.Addr) int {
	switch {
	case !remote.IsValid():
		return 1
	case local.IsUnspecified():
		if local.Is4() && remote.Is6() {
			return 0
		}
		return 1
	case local.Is4() != remote.Is4():
		return 0
	case local.IsLoopback() != remote.IsLoopback():
		return 1
	}
	return 2
}

// LocalTowards is the address that the system would use towards remote, or, where that is not valid, towards anywhere.
func LocalTowards(remote netip.Addr) netip.Addr {
	return sourceFor(remote, netip.IPv4Unspecified())
}

// sourceFor asks the system which source address it would use towards remote. Connecting a datagram socket sends
// nothing.
func sourceFor(remote, unspecified netip.Addr) netip.Addr {
	if !remote.IsValid() {
		remote = netip.MustParseAddr("192.0.2.1") // TEST-NET: the default route
	}
	c, err := net.Dial("udp", netip.AddrPortFrom(remote, 9).String())
	if err != nil {
		if unspecified.Is4() || remote.Is4() {
			return netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
		return netip.IPv6Loopback()
	}
	defer c.Close()
	return addrPort(c.LocalAddr()).Addr()
}

// addrPort converts a socket's address. IPv4 in IPv6 becomes IPv4, so that addresses compare.
func addrPort(a net.Addr) netip.AddrPort {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}
