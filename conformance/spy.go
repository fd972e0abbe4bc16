package conformance

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/urlkit/urlkit/protocols"
)

// spy stands between the session and the protocol: it sees what the protocol
// does itself, before the session corrects or explains it. It is a wrapper with
// Unwrap, so that no capability is lost.
type spy struct {
	scheme protocols.Scheme
	inner  protocols.URLProtocol

	// before is run in Load before the protocol's; during in each of the Client's
	// methods that the protocol calls. Both are set before the session is used,
	// and may be nil.
	before func()
	during func(method string)

	mu       sync.Mutex
	refused  error          // what policy refused to let the protocol write
	methods  map[string]int // calls of the Client's methods
	untraced int            // calls of Inform for a request without a Trace
}

// spied is the scheme with the spy in it.
func (s *spy) spied() protocols.Scheme {
	scheme := s.scheme
	scheme.New = func(c protocols.Client) protocols.URLProtocol {
		s.inner = s.scheme.New(spyClient{c, s})
		if s.inner == nil {
			return nil
		}

		return s
	}

	return scheme
}

// Unwrap gives the protocol.
func (s *spy) Unwrap() protocols.URLProtocol { return s.inner }

// call is one Load of the protocol as it really went.
type call struct {
	resp     protocols.Response  // as returned; Body is read through body
	given    *protocols.Response // what resp is a copy of
	body     *spyBody            // nil: none, or NoBody
	nothing  bool                // a nil Response
	err      error
	panicked any

	request *protocols.Request
	before  *protocols.Request // a deep copy of request
	sent    protocols.Body     // a copy of its body
}

// changed tells what of the request is not as it was.
func (c *call) changed() error {
	now := c.request.Clone()
	was := *c.before
	now.Trace, was.Trace = nil, nil
	if b := c.request.Body; b != nil && (b.Length != c.sent.Length || b.File != c.sent.File || !bytes.Equal(b.Bytes, c.sent.Bytes)) {
		return errors.New("the request's Body was changed")
	}
	if reflect.DeepEqual(*now, was) {
		return nil
	}
	a, b := reflect.ValueOf(*now), reflect.ValueOf(was)
	for i := range a.NumField() {
		field := a.Type().Field(i)
		if field.IsExported() && !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			return fmt.Errorf("the request's %s was changed", field.Name)
		}
	}

	return errors.New("the request's properties were changed")
}

// record collects the calls of one load of a session.
type record struct {
	mu    sync.Mutex
	calls []*call
}

type recordKey struct{}

func (r *record) last() *call {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.calls) == 0 {
		return nil
	}

	return r.calls[len(r.calls)-1]
}

// Load implements protocols.URLProtocol.
func (s *spy) Load(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
	if s.before != nil {
		s.before()
	}
	c := &call{request: req, before: req.Clone()}
	if req.Body != nil {
		c.sent = *req.Body
	}
	if r, ok := ctx.Value(recordKey{}).(*record); ok {
		r.mu.Lock()
		r.calls = append(r.calls, c)
		r.mu.Unlock()
	}
	resp, err := c.load(ctx, s.inner, req)
	if resp == nil {
		return nil, err
	}
	// The length is kept from the session, which would mend what is to be judged.
	resp.ContentLength = -1
	if resp.Body != nil && resp.Body != protocols.NoBody {
		c.body = &spyBody{ReadCloser: resp.Body, ctx: ctx}
		resp.Body = c.body
	}

	return resp, err
}

func (c *call) load(ctx context.Context, p protocols.URLProtocol, req *protocols.Request) (resp *protocols.Response, err error) {
	defer func() {
		if c.panicked = recover(); c.panicked != nil {
			err = fmt.Errorf("the protocol panicked: %v", c.panicked)
			resp = nil
		}
	}()
	resp, err = p.Load(ctx, req)
	c.err, c.nothing = err, resp == nil
	if resp != nil {
		c.resp, c.given = *resp, resp
	}

	return resp, err
}

// spyBody sees how the protocol's own body ends.
type spyBody struct {
	io.ReadCloser
	ctx   context.Context
	count atomic.Int64

	mu  sync.Mutex
	end error // the first error of Read
}

// Context keeps the session from ending the body with its context: whether the
// protocol does is what is to be judged.
func (b *spyBody) Context() context.Context { return b.ctx }

// Close implements io.Closer. A panic of the protocol's must not end the suite.
func (b *spyBody) Close() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the body's Close panicked: %v", p)
		}
	}()

	return b.ReadCloser.Close()
}

// Read implements io.Reader.
func (b *spyBody) Read(p []byte) (n int, err error) {
	defer func() {
		if p := recover(); p != nil {
			n, err = 0, fmt.Errorf("the body's Read panicked: %v", p)
		}
	}()
	n, err = b.ReadCloser.Read(p)
	b.count.Add(int64(n))
	if err != nil {
		b.mu.Lock()
		if b.end == nil {
			b.end = err
		}
		b.mu.Unlock()
	}

	return n, err
}

func (b *spyBody) ended() error {
	b.mu.Lock()
	defer b.mu.Unlock()

	return b.end
}

// spyClient is the session's side with a spy in it.
type spyClient struct {
	protocols.Client
	spy *spy
}

func (c spyClient) called(method string) {
	c.spy.mu.Lock()
	if c.spy.methods == nil {
		c.spy.methods = make(map[string]int)
	}
	c.spy.methods[method]++
	c.spy.mu.Unlock()
	if c.spy.during != nil {
		c.spy.during(method)
	}
}

func (s *spy) calls(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.methods[method]
}

// The names of the Client's methods.
const (
	clientLoad         = "Load"
	clientDial         = "Dial"
	clientDialPacket   = "DialPacket"
	clientTLSConfig    = "TLSConfig"
	clientAuthenticate = "Authenticate"
	clientInform       = "Inform"
)

var clientMethods = []string{clientLoad, clientDial, clientDialPacket, clientTLSConfig, clientAuthenticate, clientInform}

func (c spyClient) Load(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
	c.called(clientLoad)

	return c.Client.Load(ctx, req)
}

func (c spyClient) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c.called(clientDial)
	conn, err := c.Client.Dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}

	return spyConn{conn, c.spy}, nil
}

func (c spyClient) DialPacket(ctx context.Context, addr string) (net.PacketConn, net.Addr, error) {
	c.called(clientDialPacket)

	return c.Client.DialPacket(ctx, addr)
}

func (c spyClient) TLSConfig(ctx context.Context, host string) *tls.Config {
	c.called(clientTLSConfig)

	return c.Client.TLSConfig(ctx, host)
}

func (c spyClient) Authenticate(ctx context.Context, ch *protocols.Challenge) (*protocols.Credential, error) {
	c.called(clientAuthenticate)

	return c.Client.Authenticate(ctx, ch)
}

func (c spyClient) Inform(ctx context.Context, r *protocols.Response) {
	c.called(clientInform)
	if rec, ok := ctx.Value(recordKey{}).(*record); ok {
		if now := rec.last(); now != nil && now.request.Trace == nil {
			c.spy.mu.Lock()
			c.spy.untraced++
			c.spy.mu.Unlock()
		}
	}
	c.Client.Inform(ctx, r)
}

// spyConn sees what policy refuses to let out.
type spyConn struct {
	net.Conn
	spy *spy
}

// Unwrap gives the connection beneath.
func (c spyConn) Unwrap() net.Conn { return c.Conn }

func (c spyConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if errors.Is(err, protocols.AppTransportSecurityRequiresSecureConnection) {
		c.spy.mu.Lock()
		c.spy.refused = err
		c.spy.mu.Unlock()
	}

	return n, err
}

// isHTTPRedirect tells whether a status says so by HTTP's rules.
func isHTTPRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	default:
		return false
	}
}
