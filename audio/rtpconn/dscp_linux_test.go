package rtpconn

import (
	"net"
	"syscall"
	"testing"
)

func TestPacketsAreMarked(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		conn, err := net.ListenPacket("udp", at)
		if err != nil {
			t.Logf("%s: %v", at, err) // a machine without this version
			continue
		}
		defer conn.Close() //nolint:errcheck // the test is over
		newSocket(conn)
		raw, err := conn.(*net.UDPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		level, option := syscall.IPPROTO_IP, syscall.IP_TOS
		if at[0] == '[' {
			level, option = syscall.IPPROTO_IPV6, syscall.IPV6_TCLASS
		}
		var got int
		_ = raw.Control(func(fd uintptr) { got, err = syscall.GetsockoptInt(int(fd), level, option) })
		if err != nil || got>>2 != 46 {
			t.Errorf("%s: code point %d, %v", at, got>>2, err)
		}
	}
}
