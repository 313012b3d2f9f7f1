package audio

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
)

// pairAttempts bounds the search for two free ports side by side.
const pairAttempts = 32

// sockets opens a pair of ports: an even one for RTP and the next for RTCP, for peers that do not put both on one
// (RFC 3550 §11).
func (e *Engine) sockets(ctx context.Context, local netip.Addr) (rtp, rtcp net.PacketConn, err error) {
	if e.cfg.Listen.Addr().IsValid() && !e.cfg.Listen.Addr().IsUnspecified() {
		local = e.cfg.Listen.Addr()
	}
	if port := e.cfg.Listen.Port(); port != 0 {
		if rtp, rtcp, err = e.pair(ctx, local, port&^1); err == nil {
			return rtp, rtcp, nil
		}
	}
	for range pairAttempts {
		var port uint16
		if port, err = e.evenPort(ctx, local); err != nil {
			return nil, nil, fmt.Errorf("audio: no port for sound on %v: %w", local, err)
		}
		if rtp, rtcp, err = e.pair(ctx, local, port); err == nil {
			return rtp, rtcp, nil
		}
	}
	return nil, nil, fmt.Errorf("audio: no two free ports for sound on %v: %w", local, err)
}

// evenPort proposes a port: from the configured range, else what the system gives.
func (e *Engine) evenPort(ctx context.Context, local netip.Addr) (uint16, error) {
	if first, last := int(e.cfg.Ports[0]), int(e.cfg.Ports[1]); first > 0 && last > first {
		return uint16(first+rand.IntN(last-first)) &^ 1, nil
	}
	free, err := e.listen(ctx, local, 0)
	if err != nil {
		return 0, err
	}
	port, err := portOf(free.LocalAddr())
	return port &^ 1, errors.Join(err, free.Close())
}

// portOf is the port of a datagram socket.
func portOf(a net.Addr) (uint16, error) {
	at, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return 0, fmt.Errorf("audio: %v is not an address of a datagram socket", a)
	}
	return at.Port(), nil
}

func (e *Engine) pair(ctx context.Context, local netip.Addr, port uint16) (rtp, rtcp net.PacketConn, err error) {
	if rtp, err = e.listen(ctx, local, port); err != nil {
		return nil, nil, err
	}
	if rtcp, err = e.listen(ctx, local, port+1); err != nil {
		return nil, nil, errors.Join(err, rtp.Close())
	}
	return rtp, rtcp, nil
}

func (e *Engine) listen(ctx context.Context, local netip.Addr, port uint16) (net.PacketConn, error) {
	host := ""
	if local.IsValid() {
		host = local.String()
	}
	return e.cfg.ListenPacket(ctx, "udp", net.JoinHostPort(host, strconv.Itoa(int(port))))
}
