package conformance_test

import (
	"context"
	"io"
	"sync"
	"testing"

	"github.com/urlkit/urlkit/protocols"
)

// onRequestBody is frame whose requests have another body.
func onRequestBody(alter func(load func(*protocols.Body) (*protocols.Response, error), body *protocols.Body) (*protocols.Response, error)) flaw {
	return onLoad(func(ctx context.Context, req *protocols.Request, p protocols.URLProtocol) (*protocols.Response, error) {
		if req.Body == nil {
			return p.Load(ctx, req)
		}

		return alter(func(b *protocols.Body) (*protocols.Response, error) {
			req := req.Clone()
			req.Body = b

			return p.Load(ctx, req)
		}, req.Body)
	})
}

var requestFlaws = map[string]flaw{
	"body-closed": onRequestBody(func(load func(*protocols.Body) (*protocols.Response, error), body *protocols.Body) (*protocols.Response, error) {
		opened, err := body.OpenAt(0) // before there is a connection to send it on
		if err != nil {
			return nil, err
		}

		return load(protocols.FuncBody(body.Length, func(int64) (io.ReadCloser, error) { return opened, nil }))
	}),
	"one-reader": onRequestBody(func(load func(*protocols.Body) (*protocols.Response, error), body *protocols.Body) (*protocols.Response, error) {
		peek, err := body.OpenAt(0) // is there anything in it?
		if err != nil {
			return nil, err
		}
		defer peek.Close()

		return load(body)
	}),
	"body-sent": func(_ *testing.T, c protocols.Client) protocols.URLProtocol {
		inner := newFrame(c)
		var sent sync.Map

		return altered{inner, func(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
			if req.Body != nil {
				if _, again := sent.LoadOrStore(req.URL.String(), true); again { // "the peer has it already"
					req = req.Clone()
					req.Body = nil
				}
			}

			return inner.Load(ctx, req)
		}}
	},
	"body-failure": onRequestBody(func(load func(*protocols.Body) (*protocols.Response, error), body *protocols.Body) (*protocols.Response, error) {
		opened, err := body.OpenAt(0)
		if err != nil {
			return nil, err
		}
		data, _ := io.ReadAll(opened)

		if err := opened.Close(); err != nil {
			return nil, err
		}

		return load(protocols.BytesBody(data))
	}),
	"request-unchanged": onLoad(func(ctx context.Context, req *protocols.Request, p protocols.URLProtocol) (*protocols.Response, error) {
		if req.Header != nil {
			req.Header.Set("Accept", "text/plain")
		}

		return p.Load(ctx, req)
	}),
	"priority-unobserved": onLoad(func(ctx context.Context, req *protocols.Request, p protocols.URLProtocol) (*protocols.Response, error) {
		req.Reprioritization.AddObserver(forgetful{})

		return p.Load(ctx, req)
	}),
}

// forgetful observes a priority for ever.
type forgetful struct{}

// PriorityChanged implements protocols.PriorityObserver.
func (forgetful) PriorityChanged() {}
