// Package vnet is a datagram network in memory, for tests.
//
// A Net has hosts, named by literal IP addresses; a socket is opened with ListenPacket, which has the shape of
// net.ListenConfig's method, so that a program under test takes it in place of the system's. Between every two hosts lies
// a directed link that may lose, delay, reorder and duplicate packets; a host may be cut off, which is how a machine
// dies in a test: nobody is told, packets vanish.
//
// The package is meant for testing/synctest: delays are timers of the bubble, readers block durably, and a
// test of half an hour of retransmissions ends in milliseconds. A Net belongs to the bubble in which its first packet
// is sent and must not be used from two.
//
// Chance comes from the seed alone, one stream for each link, drawn in the order of the packets on it. A run repeats as
// long as each host sends the same packets in the same order; what other hosts do meanwhile does not matter.
// Packets that arrive at one instant are delivered in the order in which they were sent.
//
// What is not here: ARP, routing, fragments, ICMP. A packet to nobody vanishes, and one over the MTU does, too, as most
// firewalls would have it.
package vnet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// MaxPacket is the largest payload of a UDP packet over IPv4, in bytes.
const MaxPacket = 65507

// Link describes one direction between two hosts. The zero value is perfect: nothing is lost and delivery is immediate.
type Link struct {
	Loss      float64       // probability that a packet vanishes, 0 to 1
	Duplicate float64       // probability that a packet arrives twice, 0 to 1
	Delay     time.Duration // until a packet arrives
	Jitter    time.Duration // up to this much more; packets overtake each other
}

// Packet is one datagram as taps and filters see it. Data must not be changed or kept; Rewrite is for changing it.
type Packet struct {
	Time     time.Time
	From, To netip.AddrPort
	Data     []byte
}

// Stats counts packets since the network was made.
type Stats struct {
	Sent       int // handed to the network
	Delivered  int // put into a socket's queue, duplicates included
	Lost       int // by chance or by a filter
	Cut        int // because a host is cut off
	Unheard    int // because nobody listens there
	Oversize   int // over the MTU
	Overflowed int // because the reader's queue was full
}

// Net is a network. Its methods may be called from several goroutines.
type Net struct {
	// Immutable.
	seed  uint64
	mtu   int
	queue int

	mu       sync.Mutex
	sockets  map[netip.AddrPort]*socket // Guarded by mu.
	ports    map[netip.Addr]uint16      // Guarded by mu; the last ephemeral port of a host.
	fallback Link                       // Guarded by mu.
	links    map[route]Link             // Guarded by mu.
	chance   map[route]*rand.Rand       // Guarded by mu.
	cut      map[netip.Addr]bool        // Guarded by mu.
	hooks    []*hook                    // Guarded by mu; replaced, never changed in place.
	flying   flight                     // Guarded by mu; packets under way.
	order    uint64                     // Guarded by mu; of the last packet sent.
	timer    *time.Timer                // Guarded by mu; fires when the first packet of flying is due.
	stats    Stats                      // Guarded by mu.
}

type route struct{ from, to netip.Addr }

// hook is a tap, a filter or a rewriter; see is called without the lock. It returns what the packet is from then on and
// reports whether it may pass.
type hook struct {
	see func(Packet) (data []byte, pass bool)
}

// Option changes a new network.
type Option func(*Net)

// Seed sets where chance comes from. The default is 1.
func Seed(n uint64) Option { return func(v *Net) { v.seed = n } }

// MTU makes payloads over n bytes vanish. The default is MaxPacket.
func MTU(n int) Option { return func(v *Net) { v.mtu = n } }

// Queue bounds what a socket holds for its reader to n packets; the newest are dropped. The default is 1024.
func Queue(n int) Option { return func(v *Net) { v.queue = n } }

// New makes a network of perfect links.
func New(opts ...Option) *Net {
	v := &Net{
		seed: 1, mtu: MaxPacket, queue: 1024,
		sockets: map[netip.AddrPort]*socket{},
		ports:   map[netip.Addr]uint16{},
		links:   map[route]Link{},
		chance:  map[route]*rand.Rand{},
		cut:     map[netip.Addr]bool{},
	}
	for _, o := range opts {
		o(v)
	}
	return v
}

// ListenPacket opens a socket on a literal IP address; port 0 picks one. The network is udp, udp4 or udp6. The
// unspecified address is refused: a host of this network has to say which one it is.
func (v *Net) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	at, err := parseAddress(network, address)
	if err != nil {
		return nil, fmt.Errorf("vnet: listen on %s %q: %w", network, address, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if at.Port() == 0 {
		if at, err = v.freePortLocked(at.Addr()); err != nil {
			return nil, err
		}
	}
	if v.sockets[at] != nil {
		return nil, fmt.Errorf("vnet: listen on %s: address already in use", at)
	}
	s := newSocket(v, at, v.queue)
	v.sockets[at] = s
	return s, nil
}

func parseAddress(network, address string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("port %q is not a number from 0 to 65535", port)
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("host %q is not a literal IP address", host)
	}
	ip = ip.Unmap()
	switch {
	case network != "udp" && network != "udp4" && network != "udp6":
		return netip.AddrPort{}, fmt.Errorf("network must be udp, udp4 or udp6")
	case network == "udp4" && !ip.Is4(), network == "udp6" && ip.Is4():
		return netip.AddrPort{}, fmt.Errorf("address is of the other IP version")
	case ip.IsUnspecified():
		return netip.AddrPort{}, fmt.Errorf("name the host's own address")
	}
	return netip.AddrPortFrom(ip, uint16(number)), nil
}

// firstPort is where ephemeral ports begin, as in IANA's dynamic range.
const firstPort = 49152

func (v *Net) freePortLocked(host netip.Addr) (netip.AddrPort, error) {
	for range 65536 - firstPort {
		port := max(v.ports[host]+1, firstPort)
		v.ports[host] = port
		if at := netip.AddrPortFrom(host, port); v.sockets[at] == nil {
			return at, nil
		}
	}
	return netip.AddrPort{}, fmt.Errorf("vnet: host %s has no free port", host)
}

// Default sets the link between all hosts that have none of their own.
func (v *Net) Default(l Link) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.fallback = l
}

// Link sets the link in one direction. Packets under way are not affected.
func (v *Net) Link(from, to netip.Addr, l Link) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.links[route{from.Unmap(), to.Unmap()}] = l
}

// Cut cuts a host off: packets from and to it vanish, those under way as well. Its sockets notice nothing.
func (v *Net) Cut(host netip.Addr) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.cut[host.Unmap()] = true
}

// Heal undoes Cut.
func (v *Net) Heal(host netip.Addr) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.cut, host.Unmap())
}

// Tap shows every packet that is sent to see, on the sender's goroutine and before chance decides about it. The returned
// function ends that.
func (v *Net) Tap(see func(Packet)) (remove func()) {
	return v.Filter(func(p Packet) bool { see(p); return true })
}

// Filter asks pass about every packet that is sent, on the sender's goroutine; a packet it returns false for is lost.
// The returned function ends that.
func (v *Net) Filter(pass func(Packet) bool) (remove func()) {
	return v.hook(func(p Packet) ([]byte, bool) { return p.Data, pass(p) })
}

// Rewrite has change decide, on the sender's goroutine, what every packet is that is sent: it returns the packet's Data,
// or other bytes, which it leaves alone from then on. Taps, filters and rewriters see a packet in the order in which
// they were added, each as the one before has left it. The returned function ends that.
func (v *Net) Rewrite(change func(Packet) []byte) (remove func()) {
	return v.hook(func(p Packet) ([]byte, bool) { return change(p), true })
}

func (v *Net) hook(see func(Packet) ([]byte, bool)) (remove func()) {
	h := &hook{see}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.hooks = append(v.hooks[:len(v.hooks):len(v.hooks)], h)
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		var rest []*hook
		for _, o := range v.hooks {
			if o != h {
				rest = append(rest, o)
			}
		}
		v.hooks = rest
	}
}

// Stats returns the counts so far.
func (v *Net) Stats() Stats {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.stats
}

func (v *Net) forget(s *socket) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.sockets[s.at] == s {
		delete(v.sockets, s.at)
	}
}
