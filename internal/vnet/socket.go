package vnet

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// socket is a net.PacketConn of a Net. Blocking is by channels, which a synctest bubble sees.
type socket struct {
	// Immutable.
	net    *Net
	at     netip.AddrPort
	inbox  chan datagram
	closed chan struct{}
	once   sync.Once // closes closed
	read   deadline
	write  deadline
}

type datagram struct {
	from netip.AddrPort
	data []byte
}

func newSocket(v *Net, at netip.AddrPort, queue int) *socket {
	s := &socket{net: v, at: at, inbox: make(chan datagram, queue), closed: make(chan struct{})}
	s.read.changed, s.write.changed = make(chan struct{}), make(chan struct{})
	return s
}

// deliver reports whether there was room.
func (s *socket) deliver(from netip.AddrPort, data []byte) bool {
	select {
	case s.inbox <- datagram{from, data}:
		return true
	default:
		return false
	}
}

// ReadFrom waits for a datagram. What does not fit into b is cut off, as by a real socket.
func (s *socket) ReadFrom(b []byte) (int, net.Addr, error) {
	// A closed socket or a passed deadline wins over a datagram that is there.
	if err := s.usable(&s.read); err != nil {
		return 0, nil, s.fail("read", err)
	}
	for {
		moved := s.read.wait()
		select {
		case d := <-s.inbox:
			return copy(b, d.data), net.UDPAddrFromAddrPort(d.from), nil
		case <-s.closed:
			return 0, nil, s.fail("read", net.ErrClosed)
		case <-moved:
			if s.read.exceeded() {
				return 0, nil, s.fail("read", os.ErrDeadlineExceeded)
			}
		}
	}
}

func (s *socket) usable(d *deadline) error {
	select {
	case <-s.closed:
		return net.ErrClosed
	default:
	}
	if d.exceeded() {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// WriteTo sends a datagram. It never waits.
func (s *socket) WriteTo(b []byte, addr net.Addr) (int, error) {
	if err := s.usable(&s.write); err != nil {
		return 0, s.fail("write", err)
	}
	to, err := addrPort(addr)
	if err != nil {
		return 0, s.fail("write", err)
	}
	if len(b) > MaxPacket {
		return 0, s.fail("write", errTooLong)
	}
	s.net.send(s.at, to, b)
	return len(b), nil
}

var errTooLong = &net.AddrError{Err: "message too long"}

func addrPort(a net.Addr) (netip.AddrPort, error) {
	var to netip.AddrPort
	switch a := a.(type) {
	case nil:
		return to, &net.AddrError{Err: "missing address"}
	case *net.UDPAddr:
		to = a.AddrPort()
	default:
		var err error
		if to, err = netip.ParseAddrPort(a.String()); err != nil {
			return to, &net.AddrError{Err: "not a literal IP address with a port", Addr: a.String()}
		}
	}
	if !to.IsValid() || to.Port() == 0 {
		return to, &net.AddrError{Err: "not an IP address with a port", Addr: a.String()}
	}
	return netip.AddrPortFrom(to.Addr().Unmap(), to.Port()), nil
}

func (s *socket) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: "udp", Source: s.LocalAddr(), Err: err}
}

// Close frees the address and ends waiting readers. A second Close is an error, as with a real socket.
func (s *socket) Close() error {
	err := s.fail("close", net.ErrClosed)
	s.once.Do(func() {
		s.net.forget(s)
		close(s.closed)
		s.read.set(time.Time{})
		s.write.set(time.Time{})
		err = nil
	})
	return err
}

// LocalAddr is a *net.UDPAddr.
func (s *socket) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(s.at) }

// SetDeadline sets both deadlines.
func (s *socket) SetDeadline(t time.Time) error {
	if err := s.SetReadDeadline(t); err != nil {
		return err
	}
	return s.SetWriteDeadline(t)
}

// SetReadDeadline ends ReadFrom at t; the zero time means never.
func (s *socket) SetReadDeadline(t time.Time) error { return s.setDeadline(&s.read, t) }

// SetWriteDeadline refuses WriteTo after t; the zero time means never.
func (s *socket) SetWriteDeadline(t time.Time) error { return s.setDeadline(&s.write, t) }

func (s *socket) setDeadline(d *deadline, t time.Time) error {
	select {
	case <-s.closed:
		return s.fail("set", net.ErrClosed)
	default:
		d.set(t)
		return nil
	}
}

// deadline is a time that can be moved. Whoever waits looks at it again when its channel closes.
type deadline struct {
	mu      sync.Mutex
	timer   *time.Timer   // Guarded by mu; nil if no time is to come.
	changed chan struct{} // Guarded by mu; closed and replaced when the deadline moves or passes.
	over    bool          // Guarded by mu.
}

func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}

func (d *deadline) exceeded() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.over
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	wait := time.Until(t)
	d.changeLocked(!t.IsZero() && wait <= 0)
	if !t.IsZero() && wait > 0 {
		var timer *time.Timer
		timer = time.AfterFunc(wait, func() { d.expire(&timer) })
		d.timer = timer
	}
}

// expire is called when a timer fires, which may be one that was replaced at that moment.
func (d *deadline) expire(timer **time.Timer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer == *timer {
		d.timer = nil
		d.changeLocked(true)
	}
}

func (d *deadline) changeLocked(over bool) {
	d.over = over
	close(d.changed)
	d.changed = make(chan struct{})
}
