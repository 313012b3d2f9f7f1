package session

import (
	"errors"
	"strings"
	"unicode"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/plaintext"
)

// Party is a person as the network names them, cleaned for display.
type Party struct {
	URI     string `json:"uri"`
	Display string `json:"display,omitempty"`
}

var errNotAnAddress = errors.New("not a SIP address")

// parseAddress reads a SIP or SIPS URI strictly: what it lets through can be written into a message.
func parseAddress(s string, into *sip.Uri) error {
	if s == "" || len(s) > 512 || strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(`<>"`, r)
	}) {
		return errNotAnAddress
	}
	if err := sip.ParseUri(s, into); err != nil {
		return err
	}
	if scheme := strings.ToLower(into.Scheme); (scheme != "sip" && scheme != "sips") || into.Host == "" {
		return errNotAnAddress
	}
	into.Scheme = strings.ToLower(into.Scheme)
	return nil
}

// Resolve makes a SIP URI of what a person typed: a URI, user@host, a user of this account's domain, or a number.
func (e *Endpoint) Resolve(address string) (sip.Uri, error) {
	var uri sip.Uri
	typed := strings.TrimSpace(address)
	full := typed
	switch {
	case hasScheme(typed):
	case strings.Contains(typed, "@"):
		full = "sip:" + typed
	case strings.Contains(typed, ":"): // another scheme
	default:
		user := typed
		if isNumber(typed) {
			user = strings.Map(digitsOnly, typed)
		}
		full = "sip:" + user + "@" + hostPort(e.aor)
	}
	if err := parseAddress(full, &uri); err != nil || uri.User == "" {
		return sip.Uri{}, refuse("find", plaintext.Line(typed, maxName), KindConfig,
			"an address looks like sip:bob@example.org, bob@example.org, bob, or a number")
	}
	return uri, nil
}

func hasScheme(s string) bool {
	scheme, _, ok := strings.Cut(s, ":")
	return ok && (strings.EqualFold(scheme, "sip") || strings.EqualFold(scheme, "sips"))
}

// isNumber reports whether a person would call s a telephone number, with its usual punctuation.
func isNumber(s string) bool {
	digits := 0
	for i, r := range s {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case r == '+' && i == 0, strings.ContainsRune(" -()/.", r):
		default:
			return false
		}
	}
	return digits > 0
}

func digitsOnly(r rune) rune {
	if r == '+' || r >= '0' && r <= '9' {
		return r
	}
	return -1
}

// addressOf writes the address of record in uri: no parameters, no headers, no password.
func addressOf(uri sip.Uri) string {
	scheme := uri.Scheme
	if scheme == "" {
		scheme = "sip"
	}
	if uri.User == "" {
		return scheme + ":" + hostPort(uri)
	}
	return scheme + ":" + uri.User + "@" + hostPort(uri)
}

func hostPort(uri sip.Uri) string {
	bare := sip.Uri{Host: strings.ToLower(uri.Host), Port: uri.Port}
	if bare.Port == 0 {
		return bare.Host
	}
	return bare.HostPort()
}

// peerKey is equal for addresses that name the same person (RFC 3261 §19.1.4: the user part minds case, the host does
// not). sip and sips, and the default port, make no other person.
func peerKey(uri sip.Uri) string {
	if uri.Port == 5060 || uri.Port == 5061 {
		uri.Port = 0
	}
	return uri.User + "@" + hostPort(uri)
}

// target is where requests to the person at uri go.
func target(uri sip.Uri) sip.Uri {
	bare := sip.Uri{Scheme: uri.Scheme, User: uri.User, Host: strings.ToLower(uri.Host), Port: uri.Port}
	if transport, ok := uri.UriParams.Get("transport"); ok {
		bare.UriParams = sip.HeaderParams{{K: "transport", V: transport}}
	}
	return bare
}

// senderOf is who sent a request, cleaned for display.
func senderOf(req *sip.Request) (sip.Uri, Party) {
	from := req.From()
	uri := target(from.Address)
	uri.UriParams = nil
	return uri, Party{
		URI:     plaintext.Line(addressOf(uri), 256),
		Display: plaintext.Line(strings.Trim(from.DisplayName, `" `), maxName),
	}
}

// normalInstance makes instance ids comparable: without the <> or quotes of a Contact parameter, in lower case.
func normalInstance(s string) string {
	return strings.ToLower(strings.Trim(s, `"<> `))
}
