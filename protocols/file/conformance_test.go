package file_test

import (
	"bytes"
	"context"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/urlkit/urlkit/conformance"
	"github.com/urlkit/urlkit/protocols/file"
)

func TestConformance(t *testing.T) {
	dir := t.TempDir()
	text := bytes.Repeat([]byte("a line of text\n"), 50)
	long := bytes.Repeat([]byte("0123456789abcdef"), 20<<10)
	for name, data := range map[string][]byte{"page.txt": text, "long.bin": long, "empty.txt": nil} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string {
		return (&url.URL{Scheme: "file", Path: "/" + filepath.ToSlash(filepath.Join(dir, name))[1:]}).String()
	}
	conformance.Run(t, conformance.Harness{
		Scheme: file.Schemes(file.Config{})[0],
		Fixture: func(context.Context) (*conformance.Fixture, error) {
			return &conformance.Fixture{
				Content: []conformance.Content{
					{URL: at("page.txt"), Bytes: text, MIMEType: "text/plain"},
					{URL: at("long.bin"), Bytes: long},
					{URL: at("empty.txt"), Bytes: []byte{}},
				},
				Missing: at("missing.txt"),
				Upload: conformance.Upload{URL: at("uploaded.bin"), Received: func() []byte {
					data, _ := os.ReadFile(filepath.Join(dir, "uploaded.bin")) // nothing is what did not arrive
					return data
				}},
			}, nil
		},
	})
}
