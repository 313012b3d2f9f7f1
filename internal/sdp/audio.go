package sdp

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// profiles are the transports of an audio line, in upper case, and whether they stand for SRTP.
var profiles = map[string]bool{
	"RTP/AVP": false, "RTP/AVPF": false, "RTP/SAVP": true, "RTP/SAVPF": true,
	"UDP/TLS/RTP/SAVP": true, "UDP/TLS/RTP/SAVPF": true,
}

// Packets hold one of these lengths of sound.
var ptimes = []time.Duration{
	10 * time.Millisecond, 20 * time.Millisecond, 30 * time.Millisecond, 40 * time.Millisecond, 60 * time.Millisecond,
}

const usualPtime = 20 * time.Millisecond // RFC 3551 §4.2

// audio is what a description says of an audio line, as its sender sees it.
type audio struct {
	secure, overTLS bool // by the profile
	addr, rtcp      netip.AddrPort
	silent, mux     bool
	direction       Direction
	formats         []Format
	ptime, maxptime time.Duration // 0 without
	cryptos         []crypto
	fingerprints    []string
	setup           string
	connection      string // "new" or "existing"; "" without
	association     string // RFC 8842 §4
}

// isAudio reports whether the line is audio that is open.
func (m Media) isAudio() bool {
	_, known := profiles[strings.ToUpper(m.Proto)]
	return known && m.Kind == "audio" && m.Port != 0
}

// noAudio says what a description without an audio line has instead.
func noAudio(s Session) error {
	var have []string
	for _, m := range s.Media {
		what := printable(m.Kind)
		if m.Port == 0 {
			what += ", closed"
		} else if m.Kind == "audio" {
			what += " over " + printable(m.Proto)
		}
		have = append(have, what)
	}
	if len(have) == 0 {
		return fmt.Errorf("%w: they offer nothing", ErrNoAudio)
	}
	return fmt.Errorf("%w: they offer %s", ErrNoAudio, list(have))
}

// readAudio reads the audio line with an index, with what it inherits from the session.
func readAudio(s Session, i int) (audio, error) {
	m := s.Media[i]
	proto := strings.ToUpper(m.Proto)
	secure, known := profiles[proto]
	if !known {
		return audio{}, fmt.Errorf("%w: audio over %s", ErrMalformed, printable(m.Proto))
	}
	a := audio{
		secure: secure, overTLS: strings.HasPrefix(proto, "UDP/TLS"), direction: direction(m.Attributes, direction(s.Attributes, Both)),
		formats: readFormats(m), cryptos: readCryptos(m), fingerprints: readFingerprints(m.Attributes),
		ptime: milliseconds(m, "ptime"), maxptime: milliseconds(m, "maxptime"),
	}
	_, a.mux = m.Attribute("rtcp-mux")
	session := Media{Attributes: s.Attributes}
	if len(a.fingerprints) == 0 { // RFC 8122 §5
		a.fingerprints = readFingerprints(s.Attributes)
	}
	setup, ok := m.Attribute("setup")
	if !ok {
		setup, _ = session.Attribute("setup") // RFC 4145 §4
	}
	a.setup = strings.ToLower(setup)
	a.connection, ok = m.Attribute("connection")
	if !ok {
		a.connection, _ = session.Attribute("connection") // RFC 4145 §5
	}
	a.connection = strings.ToLower(a.connection)
	a.association, _ = m.Attribute("tls-id")
	addr := m.Addr
	if !addr.IsValid() {
		addr = s.Addr
	}
	switch {
	case !addr.IsValid():
		return audio{}, fmt.Errorf("%w: no address for their audio, or a host name", ErrMalformed)
	case addr.IsMulticast(), addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return audio{}, fmt.Errorf("%w: a group address for their audio", ErrMalformed)
	case addr.IsUnspecified(): // RFC 3264 §8.4, the old way to hold
		a.silent = true
		return a, nil
	}
	a.addr = netip.AddrPortFrom(addr, uint16(m.Port))
	a.rtcp = readRTCP(m, a.addr)
	return a, nil
}

// direction finds the direction among attributes.
func direction(attributes []Attribute, otherwise Direction) Direction {
	for _, a := range attributes {
		if i := slices.Index(directions[:], strings.ToLower(a[0])); i >= 0 {
			return Direction(i)
		}
	}
	return otherwise
}

// readRTCP finds where RTCP goes without rtcp-mux: to the next port (RFC 3550 §11) unless a=rtcp says otherwise.
func readRTCP(m Media, rtp netip.AddrPort) netip.AddrPort {
	if value, ok := m.Attribute("rtcp"); ok { // RFC 3605 §2.1
		number, where, _ := strings.Cut(value, " ")
		if port, err := strconv.ParseUint(number, 10, 16); err == nil && port != 0 {
			addr := rtp.Addr()
			if named := parseConnection(where); named.IsValid() && !named.IsUnspecified() && !named.IsMulticast() {
				addr = named
			}
			return netip.AddrPortFrom(addr, uint16(port))
		}
	}
	if rtp.Port() == 65535 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(rtp.Addr(), rtp.Port()+1)
}

func milliseconds(m Media, name string) time.Duration {
	value, _ := m.Attribute(name)
	f, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if err != nil || !(f > 0 && f < 1e4) {
		return 0
	}
	return time.Duration(f * float64(time.Millisecond))
}

// packetTime is how much sound a packet to them holds: the length nearest to what they like, of those that their maximum
// allows (RFC 8866 §6.4).
func (a audio) packetTime() time.Duration {
	wish := a.ptime
	if wish == 0 {
		wish = usualPtime
	}
	best := ptimes[0]
	for _, p := range ptimes[1:] {
		if (a.maxptime == 0 || p <= a.maxptime) && (p-wish).Abs() <= (best-wish).Abs() {
			best = p
		}
	}
	return best
}

// agreement is what follows from their side alone; the formats are missing.
func (a audio) agreement(d Direction, p Protection) Agreement {
	g := Agreement{
		Remote: a.addr, RemoteRTCP: a.rtcp, Mux: a.mux, Direction: d, Silent: a.silent, Ptime: a.packetTime(), Protection: p,
	}
	if g.Mux { // RFC 5761 §5.1.1; we always offer it, and answer it when it is offered
		g.RemoteRTCP = g.Remote
	}
	return g
}

// media writes our audio line in the place of another: the same kind and profile.
func (n *Negotiation) media(line Media, formats []Format, d Direction, mux bool) Media {
	m := Media{Kind: "audio", Port: int(n.local.Addr.Port()), Proto: line.Proto}
	for _, f := range formats {
		m.Formats = append(m.Formats, strconv.Itoa(int(f.PayloadType)))
		m.Attributes = append(m.Attributes, f.attributes()...)
	}
	if n.local.Ptime > 0 {
		m.Attributes = append(m.Attributes, Attribute{"ptime", fmt.Sprint(n.local.Ptime.Milliseconds())})
	}
	m.Attributes = append(m.Attributes, Attribute{"maxptime", fmt.Sprint(ptimes[len(ptimes)-1].Milliseconds())})
	if mux {
		m.Attributes = append(m.Attributes, Attribute{"rtcp-mux"})
	}
	m.Attributes = append(m.Attributes, Attribute{d.String()})
	return m
}

// printable makes a word of theirs fit to be shown.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	if s == "" {
		return "?"
	}
	return s[:min(len(s), 24)]
}

// list joins words for a sentence, the first few of them.
func list(words []string) string {
	const most = 8
	words = slices.Compact(words)
	if len(words) > most {
		words = append(words[:most:most], "…")
	}
	return strings.Join(words, ", ")
}
