// Package golden compares what a test got with a file that holds what it should get.
//
// The files are plain text below the package's testdata directory, so that a reviewer sees a change of a screen or of a
// state table as a change of that screen or table. `go test ./pkg -update` writes them anew; what was written must be
// read before it is committed, for the test then believes it.
//
// The package imports nothing but the standard library, so that tests of every level may use it.
package golden

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write golden files instead of comparing with them")

// Check compares got with the file testdata/name.
func Check(t testing.TB, name string, got []byte) {
	t.Helper()
	CheckFile(t, filepath.Join("testdata", filepath.FromSlash(name)), got)
}

// CheckFile compares got with a file, which may lie outside testdata: a generated document.
func CheckFile(t testing.TB, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; if the change is meant, write it with go test -update\n%s", path, diff(string(want), string(got)))
	}
}

// diff shows the lines that differ, by place: golden files are screens and tables, where a line's place means something.
func diff(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	var b strings.Builder
	shown := 0
	for i := range max(len(w), len(g)) {
		wl, gl := at(w, i), at(g, i)
		if wl == gl {
			continue
		}
		if shown++; shown > 20 {
			b.WriteString("…\n")
			break
		}
		b.WriteString("- " + wl + "\n+ " + gl + "\n")
	}
	return b.String()
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(no such line)"
}
