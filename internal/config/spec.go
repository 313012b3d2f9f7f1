package config

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
)

// spec is what the tags say of one key.
type spec struct {
	table, name       string
	doc               string
	fallback, example string // as they would be written in the file
	values            []string
	kind              reflect.Kind
	duration          bool
}

// specs lists all keys in the order of the fields.
func specs() []spec {
	var out []spec
	for table := range reflect.TypeFor[Config]().Fields() {
		if table.Type.Kind() != reflect.Struct { // Path
			continue
		}
		for f := range table.Type.Fields() {
			s := spec{
				table: table.Tag.Get("toml"), name: f.Tag.Get("toml"), doc: f.Tag.Get("doc"),
				fallback: f.Tag.Get("default"), example: f.Tag.Get("example"), values: strings.Fields(f.Tag.Get("values")),
				kind: f.Type.Kind(), duration: f.Type == reflect.TypeFor[Duration](),
			}
			if s.kind == reflect.String && s.example != "" {
				s.example = fmt.Sprintf("%q", s.example)
			}
			out = append(out, s)
		}
	}
	return out
}

func find(key string) (spec, bool) {
	for _, s := range specs() {
		if s.table+"."+s.name == key {
			return s, true
		}
	}
	return spec{}, false
}

// expects says what kind of value the key takes.
func (s spec) expects() string {
	switch {
	case s.kind == reflect.Slice && len(s.values) > 0:
		return "a list of \"" + strings.Join(s.values, "\", \"") + "\""
	case len(s.values) > 0:
		return "one of \"" + strings.Join(s.values, "\", \"") + "\""
	case s.duration:
		return "a duration in quotes, e.g. " + s.fallback
	case s.kind == reflect.Bool:
		return "true or false"
	case s.kind == reflect.Slice:
		return "a list of texts, e.g. " + s.shown()
	default:
		return "text in quotes, e.g. " + s.shown()
	}
}

// shown is the value the commented file shows.
func (s spec) shown() string {
	if s.fallback != "" {
		return s.fallback
	}
	return s.example
}

// Example returns the commented configuration file.
func Example() []byte {
	var b bytes.Buffer
	b.WriteString("# Configuration of offhook. Remove the # before a setting to change it; what is shown is the default or an example.\n" +
		"# `offhook config check` says what is wrong with it. All settings are explained in docs/config.md.\n")
	table := ""
	for _, s := range specs() {
		if s.table != table {
			table = s.table
			fmt.Fprintf(&b, "\n# %s\n[%s]\n", tableDoc(table), table)
		}
		fmt.Fprintf(&b, "\n")
		for _, line := range wrap(s.doc, 116) {
			fmt.Fprintf(&b, "# %s\n", line)
		}
		switch {
		case s.kind == reflect.Slice && len(s.values) > 0:
			fmt.Fprintf(&b, "# Of: %s.\n", strings.Join(s.values, ", "))
		case len(s.values) > 0:
			fmt.Fprintf(&b, "# One of: %s.\n", strings.Join(s.values, ", "))
		}
		fmt.Fprintf(&b, "#%s = %s\n", s.name, s.shown())
	}
	return b.Bytes()
}

// Markdown returns the reference of all settings.
func Markdown() []byte {
	var b bytes.Buffer
	b.WriteString("# Configuration\n\nGenerated from the settings' definitions by `make docs`.\n\n" +
		"The file is TOML. `offhook config init` writes a commented one where it belongs, `offhook config check` says what is\n" +
		"wrong with it. A flag has precedence over the file.\n")
	table := ""
	for _, s := range specs() {
		if s.table != table {
			table = s.table
			fmt.Fprintf(&b, "\n## [%s]\n\n%s\n\n| key | value | default | meaning |\n|---|---|---|---|\n", table, tableDoc(table))
		}
		fallback := "none"
		if s.fallback != "" {
			fallback = "`" + s.fallback + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.name, s.markdownType(), fallback, s.doc)
	}
	return b.Bytes()
}

func (s spec) markdownType() string {
	switch {
	case s.kind == reflect.Slice && len(s.values) > 0:
		return "list of `" + strings.Join(s.values, "`, `") + "`"
	case len(s.values) > 0:
		return "`" + strings.Join(s.values, "`, `") + "`"
	case s.duration:
		return "duration"
	case s.kind == reflect.Bool:
		return "boolean"
	case s.kind == reflect.Slice:
		return "list of texts"
	default:
		return "text"
	}
}

func tableDoc(table string) string {
	for f := range reflect.TypeFor[Config]().Fields() {
		if f.Tag.Get("toml") == table {
			return f.Tag.Get("doc")
		}
	}
	return ""
}

// wrap breaks text at spaces so that no line is longer than width, if possible.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}
