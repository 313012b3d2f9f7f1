package sipua

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// ParseURI parses a SIP, SIPS or other absolute URI (RFC 3261 §19.1) and, unlike the library's parser, refuses what the
// grammar does not allow: spaces, angle brackets, bare IPv6 addresses, bad escapes, ports out of range. A URI without a
// scheme is an error.
func ParseURI(s string) (sip.Uri, error) {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || !isScheme(scheme) {
		return sip.Uri{}, fmt.Errorf("no URI scheme in %q", s)
	}
	if err := checkURIText(rest); err != nil {
		return sip.Uri{}, err
	}
	u := sip.Uri{Scheme: strings.ToLower(scheme)}
	if u.Scheme != "sip" && u.Scheme != "sips" {
		// The library keeps the part behind a foreign scheme as it is, but does not know every scheme's characters.
		err := sip.ParseUri("other:"+rest, &u)
		u.Scheme = strings.ToLower(scheme)
		return u, err
	}
	// RFC 3261 §25.1: no part behind the user information may contain an "@", but the user may contain ; and ?.
	if userinfo, hostpart, ok := strings.Cut(rest, "@"); ok {
		u.User, u.Password, _ = strings.Cut(userinfo, ":")
		if u.User == "" {
			return sip.Uri{}, errors.New("empty user in URI")
		}
		rest = hostpart
	}
	rest, headers, hasHeaders := strings.Cut(rest, "?")
	hostport, params, hasParams := strings.Cut(rest, ";")
	var err error
	if u.Host, u.Port, err = parseHostPort(hostport); err != nil {
		return sip.Uri{}, err
	}
	if hasParams {
		if u.UriParams, err = uriPairs(params, ";"); err != nil {
			return sip.Uri{}, err
		}
	}
	if hasHeaders {
		if u.Headers, err = uriPairs(headers, "&"); err != nil {
			return sip.Uri{}, err
		}
	}
	return u, nil
}

func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !isAlnum(c) && (i == 0 || strings.IndexByte("+-.", c) < 0) {
			return false
		}
	}
	return s != "" && (s[0] < '0' || s[0] > '9')
}

// checkURIText refuses characters that no URI may hold and escapes that are not %HH.
func checkURIText(s string) error {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c <= ' ' || c == 0x7f || strings.IndexByte("<>\"{}|\\^`", c) >= 0:
			return fmt.Errorf("character %q is not allowed in a URI", c)
		case c == '%':
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return errors.New("malformed escape in URI")
			}
			i += 2
		}
	}
	return nil
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// uriPairs splits name=value pairs. A doubled separator is an error.
func uriPairs(s, sep string) (sip.HeaderParams, error) {
	ps := make(sip.HeaderParams, 0, 1+strings.Count(s, sep))
	for pair := range strings.SplitSeq(s, sep) {
		name, value, _ := strings.Cut(pair, "=")
		if name == "" {
			return nil, errors.New("empty parameter in URI")
		}
		ps = append(ps, sip.HeaderKV{K: name, V: value})
	}
	return ps, nil
}

// parseHostPort parses host [":" port]. An IPv6 address keeps its brackets. Port 0 means none was given.
func parseHostPort(s string) (host string, port int, err error) {
	rest := ""
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", 0, errors.New("IPv6 address without closing bracket")
		}
		if a, err := netip.ParseAddr(s[1:end]); err != nil || !a.Is6() || a.Zone() != "" {
			return "", 0, fmt.Errorf("%q is not an IPv6 address", s[1:end])
		}
		host, rest = s[:end+1], strings.TrimSpace(s[end+1:])
	} else {
		i := strings.IndexByte(s, ':')
		if i < 0 {
			i = len(s)
		}
		host, rest = strings.TrimSpace(s[:i]), s[i:]
		if !isHostname(host) {
			return "", 0, fmt.Errorf("%q is not a host name", host)
		}
	}
	if rest == "" {
		return host, 0, nil
	}
	digits := strings.TrimSpace(strings.TrimPrefix(rest, ":"))
	n, err := strconv.ParseUint(digits, 10, 16)
	if rest[0] != ':' || !isDigits(digits) || err != nil {
		return "", 0, fmt.Errorf("%q is not a port", digits)
	}
	return host, int(n), nil
}

// isHostname accepts names and IPv4 addresses, with the underscore that private networks use.
func isHostname(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte("-._", s[i]) < 0 {
			return false
		}
	}
	return s != "" && len(s) <= 255
}

// bareHost strips the brackets of an IPv6 address.
func bareHost(host string) string { return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]") }
