package cookie

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// maxPair bounds name and value together, in bytes (RFC 6265bis §5.6).
	maxPair = 4096
	// maxAttribute bounds an attribute's value (RFC 6265bis §5.6); longer ones
	// are ignored.
	maxAttribute = 1024
	// maxLifetime is how long a cookie lives at most (RFC 6265bis §5.6.1).
	maxLifetime = 400 * 24 * time.Hour
)

// cookie is one cookie. Before settle its domain and path are those of the
// attributes, "" for none.
type cookie struct {
	name, value  string
	domain, path string
	expires      time.Time // zero: when the session ends
	sameSite     http.SameSite
	hostOnly     bool // no subdomains
	namesDomain  bool // there was a Domain attribute
	secure       bool
	httpOnly     bool
	partitioned  bool
}

// longAgo is the expiry of a cookie that is to be deleted.
var longAgo = time.Unix(0, 0)

func (c *cookie) expired(now time.Time) bool {
	return !c.expires.IsZero() && !now.Before(c.expires)
}

// same tells whether two cookies are one by RFC 6265bis §5.7.
func (c *cookie) same(o *cookie) bool {
	return c.name == o.name && c.domain == o.domain && c.path == o.path && c.hostOnly == o.hostOnly
}

// persists tells whether the cookie outlives a session.
func (c *cookie) persists() bool { return !c.expires.IsZero() }

// identity is what makes two cookies one.
type identity struct {
	partition, name, domain, path string
	hostOnly                      bool
}

func (c *cookie) identity(key jarKey) identity {
	return identity{key.partition, c.name, c.domain, c.path, c.hostOnly}
}

// equal tells whether two cookies have nothing that differs.
func (c *cookie) equal(o *cookie) bool {
	a, b := *c, *o
	a.expires, b.expires = time.Time{}, time.Time{}

	return a == b && c.expires.Equal(o.expires)
}

// detach copies the strings, so that a small cookie does not keep alive the large
// header that it came in.
func (c *cookie) detach() {
	c.name, c.value = strings.Clone(c.name), strings.Clone(c.value)
	c.domain, c.path = strings.Clone(c.domain), strings.Clone(c.path)
}

// parse reads the value of a Set-Cookie field by the algorithm for user agents
// (RFC 6265bis §5.6), which takes what servers really send. http.ParseSetCookie is
// written for the strict grammar of servers: it drops values with quotes or
// bytes above 0x7f in them (JSON, UTF-8), attributes with blanks around their
// "=", and dates outside two formats. Commas do not separate cookies: fields are
// not folded (RFC 6265bis §3).
func parse(line string, now time.Time) (cookie, bool) {
	if hasControl(line) {
		return cookie{}, false
	}
	pair, rest, _ := strings.Cut(line, ";")
	name, value, found := strings.Cut(pair, "=")
	c := cookie{name: trim(name), value: trim(value)}
	if !found || c.name == "" || len(c.name)+len(c.value) > maxPair {
		return cookie{}, false
	}
	var maxAge, expires time.Time
	for rest != "" {
		var attribute string
		attribute, rest, _ = strings.Cut(rest, ";")
		name, value, _ := strings.Cut(attribute, "=")
		name, value = trim(name), trim(value)
		if len(value) > maxAttribute {
			continue
		}
		switch {
		case strings.EqualFold(name, "Expires"):
			if t, ok := parseDate(value); ok {
				expires = t
			}
		case strings.EqualFold(name, "Max-Age"):
			if t, ok := parseMaxAge(value, now); ok {
				maxAge = t
			}
		case strings.EqualFold(name, "Domain"):
			c.domain = value
		case strings.EqualFold(name, "Path"):
			c.path = value
		case strings.EqualFold(name, "SameSite"):
			c.sameSite = parseSameSite(value)
		case strings.EqualFold(name, "Secure"):
			c.secure = true
		case strings.EqualFold(name, "HttpOnly"):
			c.httpOnly = true
		case strings.EqualFold(name, "Partitioned"):
			c.partitioned = true
		}
	}
	if !maxAge.IsZero() { // Max-Age goes before Expires
		expires = maxAge
	}
	c.expires = capped(expires, now)

	return c, true
}

// hasControl finds the bytes that RFC 6265bis §5.6 refuses.
func hasControl(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return true
		}
	}

	return false
}

func trim(s string) string { return strings.Trim(s, " \t") }

func parseSameSite(value string) http.SameSite {
	switch {
	case strings.EqualFold(value, "Strict"):
		return http.SameSiteStrictMode
	case strings.EqualFold(value, "Lax"):
		return http.SameSiteLaxMode
	case strings.EqualFold(value, "None"):
		return http.SameSiteNoneMode
	default:
		return 0
	}
}

// parseMaxAge is RFC 6265bis §5.6.2: seconds from now, of any number of digits.
func parseMaxAge(value string, now time.Time) (time.Time, bool) {
	digits, negative := strings.CutPrefix(value, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case negative || err == nil && seconds == 0:
		return longAgo, true
	case err != nil || seconds > int64(maxLifetime/time.Second): // err: out of range
		return now.Add(maxLifetime), true
	default:
		return now.Add(time.Duration(seconds) * time.Second), true
	}
}

// capped limits an expiry to maxLifetime from now.
func capped(expires, now time.Time) time.Time {
	if latest := now.Add(maxLifetime); expires.After(latest) {
		return latest
	}

	return expires
}

// imported is a cookie given as net/http's type.
func imported(hc *http.Cookie, now time.Time) (cookie, bool) {
	if hc == nil || hc.Name == "" || len(hc.Name)+len(hc.Value) > maxPair ||
		len(hc.Domain) > maxAttribute || len(hc.Path) > maxAttribute ||
		strings.ContainsAny(hc.Name, "=;") || strings.Contains(hc.Value, ";") ||
		hasControl(hc.Name+hc.Value+hc.Domain+hc.Path) {
		return cookie{}, false
	}
	c := cookie{
		name: hc.Name, value: hc.Value, domain: hc.Domain, path: hc.Path,
		secure: hc.Secure, httpOnly: hc.HttpOnly, partitioned: hc.Partitioned,
	}
	if hc.Quoted {
		c.value = `"` + c.value + `"`
	}
	if hc.SameSite != http.SameSiteDefaultMode {
		c.sameSite = hc.SameSite
	}
	switch {
	case hc.MaxAge < 0:
		c.expires = longAgo
	case hc.MaxAge > 0:
		c.expires, _ = parseMaxAge(strconv.Itoa(hc.MaxAge), now)
	default:
		c.expires = capped(hc.Expires, now)
	}

	return c, true
}

// export gives a cookie as net/http's type.
func (c *cookie) export() *http.Cookie {
	hc := &http.Cookie{
		Name: c.name, Value: c.value, Domain: c.domain, Path: c.path, Expires: c.expires,
		Secure: c.secure, HttpOnly: c.httpOnly, SameSite: c.sameSite, Partitioned: c.partitioned,
	}
	if !c.hostOnly {
		hc.Domain = "." + c.domain
	}
	if n := len(c.value); n > 1 && c.value[0] == '"' && c.value[n-1] == '"' {
		hc.Value, hc.Quoted = c.value[1:n-1], true
	}

	return hc
}
