package callback_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/protocols/callback"
)

// script is a protocol whose parts are functions.
type script struct {
	client *callback.Client
	start  func(*callback.Client)
	stop   func(*callback.Client)
	stops  *atomic.Int32
}

func (s *script) StartLoading() { s.start(s.client) }

func (s *script) StopLoading() {
	s.stops.Add(1)
	if s.stop != nil {
		s.stop(s.client)
	}
}

// outcome is what became of a load.
type outcome struct {
	resp  *protocols.Response // nil: Load failed
	body  string
	err   error // of Load, else of the body
	stops int   // calls of StopLoading
}

// load runs a protocol to its end in virtual time, with a minute as the session's
// clock. A goroutine that is left over, or a hang, fails the test.
func load(t *testing.T, method string, session protocols.Client, start func(*callback.Client)) (o outcome) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var stops atomic.Int32
		o = finish(callback.New(class(start, nil, &stops), session).Load(ctx, request(t, method, "mem://host/path")))
		synctest.Wait()
		o.stops = int(stops.Load())
	})

	return o
}

func class(start, stop func(*callback.Client), stops *atomic.Int32) callback.Class {
	return callback.Class{New: func(_ *protocols.Request, _ *callback.CachedResponse, c *callback.Client) callback.Protocol {
		return &script{client: c, start: start, stop: stop, stops: stops}
	}}
}

// finish reads a load to its end and closes it.
func finish(resp *protocols.Response, err error) outcome {
	o := outcome{resp: resp, err: err}
	if err == nil {
		var data []byte
		data, o.err = io.ReadAll(resp.Body)
		o.body = string(data)
		o.err = errors.Join(o.err, resp.Body.Close())
	}

	return o
}

func request(t testing.TB, method, url string) *protocols.Request {
	t.Helper()
	req, err := protocols.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}

	return req
}

// reply is a response of unknown length.
func reply() *protocols.Response {
	return &protocols.Response{StatusCode: http.StatusOK, MIMEType: "text/plain", ContentLength: -1}
}

// session answers challenges; it has nothing else.
type session struct {
	authenticate func(context.Context, *protocols.Challenge) (*protocols.Credential, error)
}

func (s session) Authenticate(ctx context.Context, c *protocols.Challenge) (*protocols.Credential, error) {
	return s.authenticate(ctx, c)
}

func (session) Load(context.Context, *protocols.Request) (*protocols.Response, error) {
	return nil, errors.ErrUnsupported
}

func (session) Dial(context.Context, string, string) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}

func (session) DialPacket(context.Context, string) (net.PacketConn, net.Addr, error) {
	return nil, nil, errors.ErrUnsupported
}
func (session) TLSConfig(context.Context, string) *tls.Config { return nil }
func (session) Inform(context.Context, *protocols.Response)   {}
