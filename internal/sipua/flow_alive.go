package sipua

import (
	"errors"
	"fmt"
	"net"
	"time"
)

// alive ends the wait for a pong: anything that arrives shows that the peer is there.
func (c *conn) alive() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting != nil {
		c.waiting.Stop()
		c.waiting = nil
	}
}

// ping writes a keep-alive. If this peer is known to answer and does not within pongTimeout, the connection is dead.
func (c *conn) ping() error {
	if err := c.write([]byte("\r\n\r\n")); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pongs && c.waiting == nil && !c.closed {
		c.waiting = time.AfterFunc(pongTimeout, func() { c.close(errors.New("no pong")) })
	}
	return nil
}

// KeepAlive writes a CRLF keep-alive on the flow that requests to the target use (RFC 5626 §3.5.1). On UDP that keeps
// a NAT binding open. Without a connection to the target the error is ErrUnreachable.
func (s *Stack) KeepAlive(to Target) error {
	if to.Network == "udp" {
		sock := s.socketFor(to.Addr.Addr())
		if sock == nil {
			return fmt.Errorf("%w: no udp listener", ErrUnreachable)
		}
		if _, err := sock.pc.WriteTo([]byte("\r\n\r\n"), net.UDPAddrFromAddrPort(to.Addr)); err != nil {
			return fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		return nil
	}
	c := s.connTo(to)
	if c == nil {
		return fmt.Errorf("%w: no connection to %s", ErrUnreachable, to)
	}
	return c.ping()
}

// FlowDone returns a channel that is closed when the connection to the target is gone, already closed if there is none.
// For udp it is nil: a socket has no end of its own.
func (s *Stack) FlowDone(to Target) <-chan struct{} {
	if to.Network == "udp" {
		return nil
	}
	if c := s.connTo(to); c != nil {
		return c.done
	}
	none := make(chan struct{})
	close(none)
	return none
}
