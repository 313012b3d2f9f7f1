package rtpconn

import (
	"net/netip"
	"time"

	"offhook/internal/sdp"
)

// A peer may want another association in the place of the one in force: it has lost its state, or it agrees on keys anew
// after each offer. With a client that shows by a ClientHello where nobody expects any (RFC 6347 §4.2.8); a server has to
// say so in the signalling (sdp.Protection.Renew). The other association is the renewal. Until it is complete and its
// certificate is the one that was signalled, the one in force stays in force, and so do its keys: a ClientHello proves
// nothing, and anybody can send one from anybody's address. It costs one handshake at a time, and without the cookie of
// RFC 6347 §4.2.1 no more than its first two datagrams.
const (
	renewalTime = 10 * time.Second       // for one attempt at it
	cookieTime  = 500 * time.Millisecond // until the next ClientHello is listened to, when no cookie has come back
	doubtTime   = time.Second            // without sound, until a peer that says it has kept its keys is not believed
)

// hello tells one ClientHello from another: by its random.
type hello [32]byte

// helloOf is that of a record, if a ClientHello is in it.
func helloOf(b []byte) (h hello, ok bool) {
	const header, message, version = 13, 12, 2
	if len(b) < header+message+version+len(h) || !begins(b) || b[header] != 1 {
		return h, false
	}
	copy(h[:], b[header+message+version:])
	return h, true
}

// isLive reports whether a handshake is complete.
func (a *association) isLive() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.live != nil
}

// began reports whether a handshake began with a ClientHello.
func (a *association) began(h hello) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.hello == h
}

// peerIs reports whether the renewal is with somebody. As a client it is with whoever is at the place of the peer.
func (a *association) peerIs(from netip.AddrPort) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.active || a.peer == from
}

// renewLocked begins a handshake of ours beside the association in force. One that has not come to its end is new enough.
func (c *Conn) renewLocked(p sdp.Protection) {
	if c.renewal == nil && c.link != nil && c.link.isLive() {
		c.renewal = newAssociation(c, p)
		c.renewal.renews = true
	}
}

// doubtLocked begins a renewal when a peer that is said to have kept the association has sent nothing since. It returns when
// to look again. Asterisk says connection:existing in the very answer behind which it forgets all, and is silent until the
// client begins anew.
func (c *Conn) doubtLocked(now time.Duration) time.Duration {
	if !c.doubtful {
		return now + time.Hour
	}
	if c.in.last > c.since {
		c.doubtful = false
	} else if now >= c.since+doubtTime {
		c.doubtful = false
		c.renewLocked(c.agreement.Protection)
		c.wake()
	}
	return c.since + doubtTime
}

// dropRenewalLocked ends the renewal under way.
func (c *Conn) dropRenewalLocked() {
	if c.renewal != nil {
		c.renewal.cancel()
		c.renewal = nil
	}
}

// acceptRenewalLocked takes a record that is for the renewal and for nobody else. What is encrypted is given to both
// associations: either drops what it has no keys for.
func (c *Conn) acceptRenewalLocked(from netip.AddrPort, b []byte) (taken bool, why string) {
	if from != c.path.current && from != c.path.signalled || !c.link.isLive() {
		return false, ""
	}
	if h, ok := helloOf(b); ok && !c.agreement.Protection.Active && !c.link.began(h) {
		return true, c.challengeLocked(from, h, b)
	}
	if c.renewal == nil || !c.renewal.peerIs(from) {
		return false, ""
	}
	c.renewal.pipe.deliver(b)
	return begins(b), ""
}

// challengeLocked takes a ClientHello that the association in force did not begin with.
func (c *Conn) challengeLocked(from netip.AddrPort, h hello, b []byte) (why string) {
	r, now := c.renewal, c.now()
	switch {
	case r != nil && r.peerIs(from) && r.began(h):
		r.proved = true // the same one again: with the cookie
	case r != nil && r.proved, now < c.renewable:
		return "DTLS handshake under way"
	default:
		c.dropRenewalLocked()
		r = newAssociation(c, sdp.Protection{Fingerprints: c.link.fingerprints})
		r.renews, r.peer, r.hello = true, from, h
		c.renewal, c.renewable = r, now+cookieTime
		c.wake()
	}
	r.pipe.deliver(b)
	return ""
}

// replaceLocked puts the renewal into the place of the association that was in force.
func (c *Conn) replaceLocked() {
	c.link.retire()
	c.link, c.renewal, c.renewable = c.renewal, nil, 0
}

// retire ends an association without a word: the peer has forgotten it already.
func (a *association) retire() {
	a.mu.Lock()
	a.retired = true
	a.mu.Unlock()
	a.cancel()
}
