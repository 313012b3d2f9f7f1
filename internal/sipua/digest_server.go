package sipua

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Results of Authenticator.Verify other than success.
var (
	// ErrNoCredentials: the request carries none for this realm; challenge it.
	ErrNoCredentials = errors.New("sipua: no credentials")
	// ErrBadCredentials: the user is unknown, the password wrong, or the header malformed.
	ErrBadCredentials = errors.New("sipua: wrong credentials")
)

// nonceLife is how long a nonce is accepted; then the client is told it is stale and tries again without asking its
// user.
const nonceLife = 5 * time.Minute

// maxServerNonces bounds the nonces whose counts are remembered against replay.
const maxServerNonces = 8192

// Authenticator is the server side of digest (RFC 7616, RFC 8760): it challenges and verifies. Issuing a
// nonce stores nothing, so strangers cannot fill memory; a nonce is remembered once it was used with a right password.
type Authenticator struct {
	// Immutable
	realm  string
	offer  []string // algorithms to challenge with
	lookup func(user string) (HA1, bool)
	key    [32]byte // signs nonces; new in each process, so a restart makes them stale
	now    func() time.Time

	mu sync.Mutex
	// Guarded by mu
	used  map[string]*nonceUse
	floor time.Time // nonces from before this were forgotten and count as stale
}

// nonceUse remembers which counts of a nonce were seen. Requests sent side by side may overtake each other, so the
// last 64 counts are kept one by one.
type nonceUse struct {
	issued time.Time
	top    uint32
	window uint64 // bit n: top-n was seen
}

// NewAuthenticator makes an authenticator. lookup returns the hashes of a user; it is called without locks held. offer
// lists the algorithms to challenge with, the stronger first; none means SHA-256 and MD5. Old clients give up on a first
// challenge that they do not know, so a server that has only MD5 hashes should offer nothing else.
func NewAuthenticator(realm string, lookup func(user string) (HA1, bool), offer ...string) *Authenticator {
	if len(offer) == 0 {
		offer = []string{"SHA-256", "MD5"}
	}
	a := &Authenticator{realm: realm, offer: offer, lookup: lookup, now: time.Now, used: map[string]*nonceUse{}}
	_, _ = rand.Read(a.key[:]) // crypto/rand.Read does not fail
	return a
}

// Challenge returns the headers of a 401, or of a 407 if proxy is set: one for each algorithm, the stronger first.
func (a *Authenticator) Challenge(stale, proxy bool) []sip.Header {
	name := "WWW-Authenticate"
	if proxy {
		name = "Proxy-Authenticate"
	}
	nonce := a.newNonce()
	var hs []sip.Header
	for _, alg := range a.offer {
		v := fmt.Sprintf(`Digest realm="%s", nonce="%s", algorithm=%s, qop="auth"`, QuoteText(a.realm), nonce, alg)
		if stale {
			v += ", stale=true"
		}
		hs = append(hs, sip.NewHeader(name, v))
	}
	return hs
}

// Verify checks the credentials of a request: Authorization, or Proxy-Authorization if proxy is set. stale means that
// the password was right but the nonce is too old or was used before: challenge again with stale set.
func (a *Authenticator) Verify(req *sip.Request, proxy bool) (user string, stale bool, err error) {
	name := "Authorization"
	if proxy {
		name = "Proxy-Authorization"
	}
	for _, h := range req.GetHeaders(name) {
		p, ok := authParams(h.Value())
		if ok && p["realm"] == QuoteText(a.realm) {
			return a.verify(req, p)
		}
	}
	return "", false, ErrNoCredentials
}

func (a *Authenticator) verify(req *sip.Request, p map[string]string) (string, bool, error) {
	rank, ok := algorithmNamed(p["algorithm"])
	if !ok || !sameTarget(p["uri"], &req.Recipient) {
		return "", false, ErrBadCredentials
	}
	alg := algorithms[rank]
	user := p["username"]
	ha1, known := a.lookup(user)
	stored := ha1.MD5
	if strings.HasPrefix(alg.name, "SHA-256") {
		stored = ha1.SHA256
	} else if !strings.HasPrefix(alg.name, "MD5") {
		known = false
	}
	want := alg.response(stored, proof{
		nonce: p["nonce"], nc: p["nc"], cnonce: p["cnonce"], qop: p["qop"],
		method: string(req.Method), uri: p["uri"], body: req.Body(),
	})
	// The hash is computed and compared for unknown users too, so that time does not tell who exists.
	right := subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(p["response"]))) == 1
	if !right || !known || stored == "" {
		return "", false, ErrBadCredentials
	}
	if !a.spend(p) {
		return "", true, nil
	}
	return user, false, nil
}

// sameTarget compares the digest URI with the request URI as far as clients agree on writing it: user and host.
func sameTarget(digestURI string, target *sip.Uri) bool {
	u, err := ParseURI(digestURI)
	return err == nil && u.User == target.User && strings.EqualFold(u.Host, target.Host)
}

// newNonce is the time of issue, a random part, and a signature over both and the realm.
func (a *Authenticator) newNonce() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(a.now().UnixNano()))
	_, _ = rand.Read(b[8:])
	return base64.RawURLEncoding.EncodeToString(append(b[:], a.sign(b[:])...))
}

func (a *Authenticator) sign(b []byte) []byte {
	m := hmac.New(sha256.New, a.key[:])
	m.Write(b)
	m.Write([]byte(a.realm))
	return m.Sum(nil)[:16]
}

// issued returns when a nonce of ours was issued.
func (a *Authenticator) issued(nonce string) (time.Time, bool) {
	b, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || len(b) != 32 || !hmac.Equal(a.sign(b[:16]), b[16:]) {
		return time.Time{}, false
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(b[:8]))), true
}

// spend reports whether the nonce is ours and fresh and this use of it is the first (RFC 7616 §5.12). A client without
// qop sends no count and so can use a nonce once.
func (a *Authenticator) spend(p map[string]string) bool {
	issued, ok := a.issued(p["nonce"])
	if age := a.now().Sub(issued); !ok || age < 0 || age > nonceLife {
		return false
	}
	count := uint64(1)
	if p["qop"] != "" {
		var err error
		if count, err = strconv.ParseUint(p["nc"], 16, 32); err != nil || count == 0 || len(p["nc"]) != 8 {
			return false
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !issued.After(a.floor) {
		return false
	}
	u := a.used[p["nonce"]]
	if u == nil {
		a.makeRoomLocked()
		u = &nonceUse{issued: issued}
		a.used[p["nonce"]] = u
	}
	return u.take(uint32(count))
}

// take marks a count as used; false if it was, or is too far back to tell.
func (u *nonceUse) take(n uint32) bool {
	switch {
	case n > u.top:
		if shift := n - u.top; shift < 64 {
			u.window <<= shift
		} else {
			u.window = 0
		}
		u.top = n
		u.window |= 1
		return true
	case u.top-n >= 64 || u.window&(1<<(u.top-n)) != 0:
		return false
	}
	u.window |= 1 << (u.top - n)
	return true
}

// makeRoomLocked forgets expired nonces and, if that is not enough, the older half; those count as stale from then on.
func (a *Authenticator) makeRoomLocked() {
	if len(a.used) < maxServerNonces {
		return
	}
	old := a.now().Add(-nonceLife)
	for nonce, u := range a.used {
		if u.issued.Before(old) {
			delete(a.used, nonce)
		}
	}
	for cut := nonceLife / 2; len(a.used) >= maxServerNonces; cut /= 2 {
		a.floor = a.now().Add(-cut)
		for nonce, u := range a.used {
			if !u.issued.After(a.floor) {
				delete(a.used, nonce)
			}
		}
	}
}
