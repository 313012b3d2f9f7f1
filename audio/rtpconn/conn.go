// Package rtpconn carries the media of one call: RTP, RTCP and SRTP on one packet connection, or on two when the peer
// keeps RTCP apart.
//
// A Conn has an identity from the start: an SSRC, a first sequence number and a first timestamp, all random (RFC 3550
// §5.1). Nothing is sent and nothing is believed before Apply, which puts into force what offer and answer agreed. From
// then on
//
//  1. a datagram is told apart by its first bytes (RFC 7983, RFC 5761): DTLS, RTP, RTCP, and what is none of them;
//  2. its sender has to be the peer: by SRTP authentication and replay protection where there are keys (RFC 3711), by
//     address where there are none;
//  3. its SSRC has to be the peer's source, or a new one that has proved itself (RFC 3550 §6.2.1, A.1);
//  4. only then does it count: for sequence numbers, loss and jitter, for where we send, and as sound.
//
// What fails one of these is counted as rejected and changes nothing else.
//
// We send from the port on which we receive (RFC 4961), to where the peer said it receives. Behind a NAT that is often
// wrong, so for ten seconds after an agreement, as long as nothing comes from the right address, steady media from
// another one move the target. Media with keys may move it at any time.
//
// Keys come from the agreement (SDES, RFC 4568) or from a DTLS handshake on the same port (RFC 5763, RFC 5764). The
// handshake goes on behind Apply, and while it does nothing leaves and nothing enters in clear. When the peer begins
// another one later, or asks for it, the former keys stay in force until that is complete.
//
// Every five seconds or so a compound RTCP packet tells the peer what arrived (RFC 3550 §6.4) and how it sounds (RFC 3611);
// what the peer tells in return gives the round-trip time and, with the E-model of ITU-T G.107, an estimate of quality.
//
// Goroutines: Run owns one reader for each socket in use, the reports and the handshake, and waits for them. All state is under one lock, held for about a microsecond at a time and never while writing
// to a socket or calling out.
package rtpconn

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"

	"offhook/internal/media"
	"offhook/internal/sdp"
)

// Errors of Apply and Write.
var (
	ErrSuite       = errors.New("rtpconn: no such SRTP suite, or a key of the wrong length")
	ErrMethod      = errors.New("rtpconn: no such way of protection")
	ErrCertificate = errors.New("rtpconn: DTLS needs a certificate of ours and a fingerprint of theirs")
	ErrTooLong     = errors.New("rtpconn: the payload does not fit into a packet")
)

// Config says what a Conn works on.
type Config struct {
	RTP         net.PacketConn   // for RTP, and for RTCP with mux
	RTCP        net.PacketConn   // for RTCP without mux; nil: this side can only mux
	CNAME       string           // names this side in RTCP; "": a random one (RFC 7022 §4.2)
	Certificate *tls.Certificate // for DTLS; nil: no DTLS
	Logger      *slog.Logger     // nil: no log
	// Packet is called for every RTP packet that counts, on the reader's goroutine. It must not keep the packet.
	Packet func(p *rtp.Packet)
	// Told is called for Secured, SecurityFailed, FirstAudio and PeerMoved, one at a time, on the goroutine of Run.
	Told func(media.Event)
}

// Conn is the media of one call on the network.
type Conn struct {
	// Immutable.
	cfg   Config
	log   *slog.Logger
	rtp   *socket
	rtcp  *socket       // nil without
	start time.Time     // from here time is counted, in monotonic durations
	kick  chan struct{} // capacity 1; wakes Run
	done  chan struct{} // closed by Close

	closing sync.Once
	playout atomic.Pointer[func() Playout]
	faults  atomic.Uint64 // errors of sockets, survived

	mu        sync.Mutex
	agreed    bool              // Guarded by mu; after the first Apply.
	agreement sdp.Agreement     // Guarded by mu; the last one applied.
	since     time.Duration     // Guarded by mu; of the agreement.
	formats   formats           // Guarded by mu; from the agreement.
	path      path              // Guarded by mu; of RTP.
	control   path              // Guarded by mu; of RTCP without mux.
	out       outbound          // Guarded by mu; what we send.
	in        inbound           // Guarded by mu; what arrives.
	keys      protection        // Guarded by mu; contexts of SRTP.
	peer      feedback          // Guarded by mu; what RTCP told.
	reports   schedule          // Guarded by mu; when RTCP is due.
	early     []datagram        // Guarded by mu; DTLS that came before the first agreement.
	link      *association      // Guarded by mu; the DTLS association; nil without.
	renewal   *association      // Guarded by mu; the one that is to take its place; nil without.
	renewable time.Duration     // Guarded by mu; before, no other ClientHello begins one.
	doubtful  bool              // Guarded by mu; the peer may have forgotten the association.
	events    []media.Event     // Guarded by mu; to be told by Run.
	sound     Playout           // Guarded by mu; what the jitter buffer said last.
	heard     window            // Guarded by mu; what it made of the packets.
	logged    map[string]uint64 // Guarded by mu; why packets were rejected, for the log at the end.
}

// New makes a connection that is silent until Apply. It needs Run.
func New(cfg Config) (*Conn, error) {
	if cfg.RTP == nil {
		return nil, errors.New("rtpconn: no socket for RTP")
	}
	c := &Conn{
		cfg: cfg, log: cfg.Logger, rtp: newSocket(cfg.RTP),
		start: time.Now(), kick: make(chan struct{}, 1), done: make(chan struct{}),
		logged: map[string]uint64{},
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.cfg.CNAME == "" {
		c.cfg.CNAME = rand.Text()
	}
	if cfg.RTCP != nil {
		c.rtcp = newSocket(cfg.RTCP)
	}
	c.out.renew()
	return c, nil
}

// SSRC is ours at the moment; a collision may change it.
func (c *Conn) SSRC() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.ssrc
}

// now is the time since the connection was made, on the monotonic clock.
func (c *Conn) now() time.Duration { return time.Since(c.start) }

// Run reads and reports until Close, or until ctx ends, which closes the connection.
func (c *Conn) Run(ctx context.Context) {
	var readers sync.WaitGroup
	readers.Go(func() { c.read(c.rtp, false) })
	apart := false // RTCP is read from its own socket
	var keying sync.WaitGroup
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for open := true; open; {
		if !apart && c.isApart() {
			apart = true
			readers.Go(func() { c.read(c.rtcp, true) })
		}
		c.handshakes(ctx, &keying)
		timer.Reset(c.housekeep())
		c.tellPending()
		select {
		case <-ctx.Done():
			c.Close() //nolint:errcheck // nobody is left to tell
			open = false
		case <-c.done:
			open = false
		case <-c.kick:
		case <-timer.C:
		}
	}
	readers.Wait()
	keying.Wait()
	c.tellPending()
}

// isApart reports whether the peer keeps RTCP apart. Most do not, and a reader for nothing costs more than all else about a
// call that waits.
func (c *Conn) isApart() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rtcp != nil && c.agreed && !c.agreement.Mux
}

// wake makes Run look at what has changed.
func (c *Conn) wake() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

func (c *Conn) tellLocked(e media.Event) {
	c.events = append(c.events, e)
	c.wake()
}

func (c *Conn) tellPending() {
	c.mu.Lock()
	events := c.events
	c.events = nil
	c.mu.Unlock()
	for _, e := range events {
		c.log.Debug("media", "event", e.Kind, "text", e.Text, "err", e.Err)
		if c.cfg.Told != nil {
			c.cfg.Told(e)
		}
	}
}

// Close says BYE, ends the DTLS association and closes the sockets.
func (c *Conn) Close() error {
	var err error
	c.closing.Do(func() {
		c.sayBye()
		c.mu.Lock()
		link := c.link
		c.link = nil
		c.dropRenewalLocked()
		if len(c.logged) > 0 {
			c.log.Info("media packets were rejected", "why", c.logged)
		}
		c.mu.Unlock()
		if link != nil {
			link.end()
		}
		close(c.done)
		err = c.rtp.conn.Close()
		if c.rtcp != nil {
			err = errors.Join(err, c.rtcp.conn.Close())
		}
	})
	return err
}

// isClosed reports whether Close was called.
func (c *Conn) isClosed() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// random32 is good enough for keys: an SSRC or a first sequence number that a stranger can guess helps to forge (RFC 3550
// §8.1, §9.1).
func random32() uint32 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint32(b[:])
}
