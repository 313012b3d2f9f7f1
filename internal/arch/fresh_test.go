package arch

import (
	"path/filepath"
	"testing"

	"offhook/internal/config"
	"offhook/internal/headless"
	"offhook/internal/testkit/golden"
	"offhook/ui"
)

// TestGeneratedFiles compares the documents that are written from the code with the code. `make docs` writes them.
func TestGeneratedFiles(t *testing.T) {
	for name, content := range map[string][]byte{
		"config.example.toml": config.Example(),
		"docs/config.md":      config.Markdown(),
		"docs/keys.md":        ui.KeysMarkdown(),
		"docs/events.md":      headless.EventsMarkdown(),
	} {
		golden.CheckFile(t, filepath.Join(source(t).root, filepath.FromSlash(name)), content)
	}
}
