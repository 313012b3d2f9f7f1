package plaintext

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "do you have a minute?", "do you have a minute?"},
		{"lines", "one\r\ntwo\rthree\nfour", "one\ntwo\nthree\nfour"},
		{"other line ends", "a\vb\fc\u0085d\u2028e\u2029f", "a\nb\nc\nd\ne\nf"},
		{"tab", "a\tb", "a    b"},
		{"spaces stay", "  a  b  ", "  a  b  "},
		{"markup is text", "<b>hi</b> &amp;", "<b>hi</b> &amp;"},
		{"colour", "a\x1b[1;31mred\x1b[0m", "ared"},
		{"cursor and erase", "x\x1b[2J\x1b[Hy", "xy"},
		{"private mode", "\x1b[?1049hq", "q"},
		{"intermediates", "\x1b[1 qx\x1b(Bx\x1b#8x", "xxx"},
		{"reset", "\x1bcx\x1b7y", "xy"},
		{"control sequence cut short", "a\x1b[12", "a"},
		{"control sequence broken by text", "a\x1b[1é", "aé"},
		{"escape at the end", "a\x1b", "a"},
		{"title ends with BEL", "\x1b]0;evil\x07ok", "ok"},
		{"clipboard ends with ST", "\x1b]52;c;ZXZpbA==\x1b\\ok", "ok"},
		{"hyperlink", "\x1b]8;;http://x\x1b\\text\x1b]8;;\x1b\\", "text"},
		{"DCS over lines", "\x1bPq#0\n!10~\x1b\\ok", "ok"},
		{"APC, PM, SOS, title of screen", "\x1b_a\x1b\\\x1b^b\x1b\\\x1bXc\x1b\\\x1bkd\x1b\\ok", "ok"},
		{"string aborted by CAN", "\x1b]0;evil\x18ok", "ok"},
		{"string aborted by another sequence", "\x1b]0;evil\x1b[1mok", "ok"},
		{"string never terminated", "a\x1b]0;evil\nnext line", "a\nnext line"},
		{"CSI in UTF-8", "\u009b31mred", "red"},
		{"OSC and ST in UTF-8", "\u009d0;evil\u009cok", "ok"},
		{"CSI in one byte", "\x9b31mred", "red"},
		{"OSC and ST in one byte", "\x9d0;evil\x9cok", "ok"},
		{"ST byte inside a character does not end a string", "\x1b]0;\u201cevil\u201d\x07ok", "ok"},
		{"C0, DEL, C1", "a\x00\x07\b\x0e\x7f\u0081b", "ab"},
		{"overwriting", "pay me\rpay Eve", "pay me\npay Eve"},
		{"bidi override", "abc\u202efdp.exe", "abc<U+202E>fdp.exe"},
		{"bidi isolates and marks", "\u2066a\u2069\u200e\u200f\u061c", "<U+2066>a<U+2069><U+200E><U+200F><U+061C>"},
		{"Hebrew stays", "שלום", "שלום"},
		{"zero width", "a\u200bb\ufeffc\u2060d\u00ade\u034ff", "abcdef"},
		{"tag characters", "hi\U000e0068\U000e0069", "hi"},
		{"Hangul filler", "\u3164", " "},
		{"family emoji", "👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"},
		{"heart", "❤\ufe0f", "❤\ufe0f"},
		{"hidden data in selectors", "a\ufe0f\U000e0101\U000e0102b", "a\ufe0fb"},
		{"Persian joiner", "می\u200cخواهم", "می\u200cخواهم"},
		{"joiner in ASCII", "pay\u200dpal \u200c", "paypal "},
		{"invalid UTF-8", "a\xffb\xc3(", "a\ufffdb\ufffd("},
		{"surrogate", "\xed\xa0\x80", "\ufffd\ufffd\ufffd"},
		{"private use and noncharacter", "\ue0a0\ufdd0", "\ufffd\ufffd"},
		{"accents", "e\u0301", "e\u0301"},
		{"pile of marks", "Z" + strings.Repeat("\u0335", 40) + "!", "Z" + strings.Repeat("\u0335", 8) + "!"},
		{"mark without base", "\u0301a\n\u0301", "◌\u0301a\n◌\u0301"},
		{"a new character split by a sequence", "\xc3\x1b[m\xa9", "\ufffd\ufffd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Text(tt.in, 1000); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestLine(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"Alice", "Alice"},
		{"  Alice\r\n\tB  ", "Alice B"},
		{"\n\n", ""},
		{"a\u2028b", "a b"},
		{"a \u0301", "a \u0301"},
		{"\u3164\u3164", ""},
		{"x\x1b]0;t", "x"},
	} {
		if got := Line(tt.in, 1000); got != tt.want {
			t.Errorf("Line(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestLimit(t *testing.T) {
	for _, tt := range []struct {
		in    string
		limit int
		want  string
	}{
		{"abcdef", 6, "abcdef"},
		{"abcdefg", 6, "abc…"},
		{"äöüß", 8, "äöüß"},
		{"äöüßä", 8, "äö…"},
		{"äöüßä", 9, "äöü…"},
		{"ab" + "e\u0301" + "xyz", 7, "ab…"}, // never between a letter and its accent
		{"👨\u200d👩\u200d👧👦👦", 20, "…"},       // nor inside a family
		{"abcd\u202e", 8, "abcd…"},
		{"abc", 2, ""},
		{"abc", 0, ""},
		{"", 0, ""},
		{"abc", -1, ""},
	} {
		if got := Text(tt.in, tt.limit); got != tt.want {
			t.Errorf("Text(%q, %d) = %q, want %q", tt.in, tt.limit, got, tt.want)
		}
	}
	if got := Line("abc def", 6); got != "abc…" {
		t.Errorf("Line cut at a space: %q", got)
	}
}

func TestPrintable(t *testing.T) {
	for _, r := range "aß 字👍\u0301\u200d\ufe0f" {
		if !Printable(r) {
			t.Errorf("%U is printable", r)
		}
	}
	for _, r := range "\x1b\n\t\x7f\u009b\u200b\u202e\u2028\ue000\U000e0041\u3164" {
		if Printable(r) {
			t.Errorf("%U is not printable", r)
		}
	}
}

// hostile are inputs that make a careless cleaner search or remove the same text again and again.
func hostile(n int) []string {
	return []string{
		strings.Repeat("\x1b]", n/2), strings.Repeat("\x9d", n), strings.Repeat("\u009d", n/2), strings.Repeat("\x1b[", n/2),
		"\x1b]" + strings.Repeat("x", n), strings.Repeat("\x1bP"+strings.Repeat("x", 300), n/300),
		strings.Repeat("\u0301", n/2), strings.Repeat("\u200d", n/3), strings.Repeat("\x00", n), strings.Repeat("\xc2", n),
		"\x1b]" + strings.Repeat("\xbf", n), strings.Repeat("\r", n),
	}
}

// TestHostileInputs ends at once where time is linear; where it is not, it takes as long as the test is allowed to.
func TestHostileInputs(t *testing.T) {
	for _, in := range hostile(1 << 20) {
		check(t, in, 1<<30)
		check(t, in, 4096)
	}
}

func TestUnterminatedStringIsBounded(t *testing.T) {
	got := Text("\x1b]"+strings.Repeat("é", 5000), 1<<20)
	if len(got) < 9000 || !utf8.ValidString(got) || strings.ContainsRune(got, utf8.RuneError) {
		t.Errorf("%d bytes of 10000 are left", len(got))
	}
}

func check(t *testing.T, in string, limit int) {
	t.Helper()
	for name, f := range map[string]func(string, int) string{"Text": Text, "Line": Line} {
		out := f(in, limit)
		if len(out) > max(limit, 0) {
			t.Errorf("%s(%q, %d) has %d bytes", name, in, limit, len(out))
		}
		if !utf8.ValidString(out) {
			t.Errorf("%s(%q, %d) = %q is not UTF-8", name, in, limit, out)
		}
		for _, r := range out {
			if !Printable(r) && (r != '\n' || name == "Line") {
				t.Errorf("%s(%q, %d) = %q contains %U", name, in, limit, out, r)
			}
		}
		if again := f(out, limit); again != out {
			t.Errorf("%s(%q, %d) = %q, and again %q", name, in, limit, out, again)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{
		"hello", "\x1b[31m\x1b]0;t\x07\r\n", "a\u200d\x1b[mb\u0301\u200db", "👨\u200d👩\ufe0f\u202e", "\xc3\x1b[m\xa9",
		"\u0301\u0301 \u3164x", "ab\u200c", "\x9b1m\u009d", "a  \t b",
	} {
		f.Add(s, 12)
		f.Add(s, 1000)
	}
	f.Fuzz(func(t *testing.T, in string, limit int) {
		check(t, in, limit%5000)
		check(t, in, len(in)*8)
	})
}

func BenchmarkTextASCII(b *testing.B) {
	in := strings.Repeat("a line as people write it\n", 40)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		Text(in, 1<<20)
	}
}

func BenchmarkTextUnicode(b *testing.B) {
	in := strings.Repeat("Grüße, 日本語 👍\n", 40)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		Text(in, 1<<20)
	}
}
