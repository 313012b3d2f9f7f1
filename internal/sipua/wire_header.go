package sipua

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// headers turns one field into the library's typed headers; a list becomes one header for each element. Fields without
// a type stay as they are.
func (f field) headers() ([]sip.Header, error) {
	switch f.name {
	case "Via":
		return listOf(f.value, parseVia)
	case "Contact":
		return listOf(f.value, parseContact)
	case "Route":
		return listOf(f.value, func(s string) (sip.Header, error) {
			_, uri, _, err := parseNameAddr(s)
			return &sip.RouteHeader{Address: uri}, err
		})
	case "Record-Route":
		return listOf(f.value, func(s string) (sip.Header, error) {
			_, uri, _, err := parseNameAddr(s)
			return &sip.RecordRouteHeader{Address: uri}, err
		})
	}
	h, err := f.header()
	if err != nil {
		return nil, err
	}
	return []sip.Header{h}, nil
}

// header parses a field that is not a list.
func (f field) header() (sip.Header, error) {
	switch f.name {
	case "From":
		name, uri, params, err := parseNameAddr(f.value)
		return &sip.FromHeader{DisplayName: name, Address: uri, Params: params}, err
	case "To":
		name, uri, params, err := parseNameAddr(f.value)
		return &sip.ToHeader{DisplayName: name, Address: uri, Params: params}, err
	case "Refer-To":
		_, uri, params, err := parseNameAddr(f.value)
		if err == nil && params != nil {
			return sip.NewHeader(f.name, f.value), nil // the typed header has no room for parameters
		}
		return &sip.ReferToHeader{Address: uri}, err
	case "Referred-By":
		name, uri, params, err := parseNameAddr(f.value)
		return &sip.ReferredByHeader{DisplayName: name, Address: uri, Params: params}, err
	case "Call-ID":
		h := sip.CallIDHeader(f.value)
		if f.value == "" || strings.ContainsAny(f.value, " \t") {
			return nil, errors.New("not a word")
		}
		return &h, nil
	case "CSeq":
		return parseCSeq(f.value)
	case "Max-Forwards":
		n, err := strconv.ParseUint(f.value, 10, 8) // RFC 3261 §20.22: 0 to 255
		if err != nil || !isDigits(f.value) {
			return nil, errors.New("not a number from 0 to 255")
		}
		h := sip.MaxForwardsHeader(n)
		return &h, nil
	case "Content-Length":
		n, ok := parseLength(f.value)
		if !ok {
			return nil, errors.New("not a number")
		}
		h := sip.ContentLengthHeader(n)
		return &h, nil
	case "Content-Type":
		major, _, ok := strings.Cut(f.value, "/")
		if !ok || !isToken(strings.TrimSpace(major)) {
			return nil, errors.New("not a media type")
		}
		h := sip.ContentTypeHeader(f.value)
		return &h, nil
	}
	return sip.NewHeader(f.name, f.value), nil
}

// listOf parses each element of a comma-separated list.
func listOf(value string, parse func(string) (sip.Header, error)) ([]sip.Header, error) {
	if strings.IndexByte(value, ',') < 0 { // nearly always
		h, err := parse(value)
		if err != nil {
			return nil, err
		}
		return []sip.Header{h}, nil
	}
	var hs []sip.Header
	for _, s := range splitOutside(value, ',') {
		h, err := parse(strings.TrimSpace(s))
		if err != nil {
			return nil, err
		}
		hs = append(hs, h)
	}
	return hs, nil
}

// splitOutside splits at sep, but not within quoted strings or angle brackets.
func splitOutside(s string, sep byte) []string {
	var parts []string
	for more := true; more; {
		var part string
		part, s, more = cutOutside(s, sep)
		parts = append(parts, part)
	}
	return parts
}

// cutOutside cuts at the first such sep.
func cutOutside(s string, sep byte) (before, after string, found bool) {
	quoted, angle := false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '<':
			angle = true
		case c == '>':
			angle = false
		case c == sep && !angle:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// parseCSeq parses number and method (RFC 3261 §8.1.1.5: less than 2^31).
func parseCSeq(s string) (sip.Header, error) {
	parts := strings.Fields(s)
	if len(parts) != 2 || !isDigits(parts[0]) || !isToken(parts[1]) {
		return nil, errors.New("not a number and a method")
	}
	n, err := strconv.ParseUint(parts[0], 10, 31)
	if err != nil {
		return nil, errors.New("number out of range")
	}
	return &sip.CSeqHeader{SeqNo: uint32(n), MethodName: sip.RequestMethod(parts[1])}, nil
}

func parseContact(s string) (sip.Header, error) {
	if s == "*" {
		return &sip.ContactHeader{Address: sip.Uri{Wildcard: true, Host: "*"}}, nil
	}
	name, uri, params, err := parseNameAddr(s)
	return &sip.ContactHeader{DisplayName: name, Address: uri, Params: params}, err
}

// parseNameAddr parses name-addr or addr-spec with parameters (RFC 3261 §20.10). The display name is returned without
// its quotes and with its escapes, the way the library writes it back.
func parseNameAddr(s string) (name string, uri sip.Uri, params sip.HeaderParams, err error) {
	rest := strings.TrimSpace(s)
	if strings.HasPrefix(rest, `"`) {
		end := quotedEnd(rest)
		if end < 0 {
			return "", uri, nil, errors.New("unbalanced quotation mark")
		}
		name, rest = rest[1:end], strings.TrimSpace(rest[end+1:])
		if !strings.HasPrefix(rest, "<") {
			return "", uri, nil, errors.New("no address behind the display name")
		}
	} else if i := strings.IndexByte(rest, '<'); i > 0 {
		name, rest = strings.TrimSpace(rest[:i]), rest[i:]
		if !isDisplayTokens(name) {
			return "", uri, nil, errors.New("display name needs quotation marks")
		}
	}
	addr, tail := rest, ""
	if strings.HasPrefix(rest, "<") {
		end := strings.IndexByte(rest, '>')
		if end < 0 {
			return "", uri, nil, errors.New("no closing angle bracket")
		}
		addr, tail = rest[1:end], strings.TrimSpace(rest[end+1:])
	} else {
		// RFC 3261 §20: without brackets a semicolon begins header parameters; a comma or question mark needs brackets.
		if i := strings.IndexByte(rest, ';'); i >= 0 {
			addr, tail = strings.TrimSpace(rest[:i]), rest[i:]
		}
		if strings.ContainsAny(addr, ",?") {
			return "", uri, nil, errors.New("address needs angle brackets")
		}
	}
	if uri, err = ParseURI(addr); err != nil {
		return "", uri, nil, err
	}
	if tail == "" {
		return name, uri, nil, nil
	}
	if tail[0] != ';' {
		return "", uri, nil, errors.New("text behind the address")
	}
	params, err = parseParams(tail[1:])
	return name, uri, params, err
}

// quotedEnd returns the index of the quotation mark that ends the quoted string at the start of s, or -1.
func quotedEnd(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// isDisplayTokens tests an unquoted display name: tokens and spaces; UTF-8 is let through because it is common.
func isDisplayTokens(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c < 0x80 && c != ' ' && c != '\t' && !isToken(string(c)) {
			return false
		}
	}
	return true
}

// parseParams parses ;-separated header parameters. A quoted value keeps its quotation marks, except when it contains
// a space: the library then writes them itself.
func parseParams(s string) (sip.HeaderParams, error) {
	if s = strings.TrimSpace(s); s == "" {
		return nil, nil // a semicolon at the end with nothing behind it: common, and clear
	}
	s = strings.TrimSuffix(s, ";")
	ps := make(sip.HeaderParams, 0, 1+strings.Count(s, ";"))
	for more := true; more; {
		var p string
		p, s, more = cutOutside(s, ';')
		name, value, hasValue := strings.Cut(p, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !isToken(name) {
			return nil, errors.New("malformed parameter")
		}
		if strings.HasPrefix(value, `"`) {
			if quotedEnd(value) != len(value)-1 {
				return nil, errors.New("unbalanced quotation mark")
			}
			if strings.ContainsAny(value, " \t") {
				value = value[1 : len(value)-1]
			}
		} else if hasValue && (value == "" || strings.ContainsAny(value, " \t\"<>,")) {
			return nil, fmt.Errorf("malformed value of parameter %s", name)
		}
		ps = append(ps, sip.HeaderKV{K: strings.ToLower(name), V: value})
	}
	return ps, nil
}

// parseVia parses one Via value (RFC 3261 §20.42), with white space wherever the grammar has it.
func parseVia(s string) (sip.Header, error) {
	name, rest, ok1 := strings.Cut(s, "/")
	version, rest, ok2 := strings.Cut(rest, "/")
	rest = strings.TrimLeft(rest, " \t")
	i := strings.IndexAny(rest, " \t")
	if !ok1 || !ok2 || i < 0 {
		return nil, errors.New("no protocol and sent-by")
	}
	v := &sip.ViaHeader{ProtocolName: strings.TrimSpace(name), ProtocolVersion: strings.TrimSpace(version), Transport: rest[:i]}
	if !isToken(v.ProtocolName) || !isToken(v.ProtocolVersion) || !isToken(v.Transport) {
		return nil, errors.New("malformed protocol")
	}
	sentBy, params, hasParams := strings.Cut(rest[i:], ";")
	host, port, err := parseHostPort(strings.TrimSpace(sentBy))
	if err != nil {
		return nil, err
	}
	v.Host, v.Port = bareHost(host), port
	if hasParams {
		if v.Params, err = parseParams(params); err != nil {
			return nil, err
		}
	}
	// RFC 5118 §4.5: received is found with and without brackets; what follows sees it without.
	if received, ok := v.Params.Get("received"); ok {
		addr, err := netip.ParseAddr(bareHost(received))
		if err != nil {
			return nil, errors.New("received is not an address")
		}
		v.Params.Add("received", addr.String())
	}
	return v, nil
}
