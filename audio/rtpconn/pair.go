package rtpconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// pairAttempts bounds the search for two free ports side by side.
const pairAttempts = 32

// ListenPair opens two ports side by side: an even one for RTP and the next for RTCP, for peers that do not put both on one
// (RFC 3550 §11). listen has the shape of net.ListenConfig's method. at is the address as a peer shall see it.
func ListenPair(ctx context.Context, listen func(ctx context.Context, network, address string) (net.PacketConn, error), local netip.Addr) (rtp, rtcp net.PacketConn, at netip.AddrPort, err error) {
	host := ""
	if local.IsValid() {
		host = local.String()
	}
	open := func(port uint16) (net.PacketConn, error) {
		return listen(ctx, "udp", net.JoinHostPort(host, strconv.Itoa(int(port))))
	}
	for range pairAttempts {
		if rtp, rtcp, err = pairOf(open); err == nil {
			break
		}
	}
	if err != nil {
		return nil, nil, at, fmt.Errorf("rtpconn: no two free ports on %v: %w", local, err)
	}
	at = addrPort(rtp.LocalAddr())
	if at.Addr().IsUnspecified() && local.IsValid() {
		at = netip.AddrPortFrom(local, at.Port())
	}
	return rtp, rtcp, at, nil
}

// pairOf opens whatever port is free, and the other one of its pair.
func pairOf(open func(port uint16) (net.PacketConn, error)) (rtp, rtcp net.PacketConn, err error) {
	first, err := open(0)
	if err != nil {
		return nil, nil, err
	}
	port := addrPort(first.LocalAddr()).Port()
	second, err := open(port ^ 1)
	if err != nil {
		return nil, nil, errors.Join(err, first.Close())
	}
	if port&1 == 1 {
		first, second = second, first
	}
	return first, second, nil
}
