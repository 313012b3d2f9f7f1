package contacts

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bounds of a vCard file: the reader keeps at most one unfolded line and the contacts it has found.
const (
	maxVCardLine = 1 << 20 // photos are long
	maxVCards    = 10_000
)

// card collects what is wanted of the vCard that is being read.
type card struct {
	name, structured string
	groups           []string
	addresses        []string
}

// ReadVCards returns the contacts with a SIP address in a file of vCards 3.0 or 4.0, in their order. Of a card with
// several SIP addresses each becomes a contact.
func ReadVCards(r io.Reader) ([]Contact, error) {
	lines := &unfolder{in: bufio.NewReaderSize(r, 64<<10)}
	var out []Contact
	var current *card
	cards := 0
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", lines.number, err)
		}
		name, params, value, ok := splitProperty(line)
		switch {
		case !ok: // not a property: some writers leave notes between cards
		case name == "BEGIN" && strings.EqualFold(value, "VCARD"):
			if cards++; cards > maxVCards {
				return nil, fmt.Errorf("more than %d cards", maxVCards)
			}
			current = &card{}
		case name == "END" && strings.EqualFold(value, "VCARD") && current != nil:
			out = append(out, current.contacts()...)
			current = nil
		case current != nil:
			current.property(name, params, value)
		}
	}
	if cards == 0 {
		return nil, errors.New("not a vCard file: no BEGIN:VCARD")
	}
	return out, nil
}

// property takes in one line of a card.
func (c *card) property(name string, params []string, value string) {
	switch name {
	case "FN":
		if c.name == "" { // RFC 6350 §6.2.1 allows several; the first is as good as any
			c.name = unescape(value)
		}
	case "N":
		c.structured = structuredName(value)
	case "ORG":
		if org := unescape(splitEscaped(value, ';')[0]); org != "" {
			c.groups = append(c.groups, org)
		}
	case "CATEGORIES":
		for _, g := range splitEscaped(value, ',') {
			c.groups = append(c.groups, unescape(g))
		}
	case "IMPP", "TEL", "X-SIP", "X-EVOLUTION-SIP":
		if strings.HasPrefix(name, "X-") || isSIP(value) || hasParam(params, "X-SERVICE-TYPE=SIP") {
			c.addresses = append(c.addresses, unescape(value))
		}
	}
}

func isSIP(value string) bool {
	lower := strings.ToLower(value)
	return strings.HasPrefix(lower, "sip:") || strings.HasPrefix(lower, "sips:")
}

func hasParam(params []string, want string) bool {
	for _, p := range params {
		if strings.EqualFold(p, want) {
			return true
		}
	}
	return false
}

// contacts returns what the card yields; addresses that are none are left out.
func (c *card) contacts() []Contact {
	var out []Contact
	for _, a := range c.addresses {
		name := c.name
		if name == "" {
			name = c.structured
		}
		if cleaned, err := clean(Contact{Name: name, URI: a, Groups: c.groups}); err == nil {
			out = append(out, cleaned)
		}
	}
	return out
}

// structuredName makes "Given Family" of N's family;given;additional;prefixes;suffixes.
func structuredName(value string) string {
	parts := splitEscaped(value, ';')
	if len(parts) < 2 {
		return unescape(parts[0])
	}
	return strings.TrimSpace(unescape(parts[1]) + " " + unescape(parts[0]))
}

// splitProperty cuts "group.NAME;param=value:value" (RFC 6350 §3.3). A colon within a quoted parameter does not count.
func splitProperty(line string) (name string, params []string, value string, ok bool) {
	quoted := false
	start := 0
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '"':
			quoted = !quoted
		case quoted:
		case line[i] == ';':
			params = append(params, line[start:i])
			start = i + 1
		case line[i] == ':':
			params = append(params, line[start:i])
			name = params[0]
			if _, after, grouped := strings.Cut(name, "."); grouped {
				name = after
			}
			return strings.ToUpper(name), params[1:], strings.TrimSpace(line[i+1:]), true
		}
	}
	return "", nil, "", false
}

// splitEscaped splits at sep where no backslash stands before it. It returns at least one part.
func splitEscaped(s string, sep byte) []string {
	var parts []string
	start := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case sep:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

// unescape undoes RFC 6350 §3.4.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		if s[i] == 'n' || s[i] == 'N' {
			b.WriteByte('\n')
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// unfolder reads logical lines: one that begins with a space or a tab continues the line before (RFC 6350 §3.2).
type unfolder struct {
	in     *bufio.Reader
	ahead  string
	have   bool
	number int
}

func (u *unfolder) next() (string, error) {
	line, err := u.physical()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(line)
	for {
		more, err := u.physical()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
		if more == "" || more[0] != ' ' && more[0] != '\t' {
			u.ahead, u.have = more, true
			break
		}
		if b.Len()+len(more) > maxVCardLine {
			return "", errTooLong
		}
		b.WriteString(more[1:])
	}
	return b.String(), nil
}

var errTooLong = fmt.Errorf("longer than %d bytes", maxVCardLine)

func (u *unfolder) physical() (string, error) {
	if u.have {
		u.have = false
		return u.ahead, nil
	}
	var b strings.Builder
	for {
		part, err := u.in.ReadSlice('\n')
		if b.Len()+len(part) > maxVCardLine {
			return "", errTooLong
		}
		b.Write(part)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && b.Len() > 0, err == nil:
			u.number++
			return strings.TrimRight(b.String(), "\r\n"), nil
		default:
			return "", err
		}
	}
}
