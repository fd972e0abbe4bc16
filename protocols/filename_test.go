package protocols_test

import (
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/urlkit/urlkit/protocols"
)

func suggested(disposition, rawURL, mimeType string) string {
	r := protocols.Response{Header: http.Header{}, MIMEType: mimeType}
	if disposition != "" {
		r.Header.Set("Content-Disposition", disposition)
	}
	if u, err := url.Parse(rawURL); err == nil && rawURL != "" {
		r.URL = u
	}

	return r.SuggestedFilename()
}

func TestSuggestedFilename(t *testing.T) {
	tests := []struct{ name, disposition, url, mime, want string }{
		{"disposition", `attachment; filename="report.pdf"`, "https://h/x", "", "report.pdf"},
		{"token", `inline; filename=report.pdf`, "https://h/x", "", "report.pdf"},
		{"RFC 6266 filename*", `attachment; filename="EURO.txt"; filename*=UTF-8''%e2%82%ac.txt`, "", "", "€.txt"},
		{"filename* first", `attachment; filename*=UTF-8''%e2%82%ac.txt; filename=EURO.txt`, "", "", "€.txt"},
		{"filename* of another charset", `attachment; filename=EURO.txt; filename*=koi8-r''%a4.txt`, "", "", "EURO.txt"},
		{"malformed disposition", `attachment; filename=`, "https://h/x.txt", "", "x.txt"},
		{"no filename", `attachment`, "https://h/x.txt", "", "x.txt"},
		{"last component", "", "https://h/a/b%20c.txt?d.zip", "", "b c.txt"},
		{"trailing slash", "", "https://h/a/", "text/plain", "a.txt"},
		{"host", "", "https://www.example.com/", "text/html", "www.example.com"},
		{"host without a dot", "", "https://localhost/", "text/html", "localhost.html"},
		{"address", "", "http://[::1]:80/", "", "__1"},
		{"nothing", "", "", "text/plain", "Unknown"},
		{"data", "", "data:,x", "text/plain", "Unknown"},
		{"extension of the type", "", "https://h/picture", "image/jpeg", "picture.jpg"},
		{"extension kept", "", "https://h/picture.png", "image/jpeg", "picture.png"},
		{"unknown type", "", "https://h/a", "application/octet-stream", "a"},
		{"no such type", "", "https://h/a", "no/such", "a"},
		{"separators", `attachment; filename="a/b\\c.txt"`, "", "", "a_b_c.txt"},
		{"up and up", `attachment; filename="../../etc/passwd"`, "", "", "_.._etc_passwd"},
		{"only dots", `attachment; filename=".."`, "https://h/x.txt", "", "x.txt"},
		{"dots in the URL", "", "https://h/..", "", "h"},
		{"encoded separator", "", "https://h/a%2F..%2Fb.txt", "", "b.txt"},
		{"hidden", `attachment; filename=".profile"`, "", "", "profile"},
		{"trailing dots and blanks", `attachment; filename="a.txt. . "`, "", "", "a.txt"},
		{"control", "", "https://h/a%0d%0ab%00.txt", "", "ab.txt"},
		{"bidi", "", "https://h/evil%E2%80%AEgpj.exe", "", "evilgpj.exe"},
		{"no UTF-8", "", "https://h/%ff%fea.txt", "", "a.txt"},
		{"Windows' own", "", `https://h/a%3Ab%2A%3F%22%3C%3E%7C.txt`, "", "a_b______.txt"},
		{"device", `attachment; filename="CON"`, "", "", "_CON"},
		{"device with an extension", `attachment; filename="nul.tar.gz"`, "", "", "_nul.tar.gz"},
		{"device with a blank", `attachment; filename="aux .txt"`, "", "", "_aux .txt"},
		{"numbered device", `attachment; filename="LpT1.txt"`, "", "", "_LpT1.txt"},
		{"no device", `attachment; filename="console.txt"`, "", "", "console.txt"},
		{"long", "", "https://h/" + strings.Repeat("a", 300) + ".tar.gz", "", strings.Repeat("a", 197) + ".gz"},
		{"long and multi-byte", "", "https://h/" + strings.Repeat("€", 100), "", strings.Repeat("€", 66)},
		{"long extension", "", "https://h/a." + strings.Repeat("b", 300), "", "a." + strings.Repeat("b", 198)},
		{"cut at a dot", "", "https://h/" + strings.Repeat("a", 199) + "." + strings.Repeat("b", 100), "", strings.Repeat("a", 199)},
	}
	for _, test := range tests {
		if got := suggested(test.disposition, test.url, test.mime); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func FuzzSuggestedFilename(f *testing.F) {
	f.Add(`attachment; filename="../../x"`, "https://h/a/b", "text/plain")
	f.Add(`attachment; filename*=UTF-8''%e2%80%ae`, "https://h/..%2f", "")
	f.Add(`a; filename="CON .txt"`, "x:y", "text/html")
	f.Fuzz(func(t *testing.T, disposition, rawURL, mimeType string) {
		name := suggested(disposition, rawURL, mimeType)
		bad := func(r rune) bool {
			return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || strings.ContainsRune(`/\:*?"<>|`, r)
		}
		if name == "" || name == "." || name == ".." || path.Base(name) != name || len(name) > 255 ||
			!utf8.ValidString(name) || strings.ContainsFunc(name, bad) || strings.HasSuffix(name, ".") {
			t.Errorf("%q, %q, %q give %q", disposition, rawURL, mimeType, name)
		}
	})
}
