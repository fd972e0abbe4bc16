package urlsession

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
)

// RoundTripper gives an http.Client, and every SDK that takes one, the session's
// schemes, cache, policy, connections and metrics. It makes one hop: redirects, cookies
// and credentials stay the http.Client's, as http.RoundTripper says. Bodies are
// decoded where the request leaves Accept-Encoding to the session; the response
// then says Uncompressed. A scheme without a status answers 200.
func (s *Session) RoundTripper() http.RoundTripper { return roundTripper{s} }

type roundTripper struct{ session *Session }

func (t roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	req, body, err := fromHTTP(r)
	if err != nil {
		return nil, err
	}
	ctx := r.Context()
	if err := t.session.refused(req); err != nil {
		body.closeUnopened()

		return nil, err
	}
	task := *t.session.plainTask(ctx, req)
	task.OneHop, task.Nested = true, t.session.nested()
	resp, err := t.session.engine.Load(ctx, req, &task)
	if err != nil {
		body.closeUnopened()

		return nil, err
	}

	return toHTTP(r, resp, body), nil
}

func fromHTTP(r *http.Request) (*Request, *onceBody, error) {
	body := &onceBody{request: r}
	if len(r.Trailer) > 0 {
		body.closeUnopened()

		return nil, nil, errors.New("urlsession: request trailers cannot be sent")
	}
	req := &Request{Method: r.Method, URL: r.URL, Header: r.Header}
	if r.Host != "" && (r.URL == nil || r.Host != r.URL.Host) || r.Close {
		req.Header = r.Header.Clone()
		if req.Header == nil {
			req.Header = make(http.Header)
		}
		if r.Host != "" {
			req.Header.Set("Host", r.Host)
		}
		if r.Close {
			req.Header.Set("Connection", "close")
		}
	}
	if r.Body != nil && r.Body != http.NoBody {
		length := r.ContentLength
		if length <= 0 {
			length = -1
		}
		req.Body = protocols.FuncBody(length, body.open)
		req.Body.Once = r.GetBody == nil
	}

	return req, body, nil
}

// onceBody gives out an http.Request's body, and copies of it where it can be
// made again. A RoundTripper closes the body in every outcome.
type onceBody struct {
	request *http.Request

	mu     sync.Mutex
	opened bool
}

func (b *onceBody) open(offset int64) (io.ReadCloser, error) {
	if offset != 0 {
		return nil, fmt.Errorf("%w: the body of an http.Request starts at 0", RequestBodyStreamExhausted)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.opened {
		b.opened = true

		return b.request.Body, nil
	}
	if b.request.GetBody == nil {
		return nil, fmt.Errorf("%w: the http.Request has no GetBody", RequestBodyStreamExhausted)
	}

	return b.request.GetBody()
}

func (b *onceBody) closeUnopened() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.opened && b.request.Body != nil {
		b.opened = true
		_ = b.request.Body.Close()
	}
}

func toHTTP(r *http.Request, resp *protocols.Response, sent *onceBody) *http.Response {
	status := resp.StatusCode
	if status == 0 {
		status = http.StatusOK
	}
	h := &http.Response{
		Status: fmt.Sprintf("%03d %s", status, http.StatusText(status)), StatusCode: status,
		Header: resp.Header, Trailer: resp.Trailer, Body: resp.Body, ContentLength: resp.ContentLength, Request: r,
	}
	h.Proto, h.ProtoMajor, h.ProtoMinor = protoOf(resp.Proto)
	if h.Header == nil {
		h.Header = make(http.Header)
	}
	if resp.MIMEType != "" && h.Header.Get("Content-Type") == "" {
		h.Header = h.Header.Clone()
		h.Header.Set("Content-Type", contentType(resp))
	}
	if engine.Decoded(resp) {
		h.Uncompressed = true
		h.ContentLength = -1
		h.Header = h.Header.Clone()
		h.Header.Del("Content-Encoding")
		h.Header.Del("Content-Length")
	}
	if resp.Conn != nil {
		h.TLS = resp.Conn.TLS
	}
	switch {
	case resp.Upgraded != nil:
		h.Body = upgradedBody{resp.Upgraded}
		sent.closeUnopened()
	case resp.Body != protocols.NoBody:
		h.Body = &responseBody{resp.Body, resp, h, sent}
	default:
		sent.closeUnopened()
	}

	return h
}

// responseBody hands on the trailer at its end, which need not have been
// announced. Until then the request's body may still be opened: a server may
// answer before it reads.
type responseBody struct {
	io.ReadCloser

	from *protocols.Response
	to   *http.Response
	sent *onceBody
}

func (b *responseBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.to.Trailer = b.from.Trailer
	}
	if err != nil {
		b.sent.closeUnopened()
	}

	return n, err
}

func (b *responseBody) Close() error {
	err := b.ReadCloser.Close()
	b.sent.closeUnopened()

	return err
}

// upgradedBody is the connection after a 101: an io.ReadWriteCloser.
type upgradedBody struct{ net.Conn }

func contentType(resp *protocols.Response) string {
	if resp.TextEncodingName == "" {
		return resp.MIMEType
	}

	return resp.MIMEType + "; charset=" + resp.TextEncodingName
}

// protoOf is net/http's form of an ALPN name.
func protoOf(alpn string) (name string, major, minor int) {
	switch {
	case alpn == "h2":
		return "HTTP/2.0", 2, 0
	case alpn == "h3":
		return "HTTP/3.0", 3, 0
	case strings.HasSuffix(alpn, "1.0"):
		return "HTTP/1.0", 1, 0
	default:
		return "HTTP/1.1", 1, 1
	}
}
