package ui

import (
	"slices"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"
)

var words = rapid.SampledFrom([]string{"a", "word", "  ", " ", "\n", "é", "日本語", "👩‍👩‍👧", "e\u0301", "https://example.com/a/very/long/path", "-", "ﷺ", "🇩🇪"})

func drawText(t *rapid.T, label string) string {
	return strings.Join(rapid.SliceOfN(words, 0, 30).Draw(t, label), "")
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text string
		w    int
		want string
	}{
		{"", 5, ""},
		{"one two three", 7, "one two|three"},
		{"one two three", 13, "one two three"},
		{"abcdefghij", 4, "abcd|efgh|ij"},
		{"a  b", 3, "a|b"},
		{"  code()\n\nend", 20, "  code()||end"},
		{"日本語", 4, "日本|語"},
		{"日", 1, "?"},
	} {
		rows, _ := wrap(c.text, c.w, 99)
		if got := strings.Join(rows, "|"); got != c.want {
			t.Errorf("wrap(%q, %d) = %q, want %q", c.text, c.w, got, c.want)
		}
	}
	if rows, cut := wrap(strings.Repeat("x\n", 50), 9, 7); len(rows) != 7 || !cut {
		t.Errorf("%d rows, cut %v", len(rows), cut)
	}
}

// No row is too wide, and but for spaces and line breaks nothing is lost or changed.
func TestWrapKeepsText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, w := drawText(t, "text"), rapid.IntRange(2, 30).Draw(t, "w")
		rows, _ := wrap(text, w, 1<<20)
		for _, row := range rows {
			if width(row) > w {
				t.Fatalf("%q is wider than %d", row, w)
			}
		}
		bare := strings.NewReplacer(" ", "", "\n", "").Replace
		if got := bare(strings.Join(rows, "")); got != bare(text) {
			t.Fatalf("%q became %q", bare(text), got)
		}
	})
}

func TestFitIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.ReplaceAll(drawText(t, "text"), "\n", "")
		w := rapid.IntRange(0, 40).Draw(t, "w")
		for name, got := range map[string]string{"fit": fit(text, w), "fitRight": fitRight(text, w), "spread": spread(text, "right", w)} {
			if width(got) != w || ansi.StringWidth(got) != w {
				t.Fatalf("%s(%q, %d) = %q, %d wide", name, text, w, got, width(got))
			}
		}
	})
}

func TestSuperposeKeepsWidth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		row := fit(strings.ReplaceAll(drawText(t, "row"), "\n", ""), 40)
		box := strings.Repeat("#", rapid.IntRange(1, 30).Draw(t, "box"))
		x := rapid.IntRange(0, 40-len(box)).Draw(t, "x")
		got := ansi.Strip(superpose("\x1b[1m"+row+"\x1b[m", x, box, 40))
		if width(got) != 40 {
			t.Fatalf("%q over %q at %d is %q, %d wide", box, row, x, got, width(got))
		}
	})
}

// A naive editor over a slice of clusters does the same.
func TestEditorLikeModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var e editor
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			ops := map[string]func(*editor){
				"left": (*editor).left, "right": (*editor).right, "home": (*editor).home, "end": (*editor).end,
				"wordLeft": (*editor).wordLeft, "wordRight": (*editor).wordRight, "backspace": (*editor).backspace,
				"delete": (*editor).delete, "killLine": (*editor).killLine, "killToStart": (*editor).killToStart,
				"killWordRight": (*editor).killWordRight, "killSpacedLeft": (*editor).killSpacedLeft, "yank": (*editor).yank,
				"undo": (*editor).undo, "transpose": (*editor).transpose, "up": func(e *editor) { e.up() }, "down": func(e *editor) { e.down() },
				"insert": func(e *editor) { e.insert(words.Draw(t, "word")) },
			}
			names := make([]string, 0, len(ops))
			for name := range ops {
				names = append(names, name)
			}
			slices.Sort(names)
			name := rapid.SampledFrom(names).Draw(t, "op")
			ops[name](&e)
			if e.pos < 0 || e.pos > len(e.text) || !strings.HasPrefix(e.text[e.pos:], strings.ToValidUTF8(e.text[e.pos:], "")[:0]) {
				t.Fatalf("after %s: %q at %d", name, e.text, e.pos)
			}
			w, limit := rapid.IntRange(4, 40).Draw(t, "w"), rapid.IntRange(1, 5).Draw(t, "limit")
			rows, x, y := e.draw("[x] ", w, limit)
			if len(rows) > limit || y < 0 || y >= len(rows) || x < 0 || x > w {
				t.Fatalf("%q in %d×%d: %d rows, cursor %d,%d", e.text, w, limit, len(rows), x, y)
			}
			for _, row := range rows {
				if width(row) != w {
					t.Fatalf("row %q is %d wide, not %d", row, width(row), w)
				}
			}
		}
	})
}

func TestEditorKeys(t *testing.T) {
	for _, c := range []struct {
		text string // | is the cursor
		op   func(*editor)
		want string
	}{
		{"one two|", (*editor).killSpacedLeft, "one |"},
		{"a.b c.d|", (*editor).killSpacedLeft, "a.b |"},
		{"a.b c.d|", (*editor).killWordLeft, "a.b c.|"},
		{"one| two", (*editor).killWordRight, "one|"},
		{"one| two", (*editor).killLine, "one|"},
		{"one| two", (*editor).killToStart, "| two"},
		{"one\ntw|o", (*editor).home, "one\n|two"},
		{"one\ntw|o", (*editor).killToStart, "one\n|o"},
		{"ab|", (*editor).transpose, "ba|"},
		{"a|bc", (*editor).transpose, "ba|c"},
		{"e\u0301|", (*editor).backspace, "|"},
		{"👩‍👩‍👧|", (*editor).left, "|👩‍👩‍👧"},
		{"abc\nd|", func(e *editor) { e.up() }, "a|bc\nd"},
	} {
		before, after, _ := strings.Cut(c.text, "|")
		e := editor{text: before + after, pos: len(before)}
		c.op(&e)
		if got := e.text[:e.pos] + "|" + e.text[e.pos:]; got != c.want {
			t.Errorf("%q became %q, want %q", c.text, got, c.want)
		}
		text, pos := e.text, e.pos
		e.undo()
		e.undo() // nothing more to undo
		if text != before+after && e.text != before+after {
			t.Errorf("undo of %q gives %q", text, e.text)
		}
		_ = pos
	}
}

func TestInputHistory(t *testing.T) {
	var h inputHistory
	e := &editor{}
	h.add("one")
	h.add("two")
	h.add("two")
	e.set("draft")
	for _, want := range []string{"two", "one", "one"} {
		if h.older(e); e.text != want {
			t.Errorf("older: %q, want %q", e.text, want)
		}
	}
	for _, want := range []string{"two", "draft", "draft"} {
		if h.newer(e); e.text != want {
			t.Errorf("newer: %q, want %q", e.text, want)
		}
	}
	if line, at, ok := h.find("ON", len(h.lines)); !ok || line != "one" || at != 0 {
		t.Errorf("found %q at %d, %v", line, at, ok)
	}
}

// The word that was looked for can be seen in a list of results, however far back in a text it stands.
func TestExcerpt(t *testing.T) {
	long := strings.Repeat("日本 and so on, ", 20) + "then the Parcel came"
	for _, c := range []struct{ text, query, want string }{
		{"a short\n text", "text", "a short text"},
		{long, "parcel came", "…"},
		{"nothing of it", "absent", "nothing of it"},
		{"", "x", ""},
		{"text", "", "text"},
	} {
		got := excerpt(c.text, c.query)
		if c.want == "…" {
			if shown, _ := head(got, 40); !strings.HasPrefix(got, "…") || !strings.Contains(shown, "Parcel") {
				t.Errorf("excerpt %q", got)
			}
			continue
		}
		if got != c.want {
			t.Errorf("excerpt of %q for %q is %q", c.text, c.query, got)
		}
	}
}
