package ui

import (
	"fmt"
	"strings"

	"offhook/internal/command"
)

// KeysMarkdown is docs/keys.md: the key table and the commands.
func KeysMarkdown() []byte {
	var b strings.Builder
	b.WriteString("# Keys and commands\n\nThis file is made from the key table in `ui/keys.go` and the command table; `make docs` writes it.\n\n" +
		"What arrives never takes the keyboard: letters always go to the input line. Everything that has a function key also\n" +
		"has a pair that begins with Ctrl-X, for terminals and multiplexers that keep function keys or Alt to themselves.\n")
	group := ""
	for _, l := range newKeymap().help(nil) {
		if l.group != group {
			group = l.group
			fmt.Fprintf(&b, "\n## %s\n\n| key | pair | command | does |\n|---|---|---|---|\n", group[:1]+strings.ToLower(group[1:]))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", code(l.key), code(l.twin), code(l.command), escapeCell(l.help))
	}
	b.WriteString("\n## Commands\n\n| command | does |\n|---|---|\n")
	for _, c := range command.Table() {
		for _, f := range c.Forms {
			fmt.Fprintf(&b, "| %s | %s |\n", code(f.Usage()), escapeCell(c.Help(f)))
		}
	}
	b.WriteString("\nA line that begins with two slashes is sent as text that begins with one. `/search -all TEXT` searches all conversations.\n")
	return []byte(b.String())
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + escapeCell(s) + "`"
}

func escapeCell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
