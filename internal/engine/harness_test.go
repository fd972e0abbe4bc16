package engine_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/registry"
)

// loading is a protocol of one function.
type loading func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error)

type instance struct {
	client protocols.Client
	load   loading
}

func (i instance) Load(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
	return i.load(ctx, i.client, req)
}

// claiming takes every request that claims accepts.
type claiming struct {
	instance
	claims func(*protocols.Request) bool
}

func (c claiming) Claims(req *protocols.Request) bool { return c.claims(req) }

func scheme(name string, security protocols.Security, load loading) protocols.Scheme {
	return protocols.Scheme{
		Name: name, Security: security, Redirectable: true, DefaultPort: map[string]int{"https": 443, "http": 80}[name],
		New: func(c protocols.Client) protocols.URLProtocol { return instance{c, load} },
	}
}

func claimer(security protocols.Security, load loading) protocols.Scheme {
	return protocols.Scheme{Security: security, New: func(c protocols.Client) protocols.URLProtocol {
		return claiming{instance{c, load}, func(*protocols.Request) bool { return true }}
	}}
}

// open makes an engine that is closed when the test ends.
func open(t testing.TB, config engine.Config, schemes ...protocols.Scheme) *engine.Engine {
	t.Helper()
	config.Registry = registry.New(schemes...)
	e, err := engine.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})

	return e
}

func request(t testing.TB, method, url string, header ...string) *protocols.Request {
	t.Helper()
	req, err := protocols.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}

	return req
}

// reply is a response with a body of known length; header are names and values.
func reply(status int, body string, header ...string) *protocols.Response {
	h := make(http.Header)
	for i := 0; i < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	r := &protocols.Response{StatusCode: status, Header: h, ContentLength: int64(len(body)), Body: protocols.NoBody}
	if body != "" {
		r.Body = &content{Reader: strings.NewReader(body)}
	}

	return r
}

// content is a body that knows how often it was closed.
type content struct {
	io.Reader
	mu     sync.Mutex
	closed int
}

func (c *content) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed++

	return nil
}

func (c *content) closes() int {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.closed
}

// fetch loads a URL to the end.
func fetch(e *engine.Engine, req *protocols.Request, task *engine.Task) (string, *protocols.Response, error) {
	resp, err := e.Load(context.Background(), req, task)
	if err != nil {
		return "", nil, err
	}
	data, err := engine.ReadAll(resp, -1)

	return string(data), resp, err
}

// failure checks that err is the one outermost *protocols.Error and has the code.
func failure(t testing.TB, err error, code protocols.Code) *protocols.Error {
	t.Helper()
	e, ok := err.(*protocols.Error) // it has to be the outermost
	if !ok {
		t.Fatalf("error is %T %v, want *protocols.Error", err, err)
	}
	if e.Code != code || !errors.Is(err, code) {
		t.Fatalf("code is %v (%v), want %v", e.Code, err, code)
	}
	if inner := (*protocols.Error)(nil); errors.As(e.Err, &inner) && inner.Op != "" {
		t.Errorf("an error with an Op is wrapped in another: %v", err)
	}

	return e
}

func contains(text, part string) bool { return strings.Contains(text, part) }
