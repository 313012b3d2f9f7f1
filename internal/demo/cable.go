package demo

import (
	"context"
	"net"
	"sync/atomic"
)

// cable is the network cable of a device: while it is cut, what the device sends and what comes for it vanish, and
// nobody is told.
type cable struct{ isCut atomic.Bool }

func (c *cable) cut(cut bool) { c.isCut.Store(cut) }

// listenPacket opens a UDP socket behind the cable.
func (c *cable) listenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	var system net.ListenConfig
	conn, err := system.ListenPacket(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &plugged{conn, c}, nil
}

// plugged is a socket behind a cable.
type plugged struct {
	net.PacketConn
	cable *cable
}

// ReadFrom reads the next packet that arrives while the cable is whole.
func (p *plugged) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := p.PacketConn.ReadFrom(b)
		if err != nil || !p.cable.isCut.Load() {
			return n, from, err
		}
	}
}

// WriteTo sends a packet, into nowhere while the cable is cut.
func (p *plugged) WriteTo(b []byte, to net.Addr) (int, error) {
	if p.cable.isCut.Load() {
		return len(b), nil
	}
	return p.PacketConn.WriteTo(b, to)
}
