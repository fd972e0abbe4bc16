package rules

import (
	"path"
	"strings"
)

// relative returns an import path without this module's prefix.
func relative(imp string) string {
	if imp == module {
		return "."
	}
	return strings.TrimPrefix(imp, module+"/")
}

// standard says whether an import path is of the standard library: those have no dot in their first element.
func standard(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return !strings.Contains(first, ".")
}

func rowOf(name string) *row {
	for i := range importRows {
		if matches(importRows[i].packages, name) {
			return &importRows[i]
		}
	}
	return nil
}

func (r *row) allows(imp string) bool { return matches(r.allowed, imp) }

// matches says whether one of the patterns, as a row writes them, means the path.
func matches(patterns []string, name string) bool {
	for _, p := range patterns {
		below, deep := strings.CutSuffix(p, "/...")
		foreign := strings.Contains(p, ".") && !deep
		switch {
		case p == third:
			if strings.Contains(strings.Split(name, "/")[0], ".") {
				return true
			}
		case name == below:
			return true
		case (deep || foreign) && strings.HasPrefix(name, path.Clean(below)+"/"):
			return true
		}
	}

	return false
}
