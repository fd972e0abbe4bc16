package engine_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
)

// The app's reader is closed once, whatever becomes of the load: also where no
// protocol opened it.
func TestReaderThatIsNotSentIsClosed(t *testing.T) {
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	takes := func(_ context.Context, _ protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		return reply(200, "x"), req.WriteBody(io.Discard)
	}
	tests := map[string]struct {
		url  string
		ctx  context.Context
		load loading
		code protocols.Code // 0: none
	}{
		"refused by policy":            {"http://public.example/", t.Context(), takes, protocols.AppTransportSecurityRequiresSecureConnection},
		"an unknown scheme":            {"gopher://public.example/", t.Context(), takes, protocols.UnsupportedURL},
		"no host":                      {"https:///x", t.Context(), takes, protocols.BadURL},
		"an ended context":             {"https://a.example/", dead, takes, protocols.Cancelled},
		"a closed session":             {"https://a.example/closed", t.Context(), takes, protocols.Cancelled},
		"no URL":                       {"", t.Context(), takes, protocols.UnsupportedURL},
		"a protocol that does not ask": {"https://a.example/", t.Context(), answersWith(reply(200, "")), 0},
		"a protocol that panics": {"https://a.example/", t.Context(), func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
			panic("oh")
		}, protocols.Unknown},
		"a 303 without asking": {"https://a.example/", t.Context(), redirectsTo("http://public.example/"), protocols.AppTransportSecurityRequiresSecureConnection},
		"a protocol that asks": {"https://a.example/", t.Context(), takes, 0},
	}
	for name, tt := range tests {
		e := open(t, engine.Config{}, scheme("https", protocols.Encrypted, tt.load), scheme("http", protocols.Cleartext, tt.load))
		if strings.HasSuffix(tt.url, "closed") {
			_ = e.Close()
		}
		body := &content{Reader: strings.NewReader("payload")}
		req := &protocols.Request{Method: "POST", Body: protocols.ReaderBody(body)}
		if tt.url != "" {
			req.URL = request(t, "POST", tt.url).URL
		}
		resp, err := e.Load(tt.ctx, req, nil)
		switch {
		case tt.code != 0:
			failure(t, err, tt.code)
		case err != nil:
			t.Errorf("%s: %v", name, err)
		default:
			_, err := engine.ReadAll(resp, -1)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if body.closes() != 1 {
			t.Errorf("%s: the reader was closed %d times", name, body.closes())
		}
	}
}

func answersWith(resp *protocols.Response) loading {
	return func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
		return resp, nil
	}
}

func redirectsTo(location string) loading {
	return func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
		return reply(303, "", "Location", location), nil
	}
}

// One that can be read again is left alone: it is the app's.
func TestSeekerThatIsNotSentStaysOpen(t *testing.T) {
	file := &seeker{Reader: strings.NewReader("payload")}
	e := open(t, engine.Config{}, scheme("https", protocols.Encrypted, answersWith(reply(200, ""))))
	req := request(t, "POST", "https://a.example/")
	req.Body = protocols.ReaderBody(file)
	if _, _, err := fetch(e, req, nil); err != nil || file.closed {
		t.Errorf("%v; closed: %v", err, file.closed)
	}
}

type seeker struct {
	*strings.Reader
	closed bool
}

func (s *seeker) Close() error {
	s.closed = true

	return nil
}

// A kept connection that turns out to be closed costs an idempotent request with
// a body nothing, where the body can be read again.
func TestStaleConnectionAndTheKindOfBody(t *testing.T) {
	const payload = "payload"
	bodies := map[string]struct {
		body  *protocols.Body
		loads int
	}{
		"a function": {protocols.FuncBody(-1, func(offset int64) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(payload[offset:])), nil
		}), 2},
		"a seeker":        {protocols.ReaderBody(strings.NewReader(payload)), 2},
		"a reader":        {protocols.ReaderBody(io.MultiReader(strings.NewReader(payload))), 1},
		"a literal":       {&protocols.Body{Open: func(int64) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(payload)), nil }}, 2},
		"a reader, early": {protocols.ReaderBody(struct{ io.Reader }{strings.NewReader(payload)}), 1},
	}
	for name, tt := range bodies {
		for _, method := range []string{"PUT", "POST"} {
			if method == "POST" && tt.loads == 1 {
				continue // the one reader was used up
			}
			var got []seen
			e := open(t, engine.Config{}, scheme("https", protocols.Encrypted,
				func(_ context.Context, _ protocols.Client, req *protocols.Request) (*protocols.Response, error) {
					if got = append(got, see(t, req)); len(got) == 1 {
						return nil, protocols.ErrStaleConnection
					}

					return reply(200, "done"), nil
				}))
			req := request(t, method, "https://a.example/")
			req.Body = tt.body
			_, _, err := fetch(e, req, nil)
			want := tt.loads
			if method == "POST" {
				want = 1
			}
			if len(got) != want || (err == nil) != (want == 2) || got[len(got)-1].body != payload {
				t.Errorf("%s of %s: %d loads, want %d, %v", method, name, len(got), want, err)
			}
			if err != nil && !errors.Is(err, protocols.ErrStaleConnection) {
				t.Errorf("%s of %s: %v", method, name, err)
			}
		}
	}
}

// The bytes of a body without a Length are movement too.
func TestUploadOfALiteralMovesTheClock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := open(t, engine.Config{RequestTimeout: 3 * time.Second}, scheme("https", protocols.Encrypted,
			func(ctx context.Context, _ protocols.Client, req *protocols.Request) (*protocols.Response, error) {
				if err := errors.Join(req.WriteBody(io.Discard), ctx.Err()); err != nil {
					return nil, err
				}

				return reply(200, ""), nil
			}))
		req := request(t, "PUT", "https://a.example/")
		req.Body = &protocols.Body{Open: func(int64) (io.ReadCloser, error) {
			return io.NopCloser(io.LimitReader(everySecond{}, 10)), nil
		}}
		if _, _, err := fetch(e, req, nil); err != nil {
			t.Error(err)
		}
	})
}

// everySecond gives a byte each second.
type everySecond struct{}

func (everySecond) Read(p []byte) (int, error) {
	<-time.After(time.Second)

	return copy(p[:1], "x"), nil
}
