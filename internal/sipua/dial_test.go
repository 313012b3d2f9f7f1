package sipua

import (
	"net/netip"
	"testing"
)

func TestLocalFor(t *testing.T) {
	listeners := []Listener{{"udp", "0.0.0.0:5060"}, {"udp", "127.0.0.7:5060"}, {"tcp", "192.0.2.1:5060"}, {"tcp", "[2001:db8::1]:5060"}, {"tcp", "localhost:5060"}}
	for to, want := range map[string]string{
		"127.0.0.1:5060":       "127.0.0.7",
		"198.51.100.1:5060":    "192.0.2.1",
		"[2001:db8::2]:5061":   "2001:db8::1",
		"[::1]:5060":           "",
		"[::ffff:127.0.0.1]:5": "127.0.0.7",
		"example.org:5060":     "",
	} {
		got, ok := localFor(listeners, to)
		if ok != (want != "") || ok && got != netip.MustParseAddr(want) {
			t.Errorf("%s is reached from %v, want %s", to, got, want)
		}
	}
}
