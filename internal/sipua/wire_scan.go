package sipua

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// defect is what is wrong with a message, in words that go into the reason phrase of the answer.
type defect struct {
	code   int // 400, 505, 513
	reason string
}

func (d *defect) Error() string { return d.reason }

func bad(format string, args ...any) *defect {
	return &defect{code: 400, reason: fmt.Sprintf(format, args...)}
}

// field is one header field line, unfolded, its name in the long form.
type field struct{ name, value string }

// rawMessage is a message cut into lines; nothing of it has been understood yet.
type rawMessage struct {
	start  string
	fields []field
	body   []byte
}

// values lists the values of all fields of that name, in order.
func (m *rawMessage) values(name string) []string {
	var vs []string
	for _, f := range m.fields {
		if f.name == name {
			vs = append(vs, f.value)
		}
	}
	return vs
}

// maxFields bounds the header lines of one message.
const maxFields = 256

// scan cuts data into start line, fields and body. It goes on after a defect, so that a request can be answered from
// whatever of it is readable; the first defect is returned with the message.
func scan(data []byte, stream bool) (*rawMessage, *defect) {
	m := &rawMessage{fields: make([]field, 0, 16)}
	var first *defect
	note := func(d *defect) {
		if first == nil {
			first = d
		}
	}
	head, body, ended := splitHead(data)
	if !ended && (stream || !bytes.HasSuffix(data, []byte("\r\n"))) { // a datagram has an end of its own
		note(bad("Header Section Does Not End"))
	}
	if bytes.Count(head, []byte("\n")) != bytes.Count(head, []byte("\r\n")) {
		note(bad("Line Ends Are Not CRLF")) // RFC 3261 §7
	}
	start, rest, _ := strings.Cut(string(head), "\n")
	m.start = strings.TrimSuffix(start, "\r")
	for line := range strings.SplitSeq(rest, "\n") {
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			continue
		}
		if line = tameQuotedPairs(line); hasControl(line) {
			note(bad("Control Character In Header Field"))
			continue
		}
		if line[0] == ' ' || line[0] == '\t' { // RFC 3261 §7.3.1: folding
			if n := len(m.fields); n > 0 {
				m.fields[n-1].value = strings.TrimSpace(m.fields[n-1].value + " " + strings.TrimSpace(line))
			} else {
				note(bad("Header Section Begins With A Folded Line"))
			}
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		name = strings.TrimRight(name, " \t")
		if !ok || !isToken(name) {
			note(bad("Malformed Header Field Line"))
			continue
		}
		if len(m.fields) == maxFields {
			note(bad("Too Many Header Fields"))
			break
		}
		m.fields = append(m.fields, field{longName(name), strings.TrimSpace(value)})
	}
	if d := m.cutBody(body, stream); d != nil {
		note(d)
	}
	return m, first
}

// splitHead finds the empty line.
func splitHead(data []byte) (head, body []byte, ok bool) {
	if i := bytes.Index(data, []byte("\r\n\r\n")); i >= 0 {
		return data[:i+2], data[i+4:], true
	}
	if i := bytes.Index(data, []byte("\n\n")); i >= 0 {
		return data[:i+1], data[i+2:], true
	}
	return data, nil, false
}

// cutBody applies Content-Length. On a datagram bytes behind it are discarded and a message that ends before it is an
// error; without the field the body is the rest of the datagram (RFC 3261 §18.3).
func (m *rawMessage) cutBody(rest []byte, stream bool) *defect {
	lengths := m.values("Content-Length")
	switch {
	case len(lengths) == 0 && stream:
		return bad("Missing Content-Length")
	case len(lengths) == 0:
		m.body = bytes.Clone(rest)
		return nil
	case len(lengths) > 1:
		return bad("More Than One Content-Length")
	}
	n, ok := parseLength(lengths[0])
	if !ok {
		return bad("Malformed Content-Length")
	}
	if n > len(rest) {
		return bad("Content-Length Exceeds The Message")
	}
	m.body = bytes.Clone(rest[:n])
	return nil
}

// parseLength reads a Content-Length: digits only, no sign.
func parseLength(s string) (int, bool) {
	if !isDigits(s) {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err == nil
}

// compact maps the one-letter names to the long ones (RFC 3261 §7.3.3 and the documents that define the extensions).
var compact = map[string]string{
	"a": "Accept-Contact", "b": "Referred-By", "c": "Content-Type", "d": "Request-Disposition", "e": "Content-Encoding",
	"f": "From", "i": "Call-ID", "j": "Reject-Contact", "k": "Supported", "l": "Content-Length", "m": "Contact",
	"n": "Identity-Info", "o": "Event", "r": "Refer-To", "s": "Subject", "t": "To", "u": "Allow-Events", "v": "Via",
	"x": "Session-Expires", "y": "Identity",
}

// spelled lists the names whose usual spelling is not a capital after every hyphen.
var spelled = map[string]string{
	"call-id": "Call-ID", "cseq": "CSeq", "www-authenticate": "WWW-Authenticate", "mime-version": "MIME-Version",
	"rack": "RAck", "rseq": "RSeq", "sip-etag": "SIP-ETag", "sip-if-match": "SIP-If-Match", "min-se": "Min-SE",
	"content-id": "Content-ID", "message-id": "Message-ID", "conversation-id": "Conversation-ID",
	"p-asserted-identity": "P-Asserted-Identity", "replaces": "Replaces",
}

// usual are the names that are nearly always spelled as we do.
var usual = map[string]bool{
	"Via": true, "From": true, "To": true, "Call-ID": true, "CSeq": true, "Max-Forwards": true, "Contact": true,
	"Content-Length": true, "Content-Type": true, "Expires": true, "Route": true, "Record-Route": true, "User-Agent": true,
	"Supported": true, "Allow": true, "Authorization": true, "Proxy-Authorization": true, "Event": true,
}

// longName gives a header field name its usual spelling, so that exact comparison finds it.
func longName(name string) string {
	if usual[name] {
		return name
	}
	lower := strings.ToLower(name)
	if long, ok := compact[lower]; ok {
		return long
	}
	if s, ok := spelled[lower]; ok {
		return s
	}
	b := []byte(lower)
	for i := range b {
		if (i == 0 || b[i-1] == '-') && b[i] >= 'a' && b[i] <= 'z' {
			b[i] -= 'a' - 'A'
		}
	}
	return string(b)
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// isToken tests for the token of RFC 3261 §25.1.
func isToken(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte("-.!%*_+`'~", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

// tameQuotedPairs replaces control characters that a backslash makes legal within quotation marks (RFC 3261 §25.1,
// quoted-pair) by question marks. They can only be display text, and no screen or log should have to expect them.
func tameQuotedPairs(s string) string {
	if !hasControl(s) {
		return s
	}
	b := []byte(s)
	for i := 1; i < len(b); i++ {
		if b[i-1] == '\\' && hasControl(string(b[i])) && b[i] != '\r' && b[i] != '\n' {
			b[i] = '?'
		}
	}
	return string(b)
}

func isControl(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f }

// hasControl reports a control character other than tab.
func hasControl(s string) bool {
	for i := range len(s) {
		if isControl(s[i]) {
			return true
		}
	}
	return false
}
