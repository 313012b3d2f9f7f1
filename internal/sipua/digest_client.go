package sipua

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/emiago/sipgo/sip"
)

// Challenge is what a server asks with 401 or 407 (RFC 3261 §22).
type Challenge struct {
	Proxy     bool // from a 407: answered with Proxy-Authorization
	Realm     string
	Nonce     string
	Opaque    string
	Algorithm string // as the server wrote it; "" means MD5
	QOP       []string
	Stale     bool // the nonce was too old, not the password wrong (RFC 7616 §3.3)
	rank      int
}

// ParseChallenges returns the challenges of a 401 or 407 that can be answered, the strongest algorithm first
// (RFC 8760 §2.3); those of the same strength keep their order. Unknown schemes and algorithms are left out.
func ParseChallenges(res *sip.Response) []Challenge {
	name := "WWW-Authenticate"
	if res.StatusCode == 407 {
		name = "Proxy-Authenticate"
	}
	var cs []Challenge
	for _, h := range res.GetHeaders(name) {
		p, ok := authParams(h.Value())
		if !ok || p["nonce"] == "" {
			continue
		}
		rank, ok := algorithmNamed(p["algorithm"])
		if !ok {
			continue
		}
		c := Challenge{
			Proxy: res.StatusCode == 407, Realm: p["realm"], Nonce: p["nonce"], Opaque: p["opaque"],
			Algorithm: p["algorithm"], Stale: strings.EqualFold(p["stale"], "true"), rank: rank,
		}
		for q := range strings.SplitSeq(p["qop"], ",") {
			if q = strings.ToLower(strings.TrimSpace(q)); q != "" {
				c.QOP = append(c.QOP, q)
			}
		}
		cs = append(cs, c)
	}
	slices.SortStableFunc(cs, func(a, b Challenge) int { return a.rank - b.rank })
	return cs
}

// Digest answers challenges. It counts the uses of each nonce, so one Digest serves one user agent. The zero value is
// ready.
type Digest struct {
	mu     sync.Mutex
	counts map[string]uint32 // Guarded by mu; by nonce
}

// maxNonces bounds the nonces whose use a client counts.
const maxNonces = 256

// next counts one more use of a nonce.
func (d *Digest) next(nonce string) uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.counts == nil || len(d.counts) >= maxNonces && d.counts[nonce] == 0 {
		d.counts = map[string]uint32{} // a forgotten nonce costs one round trip: the server finds its count used
	}
	d.counts[nonce]++
	return d.counts[nonce]
}

// Authorize builds the header that answers c for req, as req will be sent: method, request URI and, for auth-int,
// body must be final.
func (d *Digest) Authorize(req *sip.Request, c Challenge, user string, password Secret) (sip.Header, error) {
	if strings.ContainsAny(user, "\"\\") || hasControl(user) {
		return nil, errors.New("sipua: a user name for digest may not contain quotation marks, backslashes or control characters")
	}
	rank, ok := algorithmNamed(c.Algorithm)
	if !ok {
		return nil, fmt.Errorf("sipua: digest algorithm %q is not known", c.Algorithm)
	}
	a := algorithms[rank]
	p := proof{nonce: c.Nonce, method: string(req.Method), uri: req.Recipient.String(), body: req.Body()}
	switch {
	case slices.Contains(c.QOP, "auth"): // preferred: a proxy may change the body that auth-int would cover
		p.qop = "auth"
	case slices.Contains(c.QOP, "auth-int"):
		p.qop = "auth-int"
	case len(c.QOP) > 0:
		return nil, fmt.Errorf("sipua: the server offers no known quality of protection, only %q", c.QOP)
	}
	if p.qop != "" || a.session {
		p.cnonce = rand.Text()
	}
	if p.qop != "" {
		p.nc = fmt.Sprintf("%08x", d.next(c.Nonce))
	}
	var b strings.Builder
	fmt.Fprintf(&b, `Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s"`, user, c.Realm, c.Nonce, p.uri,
		a.response(a.sum(user, c.Realm, string(password)), p))
	if c.Algorithm != "" {
		fmt.Fprintf(&b, ", algorithm=%s", a.name)
	}
	if p.cnonce != "" {
		fmt.Fprintf(&b, `, cnonce="%s"`, p.cnonce)
	}
	if p.qop != "" {
		fmt.Fprintf(&b, ", qop=%s, nc=%s", p.qop, p.nc)
	}
	if c.Opaque != "" {
		fmt.Fprintf(&b, `, opaque="%s"`, c.Opaque)
	}
	name := "Authorization"
	if c.Proxy {
		name = "Proxy-Authorization"
	}
	return sip.NewHeader(name, b.String()), nil
}
