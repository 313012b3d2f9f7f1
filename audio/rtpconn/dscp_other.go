//go:build !(linux || darwin || freebsd || netbsd || openbsd)

package rtpconn

import "net"

// markExpedited does nothing: on Windows a program needs the system's policy to mark packets.
func markExpedited(*net.UDPConn) {}
