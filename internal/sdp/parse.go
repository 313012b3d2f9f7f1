package sdp

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Parse reads a session description leniently: unknown protocols and formats are kept, LF line ends accepted.
func Parse(b []byte) (Session, error) {
	if len(b) > MaxSize {
		return Session{}, fmt.Errorf("%w: %d bytes, at most %d are read", ErrMalformed, len(b), MaxSize)
	}
	var s Session
	lines := 0
	for line := range strings.SplitSeq(string(b), "\n") {
		line = strings.TrimRight(line, "\r \t")
		if line == "" {
			continue
		}
		if len(line) < 2 || line[1] != '=' || strings.ContainsFunc(line, isControl) {
			return Session{}, fmt.Errorf("%w: line %.40q", ErrMalformed, line)
		}
		if err := s.line(line[0], strings.TrimSpace(line[2:])); err != nil {
			return Session{}, err
		}
		lines++
	}
	if lines == 0 {
		return Session{}, fmt.Errorf("%w: empty", ErrMalformed)
	}
	return s, nil
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// line takes one line in. Those after an m= line belong to it.
func (s *Session) line(kind byte, value string) error {
	var media *Media
	if n := len(s.Media); n > 0 {
		media = &s.Media[n-1]
	}
	switch kind {
	case 'v':
		if value != "0" {
			return fmt.Errorf("%w: version %.20q", ErrMalformed, value)
		}
	case 'o':
		s.Origin = value
	case 's':
		s.Name = value
	case 't':
		if s.Time == "" {
			s.Time = value
		}
	case 'c':
		addr := parseConnection(value)
		if media != nil {
			media.Addr = addr
		} else {
			s.Addr = addr
		}
	case 'a':
		s.attribute(media, value)
	case 'm':
		return s.media(value)
	}
	return nil
}

func (s *Session) attribute(media *Media, value string) {
	name, rest, _ := strings.Cut(value, ":")
	a := Attribute{strings.TrimSpace(name), strings.TrimSpace(rest)}
	switch {
	case a[0] == "":
	case media == nil:
		s.Attributes = append(s.Attributes, a)
	default:
		media.Attributes = append(media.Attributes, a)
		if strings.EqualFold(a[0], "accept-types") {
			media.AcceptTypes = append(media.AcceptTypes, parseTypes(a[1])...)
		}
	}
}

// parseTypes reads a list of content types; some peers put commas between them.
func parseTypes(s string) []string {
	var types []string
	for t := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' }) {
		if t = strings.ToLower(t); !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	return types
}

func (s *Session) media(value string) error {
	f := strings.Fields(value)
	if len(f) < 3 {
		return fmt.Errorf("%w: media line %.60q", ErrMalformed, value)
	}
	number, _, _ := strings.Cut(f[1], "/") // a count of ports may follow
	port, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return fmt.Errorf("%w: port in media line %.60q", ErrMalformed, value)
	}
	if len(s.Media) == MaxMedia {
		return fmt.Errorf("%w: more than %d media lines", ErrMalformed, MaxMedia)
	}
	s.Media = append(s.Media, Media{Kind: f[0], Port: int(port), Proto: f[2], Formats: f[3:]})
	return nil
}

// parseConnection reads "IN IP4 192.0.2.1/127".
func parseConnection(value string) netip.Addr {
	f := strings.Fields(value)
	if len(f) != 3 {
		return netip.Addr{}
	}
	host, _, _ := strings.Cut(f[2], "/") // time to live
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}
	}
	return addr.Unmap()
}
