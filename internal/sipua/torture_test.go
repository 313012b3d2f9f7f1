package sipua

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/emiago/sipgo/sip"
)

// torture says what becomes of each message in testdata/torture, which has the defects and oddities of RFC 4475 and
// RFC 5118 in messages of our own: "handled" means that it reached the handler, "dropped" that nothing happened, a text
// is the status line of the answer that the stack gives by itself.
var torture = map[string]string{
	"folded":                 "handled",
	"wide-grammar":           "handled",
	"escapes":                "handled",
	"escaped-method":         "handled", // a method of its own, not OPTIONS
	"no-space-display":       "handled",
	"semicolon-user":         "handled",
	"many-transports":        "handled",
	"two-in-one":             "handled", // once: what follows Content-Length is discarded
	"binary-parts":           "handled",
	"foreign-scheme":         "handled", // 416 is for the transaction user
	"foreign-to":             "handled",
	"no-branch":              "handled", // RFC 2543
	"empty-branch":           "handled",
	"no-hops-left":           "handled", // 483 is for a proxy
	"odd-date":               "handled",
	"unknown-credentials":    "handled",
	"long-values":            "handled",
	"unknown-contact-params": "handled",
	"ipv6":                   "handled",
	"ipv6-port-in-address":   "handled",
	"ipv4-in-ipv6":           "handled",
	"last-semicolon":         "handled", // sloppy, but clear
	"no-empty-line":          "handled", // the datagram ends the header section

	"via-separators":      "400 Malformed Via",
	"length-too-large":    "400 Content-Length Exceeds The Message",
	"length-negative":     "400 Malformed Content-Length",
	"length-twice":        "400 More Than One Content-Length",
	"cseq-too-large":      "400 Malformed CSeq",
	"cseq-other-method":   "400 CSeq Method Does Not Match The Request",
	"cseq-other-case":     "400 CSeq Method Does Not Match The Request",
	"cseq-unknown-method": "400 CSeq Method Does Not Match The Request",
	"hops-too-many":       "400 Malformed Max-Forwards",
	"hops-text":           "400 Malformed Max-Forwards",
	"unbalanced-quote":    "400 Malformed To",
	"bracketed-target":    "400 Malformed Request-Line",
	"space-in-target":     "400 Malformed Request-Line",
	"wide-start-line":     "400 Malformed Request-Line",
	"trailing-space":      "400 Malformed Request-Line",
	"headers-in-target":   "400 Request-URI With Header Fields",
	"headers-in-contact":  "400 Malformed Contact",
	"contact-garbage":     "400 Malformed Contact",
	"spaces-in-address":   "400 Malformed To",
	"comma-in-display":    "400 Malformed From",
	"bad-escape":          "400 Malformed Request-Line",
	"other-version":       "505 Version Not Supported",
	"nothing-but-via":     "400 Missing From",
	"two-from":            "400 More Than One From",
	"two-call-id":         "400 More Than One Call-ID",
	"no-cseq":             "400 Missing CSeq",
	"no-colon":            "400 Malformed Header Field Line",
	"bare-control":        "400 Control Character In Header Field",
	"ipv6-bare":           "400 Malformed Request-Line",
	"ipv6-three-colons":   "400 Malformed Request-Line",
	"port-too-large":      "400 Malformed Request-Line",
	"received-garbage":    "400 Malformed Via",
	"two-semicolons":      "400 Malformed Via",
	"route-garbage":       "400 Malformed Route",
	"cut-short":           "400 Header Section Does Not End",
	"bare-line-feeds":     "400 Line Ends Are Not CRLF", // two readings of where a line ends are one too many

	"ack-malformed":      "dropped",
	"no-via":             "dropped",
	"not-sip":            "dropped",
	"no-version":         "dropped",
	"response-code":      "dropped",
	"response-cseq":      "dropped",
	"response-not-ours":  "dropped",
	"response-no-reason": "dropped",
}

// tortureMessage reads a message. The files have plain line ends, and names for the bytes that editors lose.
func tortureMessage(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "torture", name+".sip"))
	if err != nil {
		t.Fatal(err)
	}
	return []byte(strings.NewReplacer("\n", "\r\n", "{LF}", "\n", "{NUL}", "\x00", "{BEL}", "\a", "{DEL}", "\x7f").Replace(string(data)))
}

func TestTorture(t *testing.T) {
	files, err := filepath.Glob("testdata/torture/*.sip")
	if err != nil || len(files) != len(torture) {
		t.Fatalf("%d files for %d expectations (%v)", len(files), len(torture), err)
	}
	for name, want := range torture {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				handled := 0
				w.stack("192.0.2.2").Serve(func(_ context.Context, req *Request) {
					handled++
					_ = req.Respond(299, "Handled")
				})
				pc := w.socket("192.0.2.1:5060")
				_, err := pc.WriteTo(tortureMessage(t, name), net.UDPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.2:5060")))
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				got := "dropped"
				if packets := w.sentBy("192.0.2.2:5060"); len(packets) == 1 {
					line, _, _ := strings.Cut(packets[0], "\r\n")
					got = strings.TrimPrefix(line, "SIP/2.0 ")
				} else if len(packets) > 1 {
					t.Fatalf("%d answers", len(packets))
				}
				if got == "299 Handled" && handled == 1 {
					got = "handled"
				}
				if got != want {
					t.Fatalf("got %q, want %q", got, want)
				}
			})
		})
	}
}

// TestTortureValues looks at what the parser made of the odd ones.
func TestTortureValues(t *testing.T) {
	msg, _, d := decode(tortureMessage(t, "folded"), false)
	if d != nil {
		t.Fatal(d)
	}
	req := msg.(*sip.Request)
	check := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
	check("body", string(req.Body()), "hi")
	check("From", req.From().Value(), `"Frank \"the\" Fell \\" <sip:frank@tower.example>;tag=f1`)
	check("To", req.To().Value(), `"Grace ; of , the < valley" <sip:grace@valley.example>;note=" a ; b "`)
	check("CSeq", req.CSeq().Value(), "7 MESSAGE")
	check("Call-ID", req.CallID().Value(), "fold.1@tower.example")
	vias, contacts := req.GetHeaders("Via"), req.GetHeaders("Contact")
	if len(vias) != 2 || len(contacts) != 2 {
		t.Fatalf("%d Via, %d Contact", len(vias), len(contacts))
	}
	check("Via 1", vias[0].Value(), "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-fold;rport")
	check("Via 2", vias[1].Value(), "SIP/2.0/TCP relay.tower.example;branch=z9hG4bKupstream")
	check("Contact 1", contacts[0].Value(), `"Quoted" <sip:frank@192.0.2.1>;q=0.5;mark`)
	check("Contact 2", contacts[1].Value(), `<sip:frank@192.0.2.9>`)

	msg, _, d = decode(tortureMessage(t, "escaped-method"), false)
	if d != nil || msg.(*sip.Request).Method != "O%50TIONS" {
		t.Errorf("a method must not be unescaped: %v", d)
	}
}
