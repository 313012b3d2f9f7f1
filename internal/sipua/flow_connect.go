package sipua

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
)

// dialing is an attempt that several senders wait for.
type dialing struct {
	done chan struct{}
	// Immutable once done is closed
	conn *conn
	err  error
}

// adopt makes the connection findable. A closed stack refuses it.
func (s *Stack) adopt(c *conn) bool {
	s.mu.Lock()
	old, closed := s.conns[c.key], s.closed
	if !closed {
		s.conns[c.key] = c
	}
	s.mu.Unlock()
	if closed {
		_ = c.nc.Close()
		return false
	}
	if old != nil {
		old.close(errReplaced)
	}
	return true
}

// connTo returns an open connection to the target, or nil. One that the peer opened serves too: responses and later
// requests go back over it (RFC 5626 §5.3), but not where a certificate would have to be checked for another name.
func (s *Stack) connTo(to Target) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.conns[keyOf(to)]; c != nil {
		return c
	}
	if _, err := netip.ParseAddr(bareHost(to.Host)); to.Network == "tcp" || to.Host == "" || err == nil {
		return s.conns[connKey{to.Network, to.Addr, ""}]
	}
	return nil
}

func keyOf(to Target) connKey {
	if to.Network == "tls" {
		return connKey{to.Network, to.Addr, to.Host}
	}
	return connKey{to.Network, to.Addr, ""}
}

// connect returns a connection to the target, opening one if there is none. Callers that come meanwhile share the
// attempt, which goes on for them when one of them gives up.
func (s *Stack) connect(ctx context.Context, to Target) (*conn, error) {
	if c := s.connTo(to); c != nil {
		return c, nil
	}
	key := keyOf(to)
	s.mu.Lock()
	if c := s.conns[key]; c != nil {
		s.mu.Unlock()
		return c, nil
	}
	d := s.dials[key]
	if d == nil {
		if s.closed {
			s.mu.Unlock()
			return nil, ErrClosed
		}
		d = &dialing{done: make(chan struct{})}
		s.dials[key] = d
		s.wg.Go(func() { s.dial(to, d) })
	}
	s.mu.Unlock()
	select {
	case <-d.done:
		return d.conn, d.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// dial opens the connection, tells the waiters, and then serves it.
func (s *Stack) dial(to Target, d *dialing) {
	c, err := s.dialConn(to)
	if err == nil && !s.adopt(c) {
		err = ErrClosed
	}
	s.mu.Lock()
	delete(s.dials, keyOf(to))
	d.conn, d.err = c, err
	if err != nil {
		d.conn = nil
	}
	s.mu.Unlock()
	close(d.done)
	if err == nil {
		c.read()
	}
}

// dialConn dials and, for tls, verifies the name.
func (s *Stack) dialConn(to Target) (*conn, error) {
	if s.cfg.Dial == nil {
		return nil, fmt.Errorf("%w: no streams here", ErrUnreachable)
	}
	ctx, cancel := context.WithTimeout(s.ctx, dialTimeout)
	defer cancel()
	nc, err := s.cfg.Dial(ctx, "tcp", to.Addr.String())
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnreachable, to, err)
	}
	if to.Network != "tls" {
		return newConn(s, nc, keyOf(to)), nil
	}
	cfg := s.cfg.ClientTLS.Clone()
	if cfg == nil {
		cfg = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if cfg.ServerName == "" {
		cfg.ServerName = bareHost(to.Host)
	}
	if cfg.ServerName == "" {
		cfg.ServerName = to.Addr.Addr().String()
	}
	tc := tls.Client(nc, cfg)
	if err := tc.HandshakeContext(ctx); err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("%w by %s (%s): %w; if its certificate is signed by your own authority, add that to the "+
			"trusted roots", ErrTLS, cfg.ServerName, to.Addr, err)
	}
	return newConn(s, tc, keyOf(to)), nil
}
