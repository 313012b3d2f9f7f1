package sipua

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Times of connections.
const (
	dialTimeout    = 10 * time.Second
	writeTimeout   = 10 * time.Second
	firstTimeout   = 60 * time.Second // from accepting a connection to its first byte
	messageTimeout = 30 * time.Second // from the first byte of a message to its last
	pongTimeout    = 10 * time.Second // RFC 5626 §4.4.1
)

// connKey finds a connection again. host is the name a certificate was checked against, "" where none was: for TCP and
// for connections that others opened.
type connKey struct {
	network string
	addr    netip.AddrPort
	host    string
}

// conn is a TCP or TLS connection, opened by either side.
type conn struct {
	// Immutable
	stack *Stack
	nc    net.Conn
	key   connKey
	local netip.AddrPort
	done  chan struct{}

	writing sync.Mutex // held for one message

	mu sync.Mutex
	// Guarded by mu
	closed  bool
	pongs   bool // the peer has answered a ping before, so silence means death
	waiting *time.Timer
}

func newConn(s *Stack, nc net.Conn, key connKey) *conn {
	return &conn{stack: s, nc: nc, key: key, local: addrPort(nc.LocalAddr()), done: make(chan struct{})}
}

func (c *conn) network() string           { return c.key.network }
func (c *conn) localAddr() netip.AddrPort { return c.local }
func (c *conn) gone() <-chan struct{}     { return c.done }

// send writes one message. A peer that does not read for writeTimeout loses the connection: half a message would
// garble everything behind it.
func (c *conn) send(data []byte, _ netip.AddrPort) error {
	c.stack.trace(true, c.key.network, c.local, c.key.addr, data)
	return c.write(data)
}

func (c *conn) write(data []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.nc.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := c.nc.Write(data); err != nil {
		err = fmt.Errorf("%w: %w", ErrUnreachable, err)
		c.close(err)
		return err
	}
	return nil
}

// close ends the connection and the transactions that wait on it.
func (c *conn) close(cause error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	if c.waiting != nil {
		c.waiting.Stop()
	}
	c.mu.Unlock()
	_ = c.nc.Close()
	s := c.stack
	s.mu.Lock()
	if s.conns[c.key] == c {
		delete(s.conns, c.key)
	}
	s.mu.Unlock()
	s.log.Debug("connection closed", "network", c.key.network, "remote", c.key.addr, "err", cause)
	close(c.done)
}

// read serves the connection until it ends.
func (c *conn) read() {
	defer c.close(io.EOF)
	defer context.AfterFunc(c.stack.ctx, func() { c.close(ErrClosed) })()
	br := bufio.NewReaderSize(c.nc, 4096)
	for {
		data, err := c.next(br)
		if data != nil {
			c.stack.trace(false, c.key.network, c.local, c.key.addr, data)
			c.stack.receive(data, c, c.key.addr)
		}
		if err != nil {
			return
		}
		c.alive()
	}
}

// Why a stream cannot be read on.
var (
	errTooLarge   = errors.New("message too large")
	errNoBoundary = errors.New("no usable Content-Length")
	errReplaced   = errors.New("the peer connected anew from the same address")
)

// next reads one message (RFC 3261 §18.3). With an error there is no boundary to go on from; data may then still hold
// what can be answered.
func (c *conn) next(br *bufio.Reader) ([]byte, error) {
	if err := c.skipBlank(br); err != nil {
		return nil, err
	}
	_ = c.nc.SetReadDeadline(time.Now().Add(messageTimeout))
	defer func() { _ = c.nc.SetReadDeadline(time.Time{}) }()
	limit := c.stack.cfg.MaxMessage
	head, err := readHead(br, limit)
	if errors.Is(err, errTooLarge) {
		c.stack.refuse(head, &defect{513, "Message Too Large"}, c, c.key.addr)
	}
	if err != nil {
		return nil, err
	}
	raw, _ := scan(head, true)
	lengths := raw.values("Content-Length")
	if len(lengths) != 1 {
		return head, errNoBoundary
	}
	length, ok := parseLength(lengths[0])
	if !ok {
		return head, errNoBoundary
	}
	if len(head)+length > limit {
		c.stack.refuse(head, &defect{513, "Message Too Large"}, c, c.key.addr)
		if length > 64*limit {
			return nil, errTooLarge
		}
		_, err := io.CopyN(io.Discard, br, int64(length)) // the flow survives one long message
		return nil, err
	}
	data := append(head, make([]byte, length)...)
	if _, err := io.ReadFull(br, data[len(head):]); err != nil {
		return nil, err
	}
	return data, nil
}

// readHead reads up to and with the empty line.
func readHead(br *bufio.Reader, limit int) ([]byte, error) {
	var head []byte
	for start := 0; ; {
		part, err := br.ReadSlice('\n')
		head = append(head, part...)
		if len(head) > limit {
			return head, errTooLarge
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue // the line is longer than the buffer
		}
		if err != nil {
			return head, err
		}
		if len(bytes.TrimRight(head[start:], "\r\n")) == 0 {
			return head, nil
		}
		start = len(head)
	}
}

// skipBlank waits for the first byte of a message. A double CRLF before it is a ping, answered with one CRLF; a single
// one is the pong (RFC 5626 §3.5.1).
func (c *conn) skipBlank(br *bufio.Reader) error {
	for {
		b, err := br.Peek(1)
		if err != nil {
			return err
		}
		if b[0] != '\r' && b[0] != '\n' {
			return nil
		}
		two, err := br.Peek(2)
		if err != nil {
			return err
		}
		if two[0] != '\r' || two[1] != '\n' {
			_, _ = br.Discard(1)
			continue
		}
		_, _ = br.Discard(2)
		if rest, _ := br.Peek(min(2, br.Buffered())); string(rest) == "\r\n" {
			_, _ = br.Discard(2)
			if err := c.write([]byte("\r\n")); err != nil {
				return err
			}
			continue
		}
		c.mu.Lock()
		c.pongs = true
		c.mu.Unlock()
		c.alive()
	}
}
