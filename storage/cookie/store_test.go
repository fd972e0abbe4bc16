package cookie

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/urlkit/urlkit/storage"
)

var start = time.Date(2030, time.January, 2, 3, 4, 5, 0, time.UTC)

// at is a store whose clock stands at start, and the way to move it.
func at() (*Store, func(time.Duration)) {
	now := start
	return &Store{now: func() time.Time { return now }}, func(d time.Duration) { now = now.Add(d) }
}

func parseURL(t testing.TB, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}

	return u
}

func query(t testing.TB, raw string) *storage.CookieQuery {
	t.Helper()
	return &storage.CookieQuery{URL: parseURL(t, raw)}
}

// storeRows say who gets a cookie, and who does not.
var storeRows = []struct {
	from, line string
	sent       string // to these URLs, "" is for none
	kept       string // from these
}{
	{"https://a.test/", "n=v", "https://a.test/ https://A.TEST/x http://a.test/ https://a.test:8443/ https://a.test./", "https://b.a.test/ https://xa.test/ https://test/"},
	{"https://www.a.test/", "n=v; Domain=a.test", "https://a.test/ https://www.a.test/ https://x.y.a.test/", "https://ba.test/ https://b.test/"},
	{"https://www.a.test/", "n=v; domain=.A.Test", "https://a.test/ https://b.a.test/", "https://superA.test/"},
	{"https://www.a.test/", "n=v; Domain=", "https://www.a.test/", "https://a.test/"},
	{"https://www.a.test/", "n=v; Domain=b.test", "", "https://www.a.test/ https://b.test/"},
	{"https://www.a.test/", "n=v; Domain=x.www.a.test", "", "https://www.a.test/ https://x.www.a.test/"},
	{"https://a.co.uk/", "n=v; Domain=co.uk", "", "https://a.co.uk/ https://co.uk/ https://b.co.uk/"},
	{"https://me.github.io/", "n=v; Domain=github.io", "", "https://me.github.io/ https://you.github.io/"},
	{"https://github.io/", "n=v; Domain=github.io", "https://github.io/", "https://you.github.io/"},
	{"https://localhost/", "n=v; Domain=localhost", "https://localhost/", "https://a.localhost/"},
	{"https://www.xn--bcher-kva.test/", "n=v; Domain=XN--BCHER-KVA.test", "https://xn--bcher-kva.test/", "https://bucher.test/"},
	{"https://bücher.test/", "n=v; Domain=BÜCHER.test", "https://bücher.test/ https://BÜCHER.test/", "https://a.bücher.test/ https://bucher.test/"},
	{"https://a.公司.cn/", "n=v; Domain=公司.cn", "", "https://a.公司.cn/ https://b.公司.cn/"},
	{"https://a.公司.cn/", "n=v; Domain=cn", "", "https://a.公司.cn/"},
	{"https://\xff.test/", "n=v", "", "https://\xff.test/ https://\xfe.test/"},
	{"https://a.test/", "n=v; Domain=\xff.test", "", "https://a.test/"},
	{"http://127.0.0.1/", "n=v", "http://127.0.0.1:81/", "http://127.0.0.2/"},
	{"http://127.0.0.1/", "n=v; Domain=127.0.0.1", "http://127.0.0.1/", "http://1.127.0.0.1/"},
	{"http://127.0.0.1/", "n=v; Domain=0.0.1", "", "http://127.0.0.1/"},
	{"http://[::1]/", "n=v; Secure", "http://[::1]:8080/", "http://[::2]/"},
	{"https://a.test/x/y", "n=v", "https://a.test/x https://a.test/x/ https://a.test/x/z", "https://a.test/ https://a.test/xx"},
	{"https://a.test/x/y", "n=v; Path=/", "https://a.test https://a.test/z", ""},
	{"https://a.test/x/y", "n=v; Path=relative", "https://a.test/x/z", "https://a.test/"},
	{"https://a.test/", "n=v; Path=/p/", "https://a.test/p/ https://a.test/p/q", "https://a.test/p https://a.test/"},
	{"https://a.test/", "n=v; Path=/a%20b", "https://a.test/a%20b/c", "https://a.test/a"},
	{"https://a.test/", "n=v; Secure", "https://a.test/ wss://a.test/", "http://a.test/ ws://a.test/"},
	{"http://a.test/", "n=v; Secure", "", "https://a.test/"},
	{"http://localhost/", "n=v; SECURE", "http://localhost/", ""},
	{"http://a.localhost/", "n=v; Secure=no", "http://a.localhost/", ""},
	{"https://a.test/", "__Secure-n=v; Secure", "https://a.test/", "http://a.test/"},
	{"https://a.test/", "__secure-n=v", "", "https://a.test/"},
	{"https://a.test/", "__Host-n=v; Secure; Path=/", "https://a.test/", "https://b.a.test/"},
	{"https://a.test/", "__Host-n=v; Secure", "", "https://a.test/"},
	{"https://a.test/", "__Host-n=v; Path=/", "", "https://a.test/"},
	{"https://a.test/", "__HOST-n=v; Secure; Path=/; Domain=a.test", "", "https://a.test/"},
	{"https://a.test/", "n=v; SameSite=None", "", "https://a.test/"},
	{"https://a.test/", "n=v; HttpOnly", "https://a.test/", ""},
	{"file:///tmp/x", "n=v", "", "file:///tmp/x"},
}

// TestStoreAndSend stores a line from one URL and asks for the header of others.
func TestStoreAndSend(t *testing.T) {
	for _, row := range storeRows {
		t.Run(row.from+" "+row.line, func(t *testing.T) {
			s, _ := at()
			s.StoreCookies(query(t, row.from), []string{row.line})
			name, _, _ := strings.Cut(row.line, ";")
			for _, u := range strings.Fields(row.sent) {
				if got := s.CookieHeader(query(t, u)); got != name {
					t.Errorf("%s gets %q", u, got)
				}
			}
			for _, u := range strings.Fields(row.kept) {
				if got := s.CookieHeader(query(t, u)); got != "" {
					t.Errorf("%s gets %q", u, got)
				}
			}
		})
	}
}

func TestExpiry(t *testing.T) {
	const day = 24 * time.Hour
	for _, row := range []struct {
		attributes string
		lives      time.Duration // 0: not at all; -1: while the store does
	}{
		{"", -1},
		{"Max-Age=60", time.Minute},
		{"Max-Age=0", 0},
		{"Max-Age=-1", 0},
		{"Max-Age=-0", 0},
		{"Max-Age=1x", -1},
		{"Max-Age=+5", -1},
		{"Max-Age=", -1},
		{"Max-Age=007", 7 * time.Second},
		{"Max-Age=99999999999999999999", 400 * day},
		{"Max-Age=-99999999999999999999", 0},
		{"Expires=Wed, 02 Jan 2030 03:05:05 GMT", time.Minute},
		{"Expires=Wed, 02 Jan 2030 03:05:05 GMT; Max-Age=5", 5 * time.Second},
		{"Max-Age=5; Expires=Wed, 02 Jan 2030 03:05:05 GMT", 5 * time.Second},
		{"Max-Age=5; Max-Age=9", 9 * time.Second},
		{"Expires=Thu, 01 Jan 1970 00:00:00 GMT", 0},
		{"Expires=Fri, 31 Dec 9999 23:59:59 GMT", 400 * day},
		{"Expires=never", -1},
		{"Expires=never; Max-Age=3", 3 * time.Second},
	} {
		t.Run(row.attributes, func(t *testing.T) {
			s, advance := at()
			q := query(t, "https://a.test/")
			s.StoreCookies(q, []string{"n=v; " + row.attributes})
			if row.lives == 0 {
				if got := s.CookieHeader(q); got != "" || len(s.All()) != 0 {
					t.Errorf("an expired cookie was stored: %q", got)
				}

				return
			}
			lives := row.lives
			if lives < 0 {
				lives = 10000 * day
			}
			advance(lives - time.Nanosecond)
			if got := s.CookieHeader(q); got != "n=v" {
				t.Errorf("gone before its time: %q", got)
			}
			advance(time.Nanosecond)
			if got := s.CookieHeader(q); (got == "") != (row.lives > 0) {
				t.Errorf("after %v: %q", lives, got)
			}
		})
	}
}

func TestReplaceAndDelete(t *testing.T) {
	s, _ := at()
	q := query(t, "https://a.test/")
	s.StoreCookies(q, []string{"a=1", "b=2", "a=3"})
	if got := s.CookieHeader(q); got != "a=3; b=2" { // a keeps its place
		t.Errorf("got %q", got)
	}
	s.StoreCookies(q, []string{"a=4; Domain=a.test", "a=5; Path=/x"})
	if got := s.CookieHeader(query(t, "https://a.test/x")); got != "a=5; a=3; b=2; a=4" {
		t.Errorf("got %q", got)
	}
	s.StoreCookies(q, []string{"a=; Max-Age=0", "none=; Max-Age=0"})
	if got := s.CookieHeader(q); got != "b=2; a=4" {
		t.Errorf("got %q", got)
	}
	if err := s.RemoveAll(t.Context()); err != nil {
		t.Error(err)
	}
	if got := s.CookieHeader(q); got != "" || len(s.All()) != 0 {
		t.Errorf("after RemoveAll: %q, %v", got, s.All())
	}
	s.StoreCookies(q, []string{"c=6"})
	if got := s.CookieHeader(q); got != "c=6" {
		t.Errorf("after RemoveAll and another: %q", got)
	}
}

// A cookie that has expired is none: it hides nothing, and its successor is younger
// than others.
func TestExpiredIsNone(t *testing.T) {
	s, advance := at()
	plain := query(t, "http://a.test/")
	s.StoreCookies(query(t, "https://a.test/"), []string{"a=1; Max-Age=1", "id=1; Secure; Max-Age=1", "b=1"})
	advance(time.Second)
	s.StoreCookies(plain, []string{"id=2", "a=2"})
	if got := s.CookieHeader(plain); got != "b=1; id=2; a=2" {
		t.Errorf("got %q", got)
	}
	if n := s.size.Load(); n != 3 {
		t.Errorf("%d cookies", n)
	}
}

func TestSecureIsLeftAlone(t *testing.T) {
	s, _ := at()
	s.StoreCookies(query(t, "https://www.a.test/login"), []string{"id=1; Secure; Path=/login"})
	plain := query(t, "http://www.a.test/")
	s.StoreCookies(plain, []string{"id=evil; Path=/login/x", "id=evil; Domain=a.test; Path=/login", "id=; Max-Age=0; Path=/login"})
	if got := s.CookieHeader(query(t, "https://www.a.test/login/x")); got != "id=1" {
		t.Errorf("got %q", got)
	}
	s.StoreCookies(plain, []string{"id=fine; Path=/"})
	if got := s.CookieHeader(plain); got != "id=fine" {
		t.Errorf("a path above gets %q", got)
	}
}

func TestSameSite(t *testing.T) {
	s, advance := at()
	s.StoreCookies(query(t, "https://a.test/"), []string{"s=1; SameSite=Strict", "l=1; SameSite=lax", "n=1; SameSite=None; Secure", "d=1"})
	u, doc := parseURL(t, "https://www.a.test/"), parseURL(t, "https://a.test/page")
	other := parseURL(t, "https://b.test/")
	s.StoreCookies(&storage.CookieQuery{URL: u}, []string{"s=2; SameSite=Strict", "l=2; SameSite=Lax", "n=2; SameSite=None; Secure", "d=2; SameSite=what"})
	for _, row := range []struct {
		name string
		q    storage.CookieQuery
		want string
	}{
		{"top level", storage.CookieQuery{URL: u}, "s=2; l=2; n=2; d=2"},
		{"own site", storage.CookieQuery{URL: u, MainDocumentURL: doc, Method: "POST"}, "s=2; l=2; n=2; d=2"},
		{"other site", storage.CookieQuery{URL: u, MainDocumentURL: other}, "n=2"},
		{"document without a host", storage.CookieQuery{URL: u, MainDocumentURL: &url.URL{Scheme: "about", Opaque: "blank"}}, "n=2"},
		{"own site in clear text", storage.CookieQuery{URL: u, MainDocumentURL: parseURL(t, "http://a.test/page")}, "n=2"},
		{"redirected here", storage.CookieQuery{URL: u, RedirectedAcrossSites: true}, "l=2; n=2; d=2"},
		{"redirected here by POST", storage.CookieQuery{URL: u, RedirectedAcrossSites: true, Method: "POST"}, "n=2; d=2"},
		{"itself as document", storage.CookieQuery{URL: u, MainDocumentURL: u, RedirectedAcrossSites: true, Method: "head"}, "l=2; n=2; d=2"},
	} {
		if got := s.CookieHeader(&row.q); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
	advance(unsafeAge)
	posted := &storage.CookieQuery{URL: u, RedirectedAcrossSites: true, Method: "POST"}
	if got := s.CookieHeader(posted); got != "n=2" {
		t.Errorf("a POST gets %q when the cookies are no longer young", got)
	}
	advance(-time.Hour)
	if got := s.CookieHeader(posted); got != "n=2" {
		t.Errorf("a POST gets %q when the clock was set back", got)
	}
	third := &storage.CookieQuery{URL: parseURL(t, "https://c.test/"), MainDocumentURL: other, AcceptPolicy: storage.AcceptAlways}
	s.StoreCookies(third, []string{"s=3; SameSite=Strict", "l=3; SameSite=Lax", "n=3; SameSite=None; Secure", "d=3"})
	if got := s.CookieHeader(query(t, "https://c.test/")); got != "n=3" {
		t.Errorf("a third party stored %q", got)
	}
}

func TestAcceptPolicy(t *testing.T) {
	const always, never, mainOnly = storage.AcceptAlways, storage.AcceptNever, storage.AcceptFromMainDocumentDomain
	for _, row := range []struct {
		policy    storage.CookieAcceptPolicy
		main, url string
		want      bool
	}{
		{mainOnly, "", "https://a.test/", true},
		{mainOnly, "https://ci.swift.org/", "https://swift.org/", true},
		{mainOnly, "https://ci.swift.org/", "https://dt.swift.org/", false},
		{mainOnly, "https://swift.org/", "https://dt.swift.org/", true},
		{mainOnly, "https://a.co.uk/", "https://co.uk/", false},
		{mainOnly, "https://a.test/", "https://b.test/", false},
		{mainOnly, "about:blank", "https://b.test/", false},
		{always, "https://a.test/", "https://b.test/", true},
		{never, "", "https://a.test/", false},
		{99, "", "https://a.test/", false},
	} {
		s, _ := at()
		q := query(t, row.url)
		q.AcceptPolicy = row.policy
		if row.main != "" {
			q.MainDocumentURL = parseURL(t, row.main)
		}
		s.StoreCookies(q, []string{"n=v; Secure; SameSite=None"})
		if got := s.CookieHeader(query(t, row.url)) != ""; got != row.want {
			t.Errorf("policy %d, document %q, %s: stored %v", row.policy, row.main, row.url, got)
		}
	}
	if storage.CookieAcceptPolicy(99).Raw() != -1 || always.Raw() != 0 || never.Raw() != 1 || mainOnly.Raw() != 2 {
		t.Error("wrong numbers")
	}
}

func TestPartitions(t *testing.T) {
	s, _ := at()
	one, other, none := query(t, "https://a.test/"), query(t, "https://a.test/"), query(t, "https://a.test/")
	one.Partition, other.Partition = "one", "other"
	s.StoreCookies(one, []string{"n=1; Secure; Partitioned"})
	s.StoreCookies(none, []string{"n=0"})
	if a, b, c := s.CookieHeader(one), s.CookieHeader(other), s.CookieHeader(none); a != "n=1" || b != "" || c != "n=0" {
		t.Errorf("got %q, %q, %q", a, b, c)
	}
	if n := len(s.All()); n != 2 {
		t.Errorf("%d cookies in all, want 2", n)
	}
}

func TestConcurrentUse(t *testing.T) {
	s := NewStore()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				q := query(t, fmt.Sprintf("https://h%d.test/", (g+i)%5))
				s.StoreCookies(q, []string{fmt.Sprintf("n%d=%d; Max-Age=%d", i%7, i, i%3)})
				s.CookieHeader(q)
				s.Cookies(q.URL)
				if i%50 == 0 {
					s.All()
					_ = s.RemoveAll(t.Context())
				}
			}
		})
	}
	wg.Wait()
	if int(s.size.Load()) != len(s.All()) {
		t.Errorf("the count is %d for %d cookies", s.size.Load(), len(s.All()))
	}
}

func ExampleStore() {
	store := NewStore()
	u := &url.URL{Scheme: "https", Host: "www.example.org", Path: "/"}
	q := &storage.CookieQuery{URL: u}
	store.StoreCookies(q, []string{"theme=dark; Domain=example.org", "id=1; Secure; HttpOnly"})
	fmt.Println(store.CookieHeader(q))
	client := &http.Client{Jar: store} // it is a cookie jar too
	fmt.Println(len(client.Jar.Cookies(u)))
	// Output:
	// theme=dark; id=1
	// 2
}
