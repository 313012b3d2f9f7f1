package contacts

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCanonical(t *testing.T) {
	for in, want := range map[string]string{
		"sip:bob@example.org":                         "sip:bob@example.org",
		" SIP:Bob@EXAMPLE.org:5060;transport=tcp?x=y": "sip:Bob@example.org",
		"bob@example.org":                             "sip:bob@example.org",
		"sips:bob:secret@example.org":                 "sips:bob@example.org",
		"sip:+41445551234@[2001:DB8::1]:5060":         "sip:+41445551234@[2001:db8::1]",
		"sip:a@b@example.org":                         "sip:a@b@example.org",
	} {
		if got, err := Canonical(in); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "bob", "sip:example.org", "sip:@example.org", "sip:bob@", "tel:+41445551234", "sip:b ob@example.org", "sip:bob@exa\nmple.org",
		"sip:bob@example.org>", "sip:bob@" + strings.Repeat("a", 600), "sip:bób@example.org", "sip:\x1b[2Jbob@example.org",
	} {
		if got, err := Canonical(in); err == nil || strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Errorf("%q: %q, %v; want an error", in, got, err)
		}
	}
}

func names(list []Contact) string {
	var out []string
	for _, c := range list {
		out = append(out, c.Name)
	}
	return strings.Join(out, " ")
}

func open(t *testing.T, path string) *Book {
	t.Helper()
	b, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func add(t *testing.T, b *Book, name, uri string, groups ...string) {
	t.Helper()
	if _, err := b.Add(Contact{Name: name, URI: uri, Groups: groups}); err != nil {
		t.Fatal(err)
	}
}

func TestBook(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "contacts.toml")
	b := open(t, path)
	add(t, b, "zoe", "sip:zoe@example.org", "Team")
	add(t, b, "Bob Martin", "sip:bob@example.org", "Team", "Friends")
	add(t, b, "", "sip:carol@example.org")
	add(t, b, "Bob Martin", "sip:bob2@example.org")
	add(t, b, "", "sip:bob@EXAMPLE.org:5070", "Work") // changes bob, keeps his name
	for range 2 {                                     // as it is in memory, and as it is in the file
		if got := names(b.All()); got != "Bob Martin Bob Martin carol zoe" {
			t.Errorf("all: %s", got)
		}
		var groups []string
		for _, g := range b.Groups() {
			groups = append(groups, g.Name+": "+names(g.Contacts))
		}
		want := []string{"Team: Bob Martin zoe", "Friends: Bob Martin", "Work: Bob Martin", ": Bob Martin carol"}
		if !slices.Equal(groups, want) {
			t.Errorf("groups %q, want %q", groups, want)
		}
		b = open(t, path)
	}
	if _, err := b.Find("bob martin"); !errors.Is(err, ErrAmbiguous) {
		t.Errorf("two of a name: %v", err)
	}
	if _, err := b.Find("nobody"); !errors.Is(err, ErrUnknown) {
		t.Errorf("nobody: %v", err)
	}
	if c, err := b.Find("ZOE"); err != nil || c.URI != "sip:zoe@example.org" {
		t.Errorf("%v, %v", c, err)
	}
	if c, err := b.Remove("sip:bob2@example.org"); err != nil || c.Name != "Bob Martin" {
		t.Errorf("%v, %v", c, err)
	}
	if c, err := b.Find("Bob Martin"); err != nil || c.URI != "sip:bob@example.org" {
		t.Errorf("%v, %v", c, err)
	}
	if b.Name("sip:zoe@example.org:5060") != "zoe" || b.Name("sip:x@example.org") != "" || b.Name("?") != "" {
		t.Error("names by address")
	}
}

// What somebody writes into the file while the program runs is taken in before the program writes.
func TestEditByHandIsNotLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "contacts.toml")
	b := open(t, path)
	add(t, b, "bob", "sip:bob@example.org")
	by := "[[contact]]\nname = \"dave, by hand\"\nuri = \"sip:dave@example.org\"\n"
	if err := os.WriteFile(path, []byte(by), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	add(t, b, "carol", "sip:carol@example.org")
	if got := names(open(t, path).All()); got != "carol dave, by hand" {
		t.Errorf("after both: %s", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the mode became %v", info.Mode())
	}
	// A file that cannot be understood is left alone.
	if err := os.WriteFile(path, []byte(by+"nonsense\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Add(Contact{URI: "sip:erin@example.org"}); err == nil || !strings.Contains(err.Error(), path+":4:") {
		t.Errorf("a damaged file: %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != by+"nonsense\n" {
		t.Errorf("it was overwritten: %s", data)
	}
}

func TestLinkIsFollowed(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "dotfiles.toml"), filepath.Join(dir, "contacts.toml")
	if err := os.WriteFile(real, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	add(t, open(t, link), "bob", "sip:bob@example.org")
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced")
	}
	if got := names(open(t, real).All()); got != "bob" {
		t.Errorf("got %q", got)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("left behind: %v", left)
	}
}

func TestBadFilesAreExplained(t *testing.T) {
	for text, want := range map[string]string{
		"[[contact]]\nurl = \"x\"":                        "2: unknown key \"contact.url\"; accepted are name, uri and groups",
		"[[contact]]\nname = 5":                           "2: ",
		"[[contact]]\nname = \"x\"":                       "is not a SIP address",
		strings.Repeat("[[contact]]\nuri='a@b.c'\n", 2):   "contact 2: sip:a@b.c is there twice",
		"[[contact]]\nuri = \"sip:bob@example.org\"\n[[x": "3: ",
	} {
		path := filepath.Join(t.TempDir(), "contacts.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path+":") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", text, err, want)
		}
	}
}

const cards = `BEGIN:VCARD
VERSION:3.0
N:Martin;Bob;;;
FN:Bob Martin
ORG:Example\, Inc.;Sales
IMPP;X-SERVICE-TYPE=SIP:bob@example.org
TEL;TYPE=work:+41 44 555 12 34
END:VCARD
BEGIN:VCARD
VERSION:4.0
FN:Carol "the \; Fast"
  Diaz
item1.IMPP;PREF=1:sip:carol@example.org
TEL;VALUE=uri;TYPE="voice,home":sips:carol@home.example
CATEGORIES:Friends,Chess\, blitz
PHOTO:data:image/png;base64,AAAA
 BBBB
END:VCARD
BEGIN:VCARD
N:Solo
X-SIP:solo@example.org
IMPP:xmpp:solo@example.org
END:VCARD
BEGIN:VCARD
FN:No SIP
TEL:123
END:VCARD
`

func TestVCards(t *testing.T) {
	for _, text := range []string{cards, strings.ReplaceAll(cards, "\n", "\r\n")} {
		got, err := ReadVCards(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		want := []Contact{
			{"Bob Martin", "sip:bob@example.org", []string{"Example, Inc."}},
			{"Carol \"the ; Fast\" Diaz", "sip:carol@example.org", []string{"Friends", "Chess, blitz"}},
			{"Carol \"the ; Fast\" Diaz", "sips:carol@home.example", []string{"Friends", "Chess, blitz"}},
			{"Solo", "sip:solo@example.org", nil},
		}
		if !slices.EqualFunc(got, want, func(a, b Contact) bool {
			return a.Name == b.Name && a.URI == b.URI && slices.Equal(a.Groups, b.Groups)
		}) {
			t.Errorf("got %+v", got)
		}
	}
}

func TestHostileVCards(t *testing.T) {
	evil := "BEGIN:VCARD\nFN:\x1b]0;own\x07Eve\u202e\nX-SIP:eve@example.org\nEND:VCARD\n"
	got, err := ReadVCards(strings.NewReader(evil))
	if err != nil || len(got) != 1 || strings.ContainsAny(got[0].Name, "\x1b\u202e") {
		t.Errorf("%q, %v", got, err)
	}
	for text, want := range map[string]string{
		"hello":                    "not a vCard",
		"":                         "not a vCard",
		strings.Repeat("x", 2<<20): "longer than",
		"BEGIN:VCARD\nNOTE:" + strings.Repeat("x\n y", 1<<20): "longer than",
		strings.Repeat("BEGIN:VCARD\n", maxVCards+1):          "more than",
	} {
		if _, err := ReadVCards(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v; want %q", text, err, want)
		}
	}
}

func TestImport(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "people.vcf")
	if err := os.WriteFile(file, []byte(cards), 0o600); err != nil {
		t.Fatal(err)
	}
	b := open(t, filepath.Join(dir, "contacts.toml"))
	for range 2 { // a second time nothing is there twice
		if got, err := b.Import(file); err != nil || len(got) != 4 {
			t.Errorf("%v, %v", got, err)
		}
	}
	if got := b.All(); len(got) != 4 {
		t.Errorf("%v", got)
	}
}

// Whatever is added is found again by a program that reads the file.
func TestFileRoundTrip(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		path := filepath.Join(dir, "contacts.toml")
		_ = os.Remove(path)
		b, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(0, 5).Draw(t, "n") {
			c := Contact{
				Name:   rapid.String().Draw(t, "name"),
				URI:    "sip:" + rapid.StringMatching(`[a-z0-9._+-]{1,12}`).Draw(t, "user") + "@example.org",
				Groups: rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "groups"),
			}
			if _, err := b.Add(c); err != nil {
				t.Fatal(err)
			}
		}
		again, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(b.All(), again.All(), func(a, b Contact) bool {
			return a.Name == b.Name && a.URI == b.URI && slices.Equal(a.Groups, b.Groups)
		}) {
			t.Fatalf("in memory %v, in the file %v", b.All(), again.All())
		}
	})
}

func FuzzVCards(f *testing.F) {
	f.Add(cards)
	f.Add("BEGIN:VCARD\nFN;X=\"a:b\":c\\\nIMPP:sip:a@b\nEND:VCARD")
	f.Add("BEGIN:VCARD\n : \n;:\n.:\nN:\nORG:\nEND:VCARD")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ReadVCards(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, c := range got {
			again, err := clean(c)
			if err != nil || again.Name != c.Name || again.URI != c.URI || !slices.Equal(again.Groups, c.Groups) {
				t.Errorf("%+v is not clean: %+v, %v", c, again, err)
			}
		}
	})
}

func FuzzFile(f *testing.F) {
	f.Add([]byte("[[contact]]\nname = \"Bob\"\nuri = \"sip:bob@example.org\"\ngroups = [\"Team\"]\n"))
	f.Add([]byte("contact = 3"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = parse(data) // must not panic
	})
}
