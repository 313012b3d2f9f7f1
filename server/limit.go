package server

import (
	"net/netip"
	"sync"
	"time"

	"offhook/internal/sipua"
)

// What one address may do. Loopback is exempt: its packets cannot be forged from outside, and everybody on the machine
// is behind the same address.
const (
	admitRate     = 200.0            // messages per second
	admitBurst    = 1000.0           // messages at once
	failureCost   = 100.0            // messages that a wrong password counts as
	verifiedFor   = 10 * time.Minute // how long a right password vouches for an address
	maxPeers      = 8192             // addresses remembered
	peerIdle      = 5 * time.Minute  // when an address is forgotten
	maxPeerCredit = 64 << 10         // bytes of unanswered requests that count
)

// peer is what is remembered of an address.
type peer struct {
	tokens   float64
	seen     time.Time
	verified time.Time // until when it counts as the address it claims to be
	credit   int       // bytes received and not yet spent on answers, while unverified
}

// peers guards against floods and against being used as an amplifier.
type peers struct {
	mu  sync.Mutex
	all map[netip.Addr]*peer // Guarded by mu
}

func newPeers() *peers { return &peers{all: map[netip.Addr]*peer{}} }

// admit takes a token from the address's bucket; false means that the message is dropped unread.
func (p *peers) admit(addr netip.Addr, now time.Time) bool {
	if addr.IsLoopback() {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.all[addr]
	if e == nil {
		if len(p.all) >= maxPeers {
			return false // a flood from everywhere: those who are known go on
		}
		e = &peer{tokens: admitBurst, seen: now}
		p.all[addr] = e
	}
	e.tokens = min(admitBurst, e.tokens+now.Sub(e.seen).Seconds()*admitRate)
	e.seen = now
	if e.tokens < 1 {
		return false
	}
	e.tokens--
	return true
}

// verify notes that a request with a right password came from the address.
func (p *peers) verify(addr netip.Addr, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.all[addr]; e != nil {
		e.verified = now.Add(verifiedFor)
	}
}

// failed notes a wrong password: guessing is slowed down to two tries a second.
func (p *peers) failed(addr netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.all[addr]; e != nil {
		e.tokens -= failureCost
	}
}

// maySend reports whether an answer of so many bytes may go to a source that sent received bytes. Over a datagram
// socket the source may be forged, so an address that has not proved itself gets, over all, no more than it sent; who
// really is there repeats the request, and that pays for the answer. Connections prove their address by existing.
func (p *peers) maySend(source sipua.Target, received, answer int, now time.Time) bool {
	addr := source.Addr.Addr()
	if source.Network != "udp" || addr.IsLoopback() {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.all[addr]
	if e == nil {
		return answer <= received
	}
	if now.Before(e.verified) {
		return true
	}
	e.credit = min(e.credit+received, maxPeerCredit)
	if answer > e.credit {
		return false
	}
	e.credit -= answer
	return true
}

// sweep forgets addresses that were silent.
func (p *peers) sweep(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for addr, e := range p.all {
		if now.Sub(e.seen) > peerIdle && now.After(e.verified) {
			delete(p.all, addr)
		}
	}
}
