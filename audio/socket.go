package audio

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"

	"offhook/audio/rtpconn"
)

// sockets opens the two ports of a stream, on the address and in the range that are configured. at is the address as a peer
// shall see it.
func (e *Engine) sockets(ctx context.Context, local netip.Addr) (rtp, rtcp net.PacketConn, at netip.AddrPort, err error) {
	if e.cfg.Listen.IsValid() && !e.cfg.Listen.IsUnspecified() {
		local = e.cfg.Listen
	}
	if rtp, rtcp, at, err = rtpconn.ListenPair(ctx, e.listen, local); err != nil {
		return nil, nil, at, fmt.Errorf("audio: no port for sound: %w", err)
	}
	return rtp, rtcp, at, nil
}

// listen opens a port; any is one of the range.
func (e *Engine) listen(ctx context.Context, network, address string) (net.PacketConn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if port == "0" && e.cfg.Ports[1] > 0 {
		address = net.JoinHostPort(host, strconv.Itoa(anEvenPort(int(e.cfg.Ports[0]), int(e.cfg.Ports[1]))))
	}
	return e.cfg.ListenPacket(ctx, network, address)
}

// anEvenPort is an even port of a range that has the next one in it, too.
func anEvenPort(first, last int) int {
	first += first % 2
	return first + 2*rand.IntN(max((last-first+1)/2, 1))
}
