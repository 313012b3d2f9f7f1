package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// bashCompletion is sourced by bash.
func bashCompletion(app *kong.Application) []byte {
	var b bytes.Buffer
	valued := dashed(allFlags(app), func(f *kong.Flag) bool { return !f.IsBool() })
	taking := func(placeholder string) string {
		return strings.Join(dashed(allFlags(app), func(f *kong.Flag) bool { return f.PlaceHolder == placeholder }), "|")
	}
	var known []string
	for _, g := range groups(app) {
		for _, n := range visible(g.Children) {
			known = append(known, `" `+pathOf(n)+`"`)
		}
	}
	fmt.Fprintf(&b, `# bash completion for offhook, generated from the definitions of the command line by 'make docs'.
_offhook() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path= method= words= flags= i
	[[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD-2]}
	[[ $cur == = ]] && cur=
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		%s)
			[[ ${COMP_WORDS[i+1]} == = ]] && ((i++))
			((i++)) ;;
		-*) ;;
		*)
			case "$path ${COMP_WORDS[i]}" in
			%s) path+=" ${COMP_WORDS[i]}" ;;
			*) [[ -z $method ]] && method=${COMP_WORDS[i]} ;;
			esac ;;
		esac
	done
	case $prev in
`, strings.Join(valued, "|"), strings.Join(known, "|"))
	for _, f := range allFlags(app) {
		if words := choices(f); len(words) > 0 {
			fmt.Fprintf(&b, "\t--%s) COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return ;;\n", f.Name, strings.Join(words, " "))
		}
	}
	fmt.Fprintf(&b, "\t%s) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n", taking("FILE"))
	fmt.Fprintf(&b, "\t%s) COMPREPLY=($(compgen -d -- \"$cur\")); return ;;\n", taking("DIR"))
	fmt.Fprintf(&b, "\t%s) return ;;\n\tesac\n\tcase $path in\n", strings.Join(valued, "|"))
	common := strings.Join(dashed(app.Flags, always), " ")
	for _, g := range groups(app) {
		path := ""
		if g != app.Node {
			path = " " + pathOf(g)
		}
		fmt.Fprintf(&b, "\t\"%s\") words='%s' flags='%s' ;;\n", path, names(g.Children), common)
	}
	for _, n := range subcommands(app) {
		fmt.Fprintf(&b, "\t\" %s\") flags='%s' ;;\n", pathOf(n), strings.TrimSpace(strings.Join(dashed(n.Flags, always), " ")+" "+common))
	}
	b.WriteString("\tesac\n\tif [[ $path == ' ctl' ]]; then\n\t\tcase $method in\n")
	var all []string
	for _, c := range methods() {
		all = append(all, c.Method)
		var keys []string
		for _, p := range c.Params {
			keys = append(keys, p.Name+"=")
		}
		if len(keys) > 0 {
			fmt.Fprintf(&b, "\t\t%s) words='%s'; compopt -o nospace 2>/dev/null ;;\n", c.Method, strings.Join(keys, " "))
		}
	}
	fmt.Fprintf(&b, "\t\t\"\") words='%s' ;;\n\t\tesac\n\tfi\n", strings.Join(all, " "))
	b.WriteString("\t[[ $cur == -* || -z $words ]] && words+=\" $flags\"\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n" +
		"\tif [[ $path == ' config check' && $cur != -* ]]; then\n\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n\tfi\n}\n" +
		"complete -o filenames -F _offhook offhook\n")
	return b.Bytes()
}

// zshCompletion is a function for zsh's fpath.
func zshCompletion(app *kong.Application) []byte {
	var b bytes.Buffer
	b.WriteString("#compdef offhook\n# Generated from the definitions of the command line by 'make docs'.\n")
	specs := func(flags []*kong.Flag) (out []string) {
		for _, f := range flags {
			spec := "--" + f.Name + "[" + zshText(f.Help) + "]"
			if !f.IsBool() {
				spec = "--" + f.Name + "=[" + zshText(f.Help) + "]:" + zshText(f.FormatPlaceHolder()) + ":" + zshValue(f)
			}
			out = append(out, "'"+spec+"'")
		}
		return out
	}
	common := specs(app.Flags)
	for _, n := range subcommands(app) {
		arguments := slices.Concat(specs(n.Flags), common)
		switch pathOf(n) {
		case "ctl":
			arguments = append(arguments, "'1:method:("+strings.Join(methodNames(), " ")+")'", "'*:parameter:'")
		case "config check":
			arguments = append(arguments, "'1:file:_files'")
		}
		fmt.Fprintf(&b, "\n%s() {\n\t_arguments \\\n\t\t%s\n}\n", zshName(n), strings.Join(arguments, " \\\n\t\t"))
	}
	for _, g := range slices.Backward(groups(app)) {
		fmt.Fprintf(&b, "\n%s() {\n\tlocal state line\n\t_arguments -C \\\n\t\t%s \\\n\t\t'1: :->command' '*:: :->rest'\n\tcase $state in\n\tcommand)\n"+
			"\t\tlocal -a commands=(\n", zshName(g), strings.Join(common, " \\\n\t\t"))
		for _, n := range visible(g.Children) {
			fmt.Fprintf(&b, "\t\t\t'%s:%s'\n", n.Name, zshText(n.Help))
		}
		b.WriteString("\t\t)\n\t\t_describe command commands ;;\n\trest)\n\t\tcase $line[1] in\n")
		for _, n := range visible(g.Children) {
			fmt.Fprintf(&b, "\t\t%s) %s ;;\n", n.Name, zshName(n))
		}
		b.WriteString("\t\tesac ;;\n\tesac\n}\n")
	}
	b.WriteString("\n_offhook \"$@\"\n")
	return b.Bytes()
}

func methodNames() (out []string) {
	for _, c := range methods() {
		out = append(out, c.Method)
	}
	return out
}

func zshName(n *kong.Node) string {
	if n.Type == kong.ApplicationNode {
		return "_offhook"
	}
	return "_offhook_" + strings.ReplaceAll(pathOf(n), " ", "_")
}

func zshText(text string) string {
	return strings.NewReplacer("'", `'\''`, "[", `\[`, "]", `\]`, ":", `\:`).Replace(text)
}

func zshValue(f *kong.Flag) string {
	switch {
	case len(choices(f)) > 0:
		return "(" + strings.Join(choices(f), " ") + ")"
	case f.PlaceHolder == "FILE":
		return "_files"
	case f.PlaceHolder == "DIR":
		return "_files -/"
	default:
		return ""
	}
}

// fishCompletion is sourced by fish.
func fishCompletion(app *kong.Application) []byte {
	var b bytes.Buffer
	b.WriteString("# Generated from the definitions of the command line by 'make docs'.\ncomplete -c offhook -f\n")
	fishFlags(&b, "", app.Flags)
	for _, g := range groups(app) {
		when := "__fish_use_subcommand"
		if g != app.Node {
			when = fmt.Sprintf("__fish_seen_subcommand_from %s; and not __fish_seen_subcommand_from %s", g.Name, names(g.Children))
		}
		for _, n := range visible(g.Children) {
			fmt.Fprintf(&b, "complete -c offhook -n '%s' -a %s -d '%s'\n", when, n.Name, fishText(n.Help))
		}
	}
	for _, n := range subcommands(app) {
		fishFlags(&b, "__fish_seen_subcommand_from "+n.Name, n.Flags)
	}
	b.WriteString("complete -c offhook -n '__fish_seen_subcommand_from check' -F\n")
	for _, c := range methods() {
		fmt.Fprintf(&b, "complete -c offhook -n '__fish_seen_subcommand_from ctl' -a %s -d '%s'\n", c.Method, fishText(c.Summary))
	}
	return b.Bytes()
}

func fishFlags(b *bytes.Buffer, when string, flags []*kong.Flag) {
	for _, f := range flags {
		b.WriteString("complete -c offhook")
		if when != "" {
			fmt.Fprintf(b, " -n '%s'", when)
		}
		fmt.Fprintf(b, " -l %s -d '%s'", f.Name, fishText(f.Help))
		switch {
		case f.IsBool():
		case len(choices(f)) > 0:
			fmt.Fprintf(b, " -x -a '%s'", strings.Join(choices(f), " "))
		case f.PlaceHolder == "FILE" || f.PlaceHolder == "DIR":
			b.WriteString(" -r -F")
		default:
			b.WriteString(" -x")
		}
		b.WriteString("\n")
	}
}

func fishText(text string) string { return strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) }
