package headless

import (
	"net"

	"offhook/internal/sipua"
)

// Listeners are UDP and TCP on one address. A request over 1,300 bytes goes by TCP to the port that is known for UDP
// (RFC 3261 §18.1.1), so a port that is left to choose has to be the same for both.
func Listeners(address string) []sipua.Listener {
	host, port, err := net.SplitHostPort(address)
	if err == nil && port == "0" {
		if free, ok := freePort(host); ok {
			address = net.JoinHostPort(host, free)
		}
	}
	return []sipua.Listener{{Network: "udp", Address: address}, {Network: "tcp", Address: address}}
}

// freePort finds a port that is free for UDP and TCP at this moment.
func freePort(host string) (port string, ok bool) {
	for range 20 {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return "", false
		}
		_, port, _ = net.SplitHostPort(l.Addr().String())
		p, err := net.ListenPacket("udp", net.JoinHostPort(host, port))
		_ = l.Close()
		if err == nil {
			_ = p.Close()
			return port, true
		}
	}
	return "", false
}
