package engine

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

// mostBackground bounds the validations that run in the background of a session.
const mostBackground = 16

// longestBackground bounds one of them.
const longestBackground = time.Minute

// background are the loads that validate what was served stale (RFC 5861 §3), one
// for each key.
type background struct {
	mu      sync.Mutex
	keys    map[string]context.CancelFunc
	ended   bool
	running sync.WaitGroup
}

// revalidate validates the hop's stored response, after it was served.
func (e *Engine) revalidate(h *hop) {
	b, key := &e.background, h.cached.query.Key
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, runs := b.keys[key]; runs || b.ended || len(b.keys) == mostBackground {
		return
	}
	if b.keys == nil {
		b.keys = make(map[string]context.CancelFunc)
	}
	ctx, cancel := context.WithTimeout(context.Background(), longestBackground)
	b.keys[key] = cancel
	given := *h.given
	given.URL, given.Body, given.Trace, given.Reprioritization = h.request.URL, nil, nil, nil
	req := given.Clone() // what was given is the app's again once it has its response
	b.running.Go(func() {
		defer func() {
			cancel()
			b.mu.Lock()
			defer b.mu.Unlock()
			delete(b.keys, key)
		}()
		e.validateNow(ctx, req)
	})
}

func (e *Engine) validateNow(ctx context.Context, req *protocols.Request) {
	resp, err := e.Load(ctx, req, &Task{
		validates: true,
		Redirect: func(context.Context, *protocols.Response, *protocols.Request) (*protocols.Request, error) {
			return nil, nil // the redirect itself is the answer
		},
	})
	if err != nil {
		return // it is asked again when it is used again
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	closeBody(resp)
}

// end cancels what runs, and refuses more.
func (b *background) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	for _, cancel := range b.keys {
		cancel()
	}
}
