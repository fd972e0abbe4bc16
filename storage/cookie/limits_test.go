package cookie

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/storage"
)

func TestPerDomainLimit(t *testing.T) {
	s, advance := at()
	q := query(t, "https://a.test/")
	for i := range maxPerDomain {
		s.StoreCookies(query(t, fmt.Sprintf("https://h%d.a.test/", i%9)), []string{fmt.Sprintf("n%d=v; Domain=a.test", i)})
	}
	advance(time.Second)
	s.StoreCookies(q, []string{"n0=again; Domain=a.test"}) // used, so n1 is the one to go
	s.StoreCookies(query(t, "https://b.test/"), []string{"b=1"})
	s.StoreCookies(q, []string{"more=1"})
	got := s.CookieHeader(q)
	if n := strings.Count(got, "="); n != maxPerDomain || !strings.HasPrefix(got, "n0=again; n2=v") || !strings.HasSuffix(got, "more=1") {
		t.Errorf("%d cookies: %.60s", n, got)
	}
	if s.CookieHeader(query(t, "https://b.test/")) != "b=1" {
		t.Error("another domain's cookie went")
	}
}

func TestExpiredGoFirst(t *testing.T) {
	s, advance := at()
	q := query(t, "https://a.test/")
	for i := range maxPerDomain - 1 {
		s.StoreCookies(q, []string{fmt.Sprintf("n%d=v", i)})
	}
	advance(time.Second)
	s.StoreCookies(q, []string{"short=1; Max-Age=1"})
	advance(time.Second)
	s.StoreCookies(q, []string{"more=1"})
	if got := s.CookieHeader(q); !strings.HasPrefix(got, "n0=v") || strings.Contains(got, "short") {
		t.Errorf("got %.60s", got)
	}
}

// What is not Secure goes before what is (RFC 6265bis §5.7).
func TestInsecureGoFirst(t *testing.T) {
	s, _ := at()
	q := query(t, "https://a.test/")
	s.StoreCookies(q, []string{"old=1; Secure"})
	for i := range maxPerDomain {
		s.StoreCookies(q, []string{fmt.Sprintf("n%d=v", i)})
	}
	got := s.CookieHeader(q)
	if !strings.HasPrefix(got, "old=1; n1=v") || strings.Count(got, "=") != maxPerDomain {
		t.Errorf("got %.60s", got)
	}
}

func TestTotalLimit(t *testing.T) {
	s, advance := at()
	for i := range maxCookies + 50 {
		advance(time.Millisecond)
		s.StoreCookies(query(t, fmt.Sprintf("https://h%d.test/", i)), []string{"n=v"})
	}
	if n := len(s.All()); n != maxCookies || int(s.size.Load()) != n {
		t.Fatalf("%d cookies, counted %d", n, s.size.Load())
	}
	if len(s.jars) != maxCookies {
		t.Errorf("%d jars", len(s.jars))
	}
	if s.CookieHeader(query(t, "https://h49.test/")) != "" || s.CookieHeader(query(t, "https://h50.test/")) == "" {
		t.Error("not the oldest went")
	}
}

// Where no domain has too many, Secure saves none.
func TestTotalLimitOfSecure(t *testing.T) {
	s, _ := at()
	q := query(t, "https://first.test/")
	s.StoreCookies(q, []string{"old=1; Secure", "new=1"})
	for i := range maxCookies - 1 {
		s.StoreCookies(query(t, fmt.Sprintf("https://h%d.test/", i)), []string{"n=v"})
	}
	if got := s.CookieHeader(q); got != "new=1" {
		t.Errorf("kept %q", got)
	}
}

func TestTotalLimitDropsExpired(t *testing.T) {
	s, advance := at()
	for i := range maxCookies {
		line := "n=v"
		if i%2 == 1 {
			line = "n=v; Max-Age=1"
		}
		s.StoreCookies(query(t, fmt.Sprintf("https://h%d.test/", i)), []string{line})
	}
	advance(time.Minute)
	s.StoreCookies(query(t, "https://more.test/"), []string{"n=v"})
	if n := int(s.size.Load()); n != maxCookies/2+1 {
		t.Errorf("%d cookies", n)
	}
}

func TestJar(t *testing.T) {
	s, _ := at()
	u := parseURL(t, "https://www.a.test/")
	expires := start.Add(time.Hour)
	s.SetCookies(u, []*http.Cookie{
		{Name: "q", Value: "a b", Quoted: true, Domain: "a.test", Expires: expires, HttpOnly: true, SameSite: http.SameSiteLaxMode},
		{Name: "p", Value: "1", Path: "/x", Secure: true, MaxAge: 60, SameSite: http.SameSiteDefaultMode},
		{Name: "gone", Value: "1", MaxAge: -1},
		nil,
		{Name: "", Value: "1"},
		{Name: "a;b", Value: "1"},
		{Name: "a=b", Value: "1"},
		{Name: "a", Value: "1;2"},
		{Name: "a", Value: "1\r\nSet-Cookie: x=y"},
		{Name: "a", Value: strings.Repeat("v", maxPair)},
		{Name: "a", Value: "1", Path: "/" + strings.Repeat("v", maxPair)},
	})
	want := []*http.Cookie{
		{Name: "q", Value: "a b", Quoted: true, Domain: ".a.test", Path: "/", Expires: expires, HttpOnly: true, SameSite: http.SameSiteLaxMode},
		{Name: "p", Value: "1", Domain: "www.a.test", Path: "/x", Expires: start.Add(time.Minute), Secure: true},
	}
	if got := s.All(); !reflect.DeepEqual(got, want) {
		t.Errorf("All gives %v, want %v", got, want)
	}
	if got := s.Cookies(u); len(got) != 1 || got[0].Name != "q" {
		t.Errorf("Cookies gives %v", got)
	}
	if got := s.CookieHeader(query(t, "https://www.a.test/x")); got != `p=1; q="a b"` {
		t.Errorf("header %q", got)
	}
	s.SetCookies(nil, want)
	s.SetCookies(&url.URL{}, want)
	if s.Cookies(nil) != nil || s.Cookies(&url.URL{}) != nil {
		t.Error("cookies for no host")
	}
}

func TestNoneAndShared(t *testing.T) {
	q := query(t, "https://a.test/")
	None.StoreCookies(q, []string{"n=v"})
	if got := None.CookieHeader(q); got != "" {
		t.Errorf("None sends %q", got)
	}
	if r, ok := None.(storage.Resetter); !ok || r.RemoveAll(t.Context()) != nil {
		t.Error("None cannot be emptied")
	}
	if shared := Shared(); shared != Shared() || shared == NewStore() {
		t.Error("Shared is not one store")
	}
	for _, q := range []*storage.CookieQuery{nil, {}} {
		s := NewStore()
		s.StoreCookies(q, []string{"n=v"})
		if s.CookieHeader(q) != "" || s.size.Load() != 0 {
			t.Error("a query without a URL stored a cookie")
		}
	}
}

// A lookup makes its result and nothing else.
func TestLookupAllocates(t *testing.T) {
	s, q := NewStore(), query(t, "https://www.example.org/path")
	if n := testing.AllocsPerRun(100, func() { s.CookieHeader(q) }); n != 0 {
		t.Errorf("%v allocations in an empty store", n)
	}
	s.StoreCookies(query(t, "https://other.test/"), []string{"n=v"})
	if n := testing.AllocsPerRun(100, func() { s.CookieHeader(q) }); n != 0 {
		t.Errorf("%v allocations without a match", n)
	}
	s.StoreCookies(q, []string{"a=1", "b=2"})
	if n := testing.AllocsPerRun(100, func() { s.CookieHeader(q) }); n != 1 {
		t.Errorf("%v allocations for a header", n)
	}
}

// filled is a store with ten cookies for each of a number of domains.
func filled(t testing.TB, domains int) *Store {
	t.Helper()
	s := NewStore()
	for d := range domains {
		for i := range 10 {
			s.StoreCookies(query(t, fmt.Sprintf("https://h%d.test/", d)), []string{fmt.Sprintf("n%d=value", i)})
		}
	}

	return s
}

// Looking a cookie up among 3,000 costs at most 1.5 times what it costs among 30. Of
// each the fastest of many rounds counts: whatever else the machine does only adds.
func TestLookupInALargeStore(t *testing.T) {
	stores := [2]*Store{filled(t, 3), filled(t, 300)}
	q := query(t, "https://h1.test/path")
	fastest := [2]time.Duration{time.Hour, time.Hour}
	ratio := 0.0
	for round := range 400 {
		for i, s := range stores {
			begin := time.Now()
			for range 200 {
				s.CookieHeader(q)
			}
			fastest[i] = min(fastest[i], time.Since(begin))
		}
		if ratio = float64(fastest[1]) / float64(fastest[0]); round > 20 && ratio < 1.2 {
			break
		}
	}
	if ratio > 1.5 {
		t.Errorf("%.2f times as long: %v and %v", ratio, fastest[1], fastest[0])
	}
}

// BenchmarkCookieHeader shows that a lookup costs the same in a large store.
func BenchmarkCookieHeader(b *testing.B) {
	for _, domains := range []int{3, 300} {
		s := filled(b, domains)
		q := query(b, "https://h1.test/path")
		b.Run(fmt.Sprintf("cookies=%d", domains*10), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if s.CookieHeader(q) == "" {
					b.Fatal("no cookies")
				}
			}
		})
	}
}
