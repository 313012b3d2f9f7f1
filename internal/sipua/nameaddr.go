package sipua

import (
	"errors"
	"strings"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/plaintext"
)

// NameAddr is an address in a header: a display name, a URI and parameters (RFC 3261 §20.10).
type NameAddr struct {
	Display string // safe to show
	URI     sip.Uri
	Params  sip.HeaderParams // of the header; names in lower case, values without quotation marks
}

// maxDisplay bounds a display name in characters.
const maxDisplay = 128

// ParseNameAddr parses one address as From, P-Asserted-Identity, Refer-To, Call-Info and such carry it. Without angle
// brackets everything behind the first semicolon belongs to the header (RFC 3261 §20).
func ParseNameAddr(value string) (NameAddr, error) {
	var before, text, params string
	if open := openBracket(value); open >= 0 {
		inside, after, closed := strings.Cut(value[open+1:], ">")
		if !closed {
			return NameAddr{}, errors.New("sipua: an address without its closing bracket")
		}
		before, text, params = value[:open], inside, after
	} else {
		text, params, _ = strings.Cut(value, ";")
	}
	uri, err := ParseURI(strings.TrimSpace(text))
	if err != nil {
		return NameAddr{}, err
	}
	n := NameAddr{Display: plaintext.Line(strings.TrimSpace(unquote(strings.TrimSpace(before))), maxDisplay), URI: uri}
	for _, p := range splitOutside(params, ';') {
		name, v, _ := strings.Cut(p, "=")
		if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
			n.Params.Add(name, unquote(strings.TrimSpace(v)))
		}
	}
	return n, nil
}

// openBracket finds the bracket that opens the URI; a display name may hold others. -1 without.
func openBracket(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '<' && !quoted:
			return i
		}
	}
	return -1
}

// NameAddrs parses every address of the headers with a name, and leaves out what cannot be parsed.
func NameAddrs(msg interface {
	GetHeaders(name string) []sip.Header
}, name string,
) []NameAddr {
	var out []NameAddr
	for _, h := range msg.GetHeaders(name) {
		for _, s := range splitOutside(h.Value(), ',') {
			if n, err := ParseNameAddr(s); err == nil {
				out = append(out, n)
			}
		}
	}
	return out
}

// String is the address as a header carries it, without its parameters.
func (n NameAddr) String() string {
	uri := n.URI.String()
	if n.Display == "" {
		return "<" + uri + ">"
	}
	return `"` + QuoteText(n.Display) + `" <` + uri + ">"
}
