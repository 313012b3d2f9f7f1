package arch

import (
	"go/ast"
	"go/token"
	"maps"
	"slices"
	"strings"
	"testing"
)

// Bounds of a package comment, in lines. Less says nothing, more belongs into docs.
const minDoc, maxDoc = 5, 60

func TestPackageDocs(t *testing.T) {
	docs := map[string][]string{} // package → files that carry a package comment
	lines := map[string]int{}
	for _, f := range source(t).files {
		if f.test {
			continue
		}
		docs[f.pkg] = append(docs[f.pkg], nil...)
		if f.ast.Doc != nil {
			if text := strings.TrimSpace(f.ast.Doc.Text()); text != "" {
				docs[f.pkg] = append(docs[f.pkg], f.name)
				lines[f.pkg] = strings.Count(text, "\n") + 1
			}
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(docs)) {
		switch n := len(docs[pkg]); {
		case n == 0:
			t.Errorf("package %s has no package comment", pkg)
		case n > 1:
			t.Errorf("package %s has %d package comments: %v", pkg, n, docs[pkg])
		case lines[pkg] < minDoc:
			t.Errorf("%s: the package comment has %d lines; explain the package in %d or more", docs[pkg][0], lines[pkg], minDoc)
		case lines[pkg] > maxDoc:
			t.Errorf("%s: the package comment has %d lines; more than %d belong into docs", docs[pkg][0], lines[pkg], maxDoc)
		}
	}
}

// evident are methods that say by their name and signature what they do: the interfaces of the standard library.
var evident = []string{
	"Error", "Unwrap", "String", "LogValue", "MarshalText", "UnmarshalText", "MarshalJSON",
	"UnmarshalJSON", "Is", "Len", "Less", "Swap", "Type",
}

func TestExportedNamesAreDocumented(t *testing.T) {
	src := source(t)
	for _, f := range src.files {
		if f.test || f.pkg == "main" {
			continue
		}
		for i, decl := range f.ast.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && !slices.Contains(evident, d.Name.Name) && receiverExported(d) &&
					!follows(src, f, i) {
					t.Errorf("%s: %s has no comment", src.line(d), d.Name.Name)
				}
			case *ast.GenDecl:
				undocumentedSpecs(t, src, d)
			}
		}
	}
}

// follows reports whether a declaration stands directly below another one, without an empty line: a group of one-liners
// has its comment above the first.
func follows(src *tree, f *file, i int) bool {
	return i > 0 && src.fset.Position(f.ast.Decls[i].Pos()).Line == src.fset.Position(f.ast.Decls[i-1].End()).Line+1
}

func undocumentedSpecs(t *testing.T, src *tree, d *ast.GenDecl) {
	if d.Tok == token.IMPORT || d.Doc != nil {
		return
	}
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && s.Doc == nil && s.Comment == nil {
				t.Errorf("%s: %s has no comment", src.line(s), s.Name.Name)
			}
		case *ast.ValueSpec:
			for _, name := range s.Names {
				if name.IsExported() && s.Doc == nil && s.Comment == nil {
					t.Errorf("%s: %s has no comment", src.line(s), name.Name)
				}
			}
		}
	}
}

func receiverExported(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	expr := d.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.Ident:
			return e.IsExported()
		default:
			return true
		}
	}
}
