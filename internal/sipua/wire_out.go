package sipua

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/emiago/sipgo/sip"
)

// errUnsafe is the error for a message that would not arrive as it was meant.
var errUnsafe = errors.New("sipua: message refused")

// encoders are buffers that messages are written in, so that only the bytes that leave are allocated.
var encoders = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// encode writes a message as it goes out. It refuses one whose text would break out of its place: a line break in a header
// value begins a new header on the wire, and an unescaped quotation mark ends a display name. Refusing is better than
// mangling: the caller learns of it.
func encode(msg sip.Message) ([]byte, error) {
	if err := checkParts(msg); err != nil {
		return nil, err
	}
	buf := encoders.Get().(*bytes.Buffer)
	defer encoders.Put(buf)
	buf.Reset()
	msg.StringWrite(buf)
	if err := checkLines(buf.Bytes(), len(headersOf(msg))); err != nil {
		return nil, err
	}
	return bytes.Clone(buf.Bytes()), nil
}

// checkLines looks at what was written: a start line and one line for each header, none with a control character in it.
func checkLines(data []byte, headers int) error {
	for lines := 0; ; lines++ {
		i := bytes.IndexByte(data, '\n')
		if i < 1 || data[i-1] != '\r' {
			return fmt.Errorf("%w: line break in line %d", errUnsafe, lines+1)
		}
		if i == 1 {
			if lines != headers+1 {
				return fmt.Errorf("%w: line break in a header", errUnsafe)
			}
			return nil
		}
		for _, c := range data[:i-1] {
			if isControl(c) {
				return fmt.Errorf("%w: control character in line %d", errUnsafe, lines+1)
			}
		}
		data = data[i+1:]
	}
}

// checkParts looks at the parts that are written next to each other in one line.
func checkParts(msg sip.Message) error {
	if req, ok := msg.(*sip.Request); ok {
		if !isToken(string(req.Method)) {
			return fmt.Errorf("%w: %q is not a method", errUnsafe, req.Method)
		}
		if err := checkURI(&req.Recipient); err != nil {
			return fmt.Errorf("%w: request URI: %w", errUnsafe, err)
		}
	}
	for _, h := range headersOf(msg) {
		if !isToken(h.Name()) {
			return fmt.Errorf("%w: %q is not a header name", errUnsafe, h.Name())
		}
		if err := checkHeader(h); err != nil {
			return fmt.Errorf("%w: %s: %w", errUnsafe, h.Name(), err)
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

// checkURI tests the text a URI is written as, part by part.
func checkURI(u *sip.Uri) error {
	if u.Wildcard {
		return nil
	}
	for _, part := range [...]string{u.Scheme, u.User, u.Password, u.Host, u.Raw()} {
		if err := checkURIText(part); err != nil {
			return err
		}
	}
	for _, pairs := range [...]sip.HeaderParams{u.UriParams, u.Headers} {
		for i := range pairs {
			if err := errors.Join(checkURIText(pairs[i].K), checkURIText(pairs[i].V)); err != nil {
				return err
			}
		}
	}
	return nil
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
