package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

// certificate makes a self-signed certificate for loopback, and the pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// An endpoint that signs in over TLS and listens nowhere is called over the connection it has opened, side by side with
// one on UDP; and what it sends arrives.
func TestForkToTLSFlow(t *testing.T) {
	cert, pool := certificate(t)
	srv, err := New(Config{
		Listen: []sipua.Listener{{Network: "udp", Address: "127.0.0.1:0"}, {Network: "tls", Address: "127.0.0.1:0"}},
		Domain: domain, Open: true, TLS: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
	})
	if err == nil {
		err = srv.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close(context.Background()) })

	alice, plain := newPeer(t, "alice", srv, "udp"), newPeer(t, "bob", srv, "udp")
	secure := newPeer(t, "bob", srv, "udp")
	_ = secure.stack.Close()
	called := make(chan string, 8)
	secure.called, plain.called = called, called
	secure.stack, err = sipua.NewStack(t.Context(), sipua.StackConfig{ClientTLS: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = secure.stack.Close() })
	for _, a := range srv.Addrs() {
		if network, addr, _ := strings.Cut(a, ":"); network == "tls" {
			secure.to = sipua.Target{Network: "tls", Addr: netip.MustParseAddrPort(addr), Host: "127.0.0.1"}
		}
	}
	secure.stack.Serve(secure.answer)
	register := secure.register()
	register.Contact().Address = sip.Uri{Scheme: "sip", User: "bob", Host: "192.0.2.99", Port: 5061, UriParams: sip.HeaderParams{{K: "transport", V: "tls"}}}
	if res := secure.do(t, register); res.StatusCode != 200 {
		t.Fatalf("registration over tls: %d", res.StatusCode)
	}
	if res := plain.do(t, plain.register()); len(res.GetHeaders("Contact")) != 2 {
		t.Fatalf("bindings: %v", res.GetHeaders("Contact"))
	}
	message := alice.build(sip.MESSAGE, sip.Uri{Scheme: "sip", User: "bob", Host: domain})
	if res := alice.do(t, message); res.StatusCode != 200 {
		t.Fatalf("message: %d", res.StatusCode)
	}
	if a, b := <-called, <-called; a == b || !strings.Contains(a+b, "tls MESSAGE") || !strings.Contains(a+b, "udp MESSAGE") {
		t.Errorf("called %s, %s", a, b)
	}
	back := secure.build(sip.MESSAGE, sip.Uri{Scheme: "sip", User: "nobody", Host: domain})
	if res := secure.do(t, back); res.StatusCode != 202 {
		t.Errorf("message over tls: %d", res.StatusCode)
	}
}
