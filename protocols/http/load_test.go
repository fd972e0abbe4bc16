package http

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	nethttp "net/http"
	"net/http/httputil"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

var kinds = []string{"http", "tls", "h2"}

func TestLoad(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			l, client, server := start(t, kind, Config{}, func(w nethttp.ResponseWriter, r *nethttp.Request) {
				w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
				w.Header().Set("Trailer", "X-Sum")
				body, _ := io.ReadAll(r.Body)
				fmt.Fprintf(w, "%s %s %s", r.Method, r.URL, body)
				w.(nethttp.Flusher).Flush()
				w.Header().Set("X-Sum", "42")
				w.Header().Set(nethttp.TrailerPrefix+"X-Late", "43")
			})
			for i := range 3 {
				req := newRequest(t, "POST", server.URL+"/a?b=c", protocols.StringBody("hello"))
				resp, body, err := fetch(t.Context(), l, req)
				if err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode != 200 || body != "POST /a?b=c hello" || resp.ContentLength != -1 {
					t.Errorf("status %d, length %d, body %q", resp.StatusCode, resp.ContentLength, body)
				}
				if resp.MIMEType != "text/plain" || resp.TextEncodingName != "utf-8" {
					t.Errorf("type %q %q", resp.MIMEType, resp.TextEncodingName)
				}
				if resp.Trailer.Get("X-Sum") != "42" || resp.Trailer.Get("X-Late") != "43" {
					t.Errorf("trailer %v", resp.Trailer)
				}
				if proto := map[string]string{"h2": "h2"}[kind]; proto != "" && resp.Proto != proto || proto == "" && resp.Proto != "http/1.1" {
					t.Errorf("proto %q", resp.Proto)
				}
				if resp.Conn == nil || !resp.Conn.Proxied || resp.Conn.Remote.String() != server.Listener.Addr().String() ||
					(resp.Conn.TLS != nil) != (kind != "http") {
					t.Errorf("connection %+v", resp.Conn)
				}
				if resp.Reused != (i > 0) {
					t.Errorf("load %d: reused %v", i, resp.Reused)
				}
			}
			if n := client.dials.Load(); n != 1 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

func TestEmptyBodies(t *testing.T) {
	for _, kind := range kinds {
		l, client, server := start(t, kind, Config{}, func(w nethttp.ResponseWriter, r *nethttp.Request) {
			switch r.URL.Path {
			case "/204":
				w.WriteHeader(204)
			case "/304":
				w.WriteHeader(304)
			case "/head":
				w.Header().Set("Content-Length", "1234")
			}
		})
		for _, path := range []string{"/204", "/304", "/head", "/empty"} {
			method := "GET"
			if path == "/head" {
				method = "HEAD"
			}
			resp, body, err := fetch(t.Context(), l, newRequest(t, method, server.URL+path, nil))
			length := map[string]int64{"/head": 1234}[path] // what a GET would have
			if err != nil || body != "" || resp.ContentLength != length || resp.Body != protocols.NoBody {
				t.Errorf("%s %s: %v, %q, %d", kind, path, err, body, resp.ContentLength)
			}
			if path == "/head" && resp.Header.Get("Content-Length") != "1234" {
				t.Errorf("%s: HEAD lost Content-Length", kind)
			}
		}
		if n := client.dials.Load(); n != 1 {
			t.Errorf("%s: %d connections", kind, n)
		}
	}
}

// wireTest is a request and its bytes.
type wireTest struct {
	name, method string
	header       nethttp.Header
	body         *protocols.Body
	defaults     nethttp.Header
	want         string
}

func wireTests(host string) []wireTest {
	stream := func() *protocols.Body { return protocols.ReaderBody(io.MultiReader(strings.NewReader("streamed"))) }

	return []wireTest{
		{"get", "", nil, nil, nil, "GET /p?q HTTP/1.1\r\nHost: " + host + "\r\n\r\n"},
		{
			"defaults", "GET",
			nethttp.Header{"accept": {"mine"}},
			nil,
			nethttp.Header{"accept": {"*/*"}, "User-Agent": {"test/1"}},
			"GET /p?q HTTP/1.1\r\nHost: " + host + "\r\nAccept: mine\r\nUser-Agent: test/1\r\n\r\n",
		},
		{"host", "GET", nethttp.Header{"Host": {"other.example"}}, nil, nil, "GET /p?q HTTP/1.1\r\nHost: other.example\r\n\r\n"},
		{
			"close", "GET",
			nethttp.Header{"Connection": {"close"}},
			nil, nil,
			"GET /p?q HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n",
		},
		{
			"form", "POST", nil, protocols.StringBody("a=b"), nil,
			"POST /p?q HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 3\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\na=b",
		},
		{
			"empty post", "POST", nil, protocols.BytesBody(nil), nil,
			"POST /p?q HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 0\r\n\r\n",
		},
		{
			"put", "PUT", nil, protocols.StringBody("x"), nil,
			"PUT /p?q HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 1\r\n\r\nx",
		},
		{
			"chunked", "PUT", nil, stream(), nil,
			"PUT /p?q HTTP/1.1\r\nHost: " + host + "\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nstreamed\r\n0\r\n\r\n",
		},
		{
			"get with a body", "GET", nil, protocols.StringBody("{}"), nil,
			"GET /p?q HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 2\r\n\r\n{}",
		},
	}
}

// What goes on the wire of HTTP/1.1, to the byte.
func TestRequestOnTheWire(t *testing.T) {
	leak.Check(t)
	seen := make(chan string, 1)
	base := serveRaw(t, func(c net.Conn, r *bufio.Reader) {
		req, err := nethttp.ReadRequest(r)
		if err != nil {
			return
		}
		dump, _ := httputil.DumpRequest(req, true)
		seen <- string(dump)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	})
	host := strings.TrimPrefix(base, "http://")
	for _, test := range wireTests(host) {
		l := loaderFor(t, &testClient{}, Config{Header: test.defaults}, false)
		req := newRequest(t, test.method, base+"/p?q#fragment", test.body)
		req.Header = test.header
		before := maps.Clone(test.header)
		if _, _, err := fetch(t.Context(), l, req); err != nil {
			t.Errorf("%s: %v", test.name, err)

			continue
		}
		if got := <-seen; got != test.want {
			t.Errorf("%s:\n got %q\nwant %q", test.name, got, test.want)
		}
		if len(before) != len(req.Header) {
			t.Errorf("%s: the request's header was changed to %v", test.name, req.Header)
		}
	}
}

func TestForward(t *testing.T) {
	leak.Check(t)
	seen := make(chan string, 4)
	base := serveRaw(t, func(c net.Conn, r *bufio.Reader) {
		for {
			req, err := nethttp.ReadRequest(r)
			if err != nil {
				return
			}
			seen <- req.RequestURI + " " + req.Host
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	client := &testClient{}
	l := loaderFor(t, client, Config{}, false)
	proxy := strings.TrimPrefix(base, "http://")
	tests := map[string]string{
		"http://user:secret@one.example/a%2Fb?c=d#e": "http://one.example/a%2Fb?c=d one.example",
		"http://two.example:8080":                    "http://two.example:8080/ two.example:8080",
	}
	for url, want := range tests {
		req := newRequest(t, "GET", url, nil)
		req.Route = protocols.Route{ID: "p", Forward: proxy, Proxied: true}
		if _, body, err := fetch(t.Context(), l, req); err != nil || body != "ok" {
			t.Fatalf("%s: %v", url, err)
		}
		if got := <-seen; got != want {
			t.Errorf("%s: asked for %q, want %q", url, got, want)
		}
	}
	if n := client.dials.Load(); n != 1 || client.addrs[0] != proxy {
		t.Errorf("dialled %v", client.addrs)
	}
}

func TestExpectContinue(t *testing.T) {
	for _, kind := range kinds {
		l, _, server := start(t, kind, Config{}, func(w nethttp.ResponseWriter, r *nethttp.Request) {
			if r.URL.Path == "/refuse" {
				w.Header().Set("Connection", "close")
				w.WriteHeader(nethttp.StatusExpectationFailed)

				return
			}
			_, _ = io.Copy(w, r.Body)
		})
		for _, path := range []string{"/take", "/refuse"} {
			opened := false
			req := newRequest(t, "PUT", server.URL+path, protocols.FuncBody(4, func(int64) (io.ReadCloser, error) {
				opened = true

				return io.NopCloser(strings.NewReader("data")), nil
			}))
			req.Header.Set("Expect", "100-continue")
			resp, body, err := fetch(context.Background(), l, req)
			if err != nil {
				t.Fatalf("%s %s: %v", kind, path, err)
			}
			if path == "/take" && (body != "data" || !opened) || path == "/refuse" && (resp.StatusCode != 417 || opened) {
				t.Errorf("%s %s: %d %q, opened %v", kind, path, resp.StatusCode, body, opened)
			}
		}
	}
}

func TestRefusedRequests(t *testing.T) {
	l, _, server := start(t, "http", Config{}, func(nethttp.ResponseWriter, *nethttp.Request) {})
	for name, change := range map[string]func(*protocols.Request){
		"field": func(r *protocols.Request) { r.Header["X"] = []string{"a\r\nb"} }, "method": func(r *protocols.Request) { r.Method = "A B" },
		"host": func(r *protocols.Request) { r.URL.Host = "" }, "url": func(r *protocols.Request) { r.URL = nil },
	} {
		closed := false
		body := protocols.FuncBody(-1, func(int64) (io.ReadCloser, error) { return closer{&closed}, nil })
		req := newRequest(t, "POST", server.URL, body)
		change(req)
		if _, _, err := fetch(t.Context(), l, req); !isCode(err, protocols.BadURL) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if resp, _ := get(t, l, server.URL); !resp.Reused {
		t.Error("a request that could not be sent cost its connection")
	}
}

type closer struct{ closed *bool }

func (c closer) Read([]byte) (int, error) { return 0, io.EOF }
func (c closer) Close() error             { *c.closed = true; return nil }
