package data

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/protocols"
)

// FuzzLoad holds that a URL gives either badURL or content of the length that
// was promised, not longer than the URL, with a type that can be parsed.
func FuzzLoad(f *testing.F) {
	for _, s := range []string{
		",", "text/html;charset=utf-8,<p>%20", ";base64,aGk=", "text/plain;a=\"b,c\"; base64,%61Gk", "//h:1/./%2e%2E/,x?y#z",
		"†/†,†", " ; base64 ,", "//[::1]:99/;base64,a", "/..//../,", "x;base64;base64,WA\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		req, err := protocols.NewRequest("", "data:"+s, nil)
		if err != nil {
			t.Fatal(err)
		}
		before := *req.URL
		resp, err := (loader{}).Load(t.Context(), req)
		if *req.URL != before {
			t.Fatalf("the URL was changed: %v", req.URL)
		}
		if err != nil {
			if !errors.Is(err, protocols.BadURL) || resp != nil {
				t.Fatalf("error %v, response %v", err, resp)
			}

			return
		}
		content, err := io.ReadAll(resp.Body)
		if err != nil || int64(len(content)) != resp.KnownLength() || len(content) > len(s) {
			t.Fatalf("%d bytes, promised %d, error %v", len(content), resp.KnownLength(), err)
		}
		value := resp.Header.Get("Content-Type")
		if m, ok := parseMediaType(value); !ok || m.name != resp.MIMEType || strings.ContainsAny(value, "\r\n\x00") {
			t.Fatalf("content type %q, MIME type %q", value, resp.MIMEType)
		}
	})
}
