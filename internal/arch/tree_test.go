package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// module is the module's path, the prefix of its own imports.
const module = "offhook"

// A file is one parsed Go file of the module.
type file struct {
	name    string // relative to the module's root, with slashes
	pkg     string // import path without the module, "main" for the root
	test    bool
	text    string
	ast     *ast.File
	imports []string
}

// A tree is all Go source of the module, whatever its build tags.
type tree struct {
	root  string
	fset  *token.FileSet
	files []*file
}

// parsed reads the tree once for all tests.
var parsed = sync.OnceValues(parseTree)

func source(t *testing.T) *tree {
	t.Helper()
	src, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func parseTree() (*tree, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return nil, err
	}
	src := &tree{root: root, fset: token.NewFileSet()}
	return src, filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if base := entry.Name(); name != root && (strings.HasPrefix(base, ".") || base == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := src.parse(name)
		if err != nil {
			return err
		}
		src.files = append(src.files, f)
		return nil
	})
}

func (s *tree) parse(name string) (*file, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	rel, err := filepath.Rel(s.root, name)
	if err != nil {
		return nil, err
	}
	rel = filepath.ToSlash(rel)
	parsed, err := parser.ParseFile(s.fset, rel, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := &file{name: rel, pkg: path.Dir(rel), test: strings.HasSuffix(rel, "_test.go"), text: string(text), ast: parsed}
	if f.pkg == "." {
		f.pkg = "main"
	}
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		f.imports = append(f.imports, imported)
	}
	return f, nil
}

// line is where a node begins, as file:line.
func (s *tree) line(n ast.Node) string { return s.fset.Position(n.Pos()).String() }
