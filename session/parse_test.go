package session

import (
	"strings"
	"testing"
	"unicode"

	"github.com/emiago/sipgo/sip"
)

func TestResolve(t *testing.T) {
	e, err := New(Config{AOR: "sip:alice@Example.org:5070"})
	if err != nil {
		t.Fatal(err)
	}
	for typed, want := range map[string]string{
		"bob":                          "sip:bob@example.org:5070",
		" bob@other.org ":              "sip:bob@other.org",
		"sip:bob@[2001:db8::1]:5080":   "sip:bob@[2001:db8::1]:5080",
		"SIPS:bob@example.net":         "sips:bob@example.net",
		"+49 (30) 123-45":              "sip:+493012345@example.org:5070",
		"1347":                         "sip:1347@example.org:5070",
		"sip:bob@other.org;user=phone": "sip:bob@other.org",
	} {
		uri, err := e.Resolve(typed)
		if err != nil || addressOf(uri) != want {
			t.Errorf("%q is %s, %v; want %s", typed, addressOf(uri), err, want)
		}
	}
	for _, typed := range []string{"", "  ", "two words", "sip:", "sip:@host", "sip:bob@", "bob@ex\r\nVia: x", "<sip:bob@host>", "tel:123", strings.Repeat("x", 600)} {
		if uri, err := e.Resolve(typed); err == nil {
			t.Errorf("%q is %s", typed, uri.String())
		}
	}
}

func TestNewRefusesBadConfigurations(t *testing.T) {
	for _, cfg := range []Config{
		{},
		{AOR: "alice"},
		{AOR: "sip:example.org"},
		{AOR: "sip:alice@example.org", Server: "not an address"},
		{AOR: "sip:alice@example.org", ToastTimeout: -1},
		{AOR: "sip:alice@example.org", ToastTimeout: maxInvite},
	} {
		if _, err := New(cfg); kindOf(err) != KindConfig {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

// Addresses that make the same conversation.
func TestPeerKey(t *testing.T) {
	key := func(s string) string {
		var uri sip.Uri
		if err := parseAddress(s, &uri); err != nil {
			t.Fatal(err)
		}
		return peerKey(uri)
	}
	for _, same := range []string{"sip:bob@EXAMPLE.org", "sips:bob@example.org", "sip:bob@example.org:5060", "sip:bob@example.org;transport=tcp"} {
		if key(same) != key("sip:bob@example.org") {
			t.Errorf("%s is somebody else", same)
		}
	}
	for _, other := range []string{"sip:Bob@example.org", "sip:bob@example.org:5070", "sip:bob@example.com"} {
		if key(other) == key("sip:bob@example.org") {
			t.Errorf("%s is bob", other)
		}
	}
}

// What parseAddress lets through can be written into a message.
func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"sip:bob@example.org", "sips:bob@[::1]:5061;lr", "sip:a\r\nb@c", "sip:%00@x", "sip:bob@x?Subject=y", "bob"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var uri sip.Uri
		if parseAddress(s, &uri) != nil {
			return
		}
		for _, out := range []string{addressOf(uri), uri.String(), peerKey(uri)} {
			if strings.ContainsFunc(out, func(r rune) bool { return unicode.IsControl(r) || r == '<' || r == '>' }) {
				t.Errorf("%q became %q", s, out)
			}
		}
	})
}

// Bodies of strangers: whatever they are, reading them ends, and HTML never comes out as text.
func FuzzReadPart(f *testing.F) {
	f.Add("text/plain", []byte("hello"))
	f.Add("text/plain; charset=iso-8859-1", []byte("gr\xfc\xdfe"))
	f.Add("multipart/alternative; boundary=x", []byte("--x\r\nContent-Type: text/plain\r\n\r\nhi\r\n--x--\r\n"))
	f.Add("multipart/mixed; boundary=x", []byte("--x\r\n\r\n--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n"))
	f.Add("application/im-iscomposing+xml", []byte("<isComposing><state>active</state></isComposing>"))
	f.Add("text/html", []byte("<b>"))
	f.Fuzz(func(t *testing.T, contentType string, b []byte) {
		c, err := readPart(contentType, b, 0)
		if err == nil && strings.HasPrefix(strings.ToLower(strings.TrimSpace(contentType)), "text/html") {
			t.Errorf("html was read as %q", c.text)
		}
	})
}
