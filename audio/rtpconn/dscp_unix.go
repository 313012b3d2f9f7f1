//go:build linux || darwin || freebsd || netbsd || openbsd

package rtpconn

import (
	"net"
	"syscall"
)

// expedited is the code point EF, for telephony (RFC 4594 §4.1), in the upper six bits of the octet.
const expedited = 46 << 2

// markExpedited asks routers on the way to hurry. It is a wish: where the system refuses, nothing is lost.
func markExpedited(conn *net.UDPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		// A dual-stack socket takes both; one of one family refuses the other's.
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_TOS, expedited)
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_TCLASS, expedited)
	})
}
