package sipua

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"strings"
)

// algorithm is a digest algorithm (RFC 7616 §3.3, RFC 8760 §2). session marks the -sess form.
type algorithm struct {
	name    string
	hash    func() hash.Hash
	session bool
}

// algorithms in the order of preference (RFC 8760 §2.3: the stronger first).
var algorithms = []algorithm{
	{"SHA-512-256", sha512.New512_256, false},
	{"SHA-512-256-sess", sha512.New512_256, true},
	{"SHA-256", sha256.New, false},
	{"SHA-256-sess", sha256.New, true},
	{"MD5", md5.New, false},
	{"MD5-sess", md5.New, true},
}

// algorithmNamed finds an algorithm; no name means MD5.
func algorithmNamed(name string) (rank int, ok bool) {
	if name == "" {
		name = "MD5"
	}
	for i, a := range algorithms {
		if strings.EqualFold(a.name, name) {
			return i, true
		}
	}
	return 0, false
}

// sum is H() of RFC 7616: the parts joined by colons, hashed, in hex.
func (a algorithm) sum(parts ...string) string {
	h := a.hash()
	h.Write([]byte(strings.Join(parts, ":")))
	return hex.EncodeToString(h.Sum(nil))
}

// proof is what both sides compute.
type proof struct {
	nonce, nc, cnonce, qop string
	method, uri            string
	body                   []byte
}

// response computes the response of RFC 7616 §3.4.1 from H(user:realm:password). Without qop it is the older form of
// RFC 2069.
func (a algorithm) response(ha1 string, p proof) string {
	if a.session {
		ha1 = a.sum(ha1, p.nonce, p.cnonce)
	}
	ha2 := a.sum(p.method, p.uri)
	if p.qop == "auth-int" {
		ha2 = a.sum(p.method, p.uri, a.sum(string(p.body)))
	}
	if p.qop == "" {
		return a.sum(ha1, p.nonce, ha2)
	}
	return a.sum(ha1, p.nonce, p.nc, p.cnonce, p.qop, ha2)
}

// HA1 holds the hashes of user:realm:password that a server keeps instead of the password, in lower-case hex. An empty
// one means that the user cannot sign in with that algorithm.
type HA1 struct{ MD5, SHA256 string }

// NewHA1 computes both hashes.
func NewHA1(user, realm string, password Secret) HA1 {
	md, _ := algorithmNamed("MD5")
	sha, _ := algorithmNamed("SHA-256")
	return HA1{
		MD5:    algorithms[md].sum(user, realm, string(password)),
		SHA256: algorithms[sha].sum(user, realm, string(password)),
	}
}

// authParams parses the parameters behind the scheme. Quoted values are returned without the quotation marks but with
// their escapes, because that is what goes into the hash (RFC 7616 §3.4: unq). ok is false if this is not Digest or
// cannot be read; a header of another scheme or a broken one then counts as absent.
func authParams(value string) (params map[string]string, ok bool) {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
	if !strings.EqualFold(scheme, "Digest") {
		return nil, false
	}
	params = map[string]string{}
	for _, p := range splitOutsideQuotes(rest) {
		p = strings.TrimSpace(p)
		if p == "" {
			continue // RFC 9110 §5.6.1: empty list elements are ignored
		}
		name, v, found := strings.Cut(p, "=")
		name, v = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(v)
		if !found || !isToken(name) {
			return nil, false
		}
		if strings.HasPrefix(v, `"`) {
			if quotedEnd(v) != len(v)-1 {
				return nil, false
			}
			v = v[1 : len(v)-1]
		}
		if _, twice := params[name]; twice {
			return nil, false
		}
		params[name] = v
	}
	return params, true
}

// splitOutsideQuotes splits at commas. Unlike splitOutside it knows no angle brackets: a nonce may contain them.
func splitOutsideQuotes(s string) []string {
	var parts []string
	quoted, start := false, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}
