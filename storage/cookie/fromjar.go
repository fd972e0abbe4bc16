package cookie

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/urlkit/urlkit/storage"
)

// FromJar makes a store of any http.CookieJar, net/http/cookiejar's for one, for apps
// that have one already; a Store is such a jar itself. The accept policy of a query
// is applied. What a jar has no notion of, SameSite between sites and partitions, is
// kept strict: queries of another site than that of their main document, and those
// with a Partition, neither send nor store anything. jar must be safe for concurrent
// use, as http.Client asks too.
func FromJar(jar http.CookieJar) storage.CookieStore { return &jarStore{jar} }

type jarStore struct{ jar http.CookieJar }

// request is that of a query whose cookies are for the jar; false: they are not.
func (s *jarStore) request(q *storage.CookieQuery) bool {
	if q == nil || q.URL == nil || q.Partition != "" {
		return false
	}
	r, ok := requestOf(q)

	return ok && (!r.crossSite || r.topLevel && r.safe)
}

// CookieHeader implements storage.CookieStore.
func (s *jarStore) CookieHeader(q *storage.CookieQuery) string {
	if !s.request(q) {
		return ""
	}
	var b strings.Builder
	for _, hc := range s.jar.Cookies(asHTTP(q.URL)) {
		value := hc.Value
		if hc.Quoted {
			value = `"` + value + `"`
		}
		if hc.Name == "" || hasControl(hc.Name+value) || strings.Contains(hc.Name+value, ";") {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("; ")
		}
		b.WriteString(hc.Name + "=" + value)
	}

	return b.String()
}

// StoreCookies implements storage.CookieStore.
func (s *jarStore) StoreCookies(q *storage.CookieQuery, setCookie []string) {
	if !s.request(q) {
		return
	}
	if host, ok := canonicalHost(q.URL.Hostname()); !ok || !accepts(q, host) {
		return
	}
	list := (&http.Response{Header: http.Header{"Set-Cookie": setCookie}}).Cookies()
	if len(list) > 0 {
		s.jar.SetCookies(asHTTP(q.URL), list)
	}
}

// asHTTP is the URL of a WebSocket with the scheme of its handshake: cookiejar knows
// no other.
func asHTTP(u *url.URL) *url.URL {
	scheme := ""
	switch strings.ToLower(u.Scheme) {
	case "ws":
		scheme = "http"
	case "wss":
		scheme = "https"
	default:
		return u
	}
	handshake := *u
	handshake.Scheme = scheme

	return &handshake
}
