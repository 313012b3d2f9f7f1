package sipua

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/emiago/sipgo/sip"
)

func TestParseURI(t *testing.T) {
	for s, ok := range map[string]bool{
		"sip:example.org": true,
		"sips:alice:pw@example.org:5061;lr;x=y?a=b&c": true,
		"sip:a;b=c?d@example.org":                     true,
		"sip:[2001:db8::1]:5060":                      true,
		"SIP:example.org":                             true,
		"tel:+1-555-0100":                             true,
		"urn:service:sos":                             true,
		"im:bob@example.org":                          true,
		"sip:":                                        false,
		"sip:@example.org":                            false,
		"sip:a@":                                      false,
		"example.org":                                 false,
		"sip:exa mple.org":                            false,
		"sip:a\r\nb@example.org":                      false,
		"sip:a@example.org;;":                         false,
		"sip:a@example.org:":                          false,
		"sip:a@example.org:99999":                     false,
		"sip:a%@example.org":                          false,
		"sip:a%4@example.org":                         false,
		"sip:a<b@example.org":                         false,
		"sip:[2001:db8::1":                            false,
		"sip:[fe80::1%25eth0]":                        false,
		"sip:[192.0.2.1]":                             false,
	} {
		u, err := ParseURI(s)
		if (err == nil) != ok {
			t.Errorf("%q: %v", s, err)
		}
		if ok && !strings.EqualFold(u.String(), s) {
			t.Errorf("%q is written as %q", s, u.String())
		}
	}
}

// TestReplacesInTarget: some telephones that are transferred call what Refer-To says as it is.
func TestReplacesInTarget(t *testing.T) {
	for _, tt := range []struct {
		line string
		want string // Replaces
		ok   bool
	}{
		{"INVITE sip:park@example.test?Replaces=c1%3Bto-tag%3D1%3Bfrom-tag%3D2&Require=replaces SIP/2.0", "c1;to-tag=1;from-tag=2", true},
		{"ACK sip:park@example.test?Replaces=c1%3Bto-tag%3D1%3Bfrom-tag%3D2 SIP/2.0", "", true},
		{"INVITE sip:park@example.test?Replaces=c1?to-tag?1 SIP/2.0", "", true},
		{"INVITE sip:park@example.test?Replaces=c1%3Bto-tag%3D1%3Bfrom-tag%3D2&Route=%3Csip:x%3E SIP/2.0", "", false},
		{"MESSAGE sip:park@example.test?Replaces=c1%3Bto-tag%3D1%3Bfrom-tag%3D2 SIP/2.0", "", false},
	} {
		msg, _, d := parseStart(tt.line)
		if (d == nil) != tt.ok {
			t.Errorf("%s: %v", tt.line, d)
			continue
		}
		if !tt.ok {
			continue
		}
		req, got := msg.(*sip.Request), ""
		if h := req.GetHeader("Replaces"); h != nil {
			got = h.Value()
		}
		if got != tt.want || req.Recipient.String() != "sip:park@example.test" {
			t.Errorf("%s: to %s, Replaces %q", tt.line, req.Recipient.String(), got)
		}
	}
}

func canLeave(msg sip.Message) bool {
	_, err := encode(msg)
	return err == nil
}

// TestNothingIsInjected: text that would break out of its place is refused, wherever it is put.
func TestNothingIsInjected(t *testing.T) {
	evil := "hi\r\nX-Injected: yes"
	for name, spoil := range map[string]func(*sip.Request){
		"header":       func(r *sip.Request) { r.AppendHeader(sip.NewHeader("Subject", evil)) },
		"header name":  func(r *sip.Request) { r.AppendHeader(sip.NewHeader("Sub: x\r\nY", "z")) },
		"display name": func(r *sip.Request) { r.From().DisplayName = evil },
		"quote":        func(r *sip.Request) { r.From().DisplayName = `x" <sip:mallory@evil.example>;tag=1, "` },
		"end of quote": func(r *sip.Request) { r.From().DisplayName = `x\` },
		"user":         func(r *sip.Request) { r.To().Address.User = evil },
		"angle":        func(r *sip.Request) { r.To().Address.User = "a>;tag=1" },
		"target":       func(r *sip.Request) { r.Recipient.User = "a SIP/2.0\r\nX: y" },
		"method":       func(r *sip.Request) { r.Method = "OPTIONS sip:x SIP/2.0\r\nX: y\r\n\r\n" },
		"parameter":    func(r *sip.Request) { r.To().Params.Add("tag", "1\r\nX: y") },
		"route": func(r *sip.Request) {
			r.AppendHeader(&sip.RouteHeader{Address: sip.Uri{Scheme: "sip", Host: "x>,<sip:evil.example"}})
		},
		"call id": func(r *sip.Request) { id := sip.CallIDHeader(evil); r.ReplaceHeader(&id) },
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			alice := w.stack(aHost)
			alice.Serve(nobody)
			req := request(sip.OPTIONS, "")
			spoil(req)
			_, err := alice.Send(t.Context(), req, Target{Network: "udp", Addr: netip.MustParseAddrPort(bAddr)})
			if !errors.Is(err, errUnsafe) || len(w.sentBy(aAddr)) != 0 {
				t.Errorf("%s: sent %q, %v", name, w.sentBy(aAddr), err)
			}
		})
	}
	if _, err := encode(sip.NewResponse(200, evil)); !errors.Is(err, errUnsafe) {
		t.Errorf("reason phrase: %v", err)
	}
}

func TestQuoteText(t *testing.T) {
	for in, want := range map[string]string{
		`plain`: `plain`, `a "b" \c`: `a \"b\" \\c`, "a\r\nb\x00c": "a  b c", "žluťoučký": "žluťoučký",
	} {
		got := QuoteText(in)
		if got != want || checkQuoted(got) != nil {
			t.Errorf("%q became %q", in, got)
		}
	}
}

func TestCompactFormsAreExpanded(t *testing.T) {
	in := "NOTIFY sip:a@192.0.2.1 SIP/2.0\r\nv: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKc\r\nf: <sip:b@x>;tag=1\r\nt: <sip:a@x>;tag=2\r\n" +
		"i: c\r\nCSeq: 1 NOTIFY\r\no: presence\r\nk: eventlist\r\nu: presence\r\nr: <sip:c@x>\r\ns: subject\r\nb: <sip:d@x>\r\n" +
		"e: gzip\r\nx: 90\r\nm: <sip:b@192.0.2.2>\r\nc: text/plain\r\nl: 0\r\nsubscription-state: active\r\n\r\n"
	msg, _, d := decode([]byte(in), false)
	if d != nil {
		t.Fatal(d)
	}
	req := msg.(*sip.Request)
	for _, name := range []string{
		"Event", "Supported", "Allow-Events", "Refer-To", "Subject", "Referred-By", "Content-Encoding", "Session-Expires", "Subscription-State",
	} {
		if req.GetHeader(name) == nil || !req.RemoveHeader(name) {
			t.Errorf("no %s", name)
		}
	}
	if req.Contact() == nil || req.ContentType() == nil || req.ReferTo() != nil {
		t.Error("typed headers are wrong")
	}
}

func TestTraceHidesCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var seen []TraceEvent
		alice := w.stack(aHost, func(c *StackConfig) { c.Trace = func(e TraceEvent) { seen = append(seen, e) } })
		alice.Serve(nobody)
		bob := w.stack(bHost)
		bob.Serve(func(_ context.Context, req *Request) {
			if v := req.GetHeader("Authorization").Value(); !strings.Contains(v, "hush") {
				t.Errorf("the credentials did not arrive: %s", v)
			}
			_ = req.Respond(200, "OK")
		})
		req := request(sip.REGISTER, "body: stays\r\n")
		req.AppendHeader(sip.NewHeader("Authorization", `Digest username="alice", response="hush"`))
		req.AppendHeader(sip.NewHeader("Subject", "shown"))
		final(t, w.send(alice, req, bHost))
		if len(seen) != 2 || !seen[0].Out || seen[1].Out || seen[0].Remote != bAddr || seen[0].Local != aAddr {
			t.Fatalf("trace %+v", seen)
		}
		text := string(seen[0].Raw)
		if strings.Contains(text, "hush") || strings.Contains(text, "alice\",") || !strings.Contains(text, "Authorization: Digest [removed]\r\nSubject: shown") ||
			!strings.HasSuffix(text, "body: stays\r\n") {
			t.Errorf("trace %s", text)
		}
	})
	parked := redact([]byte("SIP/2.0 200 OK\r\nCall-Info: <sip:701@a>;purpose=x-park-orbit, <SIP:pk-hush2345@a>;purpose=x-park-retrieve\r\n"))
	if bytes.Contains(parked, []byte("hush")) || !bytes.Contains(parked, []byte("<SIP:pk-[removed]@a>")) {
		t.Errorf("the address of a parked call is traced: %q", parked)
	}
	folded := redact([]byte("A: 1\r\nproxy-AUTHORIZATION :\r\n Digest a=\"hush\",\r\n\tb=\"hush\"\r\nB: 2\r\n"))
	if bytes.Contains(folded, []byte("hush")) || !bytes.HasSuffix(folded, []byte("B: 2\r\n")) {
		t.Errorf("folded: %s", folded)
	}
}

// FuzzWire: no bytes can crash the parser, and what it lets through it reads the same way again after writing it.
func FuzzWire(f *testing.F) {
	files, _ := filepath.Glob("testdata/torture/*.sip")
	for _, name := range files {
		f.Add(tortureMessage(f, strings.TrimSuffix(filepath.Base(name), ".sip")), false)
	}
	f.Add([]byte(request(sip.INVITE, "v=0\r\n").String()), true)
	f.Fuzz(func(t *testing.T, data []byte, stream bool) {
		msg, raw, d := decode(data, stream)
		if d != nil {
			if res := refusal(raw, d); res != nil {
				if _, _, d := decode([]byte(res.String()), true); d != nil && d.code != 400 {
					t.Fatalf("the refusal cannot be read: %v", d)
				}
			}
			return
		}
		once := msg.String()
		again, _, d := decode([]byte(once), true)
		if d != nil {
			t.Fatalf("%v in what we wrote:\n%s", d, once)
		}
		if twice := again.String(); twice != once {
			t.Fatalf("read differently:\n%s\n%s", once, twice)
		}
		if _, err := encode(msg); err != nil {
			t.Fatalf("let in what may not go out: %v", err)
		}
	})
}

// FuzzStack feeds a whole stack one datagram: it neither stops nor answers with more than one packet.
func FuzzStack(f *testing.F) {
	files, _ := filepath.Glob("testdata/torture/*.sip")
	for _, name := range files {
		f.Add(tortureMessage(f, strings.TrimSuffix(filepath.Base(name), ".sip")))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			bob := w.stack(bHost)
			bob.Serve(func(_ context.Context, req *Request) { _ = req.SendOnce(req.Response(404, "Not Found", nil), nil) })
			pc := w.socket(aAddr)
			_, _ = pc.WriteTo(data, udpAddr(bAddr))
			synctest.Wait()
			if n := len(w.sentBy(bAddr)); n > 1 {
				t.Fatalf("%d packets for one", n)
			}
		})
	})
}
