package cookie

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"testing"

	"github.com/urlkit/urlkit/storage"
)

func TestFromJar(t *testing.T) {
	inner, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := FromJar(inner)
	u := parseURL(t, "https://a.test/x")
	q := &storage.CookieQuery{URL: u}
	s.StoreCookies(q, []string{`a="1"; Path=/`, "b=2; Secure", "bad", "c=3; Max-Age=0"})
	if got := s.CookieHeader(q); got != `a="1"; b=2` {
		t.Errorf("sent: %q", got)
	}
	if got := inner.Cookies(u); len(got) != 2 {
		t.Errorf("the jar has %v", got)
	}
	if got := s.CookieHeader(&storage.CookieQuery{URL: parseURL(t, "wss://a.test/x")}); got != `a="1"; b=2` {
		t.Errorf("a WebSocket sends %q", got)
	}
	s.StoreCookies(&storage.CookieQuery{URL: parseURL(t, "ws://ws.test/")}, []string{"w=1"})
	if got := inner.Cookies(parseURL(t, "http://ws.test/")); len(got) != 1 {
		t.Errorf("of a WebSocket the jar has %v", got)
	}
	other := parseURL(t, "https://b.test/")
	for what, q := range map[string]*storage.CookieQuery{
		"nothing":              nil,
		"no URL":               {},
		"a partition":          {URL: u, Partition: "p"},
		"another site":         {URL: u, MainDocumentURL: other, AcceptPolicy: storage.AcceptAlways},
		"another site's POST":  {URL: u, RedirectedAcrossSites: true, Method: "POST"},
		"a URL without a host": {URL: &url.URL{Scheme: "https"}},
	} {
		s.StoreCookies(q, []string{"d=4"})
		if got := s.CookieHeader(q); got != "" {
			t.Errorf("%s gets %q", what, got)
		}
	}
	s.StoreCookies(&storage.CookieQuery{URL: u, AcceptPolicy: storage.AcceptNever}, []string{"d=4"})
	if got := s.CookieHeader(&storage.CookieQuery{URL: u, RedirectedAcrossSites: true}); got != `a="1"; b=2` {
		t.Errorf("then %q is sent", got)
	}
	if got := FromJar(odd{}).CookieHeader(q); got != "fine=1" {
		t.Errorf("of an odd jar %q is sent", got)
	}
}

// odd is a jar that gives what no header can hold.
type odd struct{}

func (odd) SetCookies(*url.URL, []*http.Cookie) {}

func (odd) Cookies(*url.URL) []*http.Cookie {
	return []*http.Cookie{{Name: "a", Value: "1\r\nX: y"}, {Value: "1"}, {Name: "b", Value: "1; c=2"}, {Name: "fine", Value: "1"}}
}
