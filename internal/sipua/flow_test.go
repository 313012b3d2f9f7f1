package sipua

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
)

// authority makes a certificate authority and a certificate for the name.
func authority(t *testing.T, name string) (*x509.CertPool, tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{name}, KeyUsage: x509.KeyUsageDigitalSignature,
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(nil)
	parsed, err := x509.ParseCertificate(caDER)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(parsed)
	return pool, tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: key}
}

func TestTLSVerifiesTheName(t *testing.T) {
	roots, cert := authority(t, "bob.example")
	bob := loopback(t, StackConfig{ServerTLS: &tls.Config{Certificates: []tls.Certificate{cert}}}, "tls")
	from := make(chan Target, 1)
	bob.Serve(func(_ context.Context, req *Request) {
		from <- req.Source()
		_ = req.Respond(200, "OK")
	})
	alice := loopback(t, StackConfig{ClientTLS: &tls.Config{RootCAs: roots}}, "udp")
	alice.Serve(func(_ context.Context, req *Request) { _ = req.Respond(200, "OK") })
	to := targetOf(t, bob, "tls")

	to.Host = "bob.example"
	tx, err := alice.Send(t.Context(), request(sip.OPTIONS, ""), to)
	if err != nil {
		t.Fatal(err)
	}
	if res := final(t, tx); res.StatusCode != 200 || tx.Request().Via().Transport != "TLS" {
		t.Errorf("got %s", res.StartLine())
	}
	// Bob answers over the connection that alice opened, but cannot know that it leads to any name.
	back := <-from
	tx, err = bob.Send(t.Context(), request(sip.OPTIONS, ""), back)
	if err != nil {
		t.Fatal(err)
	}
	final(t, tx)
	back.Host = "alice.example"
	if _, err := bob.Send(t.Context(), request(sip.OPTIONS, ""), back); !errors.Is(err, ErrUnreachable) {
		t.Errorf("an unverified connection was used for a name: %v", err)
	}
	// The open connection was verified for bob.example; it must not serve another name.
	to.Host = "mallory.example"
	if _, err := alice.Send(t.Context(), request(sip.OPTIONS, ""), to); !errors.Is(err, ErrTLS) {
		t.Errorf("another name: %v", err)
	}
	stranger := loopback(t, StackConfig{}, "udp")
	stranger.Serve(nobody)
	to.Host = "bob.example"
	if _, err := stranger.Send(t.Context(), request(sip.OPTIONS, ""), to); !errors.Is(err, ErrTLS) {
		t.Errorf("an unknown authority: %v", err)
	}
}

// TestConnectionServesBothWays: a client behind a NAT is reached over the connection it opened.
func TestConnectionServesBothWays(t *testing.T) {
	server := loopback(t, StackConfig{}, "tcp")
	back := make(chan Target, 1)
	server.Serve(func(_ context.Context, req *Request) {
		_ = req.Respond(200, "OK")
		back <- req.Source()
	})
	client := loopback(t, StackConfig{}, "udp")
	client.Serve(func(_ context.Context, req *Request) { _ = req.Respond(200, "Reached") })
	tx, err := client.Send(t.Context(), request(sip.REGISTER, ""), targetOf(t, server, "tcp"))
	if err != nil {
		t.Fatal(err)
	}
	final(t, tx)
	source := <-back
	tx2, err := server.Send(t.Context(), request(sip.MESSAGE, "hello"), source)
	if err != nil {
		t.Fatal(err)
	}
	if res := final(t, tx2); res.Reason != "Reached" {
		t.Errorf("got %s", res.StartLine())
	}
	if n := server.Stats().Connections; n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestManySendersShareOneConnection(t *testing.T) {
	var dialed atomic.Int32
	bob := loopback(t, StackConfig{}, "tcp")
	bob.Serve(func(_ context.Context, req *Request) { _ = req.Respond(200, "OK") })
	alice := loopback(t, StackConfig{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		dialed.Add(1)
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}, "udp")
	alice.Serve(nobody)
	to := targetOf(t, bob, "tcp")
	errs := make(chan error, 20)
	for range cap(errs) {
		go func() {
			tx, err := alice.Send(context.Background(), request(sip.MESSAGE, "x"), to)
			if err == nil {
				for res := range tx.Responses() {
					if res.StatusCode != 200 {
						err = fmt.Errorf("got %d", res.StatusCode)
					}
				}
				err = errors.Join(err, tx.Err())
			}
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if dialed.Load() != 1 {
		t.Errorf("dialed %d times", dialed.Load())
	}
}

func TestLostConnectionEndsTransactions(t *testing.T) {
	bob := loopback(t, StackConfig{}, "tcp")
	got := make(chan struct{})
	bob.Serve(func(ctx context.Context, _ *Request) {
		close(got)
		<-ctx.Done()
	})
	alice := loopback(t, StackConfig{}, "udp")
	alice.Serve(nobody)
	tx, err := alice.Send(t.Context(), request(sip.MESSAGE, "x"), targetOf(t, bob, "tcp"))
	if err != nil {
		t.Fatal(err)
	}
	<-got
	lost := alice.FlowDone(tx.Target())
	_ = bob.Close()
	for range tx.Responses() {
	}
	if !errors.Is(tx.Err(), ErrUnreachable) {
		t.Errorf("ended with %v", tx.Err())
	}
	<-lost
	<-alice.FlowDone(tx.Target())
	if err := alice.KeepAlive(tx.Target()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("keep-alive on a lost flow: %v", err)
	}
}

// pipe connects a stack to the test over an in-memory stream.
func pipe(t *testing.T, change ...func(*StackConfig)) (*Stack, net.Conn, Target) {
	t.Helper()
	ours, theirs := net.Pipe()
	cfg := StackConfig{Dial: func(context.Context, string, string) (net.Conn, error) { return theirs, nil }}
	for _, f := range change {
		f(&cfg)
	}
	s, err := NewStack(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = ours.Close()
		_ = s.Close()
	})
	to := Target{Network: "tcp", Addr: netip.MustParseAddrPort("192.0.2.2:5060")}
	return s, ours, to
}

func TestKeepAliveAndPong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, peer, to := pipe(t)
		s.Serve(nobody)
		if _, err := s.connect(t.Context(), to); err != nil {
			t.Fatal(err)
		}
		read := func(n int) string {
			b := make([]byte, n)
			_, _ = io.ReadFull(peer, b)
			return string(b)
		}
		ping := func() error {
			errs := make(chan error, 1)
			go func() { errs <- s.KeepAlive(to) }()
			if got := read(4); got != "\r\n\r\n" {
				t.Errorf("ping %q", got)
			}
			return <-errs
		}
		// A peer that has never answered is not held to answer.
		if err := ping(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if err := ping(); err != nil {
			t.Fatal("a silent peer was given up:", err)
		}
		// Once it has, silence means that the flow is dead.
		_, _ = peer.Write([]byte("\r\n"))
		synctest.Wait()
		if err := ping(); err != nil {
			t.Fatal(err)
		}
		lost, start := s.FlowDone(to), time.Now()
		<-lost
		if d := time.Since(start); d != pongTimeout {
			t.Errorf("given up after %v", d)
		}
	})
}

func TestPingIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, peer, to := pipe(t)
		s.Serve(nobody)
		if _, err := s.connect(t.Context(), to); err != nil {
			t.Fatal(err)
		}
		_, _ = peer.Write([]byte("\r\n\r\n"))
		b := make([]byte, 2)
		if _, err := io.ReadFull(peer, b); err != nil || string(b) != "\r\n" {
			t.Errorf("pong %q, %v", b, err)
		}
	})
}

// TestStreamFraming feeds a connection in pieces and looks at what comes back.
func TestStreamFraming(t *testing.T) {
	ok := "OPTIONS sip:b@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK%d\r\nFrom: <sip:a@x.example>;tag=1\r\n" +
		"To: <sip:b@x.example>\r\nCall-ID: c%[1]d\r\nCSeq: 1 OPTIONS\r\nContent-Length: %d\r\n\r\n%s"
	one, two := fmt.Sprintf(ok, 1, 5, "hello"), fmt.Sprintf(ok, 2, 0, "")
	cases := []struct {
		name, in string
		want     []string
		closed   bool
	}{
		{"two at once", one + two, []string{"200", "200"}, false},
		{"blank lines between", "\r\n" + one + "\r\n\r\n\r\n" + two, []string{"200", "200"}, false},
		{"too long", strings.Replace(one, "5\r\n\r\nhello", "3000\r\n\r\n"+strings.Repeat("x", 3000), 1) + two, []string{"513", "200"}, false},
		{"endless header", strings.Replace(one, "Call-ID", "X: "+strings.Repeat("x", 5000)+"\r\nCall-ID", 1), []string{"513"}, true},
		{"no length", strings.Replace(one, "Content-Length: 5\r\n", "", 1), []string{"400"}, true},
		{"two lengths", strings.Replace(one, "CSeq", "l: 9\r\nCSeq", 1), []string{"400"}, true},
		{"negative length", strings.Replace(one, "Length: 5", "Length: -5", 1), []string{"400"}, true},
		{"malformed but framed", strings.Replace(one, "From: <", "From: <<", 1) + two, []string{"400", "200"}, false},
	}
	for _, c := range cases {
		for _, piece := range []int{1, 7, 1 << 20} {
			t.Run(fmt.Sprintf("%s/%d", c.name, piece), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, peer, to := pipe(t, func(c *StackConfig) { c.MaxMessage = 2000 })
					s.Serve(func(_ context.Context, req *Request) { _ = req.Respond(200, "OK") })
					if _, err := s.connect(t.Context(), to); err != nil {
						t.Fatal(err)
					}
					codes := make(chan string, 10)
					go func() {
						defer close(codes)
						for r := bufio.NewReader(peer); ; {
							line, err := r.ReadString('\n')
							if err != nil {
								return
							}
							if strings.HasPrefix(line, "SIP/2.0 ") {
								codes <- line[8:11]
							}
						}
					}()
					for in := c.in; in != ""; {
						n := min(piece, len(in))
						if _, err := peer.Write([]byte(in[:n])); err != nil {
							break
						}
						in = in[n:]
					}
					synctest.Wait()
					if closed := s.Stats().Connections == 0; closed != c.closed {
						t.Errorf("connection closed: %v", closed)
					}
					_ = peer.Close()
					var got []string
					for code := range codes {
						got = append(got, code)
					}
					if strings.Join(got, " ") != strings.Join(c.want, " ") && !(len(got) == 2 && got[0]+got[1] == c.want[1]+c.want[0]) {
						t.Errorf("got %v, want %v", got, c.want)
					}
				})
			})
		}
	}
}

func TestLimitDropsUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		bob := w.stack(bHost, func(c *StackConfig) {
			c.Limit = func(a netip.Addr) bool { return a != netip.MustParseAddr(aHost) }
		})
		bob.Serve(func(context.Context, *Request) { t.Error("handled") })
		alice := w.stack(aHost)
		alice.Serve(nobody)
		tx := w.send(alice, request(sip.OPTIONS, ""), bHost)
		for range tx.Responses() {
			t.Error("answered")
		}
		if n := bob.Stats().Limited; n != 11 {
			t.Errorf("%d limited", n)
		}
	})
}

// TestAnswersGoBackToTheSource: the Via may name anybody; what we send goes to where the request came from.
func TestAnswersGoBackToTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.stack(bHost).Serve(func(_ context.Context, req *Request) { _ = req.Respond(200, "OK") })
		pc := w.socket(aHost + ":4000")
		for _, via := range []string{"198.51.100.7:5060;rport", "phone.example:4000"} {
			req := request(sip.OPTIONS, "")
			text := strings.Replace(req.String(), "\r\n", "\r\nVia: SIP/2.0/UDP "+via+";branch=z9hG4bK"+sip.GenerateTagN(8)+"\r\n", 1)
			_, _ = pc.WriteTo([]byte(text), udpAddr(bAddr))
			b := make([]byte, 2000)
			n, _, err := pc.ReadFrom(b)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(b[:n]); !strings.Contains(got, "received="+aHost) {
				t.Errorf("no received in %s", got)
			} else if strings.Contains(via, "rport") && !strings.Contains(got, "rport=4000") {
				t.Errorf("no rport in %s", got)
			}
		}
	})
}

// FuzzStream feeds a connection: whatever comes, reading ends when the peer closes.
func FuzzStream(f *testing.F) {
	f.Add([]byte("\r\n\r\nOPTIONS sip:b@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1\r\nl: 2\r\n\r\nhi"))
	f.Add([]byte("SIP/2.0 200 OK\nl: 99999999\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		synctest.Test(t, func(t *testing.T) {
			s, peer, to := pipe(t, func(c *StackConfig) { c.MaxMessage = 300 })
			s.Serve(func(_ context.Context, req *Request) { _ = req.Respond(200, "OK") })
			if _, err := s.connect(t.Context(), to); err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = io.Copy(io.Discard, peer) }()
			_, _ = peer.Write(data)
			_ = peer.Close()
			synctest.Wait()
			if n := s.Stats().Connections; n != 0 {
				t.Fatalf("%d connections left", n)
			}
		})
	})
}
