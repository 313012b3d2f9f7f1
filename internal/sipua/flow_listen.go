package sipua

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"time"
)

// streamListener accepts connections.
type streamListener struct {
	net.Listener
	stack   *Stack
	network string
	local   netip.AddrPort
}

// accept takes connections until the listener closes.
func (l *streamListener) accept() {
	s := l.stack
	for {
		nc, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || s.ctx.Err() != nil {
				return
			}
			select { // out of descriptors, most likely
			case <-s.ctx.Done():
				return
			case <-time.After(50 * time.Millisecond):
			}
			continue
		}
		if !s.admit(nc) {
			s.counters.limited.Add(1)
			_ = nc.Close()
			continue
		}
		if !s.spawn(func() { l.serve(nc) }) {
			_ = nc.Close()
			return
		}
	}
}

// admit decides whether a connection may be served and counts it.
func (s *Stack) admit(nc net.Conn) bool {
	peer := addrPort(nc.RemoteAddr()).Addr()
	if s.cfg.Limit != nil && !s.cfg.Limit(peer) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.accepted >= maxAccepted || s.peers[peer] >= maxPerPeer {
		return false
	}
	s.accepted++
	s.peers[peer]++
	return true
}

// dismiss counts an accepted connection out.
func (s *Stack) dismiss(nc net.Conn) {
	peer := addrPort(nc.RemoteAddr()).Addr()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted--
	if s.peers[peer]--; s.peers[peer] == 0 {
		delete(s.peers, peer)
	}
}

// serve runs one accepted connection.
func (l *streamListener) serve(nc net.Conn) {
	s := l.stack
	defer s.dismiss(nc)
	if l.network == "tls" {
		tc := tls.Server(nc, s.cfg.ServerTLS)
		ctx, cancel := context.WithTimeout(s.ctx, dialTimeout)
		err := tc.HandshakeContext(ctx)
		cancel()
		if err != nil {
			_ = nc.Close()
			s.log.Info("tls handshake failed", "remote", nc.RemoteAddr(), "err", err)
			return
		}
		nc = tc
	}
	c := newConn(s, nc, connKey{l.network, addrPort(nc.RemoteAddr()), ""})
	_ = nc.SetReadDeadline(time.Now().Add(firstTimeout)) // whoever connects has something to say
	if s.adopt(c) {
		c.read()
	}
}
