package httpauth

import "strings"

// challenge is one of a field's list: scheme 1*SP (token68 / #auth-param).
type challenge struct {
	scheme     string            // in lower case
	parameters map[string]string // by lower-case name; a token68 stands under ""
}

// parse reads the values of a WWW-Authenticate field (RFC 9110 §11.6.1). The
// list's commas separate challenges as well as parameters: a token that is not
// followed by "=" begins a challenge. What cannot be read ends its value's list.
func parse(values []string) []challenge {
	var list []challenge
	for _, v := range values {
		s := scanner{rest: v}
		for len(list) < maxChallenges {
			s.skip(" \t,")
			scheme := s.token()
			if scheme == "" {
				break
			}
			c := challenge{scheme: strings.ToLower(scheme), parameters: map[string]string{}}
			s.parameters(c.parameters)
			list = append(list, c)
		}
	}

	return list
}

// scanner reads a field value from the left.
type scanner struct{ rest string }

func (s *scanner) skip(set string) {
	s.rest = strings.TrimLeft(s.rest, set)
}

func (s *scanner) token() string {
	i := 0
	for i < len(s.rest) && isTokenByte(s.rest[i]) {
		i++
	}
	t := s.rest[:i]
	s.rest = s.rest[i:]

	return t
}

// parameters reads auth-params up to the next scheme or the end.
func (s *scanner) parameters(into map[string]string) {
	first := true
	if t := s.alone(); t != "" {
		into[""], first = t, false
	}
	for {
		s.skip(" \t,")
		before := s.rest
		name := s.token()
		if name == "" && !first {
			return
		}
		after := s.rest
		s.skip(" \t")
		if !strings.HasPrefix(s.rest, "=") {
			s.rest = after
			if t := s.token68(before); first && t != "" {
				into[""] = t

				continue
			}
			s.rest = before // the next scheme

			return
		}
		s.rest = s.rest[1:]
		s.skip(" \t")
		value, ok := s.value()
		if t := s.token68(before); !ok && first && t != "" {
			into[""] = t

			continue
		}
		if !ok {
			s.rest = ""

			return
		}
		first = false
		if _, twice := into[strings.ToLower(name)]; !twice {
			into[strings.ToLower(name)] = value
		}
	}
}

// alone reads a token that stands between a scheme and the next comma: a scheme
// would stand behind the comma. "" where there is none.
func (s *scanner) alone() string {
	text := strings.TrimLeft(s.rest, " \t")
	i := 0
	for i < len(text) && isTokenByte(text[i]) {
		i++
	}
	end := strings.TrimLeft(text[i:], " \t")
	if len(text) == len(s.rest) || end != "" && end[0] != ',' {
		return ""
	}
	s.rest = text[i:]

	return text[:i]
}

// token68 reads one from text that ends in "=" or holds a "/"; the rest goes on
// behind it. "" where there is none.
func (s *scanner) token68(text string) string {
	i := 0
	for i < len(text) && (isTokenByte(text[i]) || text[i] == '/') {
		i++
	}
	j := i
	for j < len(text) && text[j] == '=' {
		j++
	}
	if i == 0 || j == i && !strings.Contains(text[:i], "/") {
		return ""
	}
	if end := strings.TrimLeft(text[j:], " \t"); end != "" && end[0] != ',' {
		return ""
	}
	s.rest = text[j:]

	return text[:j]
}

// value reads a token or a quoted string.
func (s *scanner) value() (string, bool) {
	if !strings.HasPrefix(s.rest, `"`) {
		t := s.token()

		return t, t != ""
	}
	var b strings.Builder
	for i := 1; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '"':
			s.rest = s.rest[i+1:]

			return b.String(), true
		case c == '\\' && i+1 < len(s.rest):
			i++
			b.WriteByte(s.rest[i])
		default:
			b.WriteByte(c)
		}
	}

	return "", false
}

func isTokenByte(c byte) bool {
	letter := 'a' <= c|0x20 && c|0x20 <= 'z'

	return letter || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
