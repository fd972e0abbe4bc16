package main

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/urlkit/urlkit/protocols"
)

const hidden = "[redacted]"

// showURL is a URL for people and records: with its query, without user info. The
// data of a data: URL is cut.
func showURL(u *url.URL) string {
	if u == nil {
		return ""
	}
	if strings.EqualFold(u.Scheme, "data") || strings.Contains(u.Opaque, "@") {
		return printable(protocols.Redact(u))
	}
	if u.User == nil {
		return printable(u.String())
	}
	c := *u
	c.User = nil
	scheme, rest, found := strings.Cut(c.String(), "//")
	if !found {
		return printable(protocols.Redact(u))
	}

	return printable(scheme + "//" + hidden + "@" + rest)
}

// showRaw is an argument that is no URL, without what could be user info.
func showRaw(argument string) string {
	if at := strings.LastIndexByte(argument, '@'); at >= 0 {
		argument = hidden + argument[at:]
	}

	return printable(argument)
}

// showField is the value of a header field, without secrets.
func showField(name, value string) string {
	switch name = http.CanonicalHeaderKey(name); name {
	case "Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie":
		return hidden
	case "Location", "Content-Location", "Referer":
		if u, err := url.Parse(value); err == nil {
			return showURL(u)
		}

		return showRaw(value)
	}
	for _, secret := range []string{"Token", "Secret", "Password", "Api-Key", "Apikey"} {
		if strings.Contains(name, secret) {
			return hidden
		}
	}

	return printable(value)
}

// printable is a text that cannot steer a terminal: servers choose field values.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\t' && r != '\n' || unicode.Is(unicode.Bidi_Control, r) {
			return unicode.ReplacementChar
		}

		return r
	}, s)
}
