package server

import (
	"context"
	"crypto/rand"
	"net/netip"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

// realPeer is a user agent on real sockets.
type realPeer struct {
	name, network string
	stack         *sipua.Stack
	to            sipua.Target
	seq           uint32
	called        chan string // if not nil, told of each request: network and method
}

// newPeer makes a user agent that reaches a server over a network and answers everything with 200. Over tcp it does not
// listen: only its own connection leads to it.
func newPeer(t testing.TB, name string, srv *Server, network string) *realPeer {
	t.Helper()
	stack, err := sipua.NewStack(context.Background(), sipua.StackConfig{
		Listeners: []sipua.Listener{{Network: "udp", Address: "127.0.0.1:0"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stack.Close() })
	p := &realPeer{name: name, network: network, stack: stack}
	for _, a := range srv.Addrs() {
		if n, addr, _ := strings.Cut(a, ":"); n == network {
			p.to = sipua.Target{Network: n, Addr: netip.MustParseAddrPort(addr)}
		}
	}
	stack.Serve(p.answer)
	return p
}

// answer takes everything.
func (p *realPeer) answer(_ context.Context, req *sipua.Request) {
	if p.called != nil {
		p.called <- req.Source().Network + " " + string(req.Method)
	}
	_ = req.Respond(200, "OK", &sip.ContactHeader{Address: p.contact()})
}

func (p *realPeer) contact() sip.Uri {
	at, _ := p.stack.Local("udp", p.to.Addr.Addr())
	u := sip.Uri{Scheme: "sip", User: p.name, Host: "127.0.0.1", Port: int(at.Port())}
	u.UriParams.Add("transport", p.network)
	return u
}

func (p *realPeer) build(method sip.RequestMethod, to sip.Uri) *sip.Request {
	req := sip.NewRequest(method, to)
	from := sip.FromHeader{Address: sip.Uri{Scheme: "sip", User: p.name, Host: domain}}
	from.Params.Add("tag", p.name)
	req.AppendHeader(&from)
	req.AppendHeader(&sip.ToHeader{Address: sip.Uri{Scheme: "sip", User: to.User, Host: domain}})
	callID := sip.CallIDHeader(rand.Text())
	req.AppendHeader(&callID)
	p.seq++
	req.AppendHeader(&sip.CSeqHeader{SeqNo: p.seq, MethodName: method})
	req.AppendHeader(&sip.ContactHeader{Address: p.contact()})
	return req
}

func (p *realPeer) register() *sip.Request {
	req := p.build(sip.REGISTER, sip.Uri{Scheme: "sip", User: p.name, Host: domain})
	req.Recipient.User = ""
	return req
}

func (p *realPeer) do(t testing.TB, req *sip.Request) *sip.Response {
	t.Helper()
	tx, err := p.stack.Send(context.Background(), req, p.to)
	if err != nil {
		t.Fatal(err)
	}
	for res := range tx.Responses() {
		if !res.IsProvisional() {
			tx.Terminate()
			return res
		}
	}
	t.Fatalf("%s: %v", req.Method, tx.Err())
	return nil
}

func benchServer(b *testing.B) *Server {
	b.Helper()
	srv, err := New(Config{
		Listen: []sipua.Listener{{Network: "udp", Address: "127.0.0.1:0"}}, Domain: domain, Open: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := srv.Start(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = srv.Close(context.Background()) })
	return srv
}

func BenchmarkRegister(b *testing.B) {
	srv := benchServer(b)
	p := newPeer(b, "alice", srv, "udp")
	for b.Loop() {
		p.do(b, p.register())
	}
}

func BenchmarkMessage(b *testing.B) {
	srv := benchServer(b)
	alice, bob := newPeer(b, "alice", srv, "udp"), newPeer(b, "bob", srv, "udp")
	bob.do(b, bob.register())
	to := sip.Uri{Scheme: "sip", User: "bob", Host: domain}
	for b.Loop() {
		req := alice.build(sip.MESSAGE, to)
		req.SetBody([]byte("hello"))
		alice.do(b, req)
	}
}

// BenchmarkForkedInvite is an INVITE to three endpoints that all answer, up to the first 200.
func BenchmarkForkedInvite(b *testing.B) {
	srv := benchServer(b)
	alice := newPeer(b, "alice", srv, "udp")
	for range 3 {
		bob := newPeer(b, "bob", srv, "udp")
		bob.do(b, bob.register())
	}
	to := sip.Uri{Scheme: "sip", User: "bob", Host: domain}
	for b.Loop() {
		alice.do(b, alice.build(sip.INVITE, to))
	}
}
