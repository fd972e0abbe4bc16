package data

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/urlkit/urlkit/protocols"
)

// urlText is what follows "data:" in a URL as the URL standard would have parsed
// and written it again, without its fragment; percent-encoding is left to
// process. protocols.NewRequest keeps it whole in Opaque; url.Parse spreads it
// over Opaque, Host, Path and RawQuery.
func urlText(u *url.URL) (string, error) {
	text := u.Opaque
	if text == "" {
		c := *u
		c.Scheme, c.RawQuery, c.ForceQuery, c.Fragment, c.RawFragment = "data", "", false, "", ""
		text = strings.TrimPrefix(c.String(), "data:")
	}
	if u.RawQuery != "" || u.ForceQuery {
		text += "?" + u.RawQuery
	}
	text, _, _ = strings.Cut(text, "#")
	if strings.ContainsAny(text, "\t\n\r") {
		text = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(text)
	}
	if strings.HasPrefix(text, "/") {
		return segmented(text)
	}

	return text, nil
}

// segmented treats a URL whose data begins with "/": to the URL standard that is
// a path of segments, perhaps after an authority, and no opaque path.
func segmented(text string) (string, error) {
	path, query := text, ""
	if i := strings.IndexByte(text, '?'); i >= 0 {
		path, query = text[:i], text[i:]
	}
	authority := ""
	if rest, ok := strings.CutPrefix(path, "//"); ok {
		host, _, _ := strings.Cut(rest, "/")
		if !validAuthority(host) {
			return "", protocols.Errorf(protocols.BadURL, "the data: URL has an authority that cannot be parsed")
		}
		authority, path = path[:2+len(host)], rest[len(host):]
	}

	return authority + resolveDots(path) + query, nil
}

// validAuthority tells whether the URL standard parses an authority of a scheme
// that it does not know (an opaque host).
func validAuthority(authority string) bool {
	host := authority
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		host = host[at+1:]
		if host == "" {
			return false
		}
	}
	port := ""
	if strings.HasPrefix(host, "[") {
		end := strings.IndexByte(host, ']')
		if end < 0 {
			return false
		}
		ip, err := netip.ParseAddr(host[1:end])
		if err != nil || !ip.Is6() || ip.Zone() != "" {
			return false
		}
		if port = host[end+1:]; port == "" {
			return true
		}
		if port[0] != ':' {
			return false
		}
		port = port[1:]
	} else {
		name, after, found := strings.Cut(host, ":")
		if found && name == "" || strings.ContainsAny(name, "\x00 <>@[\\]^|") {
			return false
		}
		port = after
	}
	if port == "" {
		return true
	}
	_, err := strconv.ParseUint(port, 10, 16)

	return err == nil
}

// resolveDots resolves "." and ".." segments, escaped ones too (URL standard
// §4.4, path state).
func resolveDots(path string) string {
	if !strings.Contains(path, "/.") && !strings.Contains(path, "/%2") {
		return path
	}
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	kept := segments[:0]
	for i, s := range segments {
		last := i == len(segments)-1
		switch strings.ReplaceAll(strings.ToLower(s), "%2e", ".") {
		case ".":
		case "..":
			kept = kept[:max(len(kept)-1, 0)]
		default:
			kept = append(kept, s)

			continue
		}
		if last {
			kept = append(kept, "")
		}
	}

	return "/" + strings.Join(kept, "/")
}
