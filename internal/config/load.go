package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 1 << 20

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	File string
	Line int    // 0 where the file says nothing about it
	Text string // what is wrong and what is accepted
}

func (p Problem) String() string {
	switch {
	case p.File == "":
		return p.Text
	case p.Line == 0:
		return p.File + ": " + p.Text
	default:
		return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
	}
}

// Problems are all that is wrong with a configuration, in the order of the file.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// Load reads and checks the file at path. The error is fs.ErrNotExist wrapped, another error of reading, or Problems.
func Load(path string) (Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return Config{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return Config{}, err
	}
	if len(data) > maxFile {
		return Config{}, Problems{{File: path, Text: fmt.Sprintf("larger than %d bytes", maxFile)}}
	}
	return Parse(path, data)
}

// Parse reads and checks the text of a configuration file that came from path.
func Parse(path string, data []byte) (Config, error) {
	c := Default()
	c.Path = path
	lines := keyLines(data)
	rest, problems := shape(path, data, lines)
	if err := toml.Unmarshal(rest, &c); err != nil {
		return Config{}, append(problems, syntax(path, err))
	}
	c.expand(filepath.Dir(path))
	for _, w := range c.wrong() {
		problems = append(problems, Problem{File: path, Line: lines[w.key], Text: w.key + ": " + w.text})
	}
	if len(problems) == 0 {
		return c, nil
	}
	slices.SortStableFunc(problems, func(a, b Problem) int { return a.Line - b.Line })
	return Config{}, problems
}

// Check looks at a configuration whose fields were changed after it was read, e.g. by flags.
func (c Config) Check() error {
	var problems Problems
	for _, w := range c.wrong() {
		problems = append(problems, Problem{Text: w.key + ": " + w.text})
	}
	if len(problems) == 0 {
		return nil
	}
	return problems
}

// keyLines finds the line of every table.key, for messages about values that TOML itself has no objection to.
func keyLines(data []byte) map[string]int {
	lines := map[string]int{}
	note := func(key string, index int) {
		if _, known := lines[key]; !known {
			lines[key] = index + 1
		}
	}
	table := ""
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			name, _, _ := strings.Cut(strings.Trim(line, "[ "), "]")
			table = unquoted(name)
			note(table, i)
			continue
		}
		key, _, ok := strings.Cut(line, "=")
		if key = unquoted(key); !ok || strings.HasPrefix(key, "#") {
			continue
		}
		if table != "" {
			key = table + "." + key
		}
		note(key, i)
	}
	return lines
}

// unquoted is a bare key, or one in quotes.
func unquoted(key string) string { return strings.Trim(strings.TrimSpace(key), `"'`) }
