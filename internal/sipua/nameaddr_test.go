package sipua

import (
	"testing"

	"github.com/emiago/sipgo/sip"
)

func TestParseNameAddr(t *testing.T) {
	for value, want := range map[string]struct{ display, uri, param string }{
		`"Mary" <sip:mary@example.org>`:                    {"Mary", "sip:mary@example.org", ""},
		`Mary Jones <sip:mary@example.org;user=x>;p=1`:     {"Mary Jones", "sip:mary@example.org;user=x", "1"},
		`"a <b> \"c\"" <sip:a@example.org> ; p = "x;y" `:   {`a <b> "c"`, "sip:a@example.org", "x;y"},
		`sip:a@example.org;p=7`:                            {"", "sip:a@example.org", "7"},
		`<sip:a@example.org?Replaces=x%3Bto-tag%3Dy>;P=ok`: {"", "sip:a@example.org?Replaces=x%3Bto-tag%3Dy", "ok"},
		"\"bell\x07\" <sip:a@example.org>":                 {"bell", "sip:a@example.org", ""},
	} {
		n, err := ParseNameAddr(value)
		if err != nil {
			t.Errorf("%q: %v", value, err)
			continue
		}
		if got := n.Params.GetOr("p", ""); n.Display != want.display || n.URI.String() != want.uri || got != want.param {
			t.Errorf("%q: %q %s %q", value, n.Display, n.URI.String(), got)
		}
	}
	for _, bad := range []string{"", "<sip:a@example.org", "Mary", `"x`, "<>", "<sip:a b@example.org>"} {
		if n, err := ParseNameAddr(bad); err == nil {
			t.Errorf("%q is %v", bad, n)
		}
	}
}

func TestNameAddrs(t *testing.T) {
	req := sip.NewRequest(sip.INVITE, sip.Uri{Scheme: "sip", Host: "example.org"})
	req.AppendHeader(sip.NewHeader("P-Asserted-Identity", `"A, B" <sip:a@example.org>, nonsense, <sip:b@example.org>`))
	req.AppendHeader(sip.NewHeader("P-Asserted-Identity", `<sip:c@example.org>`))
	got := ""
	for _, n := range NameAddrs(req, "P-Asserted-Identity") {
		got += n.String() + " "
	}
	if want := `"A, B" <sip:a@example.org> <sip:b@example.org> <sip:c@example.org> `; got != want {
		t.Errorf("got %s", got)
	}
}

func FuzzParseNameAddr(f *testing.F) {
	f.Add(`"Mary" <sip:mary@example.org>;x="1"`)
	f.Add(`sip:a@example.org;p`)
	f.Fuzz(func(t *testing.T, value string) {
		n, err := ParseNameAddr(value)
		if err != nil {
			return
		}
		again, err := ParseNameAddr(n.String())
		if err != nil || again.Display != n.Display || again.URI.String() != n.URI.String() {
			t.Errorf("%q became %v: %v", n.String(), again, err)
		}
	})
}
