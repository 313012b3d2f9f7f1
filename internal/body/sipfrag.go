package body

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Sipfrag is a message/sipfrag body that holds a response (RFC 3420).
type Sipfrag struct {
	Code    int
	Reason  string
	Headers map[string][]string // canonical names
	Body    []byte
}

// maxFragHeaders bounds the header fields of a fragment.
const maxFragHeaders = 128

// ParseSipfrag reads it. The fragment has to begin with a status line, as in every NOTIFY of a REFER (RFC 3515 §2.4.5);
// header fields and a body may follow.
func ParseSipfrag(b []byte) (Sipfrag, error) {
	if len(b) > MaxSize {
		return Sipfrag{}, fmt.Errorf("%w: sipfrag of %d bytes", ErrTooLarge, len(b))
	}
	line, rest := cutLine(bytes.TrimLeft(b, "\r\n"))
	code, reason, err := parseStatusLine(line)
	if err != nil {
		return Sipfrag{}, err
	}
	f := Sipfrag{Code: code, Reason: reason}
	last := ""
	for n := 0; len(rest) > 0; n++ {
		line, rest = cutLine(rest)
		if line == "" {
			if len(rest) > 0 {
				f.Body = bytes.Clone(rest)
			}
			break
		}
		if n >= maxFragHeaders {
			return Sipfrag{}, fmt.Errorf("%w: sipfrag with more than %d header lines", ErrMalformed, maxFragHeaders)
		}
		if line[0] == ' ' || line[0] == '\t' { // folded
			if values := f.Headers[last]; len(values) > 0 {
				values[len(values)-1] = strings.TrimSpace(values[len(values)-1] + " " + strings.TrimSpace(line))
			}
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		name = strings.TrimSpace(name)
		if !ok || !isToken(name) {
			return Sipfrag{}, fmt.Errorf("%w: sipfrag header line %.40q", ErrMalformed, line)
		}
		if f.Headers == nil {
			f.Headers = map[string][]string{}
		}
		last = canonicalHeader(name)
		f.Headers[last] = append(f.Headers[last], strings.TrimSpace(value))
	}
	return f, nil
}

// parseStatusLine reads "SIP/2.0 200 OK"; the reason may be missing.
func parseStatusLine(line string) (code int, reason string, err error) {
	version, rest, _ := strings.Cut(line, " ")
	number, reason, _ := strings.Cut(rest, " ")
	code, err = strconv.Atoi(number)
	if !strings.EqualFold(version, "SIP/2.0") || err != nil || len(number) != 3 || code < 100 || code > 699 {
		return 0, "", fmt.Errorf("%w: sipfrag begins with %.40q, not with a status line", ErrMalformed, line)
	}
	return code, strings.TrimSpace(reason), nil
}

func cutLine(b []byte) (line string, rest []byte) {
	head, rest, _ := bytes.Cut(b, []byte("\n"))
	return string(bytes.TrimSuffix(head, []byte("\r"))), rest
}

// isToken follows RFC 3261 §25.1.
func isToken(s string) bool {
	for _, r := range s {
		alphanumeric := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !alphanumeric && !strings.ContainsRune("-.!%*_+`'~", r) {
			return false
		}
	}
	return s != ""
}

// Header names whose spelling is not plain title case, and the compact forms (RFC 3261 §7.3.3).
var headerNames = map[string]string{
	"call-id": "Call-ID", "i": "Call-ID", "cseq": "CSeq", "www-authenticate": "WWW-Authenticate", "rack": "RAck",
	"rseq": "RSeq", "mime-version": "MIME-Version", "sip-etag": "SIP-ETag", "sip-if-match": "SIP-If-Match",
	"message-id": "Message-ID", "m": "Contact", "e": "Content-Encoding", "l": "Content-Length", "c": "Content-Type",
	"f": "From", "s": "Subject", "k": "Supported", "t": "To", "v": "Via", "o": "Event", "u": "Allow-Events",
	"r": "Refer-To", "b": "Referred-By", "x": "Session-Expires",
}

func canonicalHeader(name string) string {
	lower := strings.ToLower(name)
	if known, ok := headerNames[lower]; ok {
		return known
	}
	words := strings.Split(lower, "-")
	for i, w := range words {
		if w != "" {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, "-")
}

// Marshal writes it, headers in the order of their names. Line breaks in values become spaces.
func (f Sipfrag) Marshal() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "SIP/2.0 %03d %s\r\n", f.Code, validText(f.Reason))
	for _, name := range slices.Sorted(maps.Keys(f.Headers)) {
		if !isToken(name) {
			continue
		}
		for _, v := range f.Headers[name] {
			fmt.Fprintf(&b, "%s: %s\r\n", name, validText(v))
		}
	}
	if len(f.Body) > 0 {
		b.WriteString("\r\n")
		b.Write(f.Body)
	}
	return b.Bytes()
}
