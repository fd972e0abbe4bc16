package file

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// jsonPage is an array of entries.
type jsonPage struct{ some bool }

func (*jsonPage) begin(b *bytes.Buffer) { b.WriteString("[") }

func (p *jsonPage) entry(b *bytes.Buffer, e entry) {
	if p.some {
		b.WriteString(",")
	}
	p.some = true
	b.WriteString("\n")
	text, err := json.Marshal(e)
	if err != nil {
		// A time with a year beyond 9999 is the only value that JSON refuses.
		e.Modified = time.Time{}
		text, _ = json.Marshal(e)
	}
	b.Write(text)
}

func (*jsonPage) end(b *bytes.Buffer) { b.WriteString("\n]\n") }

// htmlPage is a table of links.
type htmlPage struct{ folder string }

func (p *htmlPage) begin(b *bytes.Buffer) {
	title := shown(p.folder)
	fmt.Fprintf(b, "<!DOCTYPE html>\n<html>\n<head><meta charset=\"utf-8\"><title>%s</title></head>\n<body>\n<h1>%s</h1>\n<table>\n", title, title)
	if filepath.Dir(p.folder) != p.folder {
		b.WriteString("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n")
	}
}

func (*htmlPage) entry(b *bytes.Buffer, e entry) {
	slash, size, modified := "", "", ""
	switch e.Type {
	case "directory":
		slash = "/"
	case "file":
		size = fmt.Sprint(e.Size)
	}
	if !e.Modified.IsZero() {
		modified = e.Modified.Format(time.RFC3339)
	}
	// "./" keeps a name with a colon from being read as a scheme.
	fmt.Fprintf(b, "<tr><td><a href=\"./%s%s\">%s%s</a></td><td>%s</td><td>%s</td></tr>\n",
		html.EscapeString(url.PathEscape(e.Name)), slash, shown(e.Name), slash, size, modified)
}

func (*htmlPage) end(b *bytes.Buffer) { b.WriteString("</table>\n</body>\n</html>\n") }

// shown is a name as text in HTML, whatever bytes it has.
func shown(name string) string {
	return html.EscapeString(strings.ToValidUTF8(name, "\uFFFD"))
}
