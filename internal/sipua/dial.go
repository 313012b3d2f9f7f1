package sipua

import (
	"context"
	"net"
	"net/netip"
)

// dialFrom dials from the host that the listeners are on, as datagrams leave from there: peers know a server, and a server
// its users, by the address. Only where that host cannot be on the way, a listener on loopback towards the network or the
// other way round, the system chooses.
func dialFrom(listeners []Listener) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		if from, ok := localFor(listeners, address); ok {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
		}
		return d.DialContext(ctx, network, address)
	}
}

// localFor is the host of the first listener from which an address may be reached.
func localFor(listeners []Listener, address string) (netip.Addr, bool) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return netip.Addr{}, false
	}
	for _, l := range listeners {
		at, err := netip.ParseAddrPort(l.Address)
		if err != nil || at.Addr().IsUnspecified() {
			continue
		}
		from, remote := at.Addr().Unmap(), to.Addr().Unmap()
		if from.Is4() == remote.Is4() && from.IsLoopback() == remote.IsLoopback() {
			return from, true
		}
	}
	return netip.Addr{}, false
}
