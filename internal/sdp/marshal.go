package sdp

import (
	"fmt"
	"net/netip"
	"strings"
)

// Marshal writes the description with what RFC 8866 requires; missing parts get their neutral values.
func (s Session) Marshal() []byte {
	var b strings.Builder
	line := func(kind, value string) { b.WriteString(kind + "=" + value + "\r\n") }
	line("v", "0")
	line("o", or(s.Origin, "- 0 0 "+connection(s.Addr)))
	line("s", or(s.Name, "-"))
	if s.Addr.IsValid() {
		line("c", connection(s.Addr))
	}
	line("t", or(s.Time, "0 0"))
	for _, a := range s.Attributes {
		line("a", a.String())
	}
	for _, m := range s.Media {
		formats := m.Formats
		if len(formats) == 0 { // RFC 8866 §9: at least one, also in a line that is rejected
			formats = []string{"0"}
		}
		line("m", fmt.Sprintf("%s %d %s %s", m.Kind, m.Port, m.Proto, strings.Join(formats, " ")))
		if m.Addr.IsValid() {
			line("c", connection(m.Addr))
		}
		for _, a := range m.Attributes {
			line("a", a.String())
		}
	}
	return []byte(b.String())
}

// String is the attribute as it stands after "a=".
func (a Attribute) String() string {
	if a[1] == "" {
		return a[0]
	}
	return a[0] + ":" + a[1]
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func connection(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return "IN IP4 0.0.0.0"
	case a.Unmap().Is4():
		return "IN IP4 " + a.Unmap().String()
	default:
		return "IN IP6 " + a.WithZone("").String()
	}
}
