package protocols

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// FromRoundTripper makes a URLProtocol of an http.RoundTripper: a mock, a
// recorder, another HTTP stack. Each Load is one RoundTrip. The round tripper
// opens its own connections, so that what a session applies to connections
// (proxy, address guard, TLS floor, counting of bytes) does not reach them, and
// its interim responses (1xx) are its own affair; policy, cookies, redirects and
// challenges apply as ever. It gets a request of its own, which it may change.
//
// After 101 Upgraded is the response's body; it has deadlines only if that body
// is a net.Conn. If rt has CloseIdleConnections, the URLProtocol is an
// [io.Closer] that calls it. A response whose body is shorter than its
// ContentLength ends in io.ErrUnexpectedEOF whatever rt makes of it. Safe for
// concurrent use as rt is. A nil rt fails every load.
func FromRoundTripper(rt http.RoundTripper) URLProtocol {
	p := roundTripper{rt}
	if idle, ok := rt.(interface{ CloseIdleConnections() }); ok {
		return closingRoundTripper{p, idle}
	}

	return p
}

type roundTripper struct{ rt http.RoundTripper }

type closingRoundTripper struct {
	roundTripper
	idle interface{ CloseIdleConnections() }
}

// Close ends idle connections and leaves running loads alone.
func (p closingRoundTripper) Close() error {
	p.idle.CloseIdleConnections()

	return nil
}

var errNoRoundTripper = errors.New("protocols: FromRoundTripper was given no http.RoundTripper")

// Load implements URLProtocol.
func (p roundTripper) Load(ctx context.Context, req *Request) (*Response, error) {
	if p.rt == nil {
		return nil, errNoRoundTripper
	}
	if req.URL == nil {
		return nil, req.Validate()
	}
	if err := ctx.Err(); err != nil {
		return nil, ended(ctx, err)
	}
	sent, err := newSentBody(req)
	if err != nil {
		return nil, err
	}
	var conn tracedConn
	hr := httpRequest(conn.trace(ctx, req.Trace), req, sent)
	resp, err := p.rt.RoundTrip(hr)
	switch {
	case err != nil && resp != nil && resp.Body != nil:
		err = errors.Join(err, resp.Body.Close())
	case err == nil && resp == nil:
		err = errors.New("protocols: the http.RoundTripper returned neither a response nor an error")
	}
	if err != nil {
		_ = sent.Close() // a RoundTripper closes it; one that forgets must not leak it

		return nil, ended(ctx, err)
	}

	return httpResponse(ctx, req, resp, sent, &conn), nil
}

// httpRequest is the request in net/http's form, sharing nothing that a
// RoundTripper could change.
func httpRequest(ctx context.Context, req *Request, sent *sentBody) *http.Request {
	hr := (&http.Request{
		Method: req.Method, URL: cloneURL(req.URL), Header: req.Header.Clone(), Host: req.Header.Get("Host"),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	if hr.Method == "" {
		hr.Method = http.MethodGet
	}
	if hr.Header == nil {
		hr.Header = make(http.Header)
	}
	hr.Header.Del("Host")
	if req.Body == nil {
		return hr
	}
	hr.Body, hr.ContentLength = http.NoBody, req.Body.KnownLength()
	if hr.ContentLength != 0 {
		hr.Body = sent
	}
	if req.Body.Replayable() {
		hr.GetBody = func() (io.ReadCloser, error) { return req.Body.OpenAt(0) }
	}

	return hr
}

// httpResponse is the response in the contract's form.
func httpResponse(ctx context.Context, req *Request, hr *http.Response, sent *sentBody, conn *tracedConn) *Response {
	r := &Response{StatusCode: hr.StatusCode, Header: hr.Header, Trailer: hr.Trailer, ContentLength: hr.ContentLength}
	if r.Header == nil {
		r.Header = make(http.Header)
	}
	if hr.Request != nil {
		r.URL = hr.Request.URL
	}
	if value := r.Header.Get("Content-Type"); value != "" {
		r.SetContentType(value)
	}
	switch {
	case hr.ProtoMajor == 1:
		r.Proto = "http/1." + strconv.Itoa(hr.ProtoMinor)
	case hr.ProtoMajor > 1:
		r.Proto = "h" + strconv.Itoa(hr.ProtoMajor)
	}
	r.Conn, r.Reused = conn.facts()
	if r.Conn == nil && hr.TLS != nil {
		r.Conn = &ConnInfo{TLS: hr.TLS}
	}
	if hr.StatusCode == http.StatusSwitchingProtocols {
		if rwc, ok := hr.Body.(io.ReadWriteCloser); ok {
			r.Upgraded, r.Body, r.ContentLength = upgraded(rwc, r.Conn), NoBody, 0

			return r
		}
	}
	if hr.Body == nil {
		hr.Body = NoBody
	}
	if !mayHaveBody(req.Method, hr.StatusCode) {
		_ = hr.Body.Close()
		hr.Body = NoBody
	}
	if hr.ContentLength == 0 && r.Header.Get("Content-Length") == "0" && hr.Body != NoBody {
		_ = hr.Body.Close() // HTTP/2 gives an empty body of its own
		hr.Body = NoBody
	}
	b := &tripBody{ctx: ctx, rc: hr.Body, sent: sent, from: hr, to: r, left: -1}
	if r.ContentLength > 0 && mayHaveBody(req.Method, hr.StatusCode) {
		b.left = r.ContentLength
	}
	r.Body = b
	if hr.Body == NoBody && b.left < 0 {
		_ = sent.Close()
		r.Body = NoBody // so that a ContentLength of 0 counts as known
	}

	return r
}

// mayHaveBody is RFC 9112 §6.3: such responses end with their head, and their
// Content-Length speaks of another one.
func mayHaveBody(method string, status int) bool {
	return method != http.MethodHead && status/100 != 1 && status != http.StatusNoContent && status != http.StatusNotModified
}

// tripBody is the body of a response of a RoundTripper, held to its length.
type tripBody struct {
	ctx    context.Context
	rc     io.ReadCloser
	sent   *sentBody
	from   *http.Response
	to     *Response
	left   int64 // bytes still promised; negative: unknown; used by Read alone
	closed atomic.Bool
}

func (b *tripBody) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := b.rc.Read(p)
	if b.left >= 0 {
		if int64(n) > b.left { // more than promised is not part of the body
			n, err = int(b.left), io.EOF
		}
		b.left -= int64(n)
	}
	switch {
	case err == io.EOF && b.left > 0: //nolint:errorlint // io.Reader's contract: EOF comes bare
		err = fmt.Errorf("the body ended %d bytes before its length: %w", b.left, io.ErrUnexpectedEOF)
	case err == io.EOF && b.left < 0 && b.ctx.Err() != nil: //nolint:errorlint // the same
		// A server that sees the request cancelled may end its answer, and win the
		// race against the closing connection: such an end proves nothing.
		err = ended(b.ctx, io.ErrUnexpectedEOF)
	case err == io.EOF: //nolint:errorlint // the same
		b.to.Trailer = b.from.Trailer
	case err != nil:
		err = ended(b.ctx, err)
	}

	return n, err
}

func (b *tripBody) Close() error {
	if b.closed.Swap(true) {
		return nil
	}

	return errors.Join(b.rc.Close(), b.sent.Close())
}

// sentBody closes a request's body once, whoever is the first to do it.
type sentBody struct {
	io.Reader
	once  sync.Once
	close func() error
	err   error
}

// newSentBody opens the body of a request; one that is empty needs no reader.
func newSentBody(req *Request) (*sentBody, error) {
	if req.Body.KnownLength() == 0 {
		return &sentBody{}, nil
	}
	rc, err := req.OpenBody()
	if err != nil {
		return nil, err
	}

	return &sentBody{Reader: rc, close: rc.Close}, nil
}

// Close implements io.Closer.
func (b *sentBody) Close() error {
	b.once.Do(func() {
		if b.close != nil {
			b.err = b.close()
		}
	})

	return b.err
}

// ended adds the context's error, and its cause, to an error that came because
// the context ended and does not say so.
func ended(ctx context.Context, err error) error {
	for _, why := range []error{ctx.Err(), context.Cause(ctx)} {
		if why != nil && !errors.Is(err, why) {
			err = fmt.Errorf("%w: %w", why, err)
		}
	}

	return err
}

// tracedConn remembers the connection that net/http chose.
type tracedConn struct {
	mu     sync.Mutex
	info   *ConnInfo
	reused bool
}

func (c *tracedConn) facts() (*ConnInfo, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.info, c.reused
}

// trace marks what net/http tells of a transaction, where somebody asks.
func (c *tracedConn) trace(ctx context.Context, t *Trace) context.Context {
	if t == nil {
		return ctx
	}

	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart:          func(httptrace.DNSStartInfo) { t.Mark(DomainLookupStart) },
		DNSDone:           func(httptrace.DNSDoneInfo) { t.Mark(DomainLookupEnd) },
		ConnectStart:      func(string, string) { t.Mark(ConnectStart) },
		TLSHandshakeStart: func() { t.Mark(SecureConnectionStart) },
		TLSHandshakeDone:  func(tls.ConnectionState, error) { t.Mark(SecureConnectionEnd) },
		GotConn: func(got httptrace.GotConnInfo) {
			if !got.Reused {
				t.Mark(ConnectEnd)
			}
			t.Mark(RequestStart)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.info, c.reused = InfoOf(got.Conn), got.Reused
		},
		WroteRequest:         func(httptrace.WroteRequestInfo) { t.Mark(RequestEnd) },
		GotFirstResponseByte: func() { t.Mark(ResponseStart) },
	})
}

// upgraded makes a net.Conn of the body of a 101 response.
func upgraded(rwc io.ReadWriteCloser, info *ConnInfo) net.Conn {
	if c, ok := rwc.(net.Conn); ok {
		return c
	}
	c := upgradedConn{ReadWriteCloser: rwc, local: unknownAddr{}, remote: unknownAddr{}}
	if info != nil && info.Local != nil && info.Remote != nil {
		c.local, c.remote = info.Local, info.Remote
	}

	return c
}

type upgradedConn struct {
	io.ReadWriteCloser
	local, remote net.Addr
}

func (c upgradedConn) LocalAddr() net.Addr              { return c.local }
func (c upgradedConn) RemoteAddr() net.Addr             { return c.remote }
func (c upgradedConn) SetDeadline(time.Time) error      { return errors.ErrUnsupported }
func (c upgradedConn) SetReadDeadline(time.Time) error  { return errors.ErrUnsupported }
func (c upgradedConn) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }

// unknownAddr is the address of a connection that tells none.
type unknownAddr struct{}

func (unknownAddr) Network() string { return "tcp" }
func (unknownAddr) String() string  { return "unknown" }
