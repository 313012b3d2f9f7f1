package rtpconn

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/srtp/v3"

	"offhook/internal/media"
	"offhook/internal/sdp"
)

const (
	handshakeTime  = 20 * time.Second       // for all attempts together
	handshakePause = 500 * time.Millisecond // between two of them
	flightTime     = 250 * time.Millisecond // before the first retransmission: a call is silent meanwhile
	earlyFlights   = 4                      // datagrams kept from before the agreement
)

// errFingerprint fails a call at once: whoever answered is not whom the signalling named.
var errFingerprint = errors.New("rtpconn: the DTLS certificate is not the one that was signalled")

// profiles are what we offer in use_srtp (RFC 5764 §4.1.2, RFC 7714 §14.2), best first.
var profiles = []dtls.SRTPProtectionProfile{
	dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AEAD_AES_256_GCM,
	dtls.SRTP_AES128_CM_HMAC_SHA1_80, dtls.SRTP_AES128_CM_HMAC_SHA1_32,
}

// association is one DTLS association on the port of RTP. Apply makes it, Run starts and waits for it.
type association struct {
	// Immutable.
	conn         *Conn
	active       bool
	fingerprints []string
	ctx          context.Context
	cancel       context.CancelFunc
	pipe         *pipe
	renews       bool // it is to take the place of another one

	started bool // Owned by Run.
	failed  bool // Guarded by conn.mu.
	proved  bool // Guarded by conn.mu; the ClientHello that began the renewal has come again.

	mu      sync.Mutex
	peer    netip.AddrPort   // Guarded by mu; who shakes hands with us; not valid: nobody yet.
	strange []netip.AddrPort // Guarded by mu; others who had the wrong certificate.
	restart func()           // Guarded by mu; ends the attempt under way.
	again   bool             // Guarded by mu; it was ended, and the next may begin at once.
	live    *dtls.Conn       // Guarded by mu.
	hello   hello            // Guarded by mu; of the peer, that the handshake began with.
	retired bool             // Guarded by mu; nothing is sent any more.
}

func newAssociation(c *Conn, p sdp.Protection) *association {
	a := &association{conn: c, active: p.Active, fingerprints: p.Fingerprints, restart: func() {}}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.pipe = newPipe(a.write)
	return a
}

// acceptDTLSLocked hands a record to the association, or keeps it for one that the next agreement may bring: the side
// that answers begins its handshake at once, and may be faster than the answer.
func (c *Conn) acceptDTLSLocked(from netip.AddrPort, b []byte) string {
	if c.link != nil {
		if taken, why := c.acceptRenewalLocked(from, b); taken {
			return why
		}
		return c.link.accept(from, c.path, b)
	}
	if c.agreed || c.cfg.Certificate == nil {
		return "DTLS not agreed"
	}
	if len(c.early) == earlyFlights {
		c.early = c.early[1:]
	}
	c.early = append(c.early, datagram{from, append([]byte(nil), b...)})
	return ""
}

// accept decides whether a record may be the peer's. Whoever comes first is listened to, for behind a NAT nobody has the
// address that was signalled; but the signalled one has precedence, and who had the wrong certificate does not get a
// second chance. The certificate decides in the end.
func (a *association) accept(from netip.AddrPort, p path, b []byte) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case from == a.peer:
	case a.live != nil && from != p.current:
		return "DTLS from elsewhere"
	case a.live == nil && !begins(b):
		return "DTLS from elsewhere" // such as the end of a former association
	case from == p.signalled || from == p.current:
		if a.peer.IsValid() && a.live == nil {
			a.pipe.cut()
			a.again = true
			a.restart()
		}
		a.peer = from
	case a.peer.IsValid():
		return "DTLS from elsewhere"
	default:
		for _, s := range a.strange {
			if s == from {
				return "DTLS from elsewhere"
			}
		}
		a.peer = from
	}
	if h, ok := helloOf(b); ok && a.live == nil {
		a.hello = h
	}
	a.pipe.deliver(b)
	return ""
}

// begins reports whether a record may be of a handshake that begins: of type handshake, not encrypted.
func begins(b []byte) bool { return b[0] == 22 && b[3] == 0 && b[4] == 0 }

// deliver takes a record that came before the association was made.
func (a *association) deliver(from netip.AddrPort, b []byte) {
	a.accept(from, a.conn.path, b)
}

// write sends a record to whom we shake hands with, else to where the media go.
func (a *association) write(b []byte) error {
	a.mu.Lock()
	to, retired := a.peer, a.retired
	a.mu.Unlock()
	if retired {
		return nil
	}
	if !to.IsValid() {
		a.conn.mu.Lock()
		to = a.conn.path.current
		a.conn.mu.Unlock()
	}
	if !to.IsValid() {
		return nil
	}
	return a.conn.send(a.conn.rtp, b, to)
}

// handshakes starts what Apply has asked for. It is called by Run.
func (c *Conn) handshakes(ctx context.Context, group *sync.WaitGroup) {
	c.mu.Lock()
	wanted := [...]*association{c.link, c.renewal}
	c.mu.Unlock()
	for _, a := range wanted {
		if a == nil || a.started {
			continue
		}
		a.started = true
		group.Go(func() {
			defer a.cancel()
			stop := context.AfterFunc(ctx, a.cancel)
			defer stop()
			a.run()
		})
	}
}

// run shakes hands, puts the keys into force and stays to answer retransmissions (RFC 6347 §4.2.4) until the end.
func (a *association) run() {
	ctx, cancel := context.WithTimeout(a.ctx, handshakeTime)
	conn, err := a.agree(ctx)
	cancel()
	switch {
	case a.ctx.Err() != nil:
		err = nil // replaced or closed
	case err == nil:
		err = a.install(conn)
	}
	if err != nil {
		a.fail(err)
	}
	if conn == nil {
		return
	}
	stop := context.AfterFunc(a.ctx, func() { conn.Close() }) //nolint:errcheck // close_notify is a courtesy
	defer stop()
	defer conn.Close() //nolint:errcheck // as above
	var b [maxPacket]byte
	for {
		// Nothing but alerts is expected here. A close_notify ends the association; the call ends by SIP.
		if _, err := conn.Read(b[:]); err != nil {
			return
		}
	}
}

// agree tries until a handshake succeeds, the peer turns out to be somebody else, or time is over. What breaks a single
// attempt may have been forged: nothing is authenticated before its end.
func (a *association) agree(ctx context.Context) (*dtls.Conn, error) {
	var last error
	for {
		conn, err := a.attempt(ctx)
		if err == nil {
			return conn, nil
		}
		if errors.Is(err, errFingerprint) && !a.renews && !a.banish() {
			return nil, errFingerprint
		}
		if a.renews && !a.active {
			return nil, err // the next one begins with another ClientHello
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		pause := time.NewTimer(a.pause())
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil, fmt.Errorf("rtpconn: DTLS handshake: %w", last)
		case <-pause.C:
		}
	}
}

// pause is how long to wait before the next attempt.
func (a *association) pause() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	again := a.again
	a.again = false
	if again {
		return 0
	}
	return handshakePause
}

// banish ignores from now on a peer with the wrong certificate that is not where the signalling said. It reports false if
// it was there.
func (a *association) banish() bool {
	a.conn.mu.Lock()
	signalled := a.conn.path.signalled
	a.conn.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.peer.IsValid() || a.peer == signalled || len(a.strange) > 16 {
		return false
	}
	a.strange = append(a.strange, a.peer)
	a.peer = netip.AddrPort{}
	return true
}

// attempt is one handshake (RFC 5763 §5): both sides show certificates, which are checked against the fingerprints and
// nothing else.
func (a *association) attempt(ctx context.Context) (*dtls.Conn, error) {
	limit := handshakeTime
	if a.renews {
		limit = renewalTime
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	a.mu.Lock()
	a.restart = cancel
	a.mu.Unlock()

	var wrong bool
	shared := []dtls.Option{
		dtls.WithCertificates(*a.conn.cfg.Certificate),
		dtls.WithSRTPProtectionProfiles(profiles...),
		dtls.WithExtendedMasterSecret(dtls.RequestExtendedMasterSecret),
		dtls.WithFlightInterval(flightTime),
		dtls.WithInsecureSkipVerify(true), // of chains, which these certificates do not have
		dtls.WithVerifyPeerCertificate(func(raw [][]byte, _ [][]*x509.Certificate) error {
			if len(raw) > 0 && matches(raw[0], a.fingerprints) {
				return nil
			}
			wrong = true
			return errFingerprint
		}),
		dtls.WithLoggerFactory(quietly{a.conn.log}),
	}
	conn, err := a.begin(shared)
	if err != nil {
		return nil, err
	}
	if err = conn.HandshakeContext(ctx); err == nil {
		return conn, nil
	}
	conn.Close() //nolint:errcheck // it has failed already
	if wrong {
		err = errFingerprint
	}
	return nil, err
}

// begin makes the client or the server of a handshake.
func (a *association) begin(shared []dtls.Option) (*dtls.Conn, error) {
	end := a.pipe.reopen()
	if a.active {
		var options []dtls.ClientOption
		for _, o := range shared {
			options = append(options, o)
		}
		return dtls.ClientWithOptions(end, end.LocalAddr(), options...)
	}
	options := []dtls.ServerOption{dtls.WithClientAuth(dtls.RequireAnyClientCert)}
	for _, o := range shared {
		options = append(options, o)
	}
	return dtls.ServerWithOptions(end, end.LocalAddr(), options...)
}

// install derives the keys of SRTP (RFC 5764 §4.2) and puts them into force.
func (a *association) install(conn *dtls.Conn) error {
	state, ok := conn.ConnectionState()
	if !ok {
		return errors.New("rtpconn: DTLS handshake: no state")
	}
	if len(state.PeerCertificates) == 0 || !matches(state.PeerCertificates[0], a.fingerprints) {
		return errFingerprint
	}
	chosen, ok := conn.SelectedSRTPProtectionProfile()
	if !ok {
		return errors.New("rtpconn: DTLS handshake: the peer does not do SRTP")
	}
	config := srtp.Config{Profile: srtp.ProtectionProfile(chosen)} // both are the numbers that IANA has assigned
	if err := config.ExtractSessionKeysFromDTLS(&state, a.active); err != nil {
		return fmt.Errorf("rtpconn: DTLS handshake: %w", err)
	}
	k := config.Keys
	m := material{
		method: sdp.DTLS, suite: suiteOf(config.Profile),
		local:  append(append(sdp.Key(nil), k.LocalMasterKey...), k.LocalMasterSalt...),
		remote: append(append(sdp.Key(nil), k.RemoteMasterKey...), k.RemoteMasterSalt...),
	}
	return a.engage(conn, m)
}

// engage puts keys into force, unless another agreement has come meanwhile.
func (a *association) engage(conn *dtls.Conn, m material) error {
	c := a.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link != a && c.renewal != a {
		return nil
	}
	// The server is the last to speak in a handshake, and does not know whether it has been heard.
	if err := c.installLocked(m, true, a.renews && !a.active); err != nil {
		return err
	}
	if c.renewal == a {
		c.replaceLocked()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.live = conn
	if a.peer.IsValid() && c.path.follow(a.peer, true) {
		c.movedLocked()
	}
	c.reports.due = c.now() + jittered(firstReport)
	return nil
}

// fail tells that there will be no media (RFC 8643 §3). Where a renewal fails, they go on as they did.
func (a *association) fail(err error) {
	c := a.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	a.failed = true
	if a.renews {
		c.log.Info("another DTLS handshake failed; the keys stay", "err", err)
		a.cancel()
	}
	switch a {
	case c.renewal:
		c.renewal = nil
	case c.link:
		c.tellLocked(media.Event{Kind: media.SecurityFailed, Text: "DTLS handshake failed", Err: err})
	}
}

// end says close_notify and stops.
func (a *association) end() {
	a.mu.Lock()
	conn := a.live
	a.mu.Unlock()
	if conn != nil {
		conn.Close() //nolint:errcheck // close_notify is a courtesy
	}
	a.cancel()
}
