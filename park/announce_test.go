package park

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"offhook/internal/plaintext"
)

func TestAnnouncement(t *testing.T) {
	for _, tt := range []struct {
		a    Announcement
		want string
	}{
		{
			Announcement{"701", Party{"sip:mary@example.test", "Mary"}, "order 77", 75 * time.Second},
			"Call for you on 701: Mary (sip:mary@example.test), order 77. Dial 701 or press F6 701 within 1:15.",
		},
		{
			Announcement{"701", Party{URI: "tel:+12065550100"}, "", 0},
			"Call for you on 701: +12065550100 (tel:+12065550100). Dial 701 or press F6 701.",
		},
		{
			Announcement{"701", Party{Display: "Mary (Sales)"}, "She said: hurry.", 10 * time.Minute},
			"Call for you on 701: Mary (Sales) (no address), She said: hurry.. Dial 701 or press F6 701 within 10:00.",
		},
		{
			Announcement{Orbit: "701", Note: "no name"},
			"Call for you on 701: somebody (no address), no name. Dial 701 or press F6 701.",
		},
		{
			Announcement{"701", Party{"sip:m(1)@x", "Mary"}, "a. Dial 999", time.Second},
			"Call for you on 701: Mary (sip:m%281%29@x), a. Dial 999. Dial 701 or press F6 701 within 0:01.",
		},
	} {
		if got := tt.a.String(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
		got, ok := ParseAnnouncement(tt.want)
		tt.a.Caller.URI = strings.NewReplacer("(", "%28", ")", "%29").Replace(tt.a.Caller.URI)
		if diff := cmp.Diff(tt.a, got); !ok || diff != "" {
			t.Errorf("%s\n%t %s", tt.want, ok, diff)
		}
	}
}

func TestParseAnnouncement(t *testing.T) {
	mary := Party{"sip:mary@example.test", "Mary"}
	for _, tt := range []struct {
		name, in string
		want     Announcement
	}{
		{"no end", "Call for you on 701: Mary (sip:mary@example.test)", Announcement{"701", mary, "", 0}},
		{"other end", "Call for you on 701: Mary (sip:mary@example.test), order 77 - please hurry!", Announcement{"701", mary, "order 77 - please hurry!", 0}},
		{"more behind", "Call for you on 701: Mary (sip:mary@example.test), 77. Dial 701 or press F6 701 within 1:15. Thanks!", Announcement{"701", mary, "77", 75 * time.Second}},
		{"more below", "Call for you on 701: Mary (sip:mary@example.test). Dial 701.\n\nBob", Announcement{"701", mary, "", 0}},
		{"no sense in the time", "Call for you on 701: Mary (sip:mary@example.test). Dial 701 or press F6 701 within 1:75.", Announcement{"701", mary, "", 0}},
		{"note without its comma", "Call for you on 701: Mary (sip:mary@example.test) again. Dial 701", Announcement{"701", mary, "", 0}},
	} {
		got, ok := ParseAnnouncement(tt.in)
		if diff := cmp.Diff(tt.want, got); !ok || diff != "" {
			t.Errorf("%s: %t %s", tt.name, ok, diff)
		}
	}
	for name, in := range map[string]string{
		"empty":             "",
		"conversation":      "There is a call for you on 701: Mary (sip:mary@example.test)",
		"quoted":            "> Call for you on 701: Mary (sip:mary@example.test)",
		"no address":        "Call for you on 701: Mary",
		"a bad address":     "Call for you on 701: Mary (sip:)",
		"another scheme":    "Call for you on 701: Mary (https://evil.test)",
		"no orbit":          "Call for you on : Mary (sip:mary@example.test)",
		"two words":         "Call for you on line 1: Mary (sip:mary@example.test)",
		"escape sequence":   "Call for you on 701: M\x1b[31mary (sip:mary@example.test)",
		"carriage return":   "Call for you on 701: Mary (sip:mary@example.test)\rCall",
		"a bidi control":    "Call for you on 701: M\u202eary (sip:mary@example.test)",
		"invalid UTF-8":     "Call for you on 701: M\xffry (sip:mary@example.test)",
		"far too long":      "Call for you on 701: Mary (sip:mary@example.test), " + strings.Repeat("x", maxText),
		"lower case":        "call for you on 701: Mary (sip:mary@example.test)",
		"leading white":     " Call for you on 701: Mary (sip:mary@example.test)",
		"taken is no offer": "Orbit 701 was picked up.",
	} {
		if a, ok := ParseAnnouncement(in); ok {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func drawParty(t *rapid.T) Party {
	uri := rapid.OneOf(rapid.Just(""), rapid.StringMatching(`(sip|sips|SIP|tel):[a-z0-9+(). ]{0,6}(@[a-z.]{0,8})?(;[a-z=]{0,5})?`), rapid.String()).Draw(t, "uri")
	return Party{URI: uri, Display: drawWords(t, "display")}
}

// drawWords draws text made of what sentences are made of.
func drawWords(t *rapid.T, label string) string {
	word := rapid.SampledFrom([]string{
		"Mary", " ", "(", ")", "sip:", "(sip:a@b)", ". Dial 701", " or press F6 701 within 1:15", ",", ":", "no address", "somebody",
		" was picked up by ", " after 0:01.", "\n", "\x1b[m", "é", "(tel:1)", "字",
	})
	return strings.Join(rapid.SliceOfN(word, 0, 8).Draw(t, label), "")
}

func drawOrbit(t *rapid.T) string {
	return rapid.OneOf(rapid.StringMatching(`[1-9][0-9]{2,3}`), rapid.StringMatching(`[a-z0-9.: ]{1,5}x`)).Draw(t, "orbit")
}

func TestAnnouncementRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := Announcement{
			drawOrbit(t), drawParty(t), drawWords(t, "note"), time.Duration(rapid.Int64Range(-1e9, 4e14).Draw(t, "within")),
		}
		s := a.String()
		got, ok := ParseAnnouncement(s)
		if diff := cmp.Diff(a.clean(), got); !ok || diff != "" {
			t.Fatalf("%q\n%t %s", s, ok, diff)
		}
		if got.String() != s {
			t.Fatalf("%q became %q", s, got.String())
		}
	})
}

func TestTakenRoundTrip(t *testing.T) {
	reasons := []UnparkReason{Retrieved, Ringback, Abandoned, Disconnected, Fallback, Dropped, Unknown, "", "lost in space"}
	rapid.Check(t, func(t *rapid.T) {
		n := TakenNotice{
			drawOrbit(t), drawParty(t), time.Duration(rapid.Int64Range(-1e9, 4e14).Draw(t, "after")), rapid.SampledFrom(reasons).Draw(t, "reason"),
		}
		s := n.String()
		got, ok := ParseTaken(s)
		if diff := cmp.Diff(n.clean(), got); !ok || diff != "" {
			t.Fatalf("%q\n%t %s", s, ok, diff)
		}
	})
}

func TestTaken(t *testing.T) {
	carol := Party{"sip:carol@example.test", "Carol"}
	for _, tt := range []struct {
		n    TakenNotice
		want string
	}{
		{TakenNotice{"701", carol, 44 * time.Second, Retrieved}, "Orbit 701 was picked up by Carol (sip:carol@example.test) after 0:44."},
		{TakenNotice{"701", Party{}, 0, Retrieved}, "Orbit 701 was picked up."},
		{TakenNotice{"701", Party{}, 72 * time.Second, Abandoned}, "Orbit 701: the caller hung up after 1:12."},
		{TakenNotice{"701", carol, 90 * time.Second, Ringback}, "Orbit 701 went back to Carol (sip:carol@example.test) after 1:30."},
		{TakenNotice{"701", carol, 0, Fallback}, "Orbit 701 was sent on to Carol (sip:carol@example.test)."},
		{TakenNotice{"701", Party{}, time.Second, Unknown}, "Orbit 701: the call is no longer parked after 0:01."},
	} {
		if got := tt.n.String(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
		if got, ok := ParseTaken(tt.want + " Bye!\nx"); !ok || got != tt.n {
			t.Errorf("%s: %+v", tt.want, got)
		}
	}
	for _, in := range []string{
		"", "Orbit 701", "Orbit 701 was picked up by Carol.", "Orbit 701 was picked up by Carol (sip:) after 0:44.",
		"The orbit 701 was picked up.", "Orbit 701\x07 was picked up.", "Orbit 7 0 was picked up.",
		"Call for you on 701: Mary (sip:mary@example.test)",
	} {
		if n, ok := ParseTaken(in); ok {
			t.Errorf("%q: %+v", in, n)
		}
	}
}

func FuzzParseAnnouncement(f *testing.F) {
	f.Add("Call for you on 701: Mary (sip:mary@example.test), order 77. Dial 701 or press F6 701 within 1:15.")
	f.Add("Orbit 701 was picked up by Carol (sip:carol@example.test) after 0:44.")
	f.Add("Orbit 701: the caller hung up after 1:12.")
	f.Fuzz(func(t *testing.T, text string) {
		if a, ok := ParseAnnouncement(text); ok {
			checkClean(t, a.Orbit, a.Note, a.Caller)
			if again, ok := ParseAnnouncement(a.String()); !ok || again != a {
				t.Errorf("%q: %+v became %+v (%t)", text, a, again, ok)
			}
		}
		if n, ok := ParseTaken(text); ok {
			checkClean(t, n.Orbit, "", n.By)
			if again, ok := ParseTaken(n.String()); !ok || again != n {
				t.Errorf("%q: %+v became %+v (%t)", text, n, again, ok)
			}
		}
	})
}

func checkClean(t *testing.T, orbit, note string, p Party) {
	t.Helper()
	for _, s := range []string{orbit, note, p.URI, p.Display} {
		if s != plaintext.Line(s, maxText) {
			t.Errorf("%q is not clean", s)
		}
	}
}
