package sipua

import (
	"crypto/rand"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Reading and writing the parts of messages that user agents look at. The stack has checked the required headers of
// whatever arrives: From, To, Call-ID, CSeq and Via are never nil there.

// message is what is read from requests and responses alike. sip.Message lacks some of it.
type message interface {
	From() *sip.FromHeader
	To() *sip.ToHeader
	CallID() *sip.CallIDHeader
	Contact() *sip.ContactHeader
	ContentType() *sip.ContentTypeHeader
	GetHeader(name string) sip.Header
	GetHeaders(name string) []sip.Header
	Body() []byte
}

// elements returns the elements of a comma-separated header, over all its fields.
func elements(msg message, name string) []string {
	var out []string
	for _, h := range msg.GetHeaders(name) {
		for _, s := range splitOutside(h.Value(), ',') {
			if s = strings.TrimSpace(s); s != "" {
				out = append(out, s)
			}
		}
	}
	return out
}

// hasToken reports whether a list header such as Supported names the token. Option tags are compared without case.
func hasToken(msg message, name, token string) bool {
	return slices.ContainsFunc(elements(msg, name), func(s string) bool { return strings.EqualFold(s, token) })
}

// seconds reads a header that begins with a number of seconds, as Expires, Min-SE and Retry-After do.
func seconds(msg message, name string) (time.Duration, bool) {
	h := msg.GetHeader(name)
	if h == nil {
		return 0, false
	}
	return parseSeconds(h.Value())
}

// parseSeconds parses leading digits. What exceeds 32 bits is taken as the largest number (RFC 3261 §20.19).
func parseSeconds(s string) (time.Duration, bool) {
	s = strings.TrimSpace(s)
	end := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(s)
	}
	if end == 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(s[:end], 10, 32)
	if err != nil {
		n = 1<<32 - 1
	}
	return time.Duration(n) * time.Second, true
}

func fromTag(msg message) string {
	if h := msg.From(); h != nil {
		tag, _ := h.Params.Get("tag")
		return tag
	}
	return ""
}

func toTag(msg message) string {
	if h := msg.To(); h != nil {
		tag, _ := h.Params.Get("tag")
		return tag
	}
	return ""
}

func callID(msg message) string {
	if h := msg.CallID(); h != nil {
		return h.Value()
	}
	return ""
}

// newTag makes a tag of 130 random bits (RFC 3261 §19.3 asks for 32).
func newTag() string { return strings.ToLower(rand.Text()) }

// newCallID makes a Call-ID of 130 random bits. It names no host (RFC 3261 §8.1.1.4 allows that).
func newCallID() string { return strings.ToLower(rand.Text()) }

// setBody sets body and type; both may be empty.
func setBody(msg sip.Message, contentType string, body []byte) {
	if len(body) > 0 && contentType != "" {
		ct := sip.ContentTypeHeader(contentType)
		msg.AppendHeader(&ct)
	}
	msg.SetBody(body)
}

// isLoose reports whether a route's element understands loose routing (RFC 3261 §16.12).
func isLoose(u *sip.Uri) bool { return u.UriParams.Has("lr") }

// hopOf is where a request outside a dialog goes first: its topmost Route, or its Request-URI (RFC 3261 §8.1.2).
func hopOf(req *sip.Request) sip.Uri {
	if r := req.Route(); r != nil {
		return r.Address
	}
	return req.Recipient
}

// sameURI compares the parts of a SIP URI that routing looks at (RFC 3261 §19.1.4, without its parameters but transport).
func sameURI(a, b *sip.Uri) bool {
	return a.Scheme == b.Scheme && a.User == b.User && strings.EqualFold(a.Host, b.Host) && a.Port == b.Port &&
		strings.EqualFold(a.UriParams.GetOr("transport", ""), b.UriParams.GetOr("transport", ""))
}
