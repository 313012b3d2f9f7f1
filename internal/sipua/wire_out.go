package sipua

import (
	"errors"
	"fmt"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// errUnsafe is the error for a message that would not arrive as it was meant.
var errUnsafe = errors.New("sipua: message refused")

// checkOutgoing refuses a message whose text would break out of its place: a line break in a header value begins a new
// header on the wire, and an unescaped quotation mark ends a display name. Refusing is better than mangling: the caller
// learns of it.
func checkOutgoing(msg sip.Message) error {
	switch m := msg.(type) {
	case *sip.Request:
		if !isToken(string(m.Method)) {
			return fmt.Errorf("%w: %q is not a method", errUnsafe, m.Method)
		}
		if err := checkURI(&m.Recipient); err != nil {
			return fmt.Errorf("%w: request URI: %w", errUnsafe, err)
		}
	case *sip.Response:
		if hasControl(m.Reason) {
			return fmt.Errorf("%w: control character in the reason phrase", errUnsafe)
		}
	}
	for _, h := range headersOf(msg) {
		if !isToken(h.Name()) {
			return fmt.Errorf("%w: %q is not a header name", errUnsafe, h.Name())
		}
		if err := checkHeader(h); err != nil {
			return fmt.Errorf("%w: %s: %w", errUnsafe, h.Name(), err)
		}
		if hasControl(h.Value()) {
			return fmt.Errorf("%w: control character in %s", errUnsafe, h.Name())
		}
	}
	return nil
}

func headersOf(msg sip.Message) []sip.Header {
	switch m := msg.(type) {
	case *sip.Request:
		return m.Headers()
	case *sip.Response:
		return m.Headers()
	}
	return nil
}

// checkHeader looks into the headers that are written from parts.
func checkHeader(h sip.Header) error {
	switch h := h.(type) {
	case *sip.FromHeader:
		return errors.Join(checkQuoted(h.DisplayName), checkURI(&h.Address))
	case *sip.ToHeader:
		return errors.Join(checkQuoted(h.DisplayName), checkURI(&h.Address))
	case *sip.ContactHeader:
		return errors.Join(checkQuoted(h.DisplayName), checkURI(&h.Address))
	case *sip.RouteHeader:
		return checkURI(&h.Address)
	case *sip.RecordRouteHeader:
		return checkURI(&h.Address)
	case *sip.ReferToHeader:
		return checkURI(&h.Address)
	case *sip.ReferredByHeader:
		return errors.Join(checkQuoted(h.DisplayName), checkURI(&h.Address))
	}
	return nil
}

// checkURI tests the text a URI is written as.
func checkURI(u *sip.Uri) error {
	if u.Wildcard {
		return nil
	}
	return checkURIText(u.String())
}

// checkQuoted tests the inside of a quoted string.
func checkQuoted(s string) error {
	if strings.IndexByte(s, '"') < 0 && strings.IndexByte(s, '\\') < 0 {
		return nil
	}
	if quotedEnd(`"`+s+`"`) != len(s)+1 {
		return errors.New("unescaped quotation mark in the display name (see QuoteText)")
	}
	return nil
}

// QuoteText escapes text for the inside of a quoted string: a display name, a parameter. Line breaks and other control
// characters become spaces, because no escape makes them legal (RFC 3261 §25.1).
func QuoteText(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < ' ' || r == 0x7f:
			b.WriteByte(' ')
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
