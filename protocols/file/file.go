// Package file loads file: URLs (RFC 8089): files, ranges of files, listings of
// folders, and PUT, which replaces a file as a whole or not at all.
//
// What is in a response:
//
//   - GET and HEAD of a file have no status (it is no HTTP), an exact
//     ContentLength, and the fields Content-Type, Content-Length, Last-Modified,
//     ETag and Accept-Ranges. The character encoding is not guessed at. HEAD has
//     the length that GET has, and no body.
//   - GET with a Range of one part (RFC 9110 §14) has status 206, or 416 where
//     the file is too short; If-Range is honoured. Of several parts, or of none
//     that can be parsed, the whole file is the answer, without a status.
//   - GET of a URL that ends in "/" lists the folder: as HTML, or as JSON where
//     Accept prefers application/json. A folder without the "/" is
//     protocols.FileIsDirectory; a file with one does not exist.
//   - PUT has status 201 for a new file and 204 for a replaced one.
//
// Other methods are refused with protocols.UnsupportedURL. The host is empty or
// localhost, query and fragment have no meaning, and only regular files are read
// and written: a named pipe, a device or a socket is refused, and not waited for.
// A file that shrinks while it is read is io.ErrUnexpectedEOF; what is appended
// meanwhile is not read. No redirect leads here.
package file

import (
	"context"
	"net/http"
	"runtime"
	"strings"

	"github.com/urlkit/urlkit/protocols"
)

// defaultMaxListing bounds the memory of a listing to some tens of megabytes.
const defaultMaxListing = 100_000

// Config are the settings of the scheme. The zero value is the default.
type Config struct {
	// MaxListing is the largest number of entries of a folder that is listed; one
	// with more is protocols.DataLengthExceedsMaximum. 0: 100,000; negative: no
	// limit. Names are held in memory, since they are sorted; the listing itself
	// is made while it is read.
	MaxListing int
}

// Schemes is the scheme "file". It is Local, and no redirect lands on it.
func Schemes(c Config) []protocols.Scheme {
	if c.MaxListing == 0 {
		c.MaxListing = defaultMaxListing
	}

	return []protocols.Scheme{{
		Name:     "file",
		Security: protocols.Local,
		New:      func(protocols.Client) protocols.URLProtocol { return loader{c} },
	}}
}

// loader has no state of its own: loads share nothing but the file system.
type loader struct{ config Config }

// Load answers as the package comment says. Reading and writing end with ctx.
func (l loader) Load(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	method := strings.ToUpper(req.Method)
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodPut:
	default:
		return nil, protocols.Errorf(protocols.UnsupportedURL, "the method of a file: URL is GET, HEAD or PUT, not %q", req.Method)
	}
	name, folder, err := localPath(req.URL, runtime.GOOS)
	if err != nil {
		return nil, err
	}
	if method == http.MethodPut {
		return put(ctx, req, name, folder)
	}

	return l.get(ctx, req, name, folder)
}
