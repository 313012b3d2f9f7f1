package server

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"

	"offhook/internal/sipua"
)

func netUDP(addr string) net.Addr { return net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)) }

// nasty are requests in the manner of RFC 4475 and RFC 5118, with the status that is due; 0 is silence.
var nasty = []struct {
	name, data string
	want       int
}{
	{"valid but odd white space", head("OPTIONS sip:example.test SIP/2.0") + "TO :\r\n sip:example.test\r\n" + tail("OPTIONS"), 200},
	{"no hops left", head("OPTIONS sip:bob@example.test SIP/2.0") + "To: <sip:b@h>\r\nMax-Forwards: 0\r\n" + tail("OPTIONS"), 483},
	{"unknown scheme", head("OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0") + "To: <sip:b@h>\r\n" + tail("OPTIONS"), 416},
	{"unknown method", head("NEWMETHOD sip:nobody@example.test SIP/2.0") + "To: <sip:b@h>\r\n" + tail("NEWMETHOD"), 480},
	{"method mismatch", head("OPTIONS sip:example.test SIP/2.0") + "To: <sip:b@h>\r\n" + tail("INVITE"), 400},
	{"no To", head("OPTIONS sip:example.test SIP/2.0") + tail("OPTIONS"), 400},
	{"two Call-IDs", head("OPTIONS sip:example.test SIP/2.0") + "To: <sip:b@h>\r\nCall-ID: 2\r\n" + tail("OPTIONS"), 400},
	{"huge CSeq", head("OPTIONS sip:example.test SIP/2.0") + "To: <sip:b@h>\r\nFrom: <sip:a@h>;tag=1\r\nCall-ID: 1\r\nCSeq: 36893488147419103232 OPTIONS\r\n\r\n", 400},
	{"negative length", head("OPTIONS sip:example.test SIP/2.0") + "To: <sip:b@h>\r\nContent-Length: -999\r\n" + tail("OPTIONS"), 400},
	{"spaces in the URI", head("OPTIONS sip:ex ample.test SIP/2.0") + "To: <sip:b@h>\r\n" + tail("OPTIONS"), 400},
	{"version 7", head("OPTIONS sip:example.test SIP/7.0") + "To: <sip:b@h>\r\n" + tail("OPTIONS"), 505},
	{"unbalanced quotes", head("OPTIONS sip:example.test SIP/2.0") + "To: \"Mr J. User <sip:b@h>\r\n" + tail("OPTIONS"), 400},
	{"bare IPv6 address", head("OPTIONS sip:2001:db8::10 SIP/2.0") + "To: <sip:b@h>\r\n" + tail("OPTIONS"), 400},
	{"IPv6 reference", head("OPTIONS sip:user@[2001:db8::10] SIP/2.0") + "To: <sip:b@h>\r\n" + tail("OPTIONS"), 403},
	{"REGISTER with headers in the contact", head("REGISTER sip:example.test SIP/2.0") +
		"To: <sip:alice@example.test>\r\nContact: <sip:alice@127.0.5.1?Route=%3Csip:x%3E>\r\n" + tail("REGISTER"), 200},
	{"REGISTER for a foreign scheme", head("REGISTER sip:example.test SIP/2.0") + "To: isbn:2983792873\r\n" + tail("REGISTER"), 404},
	{"required extensions", head("OPTIONS sip:example.test SIP/2.0") + "To: <sip:b@h>\r\nProxy-Require: noProxiesSupportThis\r\n" + tail("OPTIONS"), 420},
	{"a response", "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.5.1;branch=z9hG4bKx\r\nTo: <sip:b@h>\r\n" + tail("INVITE"), 0},
	{"an impossible response", "SIP/2.0 4294967301 better not break\r\nVia: SIP/2.0/UDP 127.0.5.1;branch=z9hG4bKx\r\nTo: <sip:b@h>\r\n" + tail("INVITE"), 0},
	{"a stray ACK", head("ACK sip:bob@example.test SIP/2.0") + "To: <sip:b@h>;tag=2\r\n" + tail("ACK"), 0},
	{"nothing SIP", "GET / HTTP/1.1\r\nHost: example.test\r\n\r\n", 0},
	{"noise", "\x00\xff\xfe\x01\r\n\r\n", 0},
}

func head(line string) string {
	return line + "\r\nVia: SIP/2.0/UDP 127.0.5.1;branch=z9hG4bK" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, line) + "\r\n"
}

func tail(method string) string {
	return "From: <sip:alice@example.test>;tag=1\r\nCall-ID: 1@x\r\nCSeq: 1 " + method + "\r\nl: 0\r\n\r\n"
}

func TestNastyMessages(t *testing.T) {
	for _, c := range nasty {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				pc, err := w.net.ListenPacket(t.Context(), "udp", "127.0.5.1:5060")
				if err != nil {
					t.Fatal(err)
				}
				defer pc.Close()
				if _, err := pc.WriteTo([]byte(c.data), netUDP(serverAddr.String())); err != nil {
					t.Fatal(err)
				}
				_ = pc.SetReadDeadline(time.Now().Add(time.Second))
				buf := make([]byte, 65536)
				n, _, err := pc.ReadFrom(buf)
				got := 0
				if err == nil {
					got = (int(buf[8])-'0')*100 + (int(buf[9])-'0')*10 + int(buf[10]) - '0'
				}
				if got != c.want {
					t.Errorf("got %d, want %d: %q", got, c.want, buf[:n])
				}
				alice := w.ua("alice", "127.0.1.1")
				alice.register() // it is still alive
			})
		})
	}
}

// A fault in the serving of one request leaves the others alone.
func TestFaultIsContained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		alice := w.ua("alice", "127.0.1.1")
		broken := w.srv.presence
		w.srv.presence = nil
		alice.expect(500, alice.publication(alice.document("active")))
		w.srv.presence = broken
		alice.register()
	})
}

// FuzzServer sends what comes to a server that has a registered user, a subscription, a call and a stored message, and then asks
// whether it still serves.
func FuzzServer(f *testing.F) {
	for _, c := range nasty {
		f.Add([]byte(c.data))
	}
	f.Add([]byte(head("PUBLISH sip:alice@example.test SIP/2.0") + "To: <sip:alice@example.test>\r\nEvent: presence\r\nExpires: 0\r\n" + tail("PUBLISH")))
	f.Add([]byte(head("SUBSCRIBE sip:alice@example.test SIP/2.0") + "To: <sip:alice@example.test>\r\nEvent: reg\r\nContact: <sip:a@127.0.5.1>\r\n" + tail("SUBSCRIBE")))
	f.Add([]byte(head("MESSAGE sip:bob@example.test;gr=urn:uuid:1 SIP/2.0") + "To: <sip:bob@example.test>\r\n" + tail("MESSAGE")))
	f.Add([]byte(head("BYE sip:bob@127.0.2.1 SIP/2.0") + "To: <sip:bob@example.test>;tag=1\r\nRoute: <sip:d.0@127.0.0.1;lr>,<sip:x@127.0.9.9>\r\n" + tail("BYE")))
	f.Add([]byte(head("REGISTER sip:example.test SIP/2.0") + "To: <sip:alice@example.test>\r\nContact: *\r\nExpires: 0\r\n" + tail("REGISTER")))
	f.Fuzz(func(t *testing.T, data []byte) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			alice, bob := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1")
			bob.register()
			alice.expect(200, alice.subscription("presence", bob))
			bob.ringing(200, time.Second)
			tx := alice.start(alice.request(sip.INVITE, bob.uri()))
			pc, err := w.net.ListenPacket(t.Context(), "udp", "127.0.5.1:5060")
			if err != nil {
				t.Fatal(err)
			}
			defer pc.Close()
			for _, part := range bytes.SplitAfter(data, []byte("\r\n\r\n\r\n")) {
				if len(part) > 0 {
					_, _ = pc.WriteTo(part, netUDP(serverAddr.String()))
				}
			}
			for res := range tx.Responses() {
				if res.IsSuccess() {
					alice.ack(res)
					break
				}
			}
			tx.Terminate()
			carol := w.ua("carol", "127.0.3.1")
			carol.register()
			if n := w.srv.stack.Stats().Faults + uint64(w.faults.Load()); n != 0 {
				t.Fatalf("%d faults", n)
			}
		})
	})
}

// mangling is how a fuzzer spoils a valid request: it picks by byte, so that it finds its way in small steps.
type mangling struct {
	t    *testing.T
	w    *world
	data []byte
	seen []*sip.Response // of requests before, to take tags, routes and marks from
}

// next is the next choice out of n.
func (m *mangling) next(n int) int {
	if len(m.data) == 0 {
		return 0
	}
	c := int(m.data[0]) % n
	m.data = m.data[1:]
	return c
}

func (m *mangling) pick(of ...string) string { return of[m.next(len(of))] }

// request builds a request that is nearly right.
func (m *mangling) request(u, other *ua) *sip.Request {
	methods := []sip.RequestMethod{
		sip.REGISTER, sip.INVITE, sip.MESSAGE, sip.SUBSCRIBE, sip.PUBLISH, sip.OPTIONS, sip.BYE, sip.CANCEL, sip.NOTIFY, sip.PRACK,
		sip.UPDATE, sip.REFER, "FOO",
	}
	to := other.uri()
	switch m.next(7) {
	case 1:
		to = u.uri()
	case 2:
		to.User = ""
	case 3:
		to.UriParams.Add("gr", m.pick("", u.instance(), "x"))
	case 4:
		to = other.contact().Address
	case 5:
		to.Host, to.Port = serverAddr.Addr().String(), int(serverAddr.Port())
	case 6:
		to.UriParams.Add("lr", "")
		to.User = "d." + m.pick("", "0", "zz")
	}
	req := u.request(methods[m.next(len(methods))], to)
	if len(m.seen) > 0 && m.next(2) == 1 {
		m.continueDialog(req, m.seen[m.next(len(m.seen))])
	}
	for range m.next(4) {
		req.AppendHeader(sip.NewHeader(
			m.pick("Event", "Expires", "SIP-If-Match", "Require", "Proxy-Require", "Supported", "Accept", "Content-Type", "Route",
				"Record-Route", "Reason", "Max-Forwards", "Replaces", "Authorization"),
			m.pick("presence", "reg", "0", "60", "4294967295", "-1", "", "gruu", "<sip:127.0.0.1;lr>", "<sip:d.1@127.0.0.1;lr>",
				"application/pidf+xml", "application/im-iscomposing+xml", "Digest realm=\"x\"", "<sip:x@127.0.9.9;lr>, <sip:127.0.0.1>"),
		))
	}
	switch c := req.Contact(); m.next(6) {
	case 1:
		req.RemoveHeader("Contact")
	case 2:
		c.Params.Add("expires", m.pick("0", "60", "x", "99999999999"))
		c.Params.Add("+sip.instance", m.pick(`"<urn:x>"`, `""`, u.instance()))
		c.Params.Add("reg-id", m.pick("1", "2", ""))
	case 3:
		c.Address = sip.Uri{Wildcard: true, Host: "*"}
	case 4:
		c.Address.Host = m.pick("127.0.0.1", "localhost", "[::1]", "example.test", "127.0.9.9")
	case 5:
		c.Address.UriParams.Add("transport", m.pick("tcp", "tls", "sctp", ""))
	}
	req.CSeq().SeqNo = uint32(m.next(3)) * 0x3fffffff
	length := m.next(len(m.data) + 1) // of which the choice itself takes one
	req.SetBody(m.data[:min(length, len(m.data))])
	return req
}

// continueDialog puts a request into the dialog or transaction of an answer.
func (m *mangling) continueDialog(req *sip.Request, res *sip.Response) {
	req.ReplaceHeader(sip.HeaderClone(res.CallID()))
	if m.next(2) == 1 {
		req.ReplaceHeader(sip.HeaderClone(res.To()))
	}
	if m.next(2) == 1 {
		req.ReplaceHeader(sip.HeaderClone(res.From()))
	}
	if m.next(2) == 1 {
		for _, h := range res.GetHeaders("Record-Route") {
			req.AppendHeader(&sip.RouteHeader{Address: h.(*sip.RecordRouteHeader).Address})
		}
	}
	if c := res.Contact(); c != nil && !c.Address.Wildcard && m.next(2) == 1 {
		req.Recipient = *c.Address.Clone()
	}
	if etag := res.GetHeader("SIP-ETag"); etag != nil {
		req.AppendHeader(sip.NewHeader("SIP-If-Match", etag.Value()))
	}
	if m.next(3) == 1 { // the same branch again: a repetition that is none, or the CANCEL of something
		branch, _ := res.Via().Params.Get("branch")
		req.PrependHeader(&sip.ViaHeader{Params: sip.HeaderParams{{K: "branch", V: branch}}})
	}
}

// FuzzConversation sends sequences of nearly right requests that refer to each other, to a server in the middle of its
// work. It must neither break nor lose count of what it holds.
func FuzzConversation(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{1, 0, 1, 0, 0, 0, 0, 6, 0, 1, 0, 1, 1, 1, 1, 1, 0, 0})
	f.Add([]byte{0, 3, 1, 0, 1, 0, 2, 0, 3, 1, 1, 1, 1, 0, 2, 1, 2, 3, 4, 5})
	f.Add([]byte{1, 4, 0, 1, 0, 0, 7, 10, 4, 2, 1, 1, 0, 1, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 400 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			alice, b1, b2 := w.ua("alice", "127.0.1.1"), w.ua("bob", "127.0.2.1"), w.ua("bob", "127.0.2.2")
			b1.register()
			b2.register()
			b2.ringing(486, time.Second)
			m := &mangling{t: t, w: w, data: data}
			for range 8 {
				from, to := alice, b1
				if m.next(2) == 1 {
					from, to = b1, alice
				}
				tx, err := from.stack.Send(t.Context(), m.request(from, to), sipua.Target{Network: "udp", Addr: serverAddr})
				if err != nil {
					continue // the choices came to nothing that could be sent
				}
				wait := time.After(time.Duration(m.next(3)) * 700 * time.Millisecond)
				select {
				case res, ok := <-tx.Responses():
					if ok {
						m.seen = append(m.seen, res)
					}
				case <-wait:
				}
				if m.next(3) == 1 {
					tx.Cancel("")
				}
				if len(m.data) == 0 {
					break
				}
			}
			time.Sleep(10 * time.Minute) // everything that was begun ends by itself
			if n := w.srv.stack.Stats().Transactions; n > 4 {
				t.Errorf("%d transactions are left over", n) // a subscription may be at its NOTIFY
			}
			if n := w.srv.stack.Stats().Faults + uint64(w.faults.Load()); n != 0 {
				t.Fatalf("%d faults", n)
			}
			w.srv.mu.Lock()
			if len(w.srv.active) > 0 {
				t.Errorf("still counted as under way: %v", w.srv.active)
			}
			w.srv.mu.Unlock()
			carol := w.ua("carol", "127.0.3.1")
			carol.register()
			alice.expect(200, alice.message(carol, "still here"))
		})
	})
}

// Over TCP a request goes back to the connection that its endpoint opened, and a call between UDP and TCP records both
// sides (RFC 5658 §3).
func TestCallBetweenTransports(t *testing.T) {
	srv, err := New(Config{
		Listen: []sipua.Listener{{Network: "udp", Address: "127.0.0.1:0"}, {Network: "tcp", Address: "127.0.0.1:0"}},
		Domain: domain, Open: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer srv.Close(context.Background())
	tcp := newPeer(t, "bob", srv, "tcp")
	udp := newPeer(t, "alice", srv, "udp")
	if res := tcp.do(t, tcp.register()); res.StatusCode != 200 {
		t.Fatal(res.StatusCode)
	}
	res := udp.do(t, udp.build(sip.INVITE, sip.Uri{Scheme: "sip", User: "bob", Host: domain}))
	if res.StatusCode != 200 {
		t.Fatal(res.StatusCode)
	}
	routes := res.GetHeaders("Record-Route")
	if len(routes) != 2 || !strings.Contains(routes[0].Value(), "transport=tcp") || !strings.Contains(routes[1].Value(), "transport=udp") {
		t.Fatalf("Record-Route %v", routes)
	}
	bye := udp.build(sip.BYE, res.Contact().Address)
	bye.ReplaceHeader(sip.HeaderClone(res.CallID()))
	bye.ReplaceHeader(sip.HeaderClone(res.To()))
	for i := range routes {
		bye.AppendHeader(&sip.RouteHeader{Address: routes[len(routes)-1-i].(*sip.RecordRouteHeader).Address})
	}
	if res := udp.do(t, bye); res.StatusCode != 200 {
		t.Errorf("BYE: %d", res.StatusCode)
	}
}
