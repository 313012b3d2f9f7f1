package sipua

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// zone is a resolver with fixed answers. It notes what it was asked.
type zone struct {
	srv   map[string][]*net.SRV // by _service._proto.name
	addrs map[string][]netip.Addr
	asked []string
}

func (d *zone) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	q := "_" + service + "._" + proto + "." + name
	d.asked = append(d.asked, q)
	if rs, ok := d.srv[q]; ok {
		return q, rs, nil
	}
	return "", nil, &net.DNSError{Err: "no such host", Name: q, IsNotFound: true}
}

func (d *zone) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	d.asked = append(d.asked, host)
	if as, ok := d.addrs[host]; ok {
		return as, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func TestLocate(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	d := func() *zone {
		return &zone{
			srv: map[string][]*net.SRV{
				"_sip._udp.both.example":   {{Target: "b.both.example.", Port: 5070, Priority: 20}, {Target: "a.both.example.", Port: 5060, Priority: 10}},
				"_sip._tcp.both.example":   {{Target: "a.both.example.", Port: 5062}},
				"_sips._tcp.both.example":  {{Target: "a.both.example.", Port: 5061}},
				"_sip._tcp.stream.example": {{Target: "a.both.example.", Port: 5060}},
				"_sip._udp.none.example":   {{Target: ".", Port: 0}},
				"_sip._udp.half.example":   {{Target: "missing.example.", Port: 5060}, {Target: "a.both.example.", Port: 5060, Priority: 1}},
			},
			addrs: map[string][]netip.Addr{
				"a.both.example": {v6, v4}, "b.both.example": {v4}, "plain.example": {v4}, "host": {v4},
			},
		}
	}
	for _, c := range []struct{ uri, want string }{
		{"sip:192.0.2.9", "udp:192.0.2.9:5060"},
		{"sip:192.0.2.9:5070;transport=TCP", "tcp:192.0.2.9:5070"},
		{"sips:[2001:db8::9]", "tls:[2001:db8::9]:5061"},
		{"sip:192.0.2.9;transport=tls", "tls:192.0.2.9:5061"},
		{"sip:x.example;maddr=192.0.2.8", "udp:192.0.2.8:5060"},
		{"sip:both.example", "udp:192.0.2.1:5060 udp:[2001:db8::1]:5060 udp:192.0.2.1:5070"},
		{"sip:both.example;transport=tcp", "tcp:192.0.2.1:5062 tcp:[2001:db8::1]:5062"},
		{"sips:both.example", "tls:192.0.2.1:5061 tls:[2001:db8::1]:5061"},
		{"sip:stream.example", "tcp:192.0.2.1:5060 tcp:[2001:db8::1]:5060"},
		{"sip:half.example", "udp:192.0.2.1:5060 udp:[2001:db8::1]:5060"},
		{"sip:plain.example", "udp:192.0.2.1:5060"},
		{"sip:plain.example:5099", "udp:192.0.2.1:5099"},
		{"sips:plain.example", "tls:192.0.2.1:5061"},
		{"sip:host", "udp:192.0.2.1:5060"},
		{"sip:none.example", "error"},
		{"sip:unknown.example", "error"},
		{"sip:both.example;transport=sctp", "error"},
		{"sips:both.example;transport=udp", "error"},
		{"tel:+15550100", "error"},
	} {
		s := &Stack{cfg: StackConfig{Resolver: d()}}
		uri, err := ParseURI(c.uri)
		if err != nil {
			t.Fatal(err)
		}
		targets, err := s.Locate(t.Context(), uri)
		var got []string
		for _, to := range targets {
			got = append(got, to.String())
		}
		if errors.Is(err, ErrUnreachable) {
			got = []string{"error"}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v (%v), want %s", c.uri, got, err, c.want)
		}
	}
}

// The certificate must be for the domain the user wrote, not for a name that the DNS put in its place.
func TestLocateVerifiesTheDomain(t *testing.T) {
	s := &Stack{cfg: StackConfig{Resolver: &zone{
		srv:   map[string][]*net.SRV{"_sips._tcp.good.example": {{Target: "evil.example.", Port: 5061}}},
		addrs: map[string][]netip.Addr{"evil.example": {netip.MustParseAddr("192.0.2.66")}},
	}}}
	uri, err := ParseURI("sips:good.example")
	if err != nil {
		t.Fatal(err)
	}
	targets, err := s.Locate(t.Context(), uri)
	if err != nil || len(targets) != 1 || targets[0].Host != "good.example" {
		t.Errorf("got %+v, %v", targets, err)
	}
}

func TestLocateAsksNothingItNeedNot(t *testing.T) {
	d := &zone{addrs: map[string][]netip.Addr{"plain.example": {netip.MustParseAddr("192.0.2.1")}}}
	s := &Stack{cfg: StackConfig{Resolver: d}}
	for uri, want := range map[string]string{
		"sip:192.0.2.9":                    "",
		"sip:plain.example:5060":           "plain.example",
		"sip:plain.example;transport=udp":  "_sip._udp.plain.example plain.example",
		"sips:plain.example;transport=tcp": "_sips._tcp.plain.example plain.example",
	} {
		d.asked = nil
		u, err := ParseURI(uri)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Locate(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(d.asked, " "); got != want {
			t.Errorf("%s asked %q, want %q", uri, got, want)
		}
	}
}

func TestWeightsShareTheLoad(t *testing.T) {
	records := []*net.SRV{{Target: "last", Priority: 2, Weight: 100}, {Target: "heavy", Priority: 1, Weight: 90}, {Target: "light", Priority: 1, Weight: 10}}
	heavy := 0
	for range 2000 {
		got := orderSRV(records)
		if len(got) != 3 || got[2].Target != "last" {
			t.Fatalf("order %v %v %v", got[0], got[1], got[2])
		}
		if got[0].Target == "heavy" {
			heavy++
		}
	}
	if heavy < 1600 || heavy > 1980 {
		t.Errorf("the heavy one came first %d times of 2000", heavy)
	}
}
