package main

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"github.com/urlkit/urlkit/har"
	"github.com/urlkit/urlkit/protocols"
)

const hidden = har.Redacted

// showURL is a URL for people and records: without user info, and with its query but
// for values that are named as secrets. The data of a data: URL is cut.
func showURL(u *url.URL) string {
	if u == nil {
		return ""
	}
	if strings.EqualFold(u.Scheme, "data") || strings.Contains(u.Opaque, "@") {
		return printable(protocols.Redact(u))
	}
	c := *u
	c.RawQuery = har.Redaction{}.Query(u.RawQuery)
	if u.User == nil {
		return printable(c.String())
	}
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
	name = strings.ToLower(name) // canonical names keep no inner capitals: X-AccessToken is X-Accesstoken
	if namesSecret(name) {
		return hidden
	}
	shown := printable(value)
	switch name {
	case "location", "content-location", "referer":
		if u, err := url.Parse(value); err == nil {
			shown = showURL(u)
		} else {
			shown = showRaw(value)
		}
	}

	return userInfo.ReplaceAllLiteralString(shown, "//"+hidden+"@")
}

// userInfo is what comes before the host in a URL that stands in a text: to the last
// @ before the end of the authority (RFC 3986 §3.2), of a quotation or of a word.
var userInfo = regexp.MustCompile(`//[^/?#\s<>"]*@`)

// namesSecret tells of a field's name in lower case whether its values are secret.
func namesSecret(name string) bool {
	switch name {
	case "authorization", "proxy-authorization", "cookie", "set-cookie":
		return true
	}
	joined := strings.NewReplacer("-", "", "_", "").Replace(name)
	for _, secret := range []string{"token", "secret", "password", "apikey"} {
		if strings.Contains(joined, secret) {
			return true
		}
	}

	return false
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
