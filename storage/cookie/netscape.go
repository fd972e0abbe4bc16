package cookie

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/urlkit/urlkit/internal/publish"
)

const (
	// maxNetscapeLine bounds a line, in bytes. A longer one holds no cookie that could
	// be stored.
	maxNetscapeLine = 16 << 10
	// httpOnlyPrefix begins the domain of a cookie that scripts may not see: curl's
	// addition to a format whose comments begin with "#".
	httpOnlyPrefix = "#HttpOnly_"
)

// ErrNetscape is what ReadNetscape says of lines that hold no cookie.
var ErrNetscape = errors.New("not a cookie of the Netscape format")

// ReadNetscape stores the cookies of a file in the Netscape format, as curl, wget and
// browsers' exports have it: a cookie a line, with the domain, whether subdomains get
// it, the path, whether it is Secure, when it expires (Unix seconds, 0 for the end of
// the session), the name and the value, between tabs. It returns how many were
// stored. What has expired is left out, as are lines that are malformed or break a
// rule of RFC 6265bis: if there are such, the error is ErrNetscape and names the
// first. An error of r ends the reading; what was read by then stays.
func (s *Store) ReadNetscape(r io.Reader) (int, error) {
	now := s.clock()
	in := bufio.NewReaderSize(r, maxNetscapeLine)
	stored, wrong, first := 0, 0, 0
	for number := 1; ; number++ {
		text, long, err := readLine(in)
		if err != nil && (err != io.EOF || text == "" && !long) { //nolint:errorlint // readLine returns io.EOF bare
			if err == io.EOF { //nolint:errorlint // the same
				err = nil
			}
			if err == nil && wrong > 0 {
				err = fmt.Errorf("%w: %d lines, the first is line %d", ErrNetscape, wrong, first)
			}

			return stored, err
		}
		c, isCookie, ok := parseNetscape(text)
		if isCookie && ok && c.expired(now) {
			continue
		}
		c.expires = capped(c.expires, now)
		switch {
		case long || isCookie && (!ok || s.set("", c, now) != nil):
			if wrong++; wrong == 1 {
				first = number
			}
		case isCookie:
			stored++
		}
	}
}

// readLine gives a line without its end. long: it is longer than what is read, and
// dropped.
func readLine(in *bufio.Reader) (text string, long bool, err error) {
	data, err := in.ReadSlice('\n')
	text = strings.TrimRight(string(data), "\r\n")
	for errors.Is(err, bufio.ErrBufferFull) {
		long, text = true, ""
		_, err = in.ReadSlice('\n')
	}

	return text, long, err
}

// parseNetscape reads a line: a cookie, or (isCookie false) nothing.
func parseNetscape(text string) (c cookie, isCookie, ok bool) {
	if rest, found := strings.CutPrefix(text, httpOnlyPrefix); found {
		c.httpOnly, text = true, rest
	} else if strings.HasPrefix(text, "#") {
		return c, false, false
	}
	if strings.TrimSpace(text) == "" {
		return c, false, false
	}
	fields := strings.Split(text, "\t")
	if len(fields) == 6 { // written without an empty value
		fields = append(fields, "")
	}
	if len(fields) != 7 {
		return c, true, false
	}
	subdomains, okS := parseBool(fields[1])
	secure, okE := parseBool(fields[3])
	expires, err := strconv.ParseInt(fields[4], 10, 64)
	c.domain, c.path, c.secure, c.name, c.value = strings.TrimPrefix(fields[0], "."), fields[2], secure, fields[5], fields[6]
	if subdomains {
		c.domain = "." + c.domain
	}
	if expires != 0 {
		c.expires = time.Unix(min(max(expires, 1), 1<<40), 0).UTC() // within what time counts
	}
	ok = okS && okE && err == nil && c.name != "" && len(c.name)+len(c.value) <= maxPair && strings.HasPrefix(c.path, "/") &&
		!hasControl(text[strings.LastIndexByte(text, '\t')+1:]+c.domain+c.path+c.name) &&
		!strings.ContainsAny(c.name, "=;") && !strings.Contains(c.value, ";")

	return c, true, ok
}

func parseBool(s string) (value, ok bool) {
	value = strings.EqualFold(s, "TRUE")

	return value, value || strings.EqualFold(s, "FALSE")
}

// WriteNetscape writes the cookies that have not expired, those of a session too, as
// ReadNetscape reads them; oldest first. The format has no SameSite and no
// partitions: cookies of partitions are left out, and so are values with a tab.
func (s *Store) WriteNetscape(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Netscape HTTP Cookie File\n")
	now := s.clock()
	s.mu.Lock()
	for _, e := range s.live(now) {
		if e.key.partition == "" && !strings.Contains(e.name+e.path+e.value, "\t") {
			e.writeNetscape(&b)
		}
	}
	s.mu.Unlock()
	_, err := io.WriteString(w, b.String())

	return err
}

func (c *cookie) writeNetscape(b *strings.Builder) {
	if c.httpOnly {
		b.WriteString(httpOnlyPrefix)
	}
	if !c.hostOnly {
		b.WriteByte('.')
	}
	expires := int64(0)
	if c.persists() {
		expires = max(c.expires.Unix(), 1)
	}
	fmt.Fprintf(b, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", c.domain, writtenBool(!c.hostOnly), c.path, writtenBool(c.secure), expires, c.name, c.value)
}

func writtenBool(b bool) string {
	if b {
		return "TRUE"
	}

	return "FALSE"
}

// WriteNetscapeFile is WriteNetscape to a file, which is replaced: whole, or not at
// all, and for its owner only.
func (s *Store) WriteNetscapeFile(ctx context.Context, name string) error {
	file, err := publish.Private(name)
	if err != nil {
		return err
	}
	defer file.Discard()
	if err := s.WriteNetscape(file); err != nil {
		return err
	}
	_, err = file.Publish(ctx)

	return err
}
