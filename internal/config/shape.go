package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"offhook/internal/plaintext"
)

// shape takes the keys that are unknown, and the values of a wrong type, out of a file and says what is wrong with them.
// What is returned can be decoded. The TOML reader would stop at the first of them; nobody wants to hear of his mistakes
// one by one. A file that is no TOML is one problem: what follows the mistake has no meaning.
func shape(path string, data []byte, lines map[string]int) (rest []byte, problems Problems) {
	var tree map[string]any
	if err := toml.Unmarshal(data, &tree); err != nil {
		return nil, Problems{syntax(path, err)}
	}
	refuse := func(key, text string) { problems = append(problems, Problem{path, lines[key], text}) }
	for _, table := range slices.Sorted(maps.Keys(tree)) {
		members, isTable := tree[table].(map[string]any)
		switch {
		case !slices.Contains(tables(), table):
			refuse(table, unknownKey(table, ""))
			delete(tree, table)
			continue
		case !isTable:
			refuse(table, table+" must be a table: ["+table+"] in a line of its own")
			delete(tree, table)
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(members)) {
			key := table + "." + name
			s, known := find(key)
			switch {
			case !known:
				refuse(key, unknownKey(table, name))
			case !s.takes(members[name]):
				refuse(key, key+" must be "+s.expects())
			default:
				continue
			}
			delete(members, name)
		}
	}
	if len(problems) == 0 {
		return data, nil
	}
	rest, err := toml.Marshal(tree)
	if err != nil {
		return nil, problems
	}
	return rest, problems
}

// takes reports whether a value is of the key's type. Whether it is a good one is another question.
func (s spec) takes(value any) bool {
	switch v := value.(type) {
	case string:
		return s.duration || s.kind == reflect.String
	case bool:
		return s.kind == reflect.Bool
	case int64, float64: // its text is refused where durations are read, with an example
		return s.duration
	case []any:
		return s.kind == reflect.Slice && !slices.ContainsFunc(v, func(e any) bool {
			_, isText := e.(string)
			return !isText
		})
	default:
		return false
	}
}

// syntax translates an error of the TOML reader.
func syntax(path string, err error) Problem {
	p := Problem{File: path, Text: strings.TrimPrefix(err.Error(), "toml: ")}
	var decode *toml.DecodeError
	if errors.As(err, &decode) {
		p.Line, _ = decode.Position()
	}
	return p
}

// tables lists the names of all tables.
func tables() []string {
	var out []string
	for _, s := range specs() {
		if !slices.Contains(out, s.table) {
			out = append(out, s.table)
		}
	}
	return out
}

// unknownKey says what is accepted in place of a key, or of a table without name.
func unknownKey(table, name string) string {
	if name == "" {
		return fmt.Sprintf("unknown key %.60s; accepted are the tables %s", printable(table), strings.Join(tables(), ", "))
	}
	var siblings []string
	for _, s := range specs() {
		if s.table == table {
			siblings = append(siblings, s.name)
		}
	}
	return fmt.Sprintf("unknown key %s.%.60s; accepted in [%s] are %s", table, printable(name), table, strings.Join(siblings, ", "))
}

// printable is a key, which may be any text in quotes, as it can be shown.
func printable(key string) string { return plaintext.Line(key, 60) }
