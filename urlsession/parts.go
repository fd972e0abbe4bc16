package urlsession

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"strconv"

	"github.com/urlkit/urlkit/internal/multipart"
	"github.com/urlkit/urlkit/protocols"
)

// consumeParts delivers a body of the type multipart/x-mixed-replace: a response for
// each part, and the part's data after it. A body without parts is delivered as one
// without content.
func (r *run) consumeParts(resp *protocols.Response, boundary string) error {
	r.task.toReceive.Store(-1) // nothing tells how many parts there will be
	body := multipart.NewReader(paced{r, resp.Body}, boundary)
	for count := 0; ; count++ {
		header, err := body.Next()
		switch {
		case errors.Is(err, multipart.ErrHeader):
			return protocols.Errorf(BadServerResponse, "%w", err)
		case err == io.EOF && count == 0: //nolint:errorlint // Next gives io.EOF bare
			return r.consumeBody(protocols.NoBody)
		case err == io.EOF: //nolint:errorlint // the same
			r.atEnd()

			return nil
		case err != nil:
			return err
		}
		part := partOf(resp, header)
		r.task.answered(newResponse(part))
		err = r.consumeBody(body)
		if _, became := r.task.self.(*DownloadTask); err != nil || became {
			return err
		}
	}
}

// paced is a body that is not read while its task is suspended.
type paced struct {
	run  *run
	body io.Reader
}

func (p paced) Read(b []byte) (int, error) {
	if err := p.run.held(); err != nil {
		return 0, err
	}

	return p.body.Read(b)
}

// partOf is the response that a part is: the whole one's, with what its own header
// says of content.
func partOf(resp *protocols.Response, header http.Header) *protocols.Response {
	part := *resp
	part.Header = resp.Header.Clone()
	for _, name := range []string{"Content-Type", "Content-Length", "Content-Encoding", "Content-Range", "Transfer-Encoding"} {
		part.Header.Del(name)
	}
	maps.Copy(part.Header, header)
	part.SetContentType(header.Get("Content-Type"))
	part.ContentLength = -1
	if n, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		part.ContentLength = n
	}

	return &part
}
