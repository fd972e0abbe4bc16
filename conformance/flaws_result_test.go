package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/urlkit/urlkit/protocols"
)

var resultFlaws = map[string]flaw{
	"one-result": onLoad(func(ctx context.Context, req *protocols.Request, p protocols.URLProtocol) (*protocols.Response, error) {
		resp, err := p.Load(ctx, req)
		if err != nil { // what is known of the response can do no harm
			resp = &protocols.Response{URL: req.URL, Body: protocols.NoBody}
		}

		return resp, err
	}),
	"own-response": func(_ *testing.T, c protocols.Client) protocols.URLProtocol {
		inner := newFrame(c)
		var mu sync.Mutex
		var loads int
		var used *protocols.Response // for the second load, once the first is done, to save an allocation

		return altered{inner, func(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
			resp, err := inner.Load(ctx, req)
			if err != nil || resp.Body == protocols.NoBody {
				return resp, err
			}
			mu.Lock()
			defer mu.Unlock()
			switch loads++; {
			case loads == 2 && used != nil:
				*used, resp = *resp, used
			case loads == 1:
				body := resp.Body
				resp.Body = &alteredBody{ReadCloser: body, close: func() error {
					mu.Lock()
					defer mu.Unlock()
					used = resp

					return body.Close()
				}}
			}

			return resp, nil
		}}
	},
	"missing": onLoad(func(ctx context.Context, req *protocols.Request, p protocols.URLProtocol) (*protocols.Response, error) {
		resp, err := p.Load(ctx, req)
		if err == nil && resp.StatusCode == 404 {
			return nil, errors.Join(fmt.Errorf("status %d", resp.StatusCode), resp.Body.Close())
		}

		return resp, err
	}),
	"redirect": onLoad(func(ctx context.Context, req *protocols.Request, p protocols.URLProtocol) (*protocols.Response, error) {
		resp, err := p.Load(ctx, req)
		if err == nil && resp.Redirect != nil {
			next := req.Clone()
			next.URL = resp.Redirect.URL

			return p.Load(ctx, next)
		}

		return resp, err
	}),
	"challenge": onLoad(func(ctx context.Context, req *protocols.Request, p protocols.URLProtocol) (*protocols.Response, error) {
		resp, err := p.Load(ctx, req)
		if err == nil && len(resp.Challenges) > 0 {
			return nil, errors.Join(protocols.UserAuthenticationRequired, resp.Body.Close())
		}

		return resp, err
	}),
	"connection": onResponse(func(resp *protocols.Response) {
		if resp.Upgraded != nil {
			resp.Body = resp.Upgraded
		}
	}),
}

var bodyFlaws = map[string]flaw{
	"bytes": onBody(func(body io.ReadCloser) io.ReadCloser {
		return &alteredBody{ReadCloser: body, read: func(p []byte) (int, error) {
			n, err := body.Read(p)
			for i := range p[:n] {
				if p[i] == '.' {
					p[i] = '!'
				}
			}

			return n, err
		}}
	}),
	"length": onResponse(func(resp *protocols.Response) {
		if resp.ContentLength > 0 {
			resp.ContentLength++ // the line feed of the head is counted too
		}
	}),
	"body-not-nil": onResponse(func(resp *protocols.Response) {
		if resp.Body == protocols.NoBody && resp.Upgraded == nil {
			resp.Body = nil
		}
	}),
	"head-first": onBody(func(body io.ReadCloser) io.ReadCloser {
		first, err := io.ReadAll(io.LimitReader(body, 256<<10)) // "most fit, and then it is quicker"
		rest := io.MultiReader(strings.NewReader(string(first)), body)

		return &alteredBody{ReadCloser: body, read: func(p []byte) (int, error) {
			if len(first) == 0 && err != nil {
				return 0, err
			}

			return rest.Read(p)
		}}
	}),
	"back-pressure": onBody(func(body io.ReadCloser) io.ReadCloser { return fetchAhead(body) }),
	"close-twice": onBody(func(body io.ReadCloser) io.ReadCloser {
		closed := make(chan struct{})

		return &alteredBody{ReadCloser: body, close: func() error {
			close(closed)

			return body.Close()
		}}
	}),
	"close-during-read": onBody(func(body io.ReadCloser) io.ReadCloser {
		var mu sync.Mutex

		return &alteredBody{body, func(p []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()

			return body.Read(p)
		}, func() error {
			mu.Lock()
			defer mu.Unlock()

			return body.Close()
		}}
	}),
}

// ahead fetches a whole body into memory as fast as it comes.
type ahead struct {
	io.ReadCloser

	mu   sync.Mutex
	more *sync.Cond
	got  []byte
	err  error
}

func fetchAhead(body io.ReadCloser) *ahead {
	a := &ahead{ReadCloser: body}
	a.more = sync.NewCond(&a.mu)
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := body.Read(buf)
			a.mu.Lock()
			a.got, a.err = append(a.got, buf[:n]...), err
			a.mu.Unlock()
			a.more.Broadcast()
			if err != nil {
				return
			}
		}
	}()

	return a
}

func (a *ahead) Read(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.got) == 0 && a.err == nil {
		a.more.Wait()
	}
	n := copy(p, a.got)
	if a.got = a.got[n:]; n == 0 {
		return 0, a.err
	}

	return n, nil
}
