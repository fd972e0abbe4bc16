package urlsession_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/ats"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/storage"
	"github.com/urlkit/urlkit/storage/cookie"
	"github.com/urlkit/urlkit/urlsession"
)

// cookieOrigin sets what its query says, and answers with the Cookie fields that came.
func cookieOrigin(w http.ResponseWriter, r *http.Request) {
	if to := r.URL.Query().Get("to"); to != "" {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
	w.Header()["Set-Cookie"] = r.URL.Query()["set"]
	_, _ = io.WriteString(w, strings.Join(r.Header["Cookie"], " and "))
}

// cookieRows are those of reference §7.3 that concern a session: one request that sets
// cookies, and what a later one sends.
var cookieRows = []struct {
	name   string
	change func(*urlsession.Configuration)
	from   string // host and path of the first
	set    []string
	main   string // its main document; "" none
	method string // of the second
	to     string
	field  string // a Cookie field of the app's, in the second
	omits  bool   // of both requests
	want   string
}{
	{name: "stored and sent", from: "a.test", set: []string{"n=1", "m=2"}, to: "a.test", want: "n=1; m=2"},
	{name: "another host", from: "a.test", set: []string{"n=1"}, to: "b.test"},
	{name: "a subdomain, host only", from: "a.test", set: []string{"n=1"}, to: "www.a.test"},
	{name: "a subdomain, by Domain", from: "www.a.test", set: []string{"n=1; Domain=a.test"}, to: "b.a.test", want: "n=1"},
	{name: "a name that ends alike", from: "a.test", set: []string{"n=1; Domain=a.test"}, to: "supera.test"},
	{name: "a public suffix", from: "a.co.uk", set: []string{"n=1; Domain=co.uk"}, to: "b.co.uk"},
	{name: "longest path first", from: "a.test/x/y", set: []string{"n=1; Path=/", "m=2"}, to: "a.test/x/z", want: "m=2; n=1"},
	{name: "another path", from: "a.test/x/y", set: []string{"n=1"}, to: "a.test/z"},
	{name: "Secure from clear text", from: "a.test", set: []string{"n=1; Secure"}, to: "a.test"},
	{name: "expired at once", from: "a.test", set: []string{"n=1", "n=2; Max-Age=0"}, to: "a.test"},
	{name: "a comma in the date", from: "a.test", set: []string{"n=1; Expires=Fri, 31 Dec 9999 23:59:59 GMT"}, to: "a.test", want: "n=1"},
	{name: "malformed ones left out", from: "a.test", set: []string{"=1", "none", "n=1"}, to: "a.test", want: "n=1"},
	{name: "the app's field, nothing stored", from: "a.test", to: "a.test", field: "own=1", want: "own=1"},
	{name: "the app's field, and one stored", from: "a.test", set: []string{"n=1"}, to: "a.test", field: "own=1", want: "n=1"},
	{name: "the app's field, storage omitted", from: "a.test", set: []string{"n=1"}, to: "a.test", field: "own=1", omits: true, want: "own=1"},
	{name: "a request that omits them", from: "a.test", set: []string{"n=1"}, to: "a.test", omits: true},
	{
		name: "a session that attaches none", from: "a.test", set: []string{"n=1"}, to: "a.test",
		change: func(c *urlsession.Configuration) { c.OmitsCookies = true },
	},
	{
		name: "a session without a store", from: "a.test", set: []string{"n=1"}, to: "a.test",
		change: func(c *urlsession.Configuration) { c.Cookies = cookie.None },
	},
	{
		name: "accept never", from: "a.test", set: []string{"n=1"}, to: "a.test",
		change: func(c *urlsession.Configuration) { c.CookieAcceptPolicy = storage.AcceptNever },
	},
	{name: "main document: the host's subdomain", from: "swift.test", main: "http://ci.swift.test/", set: []string{"n=1"}, to: "swift.test", want: "n=1"},
	{name: "main document: a sibling", from: "dt.swift.test", main: "http://ci.swift.test/", set: []string{"n=1"}, to: "dt.swift.test"},
	{name: "main document: another site", from: "a.test", main: "http://b.test/", set: []string{"n=1"}, to: "a.test"},
	{
		name: "main document: a sibling, accept always", from: "dt.swift.test", main: "http://ci.swift.test/", set: []string{"n=1"}, to: "dt.swift.test", want: "n=1",
		change: func(c *urlsession.Configuration) { c.CookieAcceptPolicy = storage.AcceptAlways },
	},
	{name: "SameSite=Strict, redirected here", from: "a.test", set: []string{"s=1; SameSite=Strict", "l=1; SameSite=Lax", "n=1"}, to: "b.test?to=//a.test/", want: "l=1; n=1"},
	{name: "SameSite, redirected here by POST", from: "a.test", set: []string{"s=1; SameSite=Strict", "l=1; SameSite=Lax", "n=1"}, method: "POST", to: "b.test?to=//a.test/", want: "n=1"},
	{
		name: "a jar of net/http", from: "www.a.test", set: []string{"n=1; Domain=a.test", "m=2"}, to: "www.a.test", want: "n=1; m=2",
		change: func(c *urlsession.Configuration) {
			jar, err := cookiejar.New(nil)
			if err != nil {
				panic(err)
			}
			c.Cookies = cookie.FromJar(jar)
		},
	},
}

func TestCookieRows(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", http.HandlerFunc(cookieOrigin))
	_, port, _ := strings.Cut(strings.TrimPrefix(base, "http://"), ":")
	at := func(where string) string { // with the port behind the host
		where, query, _ := strings.Cut(where, "?")
		host, rest, _ := strings.Cut(where, "/")
		query = strings.Replace(query, "//a.test/", "//a.test:"+port+"/", 1)

		return "http://" + host + ":" + port + "/" + rest + "?" + query
	}
	for _, row := range cookieRows {
		t.Run(row.name, func(t *testing.T) {
			s := session(t, func(c *urlsession.Configuration) {
				c.Resolver = naming{to: netip.MustParseAddr("127.0.0.1")}
				c.ATS = ats.Policy{AllowsArbitraryLoads: true}
				if row.change != nil {
					row.change(c)
				}
			})
			first := get(t, at(row.from)+"&"+url.Values{"set": row.set}.Encode())
			first.OmitsCookies = row.omits
			if row.main != "" {
				first.MainDocumentURL = get(t, row.main).URL
			}
			if _, resp := load(t, s, first); len(resp.Header["Set-Cookie"]) != len(row.set) {
				t.Errorf("the response shows %v", resp.Header)
			}
			second := request(t, row.method, at(row.to), nil)
			second.OmitsCookies = row.omits
			if row.field != "" {
				second.Header.Set("Cookie", row.field)
			}
			if got, _ := load(t, s, second); got != row.want {
				t.Errorf("sent %q, want %q", got, row.want)
			}
		})
	}
}
