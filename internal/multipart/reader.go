// Package multipart takes bodies of the type multipart/x-mixed-replace apart while
// they come: each part replaces the one before, and the last may never end. What has
// come of a part is given at once, but for bytes that may begin a delimiter. The
// standard library's mime/multipart reads parts as promptly, but bounds a part's
// header only at 10 MB, and does not know the boundaries that cameras send.
package multipart

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
)

// MIMEType is the media type.
const MIMEType = "multipart/x-mixed-replace"

const (
	// maxBoundary bounds a boundary, in bytes; RFC 2046 §5.1.1 allows 70.
	maxBoundary = 128
	// maxPadding bounds the blanks between a delimiter and the end of its line.
	maxPadding = 64
	// maxHeader bounds the header of a part, in bytes.
	maxHeader = 16 << 10
)

// ErrHeader is the error of a part whose header is too long.
var ErrHeader = errors.New("the header of a part is too long")

// Boundary is that of a Content-Type field; false: it is of another type, or has no
// boundary, or too long a one.
func Boundary(contentType string) (string, bool) {
	mediaType, params, err := mime.ParseMediaType(contentType)
	boundary := params["boundary"]
	ok := err == nil && mediaType == MIMEType && boundary != "" && len(boundary) <= maxBoundary

	return boundary, ok
}

// Reader reads a body, part by part. It is for one goroutine.
type Reader struct {
	in       *bufio.Reader
	boundary string

	delimiter []byte // "--" and the boundary; nil before the first one
	within    bool   // of a part
	fresh     bool   // nothing of the part was read
	over      bool   // there is no further part
	failed    error  // of the body
}

// NewReader makes a Reader.
func NewReader(body io.Reader, boundary string) *Reader {
	return &Reader{in: bufio.NewReaderSize(body, maxHeader), boundary: boundary}
}

// Next goes to the next part, whatever is left of the present one, and gives its
// header fields. io.EOF: there is none. A body that ends without its last delimiter
// ends there, since that is how most do.
func (r *Reader) Next() (http.Header, error) {
	var dropped [4 << 10]byte
	for r.within {
		if _, err := r.Read(dropped[:]); err != nil && err != io.EOF { //nolint:errorlint // Read gives io.EOF bare
			return nil, err
		}
	}
	if r.delimiter == nil && !r.over {
		r.preamble()
	}
	switch {
	case r.failed != nil:
		return nil, r.failed
	case r.over:
		return nil, io.EOF
	}
	header, err := r.header()
	if err != nil {
		r.over = true
		if err != io.EOF { //nolint:errorlint // header gives io.EOF bare
			r.failed = err
		}

		return nil, err
	}
	r.within, r.fresh = true, true

	return header, nil
}

// preamble looks for the first delimiter. Cameras are known that count the dashes
// among the boundary.
func (r *Reader) preamble() {
	plain := strings.HasPrefix(r.boundary, "--")
	for beginning := true; ; {
		text, err := r.in.ReadSlice('\n')
		if line := bytes.TrimRight(text, " \t\r\n"); beginning {
			switch string(line) {
			case "--" + r.boundary:
				r.delimiter = []byte("--" + r.boundary)
			case r.boundary:
				if plain {
					r.delimiter = []byte(r.boundary)
				}
			case "--" + r.boundary + "--":
				r.over = true
			}
		}
		beginning = err == nil // else the line goes on
		switch {
		case r.delimiter != nil || r.over:
			return
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			r.end(err)

			return
		}
	}
}

// end notes that the body has ended.
func (r *Reader) end(err error) {
	r.within, r.over = false, true
	if err != io.EOF { //nolint:errorlint // a Reader returns io.EOF bare
		r.failed = err
	}
}

// header reads the fields of a part, up to an empty line. What is no field is left
// out.
func (r *Reader) header() (http.Header, error) {
	header := make(http.Header)
	for size := 0; ; {
		text, err := r.in.ReadSlice('\n')
		size += len(text)
		switch {
		case errors.Is(err, bufio.ErrBufferFull) || size > maxHeader:
			return nil, ErrHeader
		case err != nil:
			return nil, err
		}
		line := strings.TrimRight(string(text), "\r\n")
		if line == "" {
			return header, nil
		}
		name, value, found := strings.Cut(line, ":")
		if value = strings.Trim(value, " \t"); found && isToken(name) && !hasControl(value) {
			header.Add(name, value)
		}
	}
}

// isToken is RFC 9110 §5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}

	return s != ""
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f })
}

// Read reads from the present part. io.EOF is its end.
func (r *Reader) Read(p []byte) (int, error) {
	if r.failed != nil {
		return 0, r.failed
	}
	if !r.within {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	for wanted, ended := 1, error(nil); ; {
		buffered := r.in.Buffered()
		if buffered < wanted && ended == nil {
			if _, ended = r.in.Peek(wanted); ended == nil {
				continue
			}
			buffered = r.in.Buffered()
		}
		data, _ := r.in.Peek(buffered)
		if len(data) == 0 {
			r.end(ended)

			return 0, ended
		}
		n, is, length := r.find(data, ended != nil)
		if n > 0 {
			n = copy(p, data[:n])
			_, _ = r.in.Discard(n)
			r.fresh = false

			return n, nil
		}
		if is != undecided {
			_, _ = r.in.Discard(length)
			r.within = false
			if is == last {
				r.end(cmp.Or(ended, io.EOF))
			}

			return 0, io.EOF
		}
		wanted = buffered + 1
	}
}
