package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"offhook/internal/command"
	"offhook/internal/testkit/golden"
)

// TestManual compares the manual page and the completion of shells with the command line and the table of commands, from
// which they are made. `make docs` writes them.
func TestManual(t *testing.T) {
	app := newParser(&commandLine{}).Model
	for name, content := range map[string][]byte{
		"offhook.1": manual(app), "completion/offhook.bash": bashCompletion(app), "completion/offhook.zsh": zshCompletion(app),
		"completion/offhook.fish": fishCompletion(app),
	} {
		golden.CheckFile(t, filepath.Join("docs", filepath.FromSlash(name)), content)
	}
}

// TestBashCompletes asks a real bash what it completes.
func TestBashCompletes(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here")
	}
	for line, want := range map[string]string{
		"offhook ser":                          "server",
		"offhook config ":                      "check init",
		"offhook server --do":                  "--domain",
		"offhook --profile server hea":         "headless",
		"offhook --profile = server hea":       "headless",
		"offhook headless --log-level d":       "debug",
		"offhook headless --log-level = d":     "debug",
		"offhook ctl im.se":                    "im.send",
		"offhook ctl call.di":                  "call.dial",
		"offhook ctl call.dtmf di":             "digits=",
		"offhook headless --srtp re":           "required",
		"offhook de":                           "demo devices",
		"offhook ctl im.send te":               "text=",
		"offhook headless --password-command ": "",
		"offhook config check docs/con":        "docs/config.md",
	} {
		script := `source docs/completion/offhook.bash
			COMP_WORDS=(` + strings.TrimRight(line, " ") + `); [[ "$1" == *" " ]] && COMP_WORDS+=("")
			COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=(); _offhook; echo "${COMPREPLY[*]}"`
		out, err := exec.Command(bash, "--norc", "-c", script, "bash", line).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", line, got, err, want)
		}
	}
}

// subcommands are what is typed after the program's name, those of config flattened: "config check".
func subcommands(app *kong.Application) []*kong.Node {
	return slices.DeleteFunc(app.Leaves(false), func(n *kong.Node) bool { return n.Hidden })
}

// pathOf is how a subcommand is typed.
func pathOf(n *kong.Node) string {
	if n.Parent == nil || n.Parent.Type == kong.ApplicationNode {
		return n.Name
	}
	return pathOf(n.Parent) + " " + n.Name
}

// groups are the nodes that have subcommands: the program, and config.
func groups(app *kong.Application) []*kong.Node {
	all := []*kong.Node{app.Node}
	for _, child := range app.Children {
		if len(child.Children) > 0 {
			all = append(all, child)
		}
	}
	return all
}

func visible(nodes []*kong.Node) []*kong.Node {
	return slices.DeleteFunc(slices.Clone(nodes), func(n *kong.Node) bool { return n.Hidden })
}

func names(nodes []*kong.Node) string {
	var out []string
	for _, n := range visible(nodes) {
		out = append(out, n.Name)
	}
	return strings.Join(out, " ")
}

func dashed(flags []*kong.Flag, keep func(*kong.Flag) bool) []string {
	var out []string
	for _, f := range flags {
		if keep(f) {
			out = append(out, "--"+f.Name)
		}
	}
	return out
}

func always(*kong.Flag) bool { return true }

// allFlags are those of the program and of every subcommand, each name once.
func allFlags(app *kong.Application) []*kong.Flag {
	flags := slices.Clone(app.Flags)
	for _, n := range subcommands(app) {
		for _, f := range n.Flags {
			if !slices.ContainsFunc(flags, func(g *kong.Flag) bool { return g.Name == f.Name }) {
				flags = append(flags, f)
			}
		}
	}
	return flags
}

// choices are the words a flag takes, if it takes words only.
func choices(f *kong.Flag) []string {
	return strings.FieldsFunc(f.Enum, func(r rune) bool { return r == ',' })
}

// methods are those of the control API, which ctl takes.
func methods() []command.Command {
	return slices.DeleteFunc(command.Table(), func(c command.Command) bool { return c.Method == "" })
}

// manual is the page for man.
func manual(app *kong.Application) []byte {
	var b bytes.Buffer
	b.WriteString(".\\\" Generated from the definitions of the command line by `make docs`.\n" +
		".TH OFFHOOK 1 \"\" \"offhook\" \"User Commands\"\n.SH NAME\n" +
		"offhook \\- a softphone and instant\\-messaging client for the terminal\n.SH SYNOPSIS\n" +
		".B offhook\n[\\fIflags\\fR] [\\fIsubcommand\\fR]\n.SH DESCRIPTION\n" + roff(app.Help) + "\n.SH FLAGS\n")
	flagList(&b, app.Flags)
	b.WriteString(".SH SUBCOMMANDS\n")
	for _, n := range subcommands(app) {
		fmt.Fprintf(&b, ".SS \"%s\"\n%s\n", roff(strings.TrimPrefix(n.Summary(), "offhook ")), roff(n.Help))
		flagList(&b, n.Flags)
	}
	b.WriteString(".SH METHODS\nWhat\n.B offhook ctl\nand JSON\\-RPC clients can call. Parameters in brackets may be left out.\n")
	for _, c := range methods() {
		fmt.Fprintf(&b, ".TP\n\\fB%s\\fR %s\n%s.\n", roff(c.Method), roff(paramList(c)), roff(c.Summary))
	}
	b.WriteString(".SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage, 3 configuration invalid, 4 could not register, 130 interrupted.\n" +
		".SH FILES\n.TP\n.I ~/.config/offhook/config.toml\nSettings;\n.B offhook config init\nwrites a commented one.\n" +
		".TP\n.I ~/.config/offhook/contacts.toml\nContacts.\n" +
		".TP\n.I ~/.local/state/offhook/\nHistory, log, instance id and control socket.\n")
	return b.Bytes()
}

func flagList(b *bytes.Buffer, flags []*kong.Flag) {
	for _, f := range flags {
		show := "\\fB" + roff("--"+f.Name) + "\\fR"
		if !f.IsBool() {
			show += "=\\fI" + roff(f.FormatPlaceHolder()) + "\\fR"
		}
		fmt.Fprintf(b, ".TP\n%s\n%s\n", show, roff(f.Help))
	}
}

func paramList(c command.Command) string {
	var out []string
	for _, p := range c.Params {
		if p.Required {
			out = append(out, p.Name)
		} else {
			out = append(out, "["+p.Name+"]")
		}
	}
	return strings.Join(out, " ")
}

// roff makes text harmless for troff.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, `"`, `\(dq`, "…", "...").Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		return `\&` + text
	}
	return text
}
