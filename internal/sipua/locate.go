package sipua

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// Locate finds where requests for uri go, best first (RFC 3263 §4): transport parameter, SRV by priority and weight,
// A and AAAA. A numeric address or a port ends the search early; sips means TLS and nothing else. NAPTR is left out: the
// order udp, tcp, tls of the SRV lookups stands in for it. Targets are numeric, so nothing behind this asks the DNS.
func (s *Stack) Locate(ctx context.Context, uri sip.Uri) ([]Target, error) {
	network, err := networkOf(uri)
	if err != nil {
		return nil, err
	}
	host := bareHost(uri.Host)
	if maddr, ok := uri.UriParams.Get("maddr"); ok && maddr != "" { // RFC 3261 §19.1.1
		host = bareHost(maddr)
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		network = cmp.Or(network, "udp")
		port := defaultPort(uri.Port, network)
		return []Target{{network, netip.AddrPortFrom(addr.Unmap(), uint16(port)), host}}, nil
	}
	if uri.Port == 0 && strings.Contains(host, ".") { // a single label is a host, not a domain
		if targets, err := s.locateSRV(ctx, host, network); err != nil || len(targets) > 0 {
			return targets, err
		}
	}
	network = cmp.Or(network, "udp")
	return s.resolve(ctx, network, host, host, defaultPort(uri.Port, network))
}

// networkOf is the transport that a URI asks for: "" leaves the choice.
func networkOf(uri sip.Uri) (string, error) {
	transport, _ := uri.UriParams.Get("transport")
	transport = strings.ToLower(transport)
	switch uri.Scheme {
	case "sips":
		switch transport {
		case "", "tcp", "tls":
			return "tls", nil
		}
		return "", fmt.Errorf("%w: a sips address allows TLS only, not %q", ErrUnreachable, transport)
	case "sip", "":
		switch transport {
		case "", "udp", "tcp", "tls":
			return transport, nil
		}
		return "", fmt.Errorf("%w: transport %q is not supported, use udp, tcp or tls", ErrUnreachable, transport)
	}
	return "", fmt.Errorf("%w: the scheme %q cannot be called", ErrUnreachable, uri.Scheme)
}

// service is what SRV asks for a transport.
type service struct{ network, name, proto string }

var services = []service{{"udp", "sip", "udp"}, {"tcp", "sip", "tcp"}, {"tls", "sips", "tcp"}}

// locateSRV looks the services up that the transport allows. No records at all is no error.
func (s *Stack) locateSRV(ctx context.Context, host, network string) ([]Target, error) {
	var targets []Target
	for _, svc := range services {
		if network != "" && network != svc.network {
			continue
		}
		_, records, err := s.cfg.Resolver.LookupSRV(ctx, svc.name, svc.proto, host)
		if err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if dns := (*net.DNSError)(nil); errors.As(err, &dns) && dns.IsTimeout {
				break // the next lookup would wait as long
			}
			continue // the address lookup will tell a broken resolver from a missing name
		}
		for _, r := range orderSRV(records) {
			name := strings.TrimSuffix(r.Target, ".")
			if name == "" {
				return nil, fmt.Errorf("%w: %s offers no SIP service", ErrUnreachable, host) // RFC 2782: target "."
			}
			// RFC 5922 §4: the certificate is for the domain that was asked, not for the SRV target.
			found, err := s.resolve(ctx, svc.network, name, host, int(r.Port))
			if err == nil {
				targets = append(targets, found...)
			}
		}
		if len(targets) > 0 && network == "" {
			break // the first transport that has servers
		}
	}
	return targets, nil
}

// orderSRV sorts by priority and, within one, draws by weight (RFC 2782).
func orderSRV(records []*net.SRV) []*net.SRV {
	rest := slices.Clone(records)
	slices.SortStableFunc(rest, func(a, b *net.SRV) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Weight, b.Weight))
	})
	ordered := make([]*net.SRV, 0, len(rest))
	for len(rest) > 0 {
		n, sum := 0, 0
		for n < len(rest) && rest[n].Priority == rest[0].Priority {
			sum += int(rest[n].Weight)
			n++
		}
		pick, draw := 0, rand.IntN(sum+1)
		for i, running := 0, 0; i < n; i++ {
			if running += int(rest[i].Weight); running >= draw {
				pick = i
				break
			}
		}
		ordered = append(ordered, rest[pick])
		rest = slices.Delete(rest, pick, pick+1)
	}
	return ordered
}

// resolve turns a name into targets, IPv4 first because more of today's SIP servers answer there.
func (s *Stack) resolve(ctx context.Context, network, name, verify string, port int) ([]Target, error) {
	addrs, err := s.cfg.Resolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		var notFound *net.DNSError
		if errors.As(err, &notFound) && notFound.IsNotFound {
			return nil, fmt.Errorf("%w: no address for %s", ErrUnreachable, name)
		}
		return nil, fmt.Errorf("%w: look up %s: %w", ErrUnreachable, name, err)
	}
	targets := make([]Target, 0, len(addrs))
	for _, a := range addrs {
		targets = append(targets, Target{network, netip.AddrPortFrom(a.Unmap(), uint16(port)), verify})
	}
	slices.SortStableFunc(targets, func(a, b Target) int {
		return cmp.Compare(a.Addr.Addr().BitLen(), b.Addr.Addr().BitLen())
	})
	return targets, nil
}
