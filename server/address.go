package server

import (
	"net/netip"
	"net/url"
	"strings"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

// isOurs reports whether a URI's host and port name this server: the domain, or an address it listens on.
func (s *Server) isOurs(uri *sip.Uri) bool {
	if uri.Scheme != "sip" && uri.Scheme != "sips" {
		return false
	}
	host := strings.ToLower(strings.TrimSuffix(uri.Host, "."))
	isDomain := host == s.cfg.Domain || bare(host) == bare(s.cfg.Domain)
	if isDomain && uri.Port == 0 {
		return true
	}
	addr, err := netip.ParseAddr(bare(host))
	for _, l := range s.stack.Addrs() {
		here := netip.MustParseAddrPort(l.Address)
		if uri.Port != int(here.Port()) && (uri.Port != 0 || !defaultPort(l.Network, here.Port())) {
			continue
		}
		named := isDomain || host == "localhost" && here.Addr().IsLoopback()
		if named || err == nil && (here.Addr() == addr.Unmap() || here.Addr().IsUnspecified() && s.isLocal(addr.Unmap())) {
			return true
		}
	}
	return false
}

// isLocal reports whether an address is the one this machine would use towards itself.
func (s *Server) isLocal(addr netip.Addr) bool {
	for _, network := range []string{"udp", "tcp", "tls"} {
		if here, ok := s.stack.Local(network, addr); ok {
			return here.Addr() == addr
		}
	}
	return false
}

func defaultPort(network string, port uint16) bool {
	return network == "tls" && port == 5061 || network != "tls" && port == 5060
}

// bare strips the brackets of an IPv6 address.
func bare(host string) string { return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]") }

// userOf is the user a URI names, without escapes: the key of everything that is kept for the user. User names are
// case-sensitive (RFC 3261 §19.1.4).
func userOf(uri *sip.Uri) string {
	name, err := url.PathUnescape(uri.User)
	if err != nil {
		return uri.User
	}
	return name
}

// aor is the address of record of a user.
func (s *Server) aor(user string) string {
	u := sip.Uri{Scheme: "sip", User: escapeUser(user), Host: s.cfg.Domain}
	return u.String()
}

// escapeUser writes a user name so that it is one in a URI (RFC 3261 §25.1).
func escapeUser(user string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(user) {
		c := user[i]
		plain := c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if plain || strings.IndexByte("-_.!~*'()&=+$,;?/", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

// local is the URI of this server on a network, as a peer at remote reaches it.
func (s *Server) local(network string, remote netip.Addr) (sip.Uri, bool) {
	at, ok := s.stack.Local(network, remote)
	if !ok {
		return sip.Uri{}, false
	}
	u := sip.Uri{Scheme: "sip", Host: hostOf(at.Addr()), Port: int(at.Port())}
	u.UriParams.Add("transport", network)
	return u, true
}

func hostOf(addr netip.Addr) string {
	if addr.Is6() {
		return "[" + addr.String() + "]"
	}
	return addr.String()
}

// reach finds the way to an endpoint that gave its address as contact in a request that came from source. Nothing is
// ever sent to a machine other than the one the request came from, so nobody can aim this server at a third party; and
// an endpoint behind a NAT, or one that opened a connection, is reached the way it came (RFC 5626 §5.3).
func (s *Server) reach(contact *sip.Uri, source sipua.Target) (sipua.Target, bool) {
	network, _ := contact.UriParams.Get("transport")
	network = strings.ToLower(network)
	if network == "" {
		network = "udp"
		if contact.Scheme == "sips" {
			network = "tls"
		}
	}
	named, err := netip.ParseAddr(bare(contact.Host))
	direct := sipua.Target{Network: network}
	if err == nil && named.Unmap() == source.Addr.Addr() {
		port := contact.Port
		if port == 0 {
			port = 5060
			if network == "tls" {
				port = 5061
			}
		}
		direct.Addr = netip.AddrPortFrom(named.Unmap(), uint16(port))
	}
	if source.Network == "udp" {
		if direct.Addr.IsValid() {
			return direct, true
		}
		return source, true
	}
	if direct.Addr.IsValid() && network == "udp" {
		return direct, true // a long REGISTER came over TCP; the endpoint says it is to be reached over UDP
	}
	select {
	case <-s.stack.FlowDone(source):
		return direct, direct.Addr.IsValid()
	default:
		return source, true
	}
}
