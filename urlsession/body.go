package urlsession

import (
	"io"

	"github.com/urlkit/urlkit/protocols"
)

// BytesBody is a request body of these bytes. They are not copied.
func BytesBody(p []byte) *Body { return protocols.BytesBody(p) }

// StringBody is a request body of the bytes of s.
func StringBody(s string) *Body { return protocols.StringBody(s) }

// FileBody is a request body of a file's content, read when it is sent. A file
// that cannot be read fails the load (FileDoesNotExist, NoPermissionsToReadFile).
func FileBody(path string) *Body { return protocols.FileBody(path) }

// ReaderBody is a request body read from r. One that can seek can be sent again
// after a redirect or a challenge; any other is RequestBodyStreamExhausted then.
func ReaderBody(r io.Reader) *Body { return protocols.ReaderBody(r) }

// FuncBody is a request body that open makes anew for each sending, from the
// offset that it is given. length is -1 where it is unknown.
func FuncBody(length int64, open func(offset int64) (io.ReadCloser, error)) *Body {
	return protocols.FuncBody(length, open)
}
