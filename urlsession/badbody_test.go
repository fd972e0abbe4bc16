package urlsession_test

import (
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/urlkit/urlkit/protocols"
)

// badBodies answer with bodies that are not what their heads say.
var badBodies = []protocols.Scheme{{
	Name: "bad", Security: protocols.Local,
	New: func(protocols.Client) protocols.URLProtocol { return loadFunc(badBody) },
}}

func badBody(_ context.Context, req *protocols.Request) (*protocols.Response, error) {
	resp := &protocols.Response{StatusCode: http.StatusOK, Header: make(http.Header), ContentLength: 100}
	var body io.Reader = strings.NewReader(strings.Repeat("x", 100))
	switch req.URL.Path {
	case "/short":
		body = io.LimitReader(body, 99)
	case "/long":
		body = io.MultiReader(body, strings.NewReader("x"))
	case "/breaks":
		body = io.MultiReader(io.LimitReader(body, 50), breaks{})
	case "/panics":
		body = io.MultiReader(io.LimitReader(body, 50), breaks{true})
	case "/coded":
		resp.Header.Set("Content-Encoding", "gzip")
		body = strings.NewReader(string(packed([]byte("hello"))[:20]) + strings.Repeat("x", 80))
	case "/stream": // corrupt long before its end, and of a length that nobody tells
		resp.Header.Set("Content-Encoding", "gzip")
		body, resp.ContentLength = strings.NewReader("no gzip at all"+strings.Repeat("x", 1<<20)), -1
	}
	resp.Body = io.NopCloser(body)

	return resp, nil
}

// breaks is a reader that fails.
type breaks struct{ panics bool }

func (b breaks) Read([]byte) (int, error) {
	if b.panics {
		panic(errOfTheApp)
	}

	return 0, errOfTheApp
}
