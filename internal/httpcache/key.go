package httpcache

import (
	"net/http"
	"net/url"
	"strings"
)

// Key is the primary key of a URL (RFC 9111 §2): the URL without fragment and user
// info, the host in lower case, and no port where it is the scheme's own. Only GET is
// stored, so that the method is no part of it.
func Key(u *url.URL) string {
	if u.Opaque != "" {
		return u.Scheme + ":" + u.Opaque + query(u)
	}
	host := strings.ToLower(u.Host)
	if port := u.Port(); port == "80" && u.Scheme == "http" || port == "443" && u.Scheme == "https" || port == "" {
		host = strings.TrimSuffix(strings.TrimSuffix(host, port), ":")
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}

	return u.Scheme + "://" + host + path + query(u)
}

func query(u *url.URL) string {
	if u.RawQuery == "" && !u.ForceQuery {
		return ""
	}

	return "?" + u.RawQuery
}

// Invalidates tells whether a request of a method, with such an answer, invalidates
// what is stored (RFC 9111 §4.4): it is not safe, and was not an error.
func Invalidates(method string, status int) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return false
	default:
		return 200 <= status && status < 400
	}
}

// Invalidated are the keys of what such an answer invalidates: the request's own, and
// those that Location and Content-Location name on the same origin (RFC 9111 §4.4).
func (r Rules) Invalidated(u *url.URL, h http.Header) []string {
	keys := []string{Key(u)}
	for _, field := range []struct {
		name Name
		text string
	}{{Location, "Location"}, {ContentLocation, "Content-Location"}} {
		lines := h[field.text]
		if len(lines) == 0 || !r.on(field.name) {
			continue
		}
		target, err := u.Parse(lines[0])
		if err == nil && origin(target) == origin(u) {
			keys = append(keys, Key(target))
		}
	}

	return keys
}

// origin is the key of the origin's root (RFC 6454 §4).
func origin(u *url.URL) string {
	return Key(&url.URL{Scheme: strings.ToLower(u.Scheme), Host: u.Host})
}
