package rtpconn

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/pion/logging"
)

// pipe is the part of a socket that DTLS sees: what the reader has found to be DTLS, and a way out.
type pipe struct {
	write func([]byte) error // Immutable.

	mu  sync.Mutex
	end *pipeEnd // Guarded by mu; of the attempt under way.
	// records wait for an attempt. Guarded by mu.
	records [][]byte
}

// pipeDepth bounds the records that wait, and those under way to an attempt; DTLS repeats what is lost.
const pipeDepth = 16

func newPipe(write func([]byte) error) *pipe { return &pipe{write: write} }

// deliver copies a record to the attempt under way, or keeps it for the next.
func (p *pipe) deliver(b []byte) {
	b = append([]byte(nil), b...)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.end != nil {
		select {
		case p.end.inbox <- b:
		default:
		}
		return
	}
	if len(p.records) < pipeDepth {
		p.records = append(p.records, b)
	}
}

// cut keeps what comes from now on for the next attempt.
func (p *pipe) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end = nil
}

// reopen makes the connection for one attempt.
func (p *pipe) reopen() *pipeEnd {
	e := &pipeEnd{pipe: p, inbox: make(chan []byte, pipeDepth), closed: make(chan struct{}), expired: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.records {
		e.inbox <- b
	}
	p.end, p.records = e, nil
	return e
}

// pipeEnd is a net.PacketConn.
type pipeEnd struct {
	// Immutable.
	pipe   *pipe
	inbox  chan []byte
	closed chan struct{}

	mu      sync.Mutex
	shut    bool          // Guarded by mu; closed is closed.
	expired chan struct{} // Guarded by mu; closed while the read deadline is over.
	over    bool          // Guarded by mu; expired is closed.
	timer   *time.Timer   // Guarded by mu; of the read deadline.
}

// ReadFrom waits for a record.
func (e *pipeEnd) ReadFrom(b []byte) (int, net.Addr, error) {
	e.mu.Lock()
	expired := e.expired
	e.mu.Unlock()
	select {
	case <-expired:
		return 0, nil, os.ErrDeadlineExceeded
	case <-e.closed:
		return 0, nil, net.ErrClosed
	default:
	}
	select {
	case r := <-e.inbox:
		return copy(b, r), e.LocalAddr(), nil
	case <-expired:
		return 0, nil, os.ErrDeadlineExceeded
	case <-e.closed:
		return 0, nil, net.ErrClosed
	}
}

// WriteTo sends a record to the peer, wherever that is.
func (e *pipeEnd) WriteTo(b []byte, _ net.Addr) (int, error) {
	if err := e.pipe.write(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close ends the attempt.
func (e *pipeEnd) Close() error {
	e.mu.Lock()
	if !e.shut {
		e.shut = true
		close(e.closed)
	}
	if e.timer != nil {
		e.timer.Stop()
	}
	e.mu.Unlock()
	e.pipe.mu.Lock()
	defer e.pipe.mu.Unlock()
	if e.pipe.end == e {
		e.pipe.end = nil
	}
	return nil
}

// LocalAddr is nothing of interest: addresses are decided outside.
func (e *pipeEnd) LocalAddr() net.Addr { return &net.UDPAddr{} }

// SetDeadline sets the deadline of reading; writing does not wait.
func (e *pipeEnd) SetDeadline(t time.Time) error { return e.SetReadDeadline(t) }

// SetWriteDeadline does nothing.
func (e *pipeEnd) SetWriteDeadline(time.Time) error { return nil }

// SetReadDeadline ends ReadFrom at t; the zero time means never.
func (e *pipeEnd) SetReadDeadline(t time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.timer != nil {
		e.timer.Stop()
		e.timer = nil
	}
	if e.over {
		e.expired, e.over = make(chan struct{}), false
	}
	if t.IsZero() {
		return nil
	}
	wait := time.Until(t)
	if wait <= 0 {
		e.over = true
		close(e.expired)
		return nil
	}
	expired := e.expired
	e.timer = time.AfterFunc(wait, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if !e.over && e.expired == expired {
			e.over = true
			close(e.expired)
		}
	})
	return nil
}

// quietly is where the DTLS library logs: by itself it would write to the terminal.
type quietly struct{ log *slog.Logger }

// NewLogger implements logging.LoggerFactory.
func (q quietly) NewLogger(scope string) logging.LeveledLogger {
	return quiet{q.log.With("library", scope)}
}

// quiet passes on what could explain a failure and drops the rest.
type quiet struct{ log *slog.Logger }

func (quiet) Trace(string)          {}
func (quiet) Tracef(string, ...any) {}
func (quiet) Debug(string)          {}
func (quiet) Debugf(string, ...any) {}
func (quiet) Info(string)           {}
func (quiet) Infof(string, ...any)  {}

func (q quiet) Warn(msg string)                   { q.log.Debug(msg) }
func (q quiet) Warnf(format string, args ...any)  { q.log.Debug(fmt.Sprintf(format, args...)) }
func (q quiet) Error(msg string)                  { q.log.Debug(msg) }
func (q quiet) Errorf(format string, args ...any) { q.log.Debug(fmt.Sprintf(format, args...)) }
