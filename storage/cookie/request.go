package cookie

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/publicsuffix"

	"github.com/urlkit/urlkit/storage"
)

// request is what the rules ask of a hop.
type request struct {
	key       jarKey
	host      string // in canonical form
	path      string
	secure    bool // an origin that Secure cookies are for
	crossSite bool // RFC 6265bis §5.2
	topLevel  bool // the load is its own main document
	safe      bool // the method is safe
}

// requestOf reads a query; false: its URL has no host, so no cookies.
func requestOf(q *storage.CookieQuery) (request, bool) {
	host, ok := canonicalHost(q.URL.Hostname())
	if !ok {
		return request{}, false
	}
	r := request{
		host:     host,
		path:     q.URL.EscapedPath(),
		secure:   isSecure(q.URL, host),
		topLevel: q.MainDocumentURL == nil || *q.MainDocumentURL == *q.URL,
		safe:     isSafe(q.Method),
	}
	if r.path == "" || r.path[0] != '/' {
		r.path = "/"
	}
	r.key = jarKey{q.Partition, sites.of(host)}
	r.crossSite = q.RedirectedAcrossSites
	if !r.topLevel {
		main, ok := canonicalHost(q.MainDocumentURL.Hostname())
		r.crossSite = r.crossSite || !ok || sites.of(main) != r.key.site || isEncrypted(q.MainDocumentURL) != isEncrypted(q.URL)
	}

	return r, true
}

// accepts applies the accept policy. With a main document, its host must be the
// response's host, or one of the two a subdomain of the other: neither another
// site nor a sibling may store (Apple's onlyFromMainDocumentDomain).
func accepts(q *storage.CookieQuery, host string) bool {
	switch q.AcceptPolicy {
	case storage.AcceptAlways:
		return true
	case storage.AcceptFromMainDocumentDomain:
		if q.MainDocumentURL == nil {
			return true
		}
		main, ok := canonicalHost(q.MainDocumentURL.Hostname())

		return ok && sites.of(main) == sites.of(host) && (domainMatches(main, host) || domainMatches(host, main))
	default:
		return false
	}
}

// canonicalHost is RFC 6265bis §5.1.2: lower case and no final dot. An international
// name comes in its ASCII form from a session. One in Unicode is a name as well,
// but the public suffix list does not know it: it is a site of its own.
func canonicalHost(host string) (string, bool) {
	host = strings.TrimSuffix(host, ".")

	return strings.ToLower(host), host != "" && utf8.ValidString(host)
}

func isASCII(host string) bool {
	for i := range len(host) {
		if host[i] >= utf8.RuneSelf {
			return false
		}
	}

	return true
}

func isIP(host string) bool {
	if host == "" {
		return false
	}
	if strings.IndexByte(host, ':') >= 0 {
		return true // no name has one
	}
	if last := host[len(host)-1]; last < '0' || last > '9' {
		return false // spares names the error that ParseAddr would make
	}
	_, err := netip.ParseAddr(host)

	return err == nil
}

// isSecure tells whether Secure cookies are for this origin: an encrypted one,
// or this host itself.
func isSecure(u *url.URL, host string) bool {
	if isEncrypted(u) {
		return true
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	if !isIP(host) {
		return false
	}
	addr, err := netip.ParseAddr(host)

	return err == nil && addr.IsLoopback()
}

func isEncrypted(u *url.URL) bool {
	return strings.EqualFold(u.Scheme, "https") || strings.EqualFold(u.Scheme, "wss")
}

// isSafe is RFC 9110 §9.2.1.
func isSafe(method string) bool {
	switch strings.ToUpper(method) {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	default:
		return false
	}
}

// matches tells whether a request gets the cookie (RFC 6265bis §5.8.3).
func (e *entry) matches(r *request, now time.Time) bool {
	if e.expired(now) || e.secure && !r.secure || !pathMatches(r.path, e.path) {
		return false
	}
	if e.hostOnly && e.domain != r.host || !e.hostOnly && !domainMatches(r.host, e.domain) {
		return false
	}
	if !r.crossSite {
		return true
	}
	switch e.sameSite { // RFC 6265bis §5.8.3
	case http.SameSiteStrictMode:
		return false
	case http.SameSiteNoneMode:
		return true
	case http.SameSiteLaxMode:
		return r.topLevel && r.safe
	default: // as Lax, but that a young cookie goes with a form's POST too (§5.6.7.2)
		age := now.Sub(e.created)

		return r.topLevel && (r.safe || 0 <= age && age < unsafeAge)
	}
}

// unsafeAge is how long a cookie that says nothing of SameSite goes with unsafe
// methods across sites (RFC 6265bis §5.6.7.2).
const unsafeAge = 2 * time.Minute

// The rules that a cookie can break.
var (
	errDomain   = errors.New("its domain is none that the host may set cookies for")
	errLong     = errors.New("its path or domain is too long")
	errSecure   = errors.New("an insecure origin may not set Secure")
	errSameSite = errors.New("SameSite=None needs Secure")
	errThird    = errors.New("only SameSite=None may be set from another site")
	errPrefix   = errors.New("its attributes are not those that the prefix of its name asks for")
)

// settle fills in what the request decides. The error is why the cookie may not be
// stored (RFC 6265bis §5.7).
func (c *cookie) settle(r *request) error {
	if !c.settleDomain(r) {
		return errDomain
	}
	explicitRoot := c.path == "/"
	if c.path == "" || c.path[0] != '/' {
		c.path = defaultPath(r.path)
	}
	if len(c.path) > maxAttribute || len(c.domain) > maxAttribute { // the request's: no attribute is that long
		return errLong
	}
	c.detach()
	if c.secure && !r.secure {
		return errSecure
	}
	if c.sameSite == http.SameSiteNoneMode && !c.secure {
		return errSameSite
	}
	if c.sameSite != http.SameSiteNoneMode && r.crossSite && !r.topLevel {
		return errThird
	}
	if hasPrefixFold(c.name, "__Secure-") && !c.secure {
		return errPrefix
	}
	if hasPrefixFold(c.name, "__Host-") && (!c.secure || !c.hostOnly || c.namesDomain || !explicitRoot) {
		return errPrefix
	}

	return nil
}

// settleDomain checks the Domain attribute against the host, and refuses public
// suffixes: a cookie for "co.uk" would go to every site beneath.
func (c *cookie) settleDomain(r *request) bool {
	if strings.ContainsAny(c.domain, forbidden) || strings.ContainsAny(r.host, forbidden) {
		return false
	}
	c.namesDomain = c.domain != ""
	if !c.namesDomain {
		c.domain, c.hostOnly = r.host, true
		return true
	}
	domain, ok := canonicalHost(strings.TrimPrefix(c.domain, "."))
	if !ok {
		return false
	}
	if domain == r.host && (!isASCII(domain) || isIP(domain) || isSuffix(domain)) {
		c.domain, c.hostOnly = domain, true
		return true
	}
	c.domain = domain

	return domainMatches(r.host, domain) && isASCII(r.host) && !isIP(r.host) && !isSuffix(domain)
}

// forbidden are bytes that no host has, among them those that would make a comment of
// a line in the Netscape format.
const forbidden = " \t\r\n\x00#%/<>?@[\\]^|"

func isSuffix(domain string) bool {
	suffix, _ := publicsuffix.PublicSuffix(domain)
	return suffix == domain
}

// defaultPath is RFC 6265bis §5.1.4: the request's path up to its last "/".
func defaultPath(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	}

	return "/"
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
