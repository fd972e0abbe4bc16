package engine

import (
	"net/url"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/urlkit/urlkit/protocols"
)

// restrict drops the app's secrets from a request that goes to another origin, and
// says no more of where it came from than a browser would. Cookies are attached anew
// for the new URL in either case.
func restrict(from, next *protocols.Request) {
	if sameOrigin(from.URL, next.URL) {
		return
	}
	for _, name := range []string{"Authorization", "Cookie", "Proxy-Authorization"} {
		next.Header.Del(name)
	}
	next.Credential = nil
	next.Bind = ""
	cutReferer(from.URL, next)
	taintOrigin(from.URL, next)
}

// cutReferer leaves the origin of the app's Referer, and nothing of it where the
// request leaves an encrypted origin for one in clear text (Referrer Policy §3.7,
// strict-origin-when-cross-origin). None is ever added.
func cutReferer(from *url.URL, next *protocols.Request) {
	value := next.Header.Get("Referer")
	if value == "" {
		return
	}
	next.Header.Del("Referer")
	referrer, err := url.Parse(value)
	if err != nil || referrer.Host == "" || downgrades(referrer, next.URL) || downgrades(from, next.URL) {
		return
	}
	next.Header.Set("Referer", strings.ToLower(referrer.Scheme)+"://"+referrer.Host+"/")
}

// taintOrigin makes null of the app's Origin, unless it is that of the URL that
// redirects: whoever is asked then could take the answer of one origin for that of
// another (Fetch §2.2.5, redirect-tainted origin), or learn of an encrypted one in
// clear text.
func taintOrigin(from *url.URL, next *protocols.Request) {
	value := next.Header.Get("Origin")
	if value == "" {
		return
	}
	if origin, err := url.Parse(value); err != nil || !sameOrigin(origin, from) || downgrades(from, next.URL) {
		next.Header.Set("Origin", "null")
	}
}

// downgrades tells whether the way from one URL to another leaves encryption.
func downgrades(from, to *url.URL) bool { return isEncrypted(from.Scheme) && !isEncrypted(to.Scheme) }

func isEncrypted(scheme string) bool {
	return strings.EqualFold(scheme, "https") || strings.EqualFold(scheme, "wss")
}

// sameOrigin is RFC 6454 §5: scheme, host and port.
func sameOrigin(a, b *url.URL) bool {
	return strings.EqualFold(a.Scheme, b.Scheme) && strings.EqualFold(a.Hostname(), b.Hostname()) && portOf(a) == portOf(b)
}

// site is the registrable domain, the unit of a cookie's SameSite (RFC 6265bis
// §5.2); a host without one stands for itself.
func site(u *url.URL) string {
	host := strings.ToLower(u.Hostname())
	if domain, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return domain
	}

	return host
}

func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	switch strings.ToLower(u.Scheme) {
	case "http", "ws":
		return "80"
	case "https", "wss":
		return "443"
	default:
		return ""
	}
}
