package har

import (
	"encoding/json"
	"strings"
)

// json redacts JSON, or the beginning of it, and leaves all else as it stands: the
// members that have a secret's name, and the secrets of URLs.
func (r Redaction) json(text string) string {
	var out strings.Builder
	done := 0                    // what of text is in out
	secret, list := false, false // the value that follows is a secret, or in a list of such
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '"':
			end := stringEnd(text, i)
			literal := text[i:end]
			replaced, name := r.literal(literal, secret, follows(text, end))
			if replaced != literal {
				out.WriteString(text[done:i])
				out.WriteString(replaced)
				done = end
			}
			i, secret = end, name
		case secret && (c == '-' || c >= '0' && c <= '9'):
			end := i + 1
			for end < len(text) && strings.IndexByte("0123456789+-.eE", text[end]) >= 0 {
				end++
			}
			out.WriteString(text[done:i])
			out.WriteString(`"` + Redacted + `"`)
			i, done, secret = end, end, false
		case c == '[':
			i, list = i+1, secret
		case c == ',':
			i, secret = i+1, list
		case c == '{', c == '}', c == ']':
			i, secret, list = i+1, false, false
		default:
			i++
		}
	}
	out.WriteString(text[done:])

	return out.String()
}

// literal redacts one string of a JSON text. secret: it is the value of a secret.
// member: it is a name; then the answer says whether that is a secret's.
func (r Redaction) literal(literal string, secret, member bool) (redacted string, name bool) {
	var plain string
	whole := json.Unmarshal([]byte(literal), &plain) == nil
	switch {
	case member:
		return literal, whole && r.named(plain)
	case secret:
		if len(literal) < 2 || literal[len(literal)-1] != '"' {
			return `"` + Redacted, false // it is cut off
		}

		return `"` + Redacted + `"`, false
	case whole && strings.Contains(plain, "://"):
		if clean := r.URL(plain); clean != plain {
			data, _ := json.Marshal(clean) // a string can be encoded

			return string(data), false
		}
	}

	return literal, false
}

// stringEnd is where the string that begins at i ends.
func stringEnd(text string, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}

	return len(text)
}

// follows tells whether a colon comes next.
func follows(text string, i int) bool {
	rest := strings.TrimLeft(text[i:min(len(text), i+64)], " \t\r\n")

	return strings.HasPrefix(rest, ":")
}
