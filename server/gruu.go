package server

import (
	"crypto/rand"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// tempPrefix begins the user part of temporary GRUUs.
const tempPrefix = "tgruu."

// pubGRUU is the address of one endpoint of a user that everybody may know (RFC 5627 §3.1.1): the address of record
// with the instance in its gr parameter.
func (s *Server) pubGRUU(user, instance string) string {
	return s.aor(user) + ";gr=" + escapeParam(instance)
}

// tempGRUU is an address of one endpoint that does not tell whose it is (RFC 5627 §3.1.2). Unlike there it stays the same
// as long as the endpoint refreshes its registration, so that nothing more has to be remembered of it.
func (s *Server) tempGRUU(b *binding) string {
	u := sip.Uri{Scheme: "sip", User: b.tempGRUU, Host: s.cfg.Domain}
	return u.String() + ";gr"
}

func newTempGRUU() string { return tempPrefix + strings.ToLower(rand.Text()) }

// resolveGRUU finds the endpoint that a GRUU names (RFC 5627 §5.3). isGRUU tells whether the URI is one; the binding is
// nil if the endpoint is not there.
func (s *Server) resolveGRUU(u *sip.Uri) (b *binding, isGRUU bool) {
	gr, ok := u.UriParams.Get("gr")
	if !ok {
		return nil, false
	}
	user := userOf(u)
	if strings.HasPrefix(user, tempPrefix) {
		return s.location.byTempGRUU(user), true
	}
	for _, each := range s.location.bindings(user) {
		// The newest flow of the instance wins (RFC 5626 §5.3).
		if each.instance != "" && (escapeParam(each.instance) == gr || each.instance == gr) {
			if b == nil || each.created.After(b.created) {
				b = each
			}
		}
	}
	return b, true
}

// escapeParam writes a value so that it is one of a URI parameter (RFC 3261 §25.1).
func escapeParam(v string) string {
	const allowed = "-_.!~*'()[]/:&+$"
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(v) {
		c := v[i]
		plain := c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if plain || strings.IndexByte(allowed, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}
