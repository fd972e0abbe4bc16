package urlsession_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/urlsession"
)

// loadFunc is a protocol made of a function.
type loadFunc func(context.Context, *protocols.Request) (*protocols.Response, error)

func (f loadFunc) Load(ctx context.Context, r *protocols.Request) (*protocols.Response, error) {
	return f(ctx, r)
}

func roundTripperOver(t *testing.T, load loadFunc) http.RoundTripper {
	t.Helper()
	s := session(t, func(c *urlsession.Configuration) {
		c.Protocols = []protocols.Scheme{{
			Name: "made", Security: protocols.Local,
			New: func(protocols.Client) protocols.URLProtocol { return load },
		}}
	})

	return s.RoundTripper()
}

func post(t *testing.T, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "made://host/", body)
	if err != nil {
		t.Fatal(err)
	}

	return r
}

// A server may answer before it reads: the body is still there afterwards.
func TestRoundTripperAnsweredBeforeTheBody(t *testing.T) {
	leak.Check(t)
	goOn := make(chan struct{})
	rt := roundTripperOver(t, func(_ context.Context, r *protocols.Request) (*protocols.Response, error) {
		reader, writer := io.Pipe()
		go func() {
			<-goOn
			body, err := r.OpenBody()
			if err == nil {
				_, err = io.Copy(writer, body)
				_ = body.Close()
			}
			_ = writer.CloseWithError(err)
		}()

		return &protocols.Response{ContentLength: -1, Body: reader}, nil
	})
	for _, body := range []io.Reader{strings.NewReader("late"), io.MultiReader(strings.NewReader("late"))} {
		resp, err := rt.RoundTrip(post(t, body))
		if err != nil {
			t.Fatal(err)
		}
		goOn <- struct{}{}
		data, err := io.ReadAll(resp.Body)
		if string(data) != "late" || errors.Join(err, resp.Body.Close()) != nil {
			t.Errorf("%q, %v", data, err)
		}
	}
}

// A body that cannot be made again is not asked for again: the error is that of
// the connection.
func TestRoundTripperSendsAgain(t *testing.T) {
	leak.Check(t)
	loads := 0
	rt := roundTripperOver(t, func(_ context.Context, r *protocols.Request) (*protocols.Response, error) {
		loads++
		if err := r.WriteBody(io.Discard); err != nil {
			return nil, err
		}
		if loads == 1 {
			return nil, protocols.ErrStaleConnection
		}

		return &protocols.Response{Body: protocols.NoBody}, nil
	})
	_, err := rt.RoundTrip(post(t, io.MultiReader(strings.NewReader("once"))))
	wantCode(t, err, urlsession.NetworkConnectionLost, protocols.ErrStaleConnection)
	if loads != 1 {
		t.Errorf("%d loads of a body that can be sent once", loads)
	}
	loads = 0
	resp, err := rt.RoundTrip(post(t, strings.NewReader("again")))
	if err != nil || loads != 2 {
		t.Fatalf("%d loads, %v", loads, err)
	}
	_ = resp.Body.Close()
}
