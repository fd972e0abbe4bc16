package rules

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	maxFileLines = 400
	maxFuncLines = 60
)

// A file or a function that outgrows its budget wants splitting by idea. What is better whole is named in DESIGN.md
// below "## Size exceptions", one a line, with the reason:
//
//   - `path/file.go`: reason
//   - `path/file.go:Func`: reason (a method is Type.Method)
func TestSizes(t *testing.T) {
	exceptions := sizeExceptions(t)
	over := func(what string, lines, limit int) {
		if lines <= limit {
			return
		}
		if _, ok := exceptions[what]; !ok {
			t.Errorf("%s has %d lines, %d at most: split it by idea, or name it in DESIGN.md with a reason", what, lines, limit)
		}
		delete(exceptions, what)
	}
	for _, s := range sources(t) {
		over(s.name, s.fset.File(s.file.Pos()).LineCount(), maxFileLines+1) // the last one is empty
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				over(s.name+":"+funcName(f), s.fset.Position(f.End()).Line-s.fset.Position(f.Pos()).Line+1, maxFuncLines)
			}
		}
	}
	for what := range exceptions {
		t.Errorf("DESIGN.md excepts %s, which is not too long: delete the line", what)
	}
}

// sizeExceptions reads the exceptions from DESIGN.md, each with its reason.
func sizeExceptions(t *testing.T) map[string]string {
	t.Helper()
	exceptions := map[string]string{}
	design, err := os.ReadFile(filepath.Join(root, "DESIGN.md"))
	if err != nil {
		t.Logf("so there are no exceptions: %v", err)
		return exceptions
	}
	_, section, _ := strings.Cut(string(design), "\n## Size exceptions\n")
	section, _, _ = strings.Cut(section, "\n## ")
	line := regexp.MustCompile("(?m)^[-*] `([^`]+\\.go(?::[^`]+)?)`(.*)$")
	for _, m := range line.FindAllStringSubmatch(section, -1) {
		reason := strings.TrimLeft(m[2], " :—–-")
		if reason == "" {
			t.Errorf("DESIGN.md excepts %s without a reason", m[1])
		}
		exceptions[m[1]] = reason
	}

	return exceptions
}

// funcName is a function's name, a method's with its type.
func funcName(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return f.Name.Name
	}
	return receiver(f.Recv.List[0].Type) + "." + f.Name.Name
}

// receiver is the name of a method's type.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}

	return "?"
}
