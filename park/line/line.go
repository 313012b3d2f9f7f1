package line

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/pion/rtp"

	"offhook/audio/rtpconn"
	"offhook/internal/media"
	"offhook/internal/sdp"
	"offhook/park/music"
)

// Errors of lines.
var (
	ErrClosed      = errors.New("line: closed")
	ErrNoAgreement = errors.New("line: nothing has been agreed yet")
	ErrJoined      = errors.New("line: joined with another line")
	ErrNoCodec     = errors.New("line: no codec in common")
)

// Config says what a line works on.
type Config struct {
	Local        netip.Addr                                                                 // to receive on, as the peer shall see it
	ListenPacket func(ctx context.Context, network, address string) (net.PacketConn, error) // nil: the system's
	Policy       sdp.Policy
	// Certificate and Fingerprint are for DTLS, as rtpconn.NewCertificate makes them; without, there is none.
	Certificate *tls.Certificate
	Fingerprint string
	// Told is called for what the line finds out by itself, one at a time: Secured, SecurityFailed, FirstAudio, PeerMoved.
	// It must not close the line.
	Told   func(media.Event)
	Logger *slog.Logger // nil: no log
}

// Line is the media of one leg.
type Line struct {
	// Immutable.
	cfg     Config
	log     *slog.Logger
	number  uint64 // in which order lines are locked
	conn    *rtpconn.Conn
	local   netip.AddrPort
	working sync.WaitGroup

	route   atomic.Pointer[route] // where packets that arrive go; nil: nowhere
	relayed atomic.Uint64         // packets that went on to the other line
	omitted atomic.Uint64         // those whose format the other side has not agreed to

	mu        sync.Mutex
	closed    bool          // Guarded by mu.
	agreed    bool          // Guarded by mu.
	agreement sdp.Agreement // Guarded by mu.
	peer      *Line         // Guarded by mu and by that of the peer; the line that this one is joined with.
	source    *music.Source // Guarded by mu; nil: silence.
	player    *player       // Guarded by mu; what plays the source; nil while nothing may be sent.
}

// lines counts them, for their numbers.
var lines atomic.Uint64

// Open makes the media of a leg. Nothing is sent before Apply.
func Open(ctx context.Context, cfg Config) (*Line, error) {
	if cfg.ListenPacket == nil {
		cfg.ListenPacket = (&net.ListenConfig{}).ListenPacket
	}
	l := &Line{cfg: cfg, log: cfg.Logger, number: lines.Add(1)}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	rtpSocket, rtcpSocket, at, err := rtpconn.ListenPair(ctx, cfg.ListenPacket, cfg.Local)
	if err != nil {
		return nil, fmt.Errorf("line: %w", err)
	}
	l.local = at
	l.conn, err = rtpconn.New(rtpconn.Config{
		RTP: rtpSocket, RTCP: rtcpSocket, Certificate: cfg.Certificate, Logger: l.log, Packet: l.arrived, Told: cfg.Told,
	})
	if err != nil {
		return nil, errors.Join(err, rtpSocket.Close(), rtcpSocket.Close())
	}
	l.working.Go(func() { l.conn.Run(context.Background()) })
	return l, nil
}

// lock takes the lock of the line and that of the line it is joined with, if it is, always in the order in which they were
// made.
func (l *Line) lock() (unlock func()) {
	for {
		l.mu.Lock()
		peer := l.peer
		if peer == nil {
			return l.mu.Unlock
		}
		if l.number > peer.number {
			l.mu.Unlock()
		}
		unlock := lockBoth(l, peer, l.number < peer.number)
		if l.peer == peer {
			return unlock
		}
		unlock()
	}
}

// lockBoth takes the locks of two lines. held: that of a is taken already, which must come first then.
func lockBoth(a, b *Line, held bool) (unlock func()) {
	if a.number > b.number {
		a, b = b, a
	}
	if !held {
		a.mu.Lock()
	}
	b.mu.Lock()
	return func() { b.mu.Unlock(); a.mu.Unlock() }
}

// Apply puts an agreement into force. It does not wait: a DTLS handshake goes on behind it and is told by Config.Told.
func (l *Line) Apply(a sdp.Agreement) error {
	defer l.lock()()
	if l.closed {
		return ErrClosed
	}
	if err := l.conn.Apply(a); err != nil {
		return fmt.Errorf("line: %w", err)
	}
	l.agreement, l.agreed = a, true
	if l.peer != nil {
		l.routeLocked()
		l.peer.routeLocked()
		return nil
	}
	if err := l.playLocked(); err != nil {
		l.log.Warn("no music", "err", err) // a call in silence is one nevertheless
	}
	return nil
}

// Agreement is what is in force, if anything is.
func (l *Line) Agreement() (sdp.Agreement, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.agreement, l.agreed
}

// Stats tells how the line is doing.
func (l *Line) Stats() rtpconn.Stats { return l.conn.Stats() }

// Close ends the leg: what it is joined with is left alone, RTCP says BYE, and the sockets are closed.
func (l *Line) Close() error {
	unlock := l.lock()
	if l.closed {
		unlock()
		return nil
	}
	l.closed = true
	l.partLocked()
	l.stopLocked()
	unlock()
	err := l.conn.Close()
	l.working.Wait()
	if s := l.Stats(); s.Remote != "" {
		l.log.Info("media of a leg ended", "peer", s.Remote, "security", s.Security, "received", s.Received, "lost", s.Lost,
			"sent", s.Sent, "relayed", l.relayed.Load(), "not_agreed", l.omitted.Load())
	}
	return err
}

// arrived takes a packet from the network, on the reader's goroutine.
func (l *Line) arrived(p *rtp.Packet) {
	if r := l.route.Load(); r != nil {
		r.pass(l, p)
	}
}
