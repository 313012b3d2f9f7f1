package server

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
)

func contacts(res *sip.Response) []*sip.ContactHeader {
	var cs []*sip.ContactHeader
	for _, h := range res.GetHeaders("Contact") {
		cs = append(cs, h.(*sip.ContactHeader))
	}
	return cs
}

func TestRegisterListsAllBindings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		b1, b2 := w.ua("bob", "127.0.2.1"), w.ua("bob", "127.0.2.2")
		b1.register()
		time.Sleep(100 * time.Second)
		got := contacts(b2.register())
		if len(got) != 2 {
			t.Fatalf("%d bindings", len(got))
		}
		for i, want := range []string{"3500", "3600"} {
			if e, _ := got[i].Params.Get("expires"); e != want {
				t.Errorf("binding %d expires in %s, want %s", i, e, want)
			}
			if g, _ := got[i].Params.Get("pub-gruu"); !strings.Contains(g, "sip:bob@example.test;gr=urn:uuid:") {
				t.Errorf("pub-gruu %s", g)
			}
			if g, _ := got[i].Params.Get("temp-gruu"); !strings.Contains(g, "sip:tgruu.") {
				t.Errorf("temp-gruu %s", g)
			}
		}
		query := b1.registration(3600)
		query.RemoveHeader("Contact")
		if got := contacts(b1.expect(200, query)); len(got) != 2 {
			t.Errorf("a query lists %d bindings", len(got))
		}
	})
}

func TestRegisterReplaces(t *testing.T) {
	for name, c := range map[string]struct {
		first, second func(u *ua, req *sip.Request)
		want          int
	}{
		"same address":        {nil, nil, 1},
		"restarted elsewhere": {nil, func(u *ua, req *sip.Request) { req.Contact().Address.Port = 7070 }, 1},
		"same flow": {
			func(u *ua, req *sip.Request) { req.Contact().Params.Add("reg-id", "1") },
			func(u *ua, req *sip.Request) {
				req.Contact().Params.Add("reg-id", "1")
				req.Contact().Address.Port = 7070
			}, 1,
		},
		"another flow": {
			func(u *ua, req *sip.Request) { req.Contact().Params.Add("reg-id", "1") },
			func(u *ua, req *sip.Request) {
				req.Contact().Params.Add("reg-id", "2")
				req.Contact().Address.Port = 7070
			}, 2,
		},
		"no instance": {nil, func(u *ua, req *sip.Request) {
			req.Contact().Params = nil
			req.Contact().Address.Port = 7070
		}, 2},
		"removed": {nil, func(u *ua, req *sip.Request) { req.Contact().Params.Add("expires", "0") }, 0},
		"all removed": {nil, func(u *ua, req *sip.Request) {
			c := req.Contact()
			c.Address, c.Params = sip.Uri{Wildcard: true, Host: "*"}, nil
			req.AppendHeader(sip.NewHeader("Expires", "0"))
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				bob := w.ua("bob", "127.0.2.1")
				req := bob.registration(3600)
				if c.first != nil {
					c.first(bob, req)
				}
				bob.expect(200, req)
				req = bob.registration(3600)
				if c.second != nil {
					c.second(bob, req)
				}
				if got := contacts(bob.expect(200, req)); len(got) != c.want {
					t.Errorf("%d bindings, want %d: %v", len(got), c.want, got)
				}
			})
		})
	}
}

func TestRegisterRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		change func(req *sip.Request)
		code   int
		header string
	}{
		"too brief":       {func(r *sip.Request) { r.Contact().Params.Add("expires", "1") }, 423, "Min-Expires: 10"},
		"star and time":   {func(r *sip.Request) { r.Contact().Address = sip.Uri{Wildcard: true, Host: "*"} }, 400, ""},
		"somebody else":   {func(r *sip.Request) { r.To().Address.User = "carol" }, 403, ""},
		"another domain":  {func(r *sip.Request) { r.To().Address.Host = "example.com" }, 404, ""},
		"required option": {func(r *sip.Request) { r.AppendHeader(sip.NewHeader("Require", "magic")) }, 420, "Unsupported: magic"},
		"foreign scheme":  {func(r *sip.Request) { r.Contact().Address = sip.Uri{Scheme: "http", Host: "example.com"} }, 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				bob := w.ua("bob", "127.0.2.1")
				req := bob.registration(3600)
				c.change(req)
				res := bob.expect(c.code, req)
				if name, value, ok := strings.Cut(c.header, ": "); ok {
					if h := res.GetHeader(name); h == nil || h.Value() != value {
						t.Errorf("%s is %v, want %s", name, h, value)
					}
				}
			})
		})
	}
}

func TestRegisterOrderAndExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		bob := w.ua("bob", "127.0.2.1")
		first := bob.registration(60)
		bob.expect(200, first)
		stale := first.Clone()
		stale.Contact().Params.Add("expires", "0")
		bob.expect(500, stale) // RFC 3261 §10.3: the same Call-ID, and no higher CSeq
		if n := len(w.srv.location.bindings("bob")); n != 1 {
			t.Fatalf("%d bindings", n)
		}
		time.Sleep(61 * time.Second)
		alice := w.ua("alice", "127.0.1.1")
		alice.expect(480, alice.request(sip.INVITE, bob.uri()))
	})
}

func TestBindingsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		bob := w.ua("bob", "127.0.2.1")
		for i := range maxBindings + 1 {
			req := bob.registration(3600)
			req.Contact().Params = nil
			req.Contact().Address.Port = 6000 + i
			want := 200
			if i == maxBindings {
				want = 403
			}
			bob.expect(want, req)
		}
	})
}

// A contact on another machine than the request came from is never sent to: the flow is (RFC 5626 §5.3).
func TestRequestsFollowTheFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice, bob, victim := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1"), w.ua("victim", "127.0.9.9")
		req := bob.registration(3600)
		req.Contact().Address.Host = "127.0.9.9"
		bob.expect(200, req)
		alice.expect(200, alice.message(bob, "hello"))
		if len(victim.requests(sip.MESSAGE)) != 0 || len(bob.requests(sip.MESSAGE)) != 1 {
			t.Error("the message went to a machine that has not registered")
		}
	})
}

func TestGRUU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice, b1, b2 := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1"), w.ua("bob", "127.0.2.2")
		b1.register()
		all := contacts(b2.register())
		for i, param := range []string{"pub-gruu", "temp-gruu"} {
			gruu, _ := all[1].Params.Get(param)
			var uri sip.Uri
			if err := sip.ParseUri(strings.Trim(gruu, `"`), &uri); err != nil {
				t.Fatal(err)
			}
			req := alice.request(sip.MESSAGE, uri, "Content-Type: text/plain")
			req.SetBody([]byte("to one"))
			alice.expect(200, req)
			if len(b1.requests(sip.MESSAGE)) != 0 || len(b2.requests(sip.MESSAGE)) != i+1 {
				t.Errorf("%s %s went astray", param, gruu)
			}
			if got := b2.requests(sip.MESSAGE)[i].Recipient; got.Host != "127.0.2.2" {
				t.Errorf("request URI %s", got.String())
			}
		}
		b2.expect(200, b2.registration(0))
		uri := sip.Uri{Scheme: "sip", User: "bob", Host: domain}
		uri.UriParams.Add("gr", b2.instance())
		alice.expect(480, alice.request(sip.MESSAGE, uri))
	})
}

// The call of somebody whose Contact is a GRUU goes on inside the dialog.
func TestGRUUInsideADialog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice, bob := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1")
		alice.register()
		bob.register()
		invite := alice.request(sip.INVITE, bob.uri())
		gruu := alice.uri()
		gruu.UriParams.Add("gr", alice.instance())
		invite.Contact().Address = gruu
		bob.ringing(200, 0)
		res := alice.expect(200, invite)
		alice.ack(res)
		got := bob.requests(sip.INVITE)[0]
		bye := bob.request(sip.BYE, got.Contact().Address)
		bye.RemoveHeader("Call-ID")
		sip.CopyHeaders("Call-ID", got.Request, bye)
		for _, h := range got.GetHeaders("Record-Route") {
			bye.AppendHeader(&sip.RouteHeader{Address: h.(*sip.RecordRouteHeader).Address})
		}
		bye.To().Params.Add("tag", alice.from)
		bob.expect(200, bye)
		if n := len(alice.requests(sip.BYE)); n != 1 {
			t.Errorf("%d BYEs arrived", n)
		}
	})
}
