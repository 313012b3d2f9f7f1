package contacts

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"offhook/internal/plaintext"
)

// Bounds of what a contact may hold, in bytes.
const (
	maxName  = 256
	maxURI   = 512
	maxGroup = 128
)

// Contact is one person or service.
type Contact struct {
	Name   string   `json:"name" toml:"name"`
	URI    string   `json:"uri" toml:"uri"` // sip:user@host or sips:user@host
	Groups []string `json:"groups,omitempty" toml:"groups,omitempty"`
}

// Group is a heading and those below it. The contacts without a group are in a group without a name.
type Group struct {
	Name     string
	Contacts []Contact
}

// clean returns c with its text made harmless and its address in canonical form, or says what is wrong with it.
func clean(c Contact) (Contact, error) {
	uri, err := Canonical(c.URI)
	if err != nil {
		return Contact{}, err
	}
	out := Contact{Name: plaintext.Line(c.Name, maxName), URI: uri}
	if out.Name == "" {
		out.Name = user(uri)
	}
	for _, g := range c.Groups {
		if g = plaintext.Line(g, maxGroup); g != "" && !slices.Contains(out.Groups, g) {
			out.Groups = append(out.Groups, g)
		}
	}
	return out, nil
}

// Canonical returns the form of an address by which contacts are compared: scheme and host in lower case, no port, no
// parameters, no headers (RFC 3261 §19.1.4). It accepts the scheme being left out.
func Canonical(uri string) (string, error) {
	text := strings.TrimSpace(uri)
	scheme, rest, ok := strings.Cut(text, ":")
	switch scheme = strings.ToLower(scheme); {
	case ok && (scheme == "sip" || scheme == "sips"):
	case strings.Contains(text, "@"):
		scheme, rest = "sip", text
	default:
		return "", badAddress(uri)
	}
	rest, _, _ = strings.Cut(rest, "?")
	userPart, host, ok := cutLast(rest, "@")
	if !ok {
		return "", badAddress(uri)
	}
	userPart, _, _ = strings.Cut(userPart, ":") // a password has no place here
	host, _, _ = strings.Cut(host, ";")
	host = strings.ToLower(withoutPort(host))
	if userPart == "" || host == "" || len(text) > maxURI || strings.ContainsFunc(userPart+host, forbidden) {
		return "", badAddress(uri)
	}
	return scheme + ":" + userPart + "@" + host, nil
}

func badAddress(uri string) error {
	return fmt.Errorf("%q is not a SIP address; expected sip:user@host", plaintext.Line(uri, 80))
}

// forbidden finds what never stands unescaped in an address, whatever a file claims.
func forbidden(r rune) bool {
	return r <= ' ' || r > '~' || strings.ContainsRune(`<>"\^`+"`{|}", r)
}

func withoutPort(host string) string {
	if end := strings.LastIndex(host, "]"); end >= 0 {
		return host[:end+1]
	}
	host, _, _ = strings.Cut(host, ":")
	return host
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func user(uri string) string {
	_, rest, _ := strings.Cut(uri, ":")
	name, _, _ := cutLast(rest, "@")
	return name
}

// byName orders contacts as people read a list; the address decides between equal names.
func byName(a, b Contact) int {
	return cmp.Or(
		strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)),
		strings.Compare(a.Name, b.Name),
		strings.Compare(a.URI, b.URI))
}
