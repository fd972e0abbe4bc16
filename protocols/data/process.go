package data

import (
	"bytes"
	"encoding/base64"
	"io"
	"strings"

	"github.com/urlkit/urlkit/protocols"
)

// resource is what a data: URL holds (the standard's data: URL struct).
type resource struct {
	mediaType mediaType
	content   content
}

// content is a strings.Reader over the URL itself where it needs no decoding,
// else a reader over the decoded bytes.
type content interface {
	io.Reader
	io.WriterTo
	Len() int
}

// process is the data: URL processor (Fetch §6) on what follows "data:". It never
// quotes the URL in an error: the data may be a secret.
func process(text string) (resource, error) {
	head, encoded, found := strings.Cut(text, ",")
	if !found {
		return resource{}, protocols.Errorf(protocols.BadURL, "the data: URL has no comma")
	}
	// The whole of the URL is percent-encoded by now, by the standard; of the data
	// that would be undone at once, so that only the head is.
	name, isBase64 := cutBase64(strings.Trim(percentEncodeHead(head), " "))
	if strings.HasPrefix(name, ";") {
		name = "text/plain" + name
	}
	parsed, ok := parseMediaType(name)
	if !ok {
		parsed = mediaType{name: "text/plain", parameters: []parameter{{"charset", "US-ASCII"}}}
	}
	decoded := percentDecode(encoded)
	if !isBase64 {
		return resource{mediaType: parsed, content: strings.NewReader(decoded)}, nil
	}
	p, err := forgivingBase64(decoded)
	if err != nil {
		return resource{}, protocols.Errorf(protocols.BadURL, "the data: URL is not base64: %w", err)
	}

	return resource{mediaType: parsed, content: bytes.NewReader(p)}, nil
}

// cutBase64 cuts the marker ";base64" off the end of a head; blanks may stand
// before the word.
func cutBase64(head string) (rest string, found bool) {
	const word = "base64"
	n := len(head) - len(word)
	if n < 0 || !strings.EqualFold(head[n:], word) {
		return head, false
	}
	rest, found = strings.CutSuffix(strings.TrimRight(head[:n], " "), ";")
	if !found {
		return head, false
	}

	return rest, true
}

// percentEncodeHead does to the head what URL parsing does: control characters
// and all that is not ASCII are percent-encoded, and in a query or a path of
// segments also what the sets of those (URL standard §1.3) name.
func percentEncodeHead(s string) string {
	const upperHex = "0123456789ABCDEF"
	strict := strings.IndexByte(s, '?')
	switch {
	case strings.HasPrefix(s, "/"):
		strict = 0
	case strict < 0:
		strict = len(s) + 1
	}
	needed := func(i int) bool {
		c := s[i]

		return c < ' ' || c > '~' || i >= strict && strings.IndexByte(` "<>`, c) >= 0 || i == strict-1 && c == ' '
	}
	first := 0
	for first < len(s) && !needed(first) {
		first++
	}
	if first == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	b.WriteString(s[:first])
	for i := first; i < len(s); i++ {
		if needed(i) {
			b.Write([]byte{'%', upperHex[s[i]>>4], upperHex[s[i]&15]})
		} else {
			b.WriteByte(s[i])
		}
	}

	return b.String()
}

// percentDecode decodes what is a percent sign and two hexadecimal digits, and
// leaves the rest as it is. A string without a percent sign is not copied.
func percentDecode(s string) string {
	i := strings.IndexByte(s, '%')
	if i < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for ; i >= 0; i = strings.IndexByte(s, '%') {
		b.WriteString(s[:i])
		if c, ok := escaped(s[i:]); ok {
			b.WriteByte(c)
			s = s[i+3:]
		} else {
			b.WriteByte('%')
			s = s[i+1:]
		}
	}
	b.WriteString(s)

	return b.String()
}

// escaped is the byte that an escape at the start of s stands for.
func escaped(s string) (c byte, ok bool) {
	if len(s) < 3 {
		return 0, false
	}
	for _, d := range []byte(s[1:3]) {
		lower := d | 0x20
		switch {
		case '0' <= d && d <= '9':
			c = c<<4 | (d - '0')
		case 'a' <= lower && lower <= 'f':
			c = c<<4 | (lower - 'a' + 10)
		default:
			return 0, false
		}
	}

	return c, true
}

// forgivingBase64 is the forgiving-base64 decode of the Infra standard: blanks
// do not count, padding may be missing but not be wrong.
func forgivingBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\t\n\f\r ") {
		s = strings.Map(func(r rune) rune {
			if strings.ContainsRune("\t\n\f\r ", r) {
				return -1
			}

			return r
		}, s)
	}
	if len(s)%4 == 0 {
		s = strings.TrimSuffix(strings.TrimSuffix(s, "="), "=")
	}

	return base64.RawStdEncoding.DecodeString(s)
}
