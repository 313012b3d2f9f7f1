package arch

import (
	"bufio"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// support is what docs/rfc.txt says of one RFC.
type support struct {
	status string
	title  string
	line   int
}

// rfcIndex reads docs/rfc.txt: number, status and title, separated by blanks; # begins a comment.
func rfcIndex(t *testing.T) map[string]support {
	t.Helper()
	f, err := os.Open(filepath.Join(source(t).root, "docs/rfc.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	index := map[string]support{}
	last := ""
	scan := bufio.NewScanner(f)
	for n := 1; scan.Scan(); n++ {
		text, _, _ := strings.Cut(scan.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		if len(fields) < 3 {
			t.Errorf("docs/rfc.txt:%d: want number, status and title", n)
			continue
		}
		number, status := fields[0], fields[1]
		if !slices.Contains([]string{"yes", "partial", "planned", "no"}, status) {
			t.Errorf("docs/rfc.txt:%d: status %q is none of yes, partial, planned, no", n, status)
		}
		if number <= last {
			t.Errorf("docs/rfc.txt:%d: %s stands after %s", n, number, last)
		}
		last = number
		index[number] = support{status, strings.Join(fields[2:], " "), n}
	}
	if err := scan.Err(); err != nil {
		t.Fatal(err)
	}
	return index
}

var rfcCited = regexp.MustCompile(`RFCs?[ -]?(\d{3,5})`)

// TestRFCIndex holds docs/rfc.txt and the citations in the source together, both ways.
func TestRFCIndex(t *testing.T) {
	index := rfcIndex(t)
	implemented := map[string]bool{}
	for name, text := range citingFiles(t) {
		for _, cited := range rfcCited.FindAllStringSubmatch(text, -1) {
			number := strings.Repeat("0", max(0, 4-len(cited[1]))) + cited[1]
			if _, ok := index[number]; !ok {
				t.Errorf("%s cites RFC %s, which docs/rfc.txt does not list", name, number)
			}
			if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
				implemented[number] = true
			}
		}
	}
	for _, number := range slices.Sorted(maps.Keys(index)) {
		s := index[number]
		if (s.status == "yes" || s.status == "partial") && !implemented[number] {
			t.Errorf("docs/rfc.txt:%d: RFC %s is %q, but no source outside tests cites it", s.line, number, s.status)
		}
	}
}

// citingFiles are the Go files and the documents written by hand.
func citingFiles(t *testing.T) map[string]string {
	t.Helper()
	src := source(t)
	files := map[string]string{}
	for _, f := range src.files {
		if f.pkg != "internal/arch" {
			files[f.name] = f.text
		}
	}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/adr/*.md"} {
		names, err := filepath.Glob(filepath.Join(src.root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files[strings.TrimPrefix(filepath.ToSlash(name), filepath.ToSlash(src.root)+"/")] = string(text)
		}
	}
	return files
}
