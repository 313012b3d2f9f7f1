package server

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

func TestProxyRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		change func(req *sip.Request)
		code   int
	}{
		"no hops left":      {func(r *sip.Request) { h := sip.MaxForwardsHeader(0); r.AppendHeader(&h) }, 483},
		"required of proxy": {func(r *sip.Request) { r.AppendHeader(sip.NewHeader("Proxy-Require", "magic")) }, 420},
		"foreign scheme":    {func(r *sip.Request) { _ = sip.ParseUri("tel:+15551234", &r.Recipient) }, 416},
		"another domain":    {func(r *sip.Request) { r.Recipient.Host = "example.com" }, 403},
		"direct address":    {func(r *sip.Request) { r.Recipient.Host, r.Recipient.Port = "127.0.2.1", 5060 }, 403},
		"foreign sender":    {func(r *sip.Request) { r.From().Address.Host = "example.com" }, 403},
		"foreign route": {func(r *sip.Request) {
			r.AppendHeader(&sip.RouteHeader{Address: sip.Uri{Scheme: "sip", Host: "127.0.9.9", UriParams: sip.HeaderParams{{K: "lr"}}}})
		}, 403},
		"forged mark": {func(r *sip.Request) {
			r.AppendHeader(&sip.RouteHeader{Address: sip.Uri{
				Scheme: "sip", User: "d.00000000000000000000", Host: "127.0.0.1", Port: 5060, UriParams: sip.HeaderParams{{K: "lr"}},
			}})
			r.Recipient.Host, r.Recipient.Port = "127.0.9.9", 5060
		}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				alice, bob := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1")
				w.ua("victim", "127.0.9.9")
				bob.register()
				for _, method := range []sip.RequestMethod{sip.INVITE, sip.MESSAGE, sip.INFO, "NEWMETHOD"} {
					req := alice.request(method, bob.uri())
					c.change(req)
					alice.expect(c.code, req)
				}
			})
		})
	}
}

// An endpoint that registers the address of the server itself makes a loop.
func TestLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice, bob := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1")
		bob.register()
		seen := 0
		bob.on(func(req *sipua.Request) { // sends back what it gets, as a broken gateway would
			seen++
			back := req.Clone()
			back.Recipient = bob.uri()
			res := bob.do(back)
			up := req.Response(res.StatusCode, res.Reason, nil)
			_ = req.Send(up)
		})
		alice.expect(482, alice.request(sip.INFO, bob.uri()))
		if seen != 1 {
			t.Errorf("it went round %d times", seen)
		}
	})
}

func TestForwardedRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice, bob := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1")
		bob.register()
		bob.answer(486)
		req := alice.request(sip.INVITE, bob.uri(), "X-Custom: kept as it is")
		hops := sip.MaxForwardsHeader(10)
		req.AppendHeader(&hops)
		alice.expect(486, req)
		got := bob.requests(sip.INVITE)[0]
		if h := got.MaxForwards().Val(); h != 9 {
			t.Errorf("Max-Forwards %d", h)
		}
		if h := got.GetHeader("X-Custom"); h == nil || h.Value() != "kept as it is" {
			t.Errorf("X-Custom: %v", h)
		}
		if n := len(got.GetHeaders("Via")); n != 2 {
			t.Errorf("%d Vias", n)
		}
		rr := got.GetHeaders("Record-Route")
		if len(rr) != 1 || !strings.Contains(rr[0].Value(), ";lr") || !strings.Contains(rr[0].Value(), "127.0.0.1:5060") {
			t.Errorf("Record-Route %v", rr)
		}
	})
}

// A dialog goes on when the server starts again; one that the server never saw does not.
func TestDialogOutlivesRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		keep := func(c *Config) { c.StateDir = dir }
		w := newWorld(t, keep)
		alice, bob := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1")
		bob.register()
		res := alice.expect(200, alice.request(sip.INVITE, bob.uri()))
		alice.ack(res)
		w.stop(w.srv)
		w.start(keep)
		alice.expect(200, alice.inDialog(sip.INFO, res))
		w.stop(w.srv)
		w.start() // another key
		alice.expect(481, alice.inDialog(sip.INFO, res))
	})
}

func TestRequestsUnderWayAreBounded(t *testing.T) {
	s := &Server{active: map[string]int{}}
	for range maxActive {
		if !s.begin("alice") {
			t.Fatal("refused too early")
		}
	}
	if s.begin("alice") || !s.begin("bob") {
		t.Error("the bound is not each user's own")
	}
	if s.end("alice"); !s.begin("alice") {
		t.Error("nothing is freed")
	}
}
