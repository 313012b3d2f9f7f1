package rtpconn

import (
	"bytes"
	"errors"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"

	"offhook/internal/sdp"
)

// suites are the crypto suites, by their names in SDP (RFC 4568 §6.2, RFC 6188, RFC 7714).
var suites = []struct {
	name    string
	profile srtp.ProtectionProfile
}{
	{"AEAD_AES_128_GCM", srtp.ProtectionProfileAeadAes128Gcm},
	{"AEAD_AES_256_GCM", srtp.ProtectionProfileAeadAes256Gcm},
	{"AES_CM_128_HMAC_SHA1_80", srtp.ProtectionProfileAes128CmHmacSha1_80},
	{"AES_CM_128_HMAC_SHA1_32", srtp.ProtectionProfileAes128CmHmacSha1_32},
	{"AES_256_CM_HMAC_SHA1_80", srtp.ProtectionProfileAes256CmHmacSha1_80},
}

func profileOf(suite string) (srtp.ProtectionProfile, bool) {
	for _, s := range suites {
		if s.name == suite {
			return s.profile, true
		}
	}
	return 0, false
}

func suiteOf(profile srtp.ProtectionProfile) string {
	for _, s := range suites {
		if s.profile == profile {
			return s.name
		}
	}
	return "unknown"
}

const (
	replayWindow = 128                    // packets; RFC 3711 §3.3.2 asks for 64 at least
	keyOverlap   = 3 * time.Second        // how long the peer may still send under the former key
	keyPatience  = 200 * time.Millisecond // how long it has to be silent under the former key to be taken for using the new one
	keyOvertaken = 200 * time.Millisecond // how long its packets are still on the way when it does not any more
)

var errNoKeys = errors.New("rtpconn: no keys yet")

// protection is SRTP in both directions, or the decision to do without. The zero value lets nothing pass.
type protection struct {
	method sdp.Method // "" until it is decided or while keys are being agreed
	suite  string     // of SRTP
	local  sdp.Key    // what the contexts were made of
	remote sdp.Key
	mki    []byte

	out *srtp.Context
	// latent is of new keys that the peer may not have yet, and takes the place of out when it shows that it has them, or when
	// nothing comes under the former ones any more.
	latent    *srtp.Context
	latentEnd time.Duration
	// in has the contexts that may fit what arrives, the likeliest first: the rollover counter is not transmitted, and
	// after new keys implementations differ in whether it goes on (RFC 3711 §3.3.1) or starts over. The first that
	// authenticates a packet stays alone.
	in        []*srtp.Context
	former    *srtp.Context // of the keys before
	formerEnd time.Duration
}

// ready reports whether packets may leave.
func (p *protection) ready() bool { return p.method == sdp.Plain || p.out != nil }

// secure reports whether what arrives is authenticated.
func (p *protection) secure() bool { return p.method != sdp.Plain }

// sealRTP protects a packet in its own memory, which has to have room.
func (p *protection) sealRTP(b []byte, header *rtp.Header) ([]byte, error) {
	if p.method == sdp.Plain {
		return b, nil
	}
	if p.out == nil {
		return nil, errNoKeys
	}
	return p.out.EncryptRTP(b, b, header)
}

// sealRTCP is sealRTP for a compound packet (RFC 3711 §3.4).
func (p *protection) sealRTCP(b []byte) ([]byte, error) {
	if p.method == sdp.Plain {
		return b, nil
	}
	if p.out == nil {
		return nil, errNoKeys
	}
	return p.out.EncryptRTCP(nil, b, nil)
}

// openRTP authenticates and decrypts into dst, and fills in the header.
func (p *protection) openRTP(dst, b []byte, header *rtp.Header, now time.Duration) ([]byte, error) {
	return p.open(now, func(in *srtp.Context) ([]byte, error) { return in.DecryptRTP(dst, b, header) })
}

// openRTCP is openRTP for a compound packet.
func (p *protection) openRTCP(dst, b []byte, now time.Duration) ([]byte, error) {
	return p.open(now, func(in *srtp.Context) ([]byte, error) { return in.DecryptRTCP(dst, b, nil) })
}

// open tries the contexts in turn.
func (p *protection) open(now time.Duration, decrypt func(*srtp.Context) ([]byte, error)) ([]byte, error) {
	if len(p.in) == 0 {
		return nil, errNoKeys
	}
	var first error
	for i, in := range p.in {
		b, err := decrypt(in)
		if err == nil {
			if len(p.in) > 1 {
				p.in = p.in[i : i+1 : i+1]
			}
			p.formerEnd = min(p.formerEnd, now+keyOvertaken)
			p.unfold()
			return b, nil
		}
		if first == nil {
			first = err
		}
	}
	if p.former != nil {
		if now >= p.formerEnd {
			p.former = nil
		} else if b, err := decrypt(p.former); err == nil {
			if p.latent != nil {
				p.formerEnd, p.latentEnd = now+keyOverlap, now+keyPatience
			}
			return b, nil
		}
	}
	return nil, first
}

// unfold puts the new keys into force for what we send.
func (p *protection) unfold() {
	if p.latent != nil {
		p.out, p.latent = p.latent, nil
	}
}

// settle does so when time is over, and returns when to look again.
func (p *protection) settle(now time.Duration) time.Duration {
	if now >= p.latentEnd {
		p.unfold()
	}
	if p.latent == nil {
		return now + time.Hour
	}
	return p.latentEnd
}

// numbers are what SRTP has to know about the streams when keys are installed.
type numbers struct {
	ssrc    uint32 // ours
	roc     uint32 // of our next packet
	control uint32 // SRTCP index of our last compound packet
	peer    uint32 // the peer's SSRC
	peerROC uint32
	known   bool // peer and peerROC are
}

// material is a pair of master keys with everything that belongs to them.
type material struct {
	method        sdp.Method
	suite         string
	local, remote sdp.Key
	mki           []byte
}

// check reports whether contexts can be made of m.
func (m material) check() error {
	profile, ok := profileOf(m.suite)
	if !ok {
		return ErrSuite
	}
	key, err := profile.KeyLen()
	salt, err2 := profile.SaltLen()
	if err != nil || err2 != nil || len(m.local) != key+salt || len(m.remote) != key+salt {
		return ErrSuite
	}
	return nil
}

// same reports whether the contexts in force were made of m.
func (p *protection) same(m material) bool {
	return p.method == m.method && p.suite == m.suite && bytes.Equal(p.local, m.local) &&
		bytes.Equal(p.remote, m.remote) && bytes.Equal(p.mki, m.mki)
}

// keepsLocal reports whether what we send stays under the key in force, and keepsRemote what arrives.
func (p *protection) keepsLocal(m material) bool {
	return p.out != nil && p.suite == m.suite && bytes.Equal(p.local, m.local)
}

func (p *protection) keepsRemote(m material) bool {
	return len(p.in) > 0 && p.suite == m.suite && bytes.Equal(p.remote, m.remote) && bytes.Equal(p.mki, m.mki)
}

// install makes the contexts for new keys. Those of a direction whose key stays are kept, with their counters. With patience
// what we send stays under the former key until the peer has the new one. On an error nothing has changed.
func (p *protection) install(m material, n numbers, patience bool, now time.Duration) error {
	profile, ok := profileOf(m.suite)
	if !ok {
		return ErrSuite
	}
	next := *p
	next.method, next.suite, next.local, next.remote, next.mki = m.method, m.suite, m.local, m.remote, m.mki
	if !p.keepsLocal(m) {
		out, err := newContext(profile, m.local, nil)
		if err != nil {
			return err
		}
		out.SetROC(n.ssrc, n.roc)
		out.SetIndex(n.ssrc, n.control)
		next.out, next.latent = out, nil
		if patience && p.out != nil {
			next.out, next.latent, next.latentEnd = p.out, out, now+keyPatience
		}
	}
	if !p.keepsRemote(m) {
		next.in = nil
		for _, roc := range rollovers(n) {
			in, err := newContext(profile, m.remote, m.mki)
			if err != nil {
				return err
			}
			if n.known {
				in.SetROC(n.peer, roc)
			}
			next.in = append(next.in, in)
		}
		switch {
		case p.latent != nil: // nothing has come under the keys of p.in
			next.formerEnd = now + keyOverlap
		case len(p.in) > 0:
			next.former, next.formerEnd = p.in[0], now+keyOverlap
		}
	}
	*p = next
	return nil
}

// rollovers are the peer's counter as it should go on, as it does when it wraps right now, and as it starts over.
func rollovers(n numbers) []uint32 {
	if !n.known {
		return []uint32{0}
	}
	if n.peerROC == 0 {
		return []uint32{0, 1}
	}
	return []uint32{n.peerROC, n.peerROC + 1, 0}
}

func newContext(profile srtp.ProtectionProfile, key sdp.Key, mki []byte) (*srtp.Context, error) {
	length, err := profile.KeyLen()
	if err != nil || len(key) < length {
		return nil, ErrSuite
	}
	options := []srtp.ContextOption{
		srtp.SRTPReplayProtection(replayWindow), srtp.SRTCPReplayProtection(replayWindow),
	}
	if len(mki) > 0 {
		options = append(options, srtp.MasterKeyIndicator(mki))
	}
	ctx, err := srtp.CreateContext(key[:length], key[length:], profile, options...)
	if err != nil {
		return nil, ErrSuite
	}
	return ctx, nil
}

// clear forgets the keys; nothing passes until there are new ones.
func (p *protection) clear() { *p = protection{} }
