package http

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// peer is an HTTP/2 server, frame by frame.
type peer struct {
	*http2.Framer
	conn  net.Conn
	index int // of the connection
	mu    sync.Mutex
}

func (p *peer) head(stream uint32, end bool, fields ...string) {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		_ = encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: end})
}

// startFrames serves HTTP/2: on is called with each request's stream.
func startFrames(t *testing.T, on func(p *peer, stream uint32)) (*loader, *testClient, string) {
	t.Helper()
	leak.Check(t)
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	t.Cleanup(certificate.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: certificate.TLS.Certificates, NextProtos: []string{"h2", "http/1.1"}}
	var running sync.WaitGroup
	running.Go(func() {
		for index := 1; ; index++ {
			raw, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { serveFrames(tls.Server(raw, config), index, on) })
		}
	})
	client := &testClient{roots: certificate.Client().Transport.(*nethttp.Transport).TLSClientConfig.RootCAs}
	l := loaderFor(t, client, Config{}, true)
	t.Cleanup(func() {
		listener.Close()
		_ = l.Close()
		running.Wait()
	})

	return l, client, "https://" + listener.Addr().String()
}

func serveFrames(c *tls.Conn, index int, on func(p *peer, stream uint32)) {
	defer c.Close()
	if c.Handshake() != nil {
		return
	}
	if c.ConnectionState().NegotiatedProtocol != "h2" {
		if _, err := nethttp.ReadRequest(bufio.NewReader(c)); err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nold!")
		_, _ = io.Copy(io.Discard, c)

		return
	}
	if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	p := &peer{Framer: http2.NewFramer(c, c), conn: c, index: index}
	_ = p.WriteSettings()
	for {
		frame, err := p.ReadFrame()
		if err != nil {
			return
		}
		p.mu.Lock()
		switch f := frame.(type) {
		case *http2.HeadersFrame:
			on(p, f.StreamID)
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = p.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				_ = p.WritePing(true, f.Data)
			}
		}
		p.mu.Unlock()
	}
}

// ok answers a stream.
func (p *peer) ok(stream uint32) {
	p.head(stream, false, ":status", "200")
	_ = p.WriteData(stream, true, []byte("fine"))
}

// outcome is what the session is told.
type outcome struct {
	is, not error
	body    bool // the head arrives
}

// http2Ends are ways in which a stream or connection ends.
var http2Ends = []struct {
	name string
	on   func(p *peer, stream uint32)
	warm bool
	want outcome
}{
	{"refused stream", func(p *peer, s uint32) { _ = p.WriteRSTStream(s, http2.ErrCodeRefusedStream) }, false, outcome{is: protocols.ErrNotSent}},
	{"goaway before it", func(p *peer, s uint32) { _ = p.WriteGoAway(s-2, http2.ErrCodeNo, nil) }, true, outcome{is: protocols.ErrNotSent}},
	{"goaway before the first", func(p *peer, s uint32) { _ = p.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, nil) }, false, outcome{is: protocols.ErrNotSent}},
	{"reset", func(p *peer, s uint32) { _ = p.WriteRSTStream(s, http2.ErrCodeInternal) }, true, outcome{is: protocols.NetworkConnectionLost, not: protocols.ErrNotSent}},
	{"closed, kept", func(p *peer, _ uint32) { p.conn.Close() }, true, outcome{is: protocols.ErrStaleConnection, not: protocols.ErrNotSent}},
	{"closed, new", func(p *peer, _ uint32) { p.conn.Close() }, false, outcome{is: protocols.NetworkConnectionLost, not: protocols.ErrStaleConnection}},
	{"goaway, then closed", func(p *peer, s uint32) {
		_ = p.WriteGoAway(s, http2.ErrCodeNo, nil)
		p.conn.Close()
	}, false, outcome{is: protocols.NetworkConnectionLost, not: protocols.ErrNotSent}},
	{"no status", func(p *peer, s uint32) { p.head(s, true, "a", "b") }, false, outcome{is: protocols.CannotParseResponse}},
	{"odd status", func(p *peer, s uint32) { p.head(s, true, ":status", "2000") }, false, outcome{is: protocols.BadServerResponse}},
	{"low status", func(p *peer, s uint32) { p.head(s, true, ":status", "99") }, false, outcome{is: protocols.BadServerResponse}},
	{"reset in the body", func(p *peer, s uint32) {
		p.head(s, false, ":status", "200")
		_ = p.WriteData(s, false, []byte("part"))
		_ = p.WriteRSTStream(s, http2.ErrCodeInternal)
	}, false, outcome{is: io.ErrUnexpectedEOF, body: true}},
	{"closed in the body", func(p *peer, s uint32) {
		p.head(s, false, ":status", "200")
		p.conn.Close()
	}, false, outcome{is: io.ErrUnexpectedEOF, body: true}},
	{"goaway and closed in the body", func(p *peer, s uint32) {
		p.head(s, false, ":status", "200")
		_ = p.WriteGoAway(s, http2.ErrCodeNo, nil)
		p.conn.Close()
	}, false, outcome{is: io.ErrUnexpectedEOF, body: true}},
	{"shorter than told", func(p *peer, s uint32) {
		p.head(s, false, ":status", "200", "content-length", "9")
		_ = p.WriteData(s, true, []byte("part"))
	}, false, outcome{is: io.ErrUnexpectedEOF, body: true}},
	{"nothing of what was told", func(p *peer, s uint32) { p.head(s, true, ":status", "200", "content-length", "9") }, false, outcome{is: io.ErrUnexpectedEOF, body: true}},
	{"longer than told", func(p *peer, s uint32) {
		p.head(s, false, ":status", "200", "content-length", "1")
		_ = p.WriteData(s, true, []byte("part"))
	}, false, outcome{is: protocols.CannotParseResponse, body: true}},
}

// How a stream or connection of HTTP/2 ends, and what the session is told.
func TestHTTP2Ends(t *testing.T) {
	for _, test := range http2Ends {
		t.Run(test.name, func(t *testing.T) {
			var count atomic.Int32
			l, _, url := startFrames(t, func(p *peer, stream uint32) {
				if n := count.Add(1); test.warm && n == 1 {
					p.ok(stream)
				} else {
					test.on(p, stream)
				}
			})
			if test.warm {
				get(t, l, url)
			}
			resp, err := l.Load(t.Context(), newRequest(t, "GET", url, nil))
			if test.want.body != (err == nil) {
				t.Errorf("Load gave %v", err)
			}
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
			}
			if !errors.Is(err, test.want.is) || test.want.not != nil && errors.Is(err, test.want.not) {
				t.Errorf("%v", err)
			}
			if n := count.Load(); test.want.is != protocols.ErrNotSent && n > 2 {
				t.Errorf("sent %d times", n)
			}
		})
	}
}

// A 304 that tells a length is whole without a byte.
func TestHTTP2NotModified(t *testing.T) {
	l, _, url := startFrames(t, func(p *peer, s uint32) { p.head(s, true, ":status", "304", "content-length", "10") })
	if resp, body := get(t, l, url); resp.StatusCode != 304 || body != "" || resp.ContentLength != 0 {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
}

// After HTTP_1_1_REQUIRED the session's next attempt speaks HTTP/1.1.
func TestHTTP11Required(t *testing.T) {
	l, _, url := startFrames(t, func(p *peer, s uint32) { _ = p.WriteRSTStream(s, http2.ErrCodeHTTP11Required) })
	_, _, err := fetch(t.Context(), l, newRequest(t, "GET", url, nil))
	if !errors.Is(err, protocols.ErrNotSent) {
		t.Fatal(err)
	}
	if resp, body := get(t, l, url); resp.Proto != "http/1.1" || body != "old!" {
		t.Errorf("%s %q", resp.Proto, body)
	}
}

// A connection that was told to go away serves what it has; the next request
// goes elsewhere at once.
func TestGoAwayWhileOneStreams(t *testing.T) {
	streams := make(chan uint32, 1)
	peers := make(chan *peer, 1)
	var count atomic.Int32
	l, client, url := startFrames(t, func(p *peer, s uint32) {
		if count.Add(1) == 2 {
			p.head(s, false, ":status", "200")
			_ = p.WriteGoAway(s, http2.ErrCodeNo, nil)
			streams <- s
			peers <- p

			return
		}
		p.ok(s)
	})
	get(t, l, url)
	resp, err := l.Load(t.Context(), newRequest(t, "GET", url, nil))
	if err != nil {
		t.Fatal(err)
	}
	stream, old := <-streams, <-peers
	eventually(t, "the next request is served elsewhere", func() bool {
		_, body, err := fetch(t.Context(), l, newRequest(t, "GET", url, nil))

		return err == nil && body == "fine" && client.dials.Load() == 2
	})
	old.mu.Lock()
	_ = old.WriteData(stream, true, []byte("late"))
	old.mu.Unlock()
	if data, err := io.ReadAll(resp.Body); err != nil || string(data) != "late" {
		t.Errorf("%q, %v", data, err)
	}
	_ = resp.Body.Close()
}

// More requests than MAX_CONCURRENT_STREAMS wait, in order, on one connection.
func TestStreamLimit(t *testing.T) {
	leak.Check(t)
	var now, most atomic.Int32
	server := httptest.NewUnstartedServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		n := now.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		_, _ = io.Copy(w, r.Body)
		now.Add(-1)
	}))
	server.EnableHTTP2 = true
	server.Config.HTTP2 = &nethttp.HTTP2Config{MaxConcurrentStreams: 3}
	server.StartTLS()
	t.Cleanup(server.Close)
	client := &testClient{roots: server.Client().Transport.(*nethttp.Transport).TLSClientConfig.RootCAs}
	l := loaderFor(t, client, Config{}, true)
	get(t, l, server.URL)
	var all sync.WaitGroup
	for range 300 {
		all.Go(func() {
			body := strings.Repeat("x", 20<<10)
			if _, got, err := fetch(context.Background(), l, newRequest(t, "POST", server.URL, protocols.StringBody(body))); err != nil || got != body {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	all.Wait()
	if n := client.dials.Load(); n != 1 || most.Load() > 3 {
		t.Errorf("%d connections, %d at once", n, most.Load())
	}
}

// A thousand requests in flight over one connection.
func TestManyInFlight(t *testing.T) {
	leak.Check(t)
	const n = 1000
	gate := make(chan struct{})
	var arrived atomic.Int32
	server := httptest.NewUnstartedServer(nethttp.HandlerFunc(func(_ nethttp.ResponseWriter, r *nethttp.Request) {
		if r.URL.Path != "/" {
			arrived.Add(1)
			<-gate
		}
	}))
	server.EnableHTTP2 = true
	server.Config.HTTP2 = &nethttp.HTTP2Config{MaxConcurrentStreams: n}
	server.StartTLS()
	t.Cleanup(server.Close)
	client := &testClient{roots: server.Client().Transport.(*nethttp.Transport).TLSClientConfig.RootCAs}
	l := loaderFor(t, client, Config{}, true)
	get(t, l, server.URL)
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			if _, _, err := fetch(context.Background(), l, newRequest(t, "GET", server.URL+"/held", nil)); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "all have arrived", func() bool { return arrived.Load() == n })
	close(gate)
	all.Wait()
	if d := client.dials.Load(); d != 1 {
		t.Errorf("%d connections", d)
	}
}

// Bodies that nobody reads do not stall the one that somebody does.
func TestUnreadBodies(t *testing.T) {
	const size = 5 << 20 // more than a stream's window
	l, _, server := start(t, "h2", Config{}, func(w nethttp.ResponseWriter, _ *nethttp.Request) { _, _ = w.Write(make([]byte, size)) })
	for range 20 {
		resp, err := l.Load(t.Context(), newRequest(t, "GET", server.URL, nil))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
	}
	if _, body := get(t, l, server.URL); len(body) != size {
		t.Errorf("%d bytes", len(body))
	}
}

// A burst on a new connection, before the peer has told that it takes but two
// requests at once: each is served, or known not to have been.
func TestBurstBeforeTheLimitIsKnown(t *testing.T) {
	leak.Check(t)
	server := httptest.NewUnstartedServer(nethttp.HandlerFunc(echo))
	server.EnableHTTP2 = true
	server.Config.HTTP2 = &nethttp.HTTP2Config{MaxConcurrentStreams: 2}
	server.StartTLS()
	t.Cleanup(server.Close)
	client := &testClient{roots: server.Client().Transport.(*nethttp.Transport).TLSClientConfig.RootCAs}
	for range 5 {
		l := loaderFor(t, client, Config{}, true)
		var served atomic.Int32
		var all sync.WaitGroup
		for range 150 {
			all.Go(func() {
				_, _, err := fetch(t.Context(), l, newRequest(t, "POST", server.URL, protocols.StringBody("x")))
				switch {
				case err == nil:
					served.Add(1)
				case !errors.Is(err, protocols.ErrNotSent):
					t.Error(err)
				}
			})
		}
		all.Wait()
		// How many are refused depends on when the limit arrives.
		if n := served.Load(); n < 150-2*newcomerLimit {
			t.Errorf("%d of 150 served", n)
		}
	}
}
