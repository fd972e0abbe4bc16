package data

import "strings"

// mediaType is a MIME type record of the MIME Sniffing standard.
type mediaType struct {
	name       string // type "/" subtype, in lower case: the essence
	parameters []parameter
}

// parameter has its name in lower case, its value as written.
type parameter struct{ name, value string }

const blanks = "\t\n\r " // HTTP whitespace

// parseMediaType parses a MIME type (MIME Sniffing §4.4). Only a type or subtype
// that is no token makes it fail; a parameter that is none is left out, and of
// several with one name the first counts.
func parseMediaType(s string) (m mediaType, ok bool) {
	name, rest, more := strings.Cut(strings.Trim(s, blanks), ";")
	name = strings.TrimRight(name, blanks)
	kind, subtype, _ := strings.Cut(name, "/")
	if !isToken(kind) || !isToken(subtype) {
		return mediaType{}, false
	}
	m.name = strings.ToLower(name)
	var seen map[string]bool
	for more {
		var p parameter
		var valid bool
		p, valid, rest, more = nextParameter(rest)
		if !valid || seen[p.name] {
			continue
		}
		if seen == nil {
			seen = make(map[string]bool, 2)
		}
		seen[p.name] = true
		m.parameters = append(m.parameters, p)
	}

	return m, true
}

// nextParameter takes a parameter and the ";" behind it off s; more says that
// there was one.
func nextParameter(s string) (p parameter, valid bool, rest string, more bool) {
	s = strings.TrimLeft(s, blanks)
	end := strings.IndexAny(s, ";=")
	if end < 0 {
		return p, false, "", false
	}
	if s[end] == ';' {
		return p, false, s[end+1:], true
	}
	p.name = strings.ToLower(s[:end])
	s = s[end+1:]
	if strings.HasPrefix(s, `"`) {
		p.value, s = quotedString(s)
		_, rest, more = strings.Cut(s, ";")
	} else {
		p.value, rest, more = strings.Cut(s, ";")
		p.value = strings.TrimRight(p.value, blanks)
		if p.value == "" {
			return p, false, rest, more
		}
	}

	return p, isToken(p.name) && isQuotable(p.value), rest, more
}

// quotedString takes the quoted string off the start of s and gives its value.
// One that does not end lasts to the end, where a lone backslash stays.
func quotedString(s string) (value, rest string) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:]
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}

	return b.String(), ""
}

// parameter is the value of a parameter, "" where there is none.
func (m mediaType) parameter(name string) string {
	for _, p := range m.parameters {
		if p.name == name {
			return p.value
		}
	}

	return ""
}

// String serialises the type (MIME Sniffing §4.5).
func (m mediaType) String() string {
	if len(m.parameters) == 0 {
		return m.name
	}
	var b strings.Builder
	b.WriteString(m.name)
	for _, p := range m.parameters {
		b.WriteByte(';')
		b.WriteString(p.name)
		b.WriteByte('=')
		if isToken(p.value) {
			b.WriteString(p.value)

			continue
		}
		b.WriteByte('"')
		for i := range len(p.value) {
			if c := p.value[i]; c == '"' || c == '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(p.value[i])
		}
		b.WriteByte('"')
	}

	return b.String()
}

// isToken tells whether s is a token of at least one HTTP token code point.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		alphanumeric := 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
		if !alphanumeric && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}

	return s != ""
}

// isQuotable tells whether s has only HTTP quoted-string token code points.
func isQuotable(s string) bool {
	for _, r := range s {
		if r != '\t' && r < ' ' || r == 0x7f || r > 0xff {
			return false
		}
	}

	return true
}
