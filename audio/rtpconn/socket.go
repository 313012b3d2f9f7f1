package rtpconn

import (
	"net"
	"net/netip"
)

// socket reads and writes datagrams without allocating where the connection is a UDP socket of the system.
type socket struct {
	// Immutable.
	conn net.PacketConn
	udp  *net.UDPConn // nil for other kinds
}

func newSocket(conn net.PacketConn) *socket {
	s := &socket{conn: conn}
	s.udp, _ = conn.(*net.UDPConn)
	if s.udp != nil {
		markExpedited(s.udp)
	}
	return s
}

func (s *socket) read(b []byte) (int, netip.AddrPort, error) {
	if s.udp != nil {
		n, from, err := s.udp.ReadFromUDPAddrPort(b)
		return n, unmap(from), err
	}
	n, from, err := s.conn.ReadFrom(b)
	if err != nil {
		return n, netip.AddrPort{}, err
	}
	return n, addrPort(from), nil
}

func (s *socket) write(b []byte, to netip.AddrPort) error {
	if s.udp != nil {
		_, err := s.udp.WriteToUDPAddrPort(b, to)
		return err
	}
	_, err := s.conn.WriteTo(b, net.UDPAddrFromAddrPort(to))
	return err
}

// addrPort is the zero value, which equals no address of a peer, for what is not an IP address.
func addrPort(a net.Addr) netip.AddrPort {
	if u, ok := a.(*net.UDPAddr); ok {
		return unmap(u.AddrPort())
	}
	if a == nil {
		return netip.AddrPort{}
	}
	p, _ := netip.ParseAddrPort(a.String())
	return unmap(p)
}

// unmap makes the IPv4 addresses that an IPv6 socket shows comparable with those in a session description.
func unmap(a netip.AddrPort) netip.AddrPort {
	if !a.IsValid() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
