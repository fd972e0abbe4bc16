package main

import (
	"net/url"
	"strings"
	"unicode"

	"github.com/urlkit/urlkit/har"
	"github.com/urlkit/urlkit/protocols"
)

const hidden = har.Redacted

// showURL is a URL for people and records: without user info, and with its query and
// fragment but for values that are named as secrets. The data of a data: URL is cut.
func showURL(u *url.URL) string {
	if u == nil {
		return ""
	}
	if strings.EqualFold(u.Scheme, "data") || strings.Contains(u.Opaque, "@") {
		return printable(protocols.Redact(u))
	}
	c := *u
	c.RawQuery = har.Redaction{}.Query(u.RawQuery)
	c.User, c.Fragment, c.RawFragment = nil, "", ""
	shown := c.String()
	if u.Fragment != "" {
		shown += "#" + har.Redaction{}.Query(u.EscapedFragment())
	}
	if u.User == nil {
		return printable(shown)
	}
	scheme, rest, found := strings.Cut(shown, "//")
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

// showField is the value of a header field, without secrets, by the rules of package
// har.
func showField(name, value string) string {
	switch strings.ToLower(name) {
	case "location", "content-location", "referer":
		if u, err := url.Parse(value); err == nil {
			value = showURL(u)
		} else {
			value = showRaw(value)
		}
	}

	return printable(har.Redaction{}.Field(name, value))
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
