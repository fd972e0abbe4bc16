package urlsession

import (
	"context"
	"iter"
	"sync"
)

var shared = sync.OnceValue(func() *Session {
	s, err := New(DefaultConfiguration(), nil)
	if err != nil {
		panic("urlsession: the default configuration is refused: " + err.Error())
	}
	s.shared = true

	return s
})

// Shared is the process-wide session (Apple's URLSession.shared): the default
// configuration, the process-wide stores, no delegate. Close does nothing to it.
func Shared() *Session { return shared() }

// Data loads a URL by GET through the shared session and returns its body. A URL
// that is malformed is an *Error with Code BadURL.
func Data(ctx context.Context, url string) ([]byte, *Response, error) {
	req, err := NewRequest("", url, nil)
	if err != nil {
		return nil, nil, err
	}

	return Shared().Data(ctx, req)
}

// Bytes loads a URL by GET through the shared session and returns its body as a
// stream, which the caller closes.
func Bytes(ctx context.Context, url string) (*ByteStream, error) {
	req, err := NewRequest("", url, nil)
	if err != nil {
		return nil, err
	}

	return Shared().Bytes(ctx, req)
}

// Lines loads a URL by GET through the shared session and gives the lines of its
// body as they arrive. Leaving the loop ends the load.
func Lines(ctx context.Context, url string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		body, err := Bytes(ctx, url)
		if err != nil {
			yield("", err)

			return
		}
		body.Lines()(yield)
	}
}
