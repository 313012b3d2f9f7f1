package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadmeCommandsAreExecuted holds every command that the README shows with its output ("$ offhook …") to a script
// that executes it: the same words stand in testdata/script, where $ADDR is the server's address.
func TestReadmeCommandsAreExecuted(t *testing.T) {
	root := source(t).root
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(root, "testdata/script/*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	var scripts strings.Builder
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		scripts.Write(text)
	}
	shown := regexp.MustCompile(`(?m)^\$ (offhook .*?)\s*(#.*)?$`).FindAllStringSubmatch(string(readme), -1)
	if len(shown) == 0 {
		t.Error("the README shows no command with its output")
	}
	for _, m := range shown {
		command := strings.ReplaceAll(m[1], "127.0.0.1:5060", "$ADDR")
		if !strings.Contains(scripts.String(), command+"\n") {
			t.Errorf("README.md shows %q, which no script executes (%q in testdata/script)", m[1], command)
		}
	}
}
