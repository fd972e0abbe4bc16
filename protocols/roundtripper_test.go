package protocols_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

// origin answers as its paths say.
func origin(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/echo":
		w.Header().Set("Content-Type", "Text/Plain; charset=UTF-8")
		w.Header().Set("X-Seen", fmt.Sprintf("%s %s %d %s", r.Method, r.Host, r.ContentLength, r.Header.Get("X-Mark")))
		_, _ = io.Copy(w, r.Body)
	case "/trailer":
		w.Header().Set("Trailer", "Checksum")
		_, _ = io.WriteString(w, "body")
		w.Header().Set("Checksum", "1")
	case "/gzip":
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, "unpacked")
		_ = z.Close()
	case "/cut":
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case "/stall":
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	case "/upgrade":
		upgrade(w)
	case "/redirect":
		http.Redirect(w, r, "/echo", http.StatusFound)
	case "/empty":
		w.Header().Set("Content-Length", "0")
	}
}

// upgrade gives back what it is sent, in another protocol.
func upgrade(w http.ResponseWriter) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	line, _ := rw.ReadString('\n')
	_, _ = io.WriteString(conn, line)
}

// servers are one origin over clear text, TLS and HTTP/2, with a RoundTripper for
// each.
func servers(t *testing.T) map[string]*httptest.Server {
	t.Helper()
	h1, h2, clear := httptest.NewUnstartedServer(http.HandlerFunc(origin)), httptest.NewUnstartedServer(http.HandlerFunc(origin)),
		httptest.NewServer(http.HandlerFunc(origin))
	h1.StartTLS()
	h2.EnableHTTP2 = true
	h2.StartTLS()
	for _, s := range []*httptest.Server{h1, h2, clear} {
		t.Cleanup(s.Close)
	}

	return map[string]*httptest.Server{"clear": clear, "http/1.1": h1, "h2": h2}
}

func TestRoundTripperOverTheWire(t *testing.T) {
	for name, server := range servers(t) {
		t.Run(name, func(t *testing.T) {
			p := protocols.FromRoundTripper(server.Client().Transport)
			req := newRequest(t, "POST", server.URL+"/echo", protocols.StringBody("hello"))
			req.Header = http.Header{"Host": {"named.example"}, "X-Mark": {"1"}}
			req.Trace = &protocols.Trace{}
			resp, got, err := fetch(t, p, req)
			if err != nil || got != "hello" || resp.StatusCode != 200 || resp.Header.Get("X-Seen") != "POST named.example 5 1" {
				t.Errorf("%+v, %q, %v", resp, got, err)
			}
			proto := map[string]string{"clear": "http/1.1"}[name] + strings.TrimPrefix(name, "clear")
			if resp.Proto != proto || resp.MIMEType != "text/plain" || resp.TextEncodingName != "utf-8" || resp.Upgraded != nil {
				t.Errorf("response %+v", resp)
			}
			if resp.Conn == nil || (resp.Conn.TLS == nil) != (name == "clear") || resp.Conn.Remote.String() != server.Listener.Addr().String() {
				t.Errorf("connection %+v", resp.Conn)
			}
			for _, e := range []protocols.Event{protocols.ConnectStart, protocols.ConnectEnd, protocols.RequestStart, protocols.RequestEnd, protocols.ResponseStart} {
				if req.Trace.Time(e).IsZero() {
					t.Errorf("event %d was not marked", e)
				}
			}
			edges(t, p, server.URL)
			if c, ok := protocols.As[io.Closer](p); !ok || c.Close() != nil {
				t.Error("idle connections cannot be closed")
			}
		})
	}
}

// edges loads what is special about a response.
func edges(t *testing.T, p protocols.URLProtocol, origin string) {
	t.Helper()
	if resp, got, err := fetch(t, p, newRequest(t, "", origin+"/trailer", nil)); got != "body" || resp.Trailer.Get("Checksum") != "1" || err != nil {
		t.Errorf("trailer %v, %q, %v", resp.Trailer, got, err)
	}
	if resp, got, err := fetch(t, p, newRequest(t, "", origin+"/gzip", nil)); got != "unpacked" || resp.Header.Get("Content-Encoding") != "" || resp.KnownLength() != -1 || err != nil {
		t.Errorf("gzip %+v, %q, %v", resp, got, err)
	}
	if resp, got, err := fetch(t, p, newRequest(t, "", origin+"/redirect", nil)); resp.StatusCode != 302 || resp.Header.Get("Location") != "/echo" || err != nil {
		t.Errorf("redirect %+v, %q, %v", resp, got, err)
	}
	if resp, got, err := fetch(t, p, newRequest(t, "", origin+"/empty", nil)); resp.KnownLength() != 0 || got != "" || err != nil {
		t.Errorf("empty %+v, %q, %v", resp, got, err)
	}
	if _, got, err := fetch(t, p, newRequest(t, "", origin+"/cut", nil)); got != "half" || err == nil || errors.Is(err, io.EOF) {
		t.Errorf("cut: %q, %v", got, err)
	}
}

// fetch loads a request to the end of its body.
func fetch(t testing.TB, p protocols.URLProtocol, req *protocols.Request) (*protocols.Response, string, error) {
	t.Helper()
	resp, err := p.Load(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)

	return resp, string(got), errors.Join(err, resp.Body.Close(), resp.Body.Close())
}

func TestRoundTripperUpgrade(t *testing.T) {
	server := servers(t)["clear"]
	req := newRequest(t, "GET", server.URL+"/upgrade", nil)
	req.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"echo"}}
	resp, err := protocols.FromRoundTripper(server.Client().Transport).Load(t.Context(), req)
	if err != nil || resp.StatusCode != 101 || resp.Upgraded == nil || resp.Body != protocols.NoBody {
		t.Fatalf("%+v, %v", resp, err)
	}
	conn := resp.Upgraded
	if _, err := io.WriteString(conn, "ping\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); string(got) != "ping\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if conn.LocalAddr() == nil || conn.RemoteAddr() == nil || conn.LocalAddr().String() == "" {
		t.Error("the connection has no addresses")
	}
	if err := errors.Join(conn.SetDeadline(time.Time{}), conn.SetReadDeadline(time.Time{}), conn.SetWriteDeadline(time.Time{})); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

func TestRoundTripperCancelled(t *testing.T) {
	errCause := errors.New("the cause")
	for name, server := range servers(t) {
		ctx, cancel := context.WithCancelCause(t.Context())
		p := protocols.FromRoundTripper(server.Client().Transport)
		resp, err := p.Load(ctx, newRequest(t, "GET", server.URL+"/stall", nil))
		if err != nil {
			t.Fatal(err)
		}
		go cancel(errCause)
		if _, err := resp.Body.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) || !errors.Is(err, errCause) {
			t.Errorf("%s: Read gives %v", name, err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		if _, err := resp.Body.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: after Close Read gives %v", name, err)
		}
		if _, err := p.Load(ctx, newRequest(t, "GET", server.URL+"/stall", nil)); !errors.Is(err, context.Canceled) || !errors.Is(err, errCause) {
			t.Errorf("%s: Load gives %v", name, err)
		}
	}
}

// tripper is a RoundTripper made of a function.
type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// A RoundTripper that does not keep its contract makes an error, not a leak.
func TestBadRoundTrippers(t *testing.T) {
	errOwn := errors.New("own")
	var closed int
	answer := func() *http.Response {
		return &http.Response{StatusCode: 200, Body: closer{strings.NewReader("x"), &closed}}
	}
	tests := []struct {
		name   string
		rt     http.RoundTripper
		want   string
		closed int // responses' bodies
	}{
		{"none", nil, "no http.RoundTripper", 0},
		{"nothing", tripper(func(*http.Request) (*http.Response, error) { return nil, nil }), "neither", 0},
		{"both", tripper(func(*http.Request) (*http.Response, error) { return answer(), errOwn }), "own", 1},
		{"error", tripper(func(*http.Request) (*http.Response, error) { return nil, errOwn }), "own", 0},
	}
	for _, test := range tests {
		var opened, bodies int
		closed = 0
		body := protocols.FuncBody(-1, func(int64) (io.ReadCloser, error) {
			opened++

			return closer{strings.NewReader("body"), &bodies}, nil
		})
		resp, err := protocols.FromRoundTripper(test.rt).Load(t.Context(), newRequest(t, "PUT", "http://host/", body))
		if resp != nil || err == nil || !strings.Contains(err.Error(), test.want) || closed != test.closed || opened != bodies {
			t.Errorf("%s: %v, %v; bodies: %d of the response, %d of %d of the request closed", test.name, resp, err, closed, bodies, opened)
		}
	}
	failing := protocols.FuncBody(-1, func(int64) (io.ReadCloser, error) { return nil, errOwn })
	p := protocols.FromRoundTripper(tripper(func(*http.Request) (*http.Response, error) { return answer(), nil }))
	if _, err := p.Load(t.Context(), newRequest(t, "PUT", "http://host/", failing)); !errors.Is(err, errOwn) {
		t.Errorf("a body that does not open gives %v", err)
	}
	if _, err := p.Load(t.Context(), &protocols.Request{}); !errors.Is(err, protocols.UnsupportedURL) {
		t.Errorf("no URL gives %v", err)
	}
	if _, ok := protocols.As[io.Closer](p); ok {
		t.Error("without CloseIdleConnections it is a Closer")
	}
}

// What the RoundTripper gets is its own, and a body that can be replayed says so.
func TestRoundTripperRequest(t *testing.T) {
	tests := map[string]struct {
		body   *protocols.Body
		length int64
		again  bool
	}{
		"none":     {nil, 0, false},
		"empty":    {protocols.StringBody(""), 0, true},
		"bytes":    {protocols.StringBody(text), int64(len(text)), true},
		"file":     {protocols.FileBody(bodyFile(t)), int64(len(text)), true},
		"one shot": {protocols.ReaderBody(io.MultiReader(strings.NewReader(text))), -1, false},
	}
	for name, test := range tests {
		req := newRequest(t, "", "http://host/path", test.body)
		rt := func(hr *http.Request) (*http.Response, error) {
			if hr.Method != "GET" || hr.ContentLength != test.length || (hr.GetBody != nil) != test.again {
				t.Errorf("%s: %+v", name, hr)
			}
			hr.URL.Path, hr.Method = "/spoiled", "SPOILED"
			hr.Header.Set("Spoiled", "1")
			if hr.Body != nil {
				got, err := io.ReadAll(hr.Body)
				if err != nil || test.length != 0 && string(got) != text {
					t.Errorf("%s: %q, %v", name, got, err)
				}
				_ = hr.Body.Close()
			}
			if hr.GetBody != nil {
				if rc, err := hr.GetBody(); err != nil || rc.Close() != nil {
					t.Errorf("%s: GetBody: %v", name, err)
				}
			}

			return &http.Response{StatusCode: 204}, nil
		}
		resp, _, err := fetch(t, protocols.FromRoundTripper(tripper(rt)), req)
		if err != nil || resp.Header == nil || resp.Proto != "" || req.URL.Path != "/path" || len(req.Header) != 0 {
			t.Errorf("%s: %v, %+v, %v", name, err, resp, req)
		}
	}
}

// A mock's ContentLength is held to, whatever its body does.
func TestRoundTripperLength(t *testing.T) {
	tests := []struct {
		name, method string
		status       int
		length       int64
		body, want   string
		err          error
	}{
		{"exact", "GET", 200, 4, "body", "body", nil},
		{"unknown", "GET", 200, -1, "body", "body", nil},
		{"not set", "GET", 200, 0, "body", "body", nil},
		{"short", "GET", 200, 9, "body", "body", io.ErrUnexpectedEOF},
		{"nothing", "GET", 200, 9, "", "", io.ErrUnexpectedEOF},
		{"long", "GET", 200, 3, "body", "bod", nil},
		{"of HEAD", "HEAD", 200, 9, "", "", nil},
		{"of 304", "GET", 304, 9, "", "", nil},
		{"of 204", "GET", 204, 9, "", "", nil},
	}
	for _, test := range tests {
		closed := 0
		p := protocols.FromRoundTripper(tripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: test.status, ContentLength: test.length, Body: closer{strings.NewReader(test.body), &closed}}, nil
		}))
		_, got, err := fetch(t, p, newRequest(t, test.method, "http://host/", nil))
		if got != test.want || !errors.Is(err, test.err) || test.err == nil && err != nil || closed != 1 {
			t.Errorf("%s: %q, %v, closed %d times", test.name, got, err, closed)
		}
	}
}
