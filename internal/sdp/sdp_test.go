package sdp

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

var compare = cmp.Options{cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{})}

func lines(s ...string) []byte { return []byte(strings.Join(s, "\r\n") + "\r\n") }

// failer is what a test and a property have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

func mustParse(t failer, b []byte) Session {
	t.Helper()
	s, err := Parse(b)
	if err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	return s
}

var local = MessageOffer{
	Addr: netip.MustParseAddrPort("192.0.2.7:5062"), AcceptTypes: []string{"text/plain", "application/im-iscomposing+xml"},
	SessionID: 42,
}

func TestOffer(t *testing.T) {
	want := string(lines("v=0", "o=- 42 0 IN IP4 192.0.2.7", "s=session", "c=IN IP4 192.0.2.7", "t=0 0",
		"m=message 5062 sip null", "a=accept-types:text/plain application/im-iscomposing+xml"))
	if got := string(local.Marshal()); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	six := MessageOffer{Addr: netip.MustParseAddrPort("[2001:db8::1]:0")}
	if got := string(six.Marshal()); !strings.Contains(got, "c=IN IP6 2001:db8::1\r\n") || !strings.Contains(got, "m=message 5060 sip null\r\n") {
		t.Errorf("IPv6 without a port:\n%s", got)
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   string
		want Session
	}{
		{"what an office client offers", string(lines("v=0", "o=- 0 0 IN IP4 192.0.2.57", "s=session", "c=IN IP4 192.0.2.57",
			"t=0 0", "m=message 5060 sip null", "a=accept-types:text/plain multipart/alternative image/gif")), Session{
			Origin: "- 0 0 IN IP4 192.0.2.57", Name: "session", Addr: netip.MustParseAddr("192.0.2.57"), Time: "0 0",
			Media: []Media{{
				Kind: "message", Port: 5060, Proto: "sip", Formats: []string{"null"},
				AcceptTypes: []string{"text/plain", "multipart/alternative", "image/gif"},
				Attributes:  []Attribute{{"accept-types", "text/plain multipart/alternative image/gif"}},
			}},
		}},
		{"LF, no o=, order, spaces", "s=x \nv=0\n\nm=audio  4000/2  RTP/AVP 0 8\nc=IN IP4 224.0.0.1/127\na=sendrecv\nk=clear:x\n", Session{
			Name: "x",
			Media: []Media{{
				Kind: "audio", Port: 4000, Proto: "RTP/AVP", Formats: []string{"0", "8"}, Addr: netip.MustParseAddr("224.0.0.1"),
				Attributes: []Attribute{{"sendrecv", ""}},
			}},
		}},
		{"session attributes and a host name", "v=0\nc=IN IP4 pc.example.org\na=group:BUNDLE 1\na=\nt=1 2\nt=3 4\nm=message 9 TCP/TLS/MSRP *", Session{
			Time: "1 2", Attributes: []Attribute{{"group", "BUNDLE 1"}},
			Media: []Media{{Kind: "message", Port: 9, Proto: "TCP/TLS/MSRP", Formats: []string{"*"}}},
		}},
		{"types with commas, twice", "m=message 1 sip null\na=Accept-Types: text/plain,TEXT/HTML\na=accept-types:text/plain", Session{
			Media: []Media{{
				Kind: "message", Port: 1, Proto: "sip", Formats: []string{"null"}, AcceptTypes: []string{"text/plain", "text/html", "text/plain"},
				Attributes: []Attribute{{"Accept-Types", "text/plain,TEXT/HTML"}, {"accept-types", "text/plain"}},
			}},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, mustParse(t, []byte(tt.in)), compare); diff != "" {
				t.Error(diff)
			}
		})
	}
	for name, in := range map[string]string{
		"nothing": "", "blank lines": "\r\n\r\n", "text": "hello", "another version": "v=1\r\n", "short media": "v=0\nm=audio 1\n",
		"port": "m=audio x RTP/AVP 0", "port too large": "m=audio 65536 RTP/AVP 0", "negative port": "m=audio -1 RTP/AVP 0",
		"control character": "v=0\ns=a\x00b", "carriage return inside": "v=0\na=x\ry",
		"many media": strings.Repeat("m=a 1 b c\n", MaxMedia+1), "large": "s=" + strings.Repeat("x", MaxSize),
	} {
		if _, err := Parse([]byte(in)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnswer(t *testing.T) {
	offer := mustParse(t, lines("v=0", "o=x 1 2 IN IP4 192.0.2.1", "s=-", "t=7 8",
		"m=audio 4000 RTP/AVP 0 8", "a=rtpmap:0 PCMU/8000",
		"m=message 0 sip null",
		"m=message 5060 sip null", "a=accept-types:text/plain",
		"m=message 2855 TCP/TLS/MSRP *", "a=path:msrps://192.0.2.1:2855/x;tcp",
		"m=x-ms-message 5060 sip null",
		"m=video 4002 RTP/AVP"))
	got, err := AnswerMessage(offer, local, "bob@example.org")
	if err != nil {
		t.Fatal(err)
	}
	want := string(lines("v=0", "o=- 42 0 IN IP4 192.0.2.7", "s=session", "c=IN IP4 192.0.2.7", "t=7 8",
		"m=audio 0 RTP/AVP 0 8",
		"m=message 0 sip null",
		"m=message 5062 sip sip:bob@example.org", "a=accept-types:text/plain application/im-iscomposing+xml",
		"m=message 0 TCP/TLS/MSRP *",
		"m=x-ms-message 0 sip null",
		"m=video 0 RTP/AVP 0"))
	if string(got) != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	types, ok := AcceptedMessage(mustParse(t, got))
	if !ok || fmt.Sprint(types) != "[text/plain application/im-iscomposing+xml]" {
		t.Errorf("the offerer reads %v, %v", types, ok)
	}
	for _, none := range []string{"v=0\n", "m=audio 4000 RTP/AVP 0", "m=message 0 sip null", "m=message 9 TCP/MSRP *"} {
		if _, err := AnswerMessage(mustParse(t, []byte(none)), local, "sip:b@x"); !errors.Is(err, ErrNoMessage) {
			t.Errorf("%q: %v", none, err)
		}
	}
	if got, err = AnswerMessage(offer, local, "sip:b\r\na=x:"); err != nil || !strings.Contains(string(got), "m=message 5062 sip null\r\n") {
		t.Errorf("an address with a line break: %v\n%s", err, got)
	}
}

func TestAccepted(t *testing.T) {
	for in, want := range map[string]string{
		"m=message 5060 sip sip:bob@example.org":                                 "[text/plain] true",
		"m=x-ms-message 5060 SIP null\na=accept-types:*":                         "[*] true",
		"m=audio 0 RTP/AVP 0\nm=message 5060 sip null\na=accept-types:text/html": "[text/html] true",
		"m=message 0 sip null":                                                   "[] false",
		"m=message 9 TCP/TLS/MSRP *":                                             "[] false",
		"v=0":                                                                    "[] false",
	} {
		types, ok := AcceptedMessage(mustParse(t, []byte(in)))
		if got := fmt.Sprint(types, ok); got != want {
			t.Errorf("%q: %s", in, got)
		}
	}
}

func TestAccepts(t *testing.T) {
	for _, tt := range []struct {
		types, kind string
		want        bool
	}{
		{"text/plain", "Text/Plain; charset=UTF-8", true},
		{"text/html", "text/plain", false},
		{"*", "text/plain", true},
		{"text/*", "text/plain", true},
		{"text/*", "application/pdf", false},
		{"", "text/plain", false},
	} {
		if got := Accepts(strings.Fields(tt.types), tt.kind); got != tt.want {
			t.Errorf("%q accepts %q: %v", tt.types, tt.kind, got)
		}
	}
}

// TestAnswerShape: whatever is offered, an answer has the same media in the same order, one of them open.
func TestAnswerShape(t *testing.T) {
	token := rapid.StringMatching(`[a-zA-Z0-9/*.-]{1,8}`)
	media := rapid.Custom(func(t *rapid.T) Media {
		return Media{
			Kind:    rapid.OneOf(rapid.SampledFrom([]string{"message", "x-ms-message", "audio"}), token).Draw(t, "kind"),
			Port:    rapid.SampledFrom([]int{0, 9, 5060, 65535}).Draw(t, "port"),
			Proto:   rapid.OneOf(rapid.SampledFrom([]string{"sip", "TCP/TLS/MSRP", "RTP/AVP"}), token).Draw(t, "proto"),
			Formats: rapid.SliceOfN(token, 0, 3).Draw(t, "formats"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		offer := Session{Time: "0 0", Media: rapid.SliceOfN(media, 0, 6).Draw(t, "media")}
		possible := false
		for _, m := range offer.Media {
			possible = possible || m.isMessage()
		}
		b, err := AnswerMessage(offer, local, "sip:bob@example.org")
		if err != nil {
			if possible || !errors.Is(err, ErrNoMessage) {
				t.Fatal(err)
			}
			return
		}
		answer, err := Parse(b)
		if err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		if len(answer.Media) != len(offer.Media) {
			t.Fatalf("%d lines answer %d", len(answer.Media), len(offer.Media))
		}
		open := 0
		for i, m := range answer.Media {
			o := offer.Media[i]
			if m.Kind != o.Kind || !strings.EqualFold(m.Proto, o.Proto) || len(m.Formats) == 0 {
				t.Fatalf("line %d: %+v answers %+v", i, m, o)
			}
			if m.Port != 0 {
				open++
				if o.Port == 0 {
					t.Fatalf("line %d was not offered, but is accepted", i)
				}
			}
		}
		if _, ok := AcceptedMessage(answer); !ok || open != 1 {
			t.Fatalf("%d lines are open\n%s", open, b)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(local.Marshal())
	f.Add([]byte("v=0\no=- 1 1 IN IP6 ::1\ns=\nc=IN IP6 ::ffff:1.2.3.4\na=group:x\nm=audio 1/2 RTP/AVP 0 101\nc=IN IP4 0.0.0.0\na=fmtp:101 0-15\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Parse(b)
		if err != nil {
			return
		}
		again, err := Parse(s.Marshal())
		if err != nil {
			if len(s.Marshal()) > MaxSize {
				return
			}
			t.Fatalf("%v\n%q", err, s.Marshal())
		}
		third := mustParse(t, again.Marshal())
		if diff := cmp.Diff(again, third, compare); diff != "" {
			t.Fatal(diff)
		}
		if len(again.Media) != len(s.Media) || len(again.Attributes) != len(s.Attributes) {
			t.Fatalf("lines were lost: %q", s.Marshal())
		}
		if answer, err := AnswerMessage(s, local, "sip:bob@example.org"); err == nil {
			if got := mustParse(t, answer); len(got.Media) != len(s.Media) {
				t.Fatalf("%d lines answer %d", len(got.Media), len(s.Media))
			}
		}
	})
}
