package multipart

import "bytes"

// what stands somewhere in a body.
type what uint8

const (
	content   what = iota // a part's own
	undecided             // it takes more bytes to tell
	next                  // a delimiter, and a part after it
	last                  // the delimiter that ends the body
)

// find gives how many bytes of text are surely content, what stands behind them, and how
// long that is. ended: nothing follows, so that everything is decided.
func (r *Reader) find(text []byte, ended bool) (n int, is what, length int) {
	if r.fresh && text[0] == '-' { // the line break was that of the header
		if is, length = r.judge(text, ended); is != content {
			return 0, is, length
		}
	}
	for {
		i := bytes.IndexAny(text[n:], "\r\n")
		if i < 0 {
			return len(text), content, 0
		}
		n += i
		if is, length = r.judge(text[n:], ended); is != content {
			return n, is, length
		}
		n++
	}
}

// judge tells what text is, which begins with a line break or at the beginning of a
// part.
func (r *Reader) judge(text []byte, ended bool) (is what, length int) {
	for _, c := range []byte("\r\n") {
		if length < len(text) && text[length] == c {
			length++
		}
	}
	if length == 1 && text[0] == '\r' && len(text) > 1 {
		return content, 0
	}
	open := undecided
	if ended {
		open = content
	}
	rest := text[length:]
	if len(rest) < len(r.delimiter) {
		if bytes.HasPrefix(r.delimiter, rest) {
			return open, 0
		}

		return content, 0
	}
	if !bytes.HasPrefix(rest, r.delimiter) {
		return content, 0
	}
	if ended {
		open = last
	}
	rest, length = rest[len(r.delimiter):], length+len(r.delimiter)

	return endOfLine(rest, length, open)
}

// endOfLine tells what a delimiter is by what follows it.
func endOfLine(rest []byte, length int, open what) (what, int) {
	if len(rest) > 0 && rest[0] == '-' {
		switch {
		case len(rest) == 1:
			return open, length + 1
		case rest[1] == '-':
			return last, length + 2
		default:
			return content, 0
		}
	}
	for i, c := range rest {
		switch {
		case c == '\n':
			return next, length + i + 1
		case i >= maxPadding:
			return content, 0
		case c == '\r' && (i+1 == len(rest) || rest[i+1] == '\n'), c == ' ', c == '\t':
		default:
			return content, 0
		}
	}

	return open, length + len(rest)
}
