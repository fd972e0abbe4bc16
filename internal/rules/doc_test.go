package rules

import (
	"bytes"
	"go/ast"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestPackageComments(t *testing.T) {
	commented := map[string][]string{} // by folder, the files that have one
	for _, s := range sources(t) {
		if strings.HasSuffix(s.name, "_test.go") {
			continue
		}
		dir := path.Dir(s.name)
		in := commented[dir]
		if s.file.Doc != nil {
			in = append(in, path.Base(s.name))
		}
		commented[dir] = in
	}
	for dir, in := range commented {
		if len(in) != 1 {
			t.Errorf("%s: one file has the package comment, where a newcomer starts to read; here %d do %v", dir, len(in), in)
		}
	}
}

func TestExportedComments(t *testing.T) {
	for _, s := range sources(t) {
		inner := slices.Contains(strings.Split(path.Dir(s.name), "/"), "internal")
		if inner || s.file.Name.Name == "main" || strings.HasSuffix(s.name, "_test.go") {
			continue
		}
		for _, d := range s.file.Decls {
			for _, name := range undocumented(s, d) {
				t.Errorf("%s: %s has no comment: say what it is, units, zero value, errors, concurrency, source",
					s.fset.Position(d.Pos()), name)
			}
		}
	}
}

// undocumented returns what d exports without a comment. A comment serves all the lines right below it, up to the next
// empty one, and one at the end of a line serves that line. The comment of a block of constants serves the block, and
// an interface's serves its only method.
func undocumented(s source, d ast.Decl) []string {
	var names []string
	switch d := d.(type) {
	case *ast.FuncDecl:
		exported := d.Name.IsExported() && (d.Recv == nil || ast.IsExported(receiver(d.Recv.List[0].Type)))
		if exported && d.Doc == nil {
			names = append(names, funcName(d))
		}
	case *ast.GenDecl:
		alone := d.Lparen == token.NoPos && d.Doc != nil
		block := d.Tok == token.CONST && d.Doc != nil
		below := adjacent{source: s}
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				names = append(names, undocumentedType(s, spec, alone)...)
			case *ast.ValueSpec:
				if !below.serves(spec, spec.Doc, spec.Comment) && !alone && !block {
					names = append(names, exportedOf("", spec.Names)...)
				}
			}
		}
	}

	return names
}

func undocumentedType(s source, spec *ast.TypeSpec, alone bool) []string {
	if !spec.Name.IsExported() {
		return nil
	}
	var names []string
	if spec.Doc == nil && !alone {
		names = append(names, spec.Name.Name)
	}
	var members []*ast.Field
	switch typ := spec.Type.(type) {
	case *ast.StructType:
		members = typ.Fields.List
	case *ast.InterfaceType:
		if members = typ.Methods.List; len(members) == 1 {
			return names
		}
	}
	below := adjacent{source: s}
	for _, f := range members {
		if !below.serves(f, f.Doc, f.Comment) {
			names = append(names, exportedOf(spec.Name.Name+".", f.Names)...)
		}
	}

	return names
}

// adjacent follows the lines that one comment serves.
type adjacent struct {
	source source
	last   int // the line on which the last node that was served ends
}

// serves says whether a comment of its own, or that of the lines right above, serves n. To be asked from top to bottom.
func (a *adjacent) serves(n ast.Node, doc, comment *ast.CommentGroup) bool {
	below := a.last != 0 && a.source.fset.Position(n.Pos()).Line == a.last+1
	if doc == nil && !below {
		return comment != nil
	}
	a.last = a.source.fset.Position(n.End()).Line

	return true
}

func exportedOf(prefix string, idents []*ast.Ident) []string {
	var names []string
	for _, id := range idents {
		if id.IsExported() {
			names = append(names, prefix+id.Name)
		}
	}

	return names
}

// What is committed speaks of the project alone: it names no machine's folders, and no host that modules come from.
func TestNoMachineInText(t *testing.T) {
	// Put together here, or this file would name what it forbids.
	folders := regexp.MustCompile(`(^|[^a-zA-Z.])/(` + strings.Join([]string{"home", "root", "work"}, "|") + `)/[a-zA-Z]`)
	hosts := []string{
		"proxy." + "golang.org", "sum." + "golang.org", "goproxy." + "io", "registry." + "npmjs.org", "pypi." + "org",
		"files." + "pythonhosted.org", "deb." + "debian.org", "static." + "crates.io",
	}
	for _, name := range files(t) {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.IndexByte(data, 0) >= 0 {
			continue // not text
		}
		for i, line := range strings.Split(string(data), "\n") {
			if m := folders.FindString(line); m != "" {
				t.Errorf("%s:%d names a folder of one machine: %q", name, i+1, strings.TrimSpace(m))
			}
			for _, host := range hosts {
				if strings.Contains(line, host) {
					t.Errorf("%s:%d names the host %s", name, i+1, host)
				}
			}
		}
	}
}
