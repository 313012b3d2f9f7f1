package sipua

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// flow is a way to send bytes to a peer: a datagram socket, or a connection (RFC 5626 §2).
type flow interface {
	network() string
	localAddr() netip.AddrPort
	// send writes one message. to is ignored by connections.
	send(data []byte, to netip.AddrPort) error
	// gone is closed when the flow can carry nothing more; nil for datagrams.
	gone() <-chan struct{}
}

// maxDatagram is the largest UDP payload.
const maxDatagram = 65507

// udpSocket is one listener. Requests leave from it and responses return to it, so that one NAT binding and one
// registered address serve both directions (RFC 3581 §4).
type udpSocket struct {
	// Immutable
	stack *Stack
	pc    net.PacketConn
	local netip.AddrPort
}

func (u *udpSocket) network() string           { return "udp" }
func (u *udpSocket) localAddr() netip.AddrPort { return u.local }
func (u *udpSocket) gone() <-chan struct{}     { return nil }

func (u *udpSocket) send(data []byte, to netip.AddrPort) error {
	if len(data) > maxDatagram {
		return fmt.Errorf("%w: %d bytes do not fit a datagram", ErrUnreachable, len(data))
	}
	u.stack.trace(true, "udp", u.local, to, data)
	if _, err := u.pc.WriteTo(data, net.UDPAddrFromAddrPort(to)); err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return nil
}

// read receives until the socket closes. One datagram is handled at a time, so messages keep their order; handlers run
// on their own goroutines.
func (u *udpSocket) read() {
	s := u.stack
	buf := make([]byte, maxDatagram+1)
	for failures := 0; ; {
		n, from, err := u.pc.ReadFrom(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) || s.ctx.Err() != nil {
				return
			}
			// An ICMP error of an earlier datagram may surface here; it must not stop the listener, nor spin it.
			if failures++; failures > 100 {
				s.log.Error("udp socket failed", "local", u.local, "err", err)
				return
			}
			select {
			case <-s.ctx.Done():
				return
			case <-time.After(time.Duration(failures) * time.Millisecond):
			}
			continue
		}
		failures = 0
		src := addrPort(from)
		if s.cfg.Limit != nil && !s.cfg.Limit(src.Addr()) {
			s.counters.limited.Add(1)
			continue
		}
		data := buf[:n]
		if len(bytes.Trim(data, "\r\n\x00")) == 0 { // keep-alives (RFC 5626 §4.4.2 and older habits)
			continue
		}
		s.trace(false, "udp", u.local, src, data)
		if n > s.cfg.MaxMessage {
			s.counters.malformed.Add(1)
			continue
		}
		s.receive(data, u, src)
	}
}

// socketFor picks the udp listener to reach an address from.
func (s *Stack) socketFor(remote netip.Addr) *udpSocket {
	var best *udpSocket
	for _, u := range s.sockets {
		if n := suits(u.local.Addr(), remote); n > 0 && (best == nil || n > suits(best.local.Addr(), remote)) {
			best = u
		}
	}
	return best
}
