package arch

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// maxLines is where a file must be split; from 400 on one should ask what its second role is.
const maxLines = 600

func TestFileLength(t *testing.T) {
	for _, f := range source(t).files {
		if n := strings.Count(f.text, "\n"); n > maxLines {
			t.Errorf("%s has %d lines; split it by role (at most %d)", f.name, n, maxLines)
		}
	}
}

// TestNoSleepOnTheWallClock allows time.Sleep in tests that run in a bubble of testing/synctest, whose clock is fake:
// in files that import it, and in files of the same package that come without sockets and processes. Tests against other
// servers live by their clock. A sleep that has to be real, because the test is about another process, says so:
// "// wall clock: why".
func TestNoSleepOnTheWallClock(t *testing.T) {
	src := source(t)
	bubbles := map[string]bool{}
	for _, f := range src.files {
		if f.test && slices.Contains(f.imports, "testing/synctest") {
			bubbles[f.pkg] = true
		}
	}
	for _, f := range src.files {
		real := slices.Contains(f.imports, "net") || slices.Contains(f.imports, "os/exec")
		fake := slices.Contains(f.imports, "testing/synctest") || bubbles[f.pkg] && !real
		if !f.test || fake || f.pkg == "internal/interop" {
			continue
		}
		lines := strings.Split(f.text, "\n")
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !isSelector(call.Fun, "time", "Sleep") {
				return true
			}
			if line := src.fset.Position(n.Pos()).Line; !strings.Contains(lines[line-1], "// wall clock: ") {
				t.Errorf("%s: time.Sleep in a test; wait for the thing itself, or use testing/synctest", src.line(n))
			}
			return true
		})
	}
}

func TestNoInitFunctions(t *testing.T) {
	src := source(t)
	for _, f := range src.files {
		for _, decl := range f.ast.Decls {
			if d, ok := decl.(*ast.FuncDecl); ok && d.Recv == nil && d.Name.Name == "init" {
				t.Errorf("%s: init function; registries are explicit slices (docs/adr/0006-explicit-registries.md)", src.line(d))
			}
		}
	}
}

// TestLoggersArePassedIn refuses the process-wide loggers and prints: the terminal belongs to the front end.
func TestLoggersArePassedIn(t *testing.T) {
	global := []string{
		"Debug", "Info", "Warn", "Error", "Log", "LogAttrs", "DebugContext", "InfoContext", "WarnContext",
		"ErrorContext", "Default", "SetDefault",
	}
	src := source(t)
	for _, f := range src.files {
		if f.test || f.pkg == "main" {
			continue
		}
		if slices.Contains(f.imports, "log") {
			t.Errorf("%s imports log; take a *slog.Logger instead", f.name)
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			for _, name := range global {
				if isSelector(call.Fun, "slog", name) {
					t.Errorf("%s: slog.%s uses the global logger; take a *slog.Logger instead", src.line(n), name)
				}
			}
			for _, name := range []string{"Print", "Printf", "Println"} {
				if isSelector(call.Fun, "fmt", name) {
					t.Errorf("%s: fmt.%s writes to the terminal, which belongs to the front end", src.line(n), name)
				}
			}
			return true
		})
	}
}

func isSelector(expr ast.Expr, pkg, name string) bool {
	sel, ok := expr.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == pkg
}
