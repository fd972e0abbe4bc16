package http

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	nethttp "net/http"
	"strings"
	"sync"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// A context that ends is the end of the load, wherever it stands.
func TestCancel(t *testing.T) {
	cause := errors.New("enough")
	for _, kind := range kinds {
		for _, where := range []string{"head", "body", "upload", "queued", "dial", "handshake"} {
			t.Run(kind+"/"+where, func(t *testing.T) {
				arrived, held := make(chan struct{}, 10), make(chan struct{})
				l, client, server := start(t, kind, Config{MaximumConnectionsPerHost: 1}, func(w nethttp.ResponseWriter, r *nethttp.Request) {
					if r.URL.Path == "/body" {
						_, _ = io.WriteString(w, "part")
						w.(nethttp.Flusher).Flush()
					}
					arrived <- struct{}{}
					select {
					case <-held:
					case <-r.Context().Done():
					}
				})
				defer close(held)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				req := newRequest(t, "GET", server.URL+"/"+where, nil)
				switch where {
				case "upload":
					pr, pw := io.Pipe()
					defer pw.Close()
					req.Body, req.Method = protocols.ReaderBody(pr), "PUT"
				case "queued":
					fill(t, l, server.URL, arrived)
				case "dial", "handshake":
					client.dial = func(ctx context.Context, _ string) (net.Conn, error) {
						arrived <- struct{}{}
						if where == "dial" {
							<-ctx.Done()

							return nil, ctx.Err()
						}
						ours, theirs := net.Pipe()
						t.Cleanup(func() { theirs.Close() })

						return ours, nil
					}
				}
				done := make(chan error, 1)
				go func() {
					_, _, err := fetch(ctx, l, req)
					done <- err
				}()
				if where == "queued" && kind != "h2" {
					eventually(t, "it waits", func() bool { return waitingOf(l) == 1 })
				} else {
					<-arrived
				}
				cancel(cause)
				if err := <-done; !errors.Is(err, context.Canceled) {
					t.Errorf("%v", err)
				}
			})
		}
	}
}

// fill takes the only connection.
func fill(t *testing.T, l *loader, url string, arrived chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _, _, _ = fetch(ctx, l, newRequest(t, "GET", url+"/fill", nil)) })
	t.Cleanup(func() { cancel(); running.Wait() })
	<-arrived
}

func TestCancelledBefore(t *testing.T) {
	l, client, server := start(t, "http", Config{}, echo)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Load(ctx, newRequest(t, "GET", server.URL, nil)); !errors.Is(err, context.Canceled) || client.dials.Load() != 0 {
		t.Errorf("%v, %d connections", err, client.dials.Load())
	}
}

// Close may come during a Read, any number of times, and ends it. HTTP/1.1 loses
// its connection, HTTP/2 the stream alone.
func TestCloseDuringRead(t *testing.T) {
	for _, kind := range kinds {
		ended := make(chan struct{}, 1)
		l, client, server := start(t, kind, Config{}, func(w nethttp.ResponseWriter, r *nethttp.Request) {
			if r.URL.Path == "/" {
				return
			}
			w.WriteHeader(200)
			w.(nethttp.Flusher).Flush()
			<-r.Context().Done()
			ended <- struct{}{}
		})
		resp, err := l.Load(t.Context(), newRequest(t, "GET", server.URL+"/endless", nil))
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			_, err := resp.Body.Read(make([]byte, 10))
			done <- err
		}()
		for range 3 {
			if err := resp.Body.Close(); err != nil {
				t.Errorf("%s: Close: %v", kind, err)
			}
		}
		if err := <-done; err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: the Read gave %v", kind, err)
		}
		if _, err := resp.Body.Read(make([]byte, 1)); !errors.Is(err, errBodyClosed) {
			t.Errorf("%s: a Read after Close gave %v", kind, err)
		}
		<-ended
		get(t, l, server.URL)
		if n := client.dials.Load(); (n == 1) != (kind == "h2") {
			t.Errorf("%s: %d connections", kind, n)
		}
	}
}

// body watches what happens to a request's body.
type watchedBody struct {
	io.Reader
	mu           sync.Mutex
	open, closed int
	overlap      bool
	closing      func()
}

func (b *watchedBody) body(length int64) *protocols.Body {
	return protocols.FuncBody(length, func(int64) (io.ReadCloser, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.overlap = b.overlap || b.open != b.closed
		b.open++

		return b, nil
	})
}

func (b *watchedBody) Close() error {
	b.mu.Lock()
	b.closed++
	b.mu.Unlock()
	if b.closing != nil {
		b.closing()
	}

	return nil
}

// check takes a body that was never asked for as well as one that was closed.
func (b *watchedBody) check(t *testing.T, name string, open int) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open > open || b.closed != b.open || b.overlap {
		t.Errorf("%s: opened %d times, closed %d times, overlapping %v", name, b.open, b.closed, b.overlap)
	}
}

// endless gives data until it is closed.
func endless() (*watchedBody, int64) {
	r, w := io.Pipe()
	go func() {
		for {
			if _, err := w.Write(make([]byte, 32<<10)); err != nil {
				return
			}
		}
	}()

	return &watchedBody{Reader: r, closing: func() { _ = r.Close() }}, -1
}

// The body is closed when the load is over, in every outcome: the session may
// open it again at once.
func TestUploadIsClosed(t *testing.T) {
	for _, kind := range kinds {
		l, client, server := start(t, kind, Config{}, func(w nethttp.ResponseWriter, r *nethttp.Request) {
			switch r.URL.Path {
			case "/read":
				_, _ = io.Copy(io.Discard, r.Body)
			case "/early":
				w.WriteHeader(401)
			case "/drop":
				panic(nethttp.ErrAbortHandler)
			}
		})
		failing := errors.New("the disk is gone")
		tests := []struct {
			name, path string
			make       func() (*watchedBody, int64)
			open       int
			want       error
		}{
			{"all read", "/read", func() (*watchedBody, int64) { return &watchedBody{Reader: strings.NewReader("abc")}, 3 }, 1, nil},
			{"early answer", "/early", endless, 1, nil},
			{"dropped", "/drop", endless, 1, errAny},
			{"failing", "/read", func() (*watchedBody, int64) {
				return &watchedBody{Reader: io.MultiReader(strings.NewReader("a"), failingReader{failing})}, -1
			}, 1, failing},
			{"short", "/read", func() (*watchedBody, int64) { return &watchedBody{Reader: strings.NewReader("a")}, 3 }, 1, io.ErrUnexpectedEOF},
		}
		for _, test := range tests {
			b, length := test.make()
			_, _, err := fetch(t.Context(), l, newRequest(t, "PUT", server.URL+test.path, b.body(length)))
			if (test.want == nil) != (err == nil) || test.want != nil && test.want != errAny && !errors.Is(err, test.want) {
				t.Errorf("%s, %s: %v", kind, test.name, err)
			}
			b.check(t, kind+", "+test.name, test.open)
			if b.closing != nil {
				b.closing()
			}
		}
		client.dial = func(context.Context, string) (net.Conn, error) { return nil, failing }
		b, _ := &watchedBody{Reader: strings.NewReader("abc")}, 3
		req := newRequest(t, "PUT", server.URL, b.body(3))
		req.Route.ID = "elsewhere"
		if _, _, err := fetch(t.Context(), l, req); !errors.Is(err, failing) {
			t.Errorf("%s: %v", kind, err)
		}
		b.check(t, kind+", no connection", 0)
	}
}

var errAny = errors.New("any")

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

// A body that cannot be opened is the load's error.
func TestUploadCannotOpen(t *testing.T) {
	for _, kind := range kinds {
		l, _, server := start(t, kind, Config{}, echo)
		body := &protocols.Body{Length: -1, File: t.TempDir() + "/none"}
		if _, _, err := fetch(t.Context(), l, newRequest(t, "PUT", server.URL, body)); err == nil || !strings.Contains(err.Error(), "none") {
			t.Errorf("%s: %v", kind, err)
		}
		get(t, l, server.URL)
	}
}

// A server that breaks off while the body's reader has nothing to give.
func TestBrokenWhileTheBodyWaits(t *testing.T) {
	leak.Check(t)
	for text, code := range map[string]protocols.Code{
		"": protocols.NetworkConnectionLost, "HTTP/1.1 200": protocols.NetworkConnectionLost,
		"bad\r\n\r\n": protocols.CannotParseResponse,
	} {
		url := serveRaw(t, func(c net.Conn, r *bufio.Reader) {
			if _, err := nethttp.ReadRequest(r); err == nil {
				_, _ = io.WriteString(c, text)
			}
		})
		l := loaderFor(t, &testClient{}, Config{}, false)
		pr, pw := io.Pipe()
		first := make(chan struct{})
		go func() { _, _ = pw.Write([]byte("x")); close(first) }()
		_, _, err := fetch(t.Context(), l, newRequest(t, "PUT", url, protocols.ReaderBody(pr)))
		if !isCode(err, code) {
			t.Errorf("%q: %v, want %v", text, err, code)
		}
		pr.Close() // a body that was not opened is not closed either
		<-first
	}
}
