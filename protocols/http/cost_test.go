package http

import (
	"crypto/tls"
	"io"
	nethttp "net/http"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/protocols"
)

var kilobyte = strings.Repeat("x", 1<<10)

func serveKilobyte(w nethttp.ResponseWriter, _ *nethttp.Request) {
	w.Header()["Content-Type"] = []string{"text/plain"}
	_, _ = io.WriteString(w, kilobyte)
}

// pair gives one GET by the loader, and one by net/http's Transport with a
// request made anew, both with the body read.
func pair(tb testing.TB, kind string) (ours, theirs func()) {
	l, client, server := start(tb, kind, Config{}, serveKilobyte)
	transport := &nethttp.Transport{
		TLSClientConfig: &tls.Config{RootCAs: client.roots}, ForceAttemptHTTP2: kind == "h2", DisableCompression: true,
	}
	tb.Cleanup(transport.CloseIdleConnections)
	req := newRequest(tb, "GET", server.URL+"/path", nil)
	req.Header.Set("Accept", "*/*")
	buf := make([]byte, 4<<10)
	read := func(body io.ReadCloser, err error) {
		if err != nil {
			tb.Fatal(err)
		}
		n := 0
		for err == nil {
			var m int
			m, err = body.Read(buf)
			n += m
		}
		_ = body.Close()
		if n != len(kilobyte) || err != io.EOF { // only a bare one is the end
			tb.Fatal(n, err)
		}
	}
	ctx := tb.Context()
	ours = func() {
		resp, err := l.Load(ctx, req)
		if err != nil {
			tb.Fatal(err)
		}
		read(resp.Body, nil)
	}
	theirs = func() {
		r, err := nethttp.NewRequestWithContext(ctx, "GET", server.URL+"/path", nil)
		if err != nil {
			tb.Fatal(err)
		}
		r.Header["Accept"] = req.Header["Accept"]
		resp, err := transport.RoundTrip(r)
		if err != nil {
			tb.Fatal(err)
		}
		read(resp.Body, nil)
	}

	return ours, theirs
}

// A load costs no more than net/http's own pool, and over HTTP/2 much less. The server
// runs in the same process and costs both the same.
func TestAllocations(t *testing.T) {
	if raceEnabled() {
		t.Skip("the race detector allocates")
	}
	for kind, most := range map[string]float64{"http": 0, "tls": 0, "h2": -10} {
		ours, theirs := pair(t, kind)
		ours()
		theirs()
		a, b := testing.AllocsPerRun(300, ours), testing.AllocsPerRun(300, theirs)
		t.Logf("%s: %.1f allocations a load, net/http %.1f", kind, a, b)
		if a > b+most+0.5 {
			t.Errorf("%s: %.1f allocations a load, net/http %.1f", kind, a, b)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, kind := range kinds {
		for name, pick := range map[string]int{"urlkit": 0, "net-http": 1} {
			b.Run(kind+"/"+name, func(b *testing.B) {
				ours, theirs := pair(b, kind)
				run := []func(){ours, theirs}[pick]
				run()
				b.ReportAllocs()
				for b.Loop() {
					run()
				}
			})
		}
	}
}

func BenchmarkLoadParallel(b *testing.B) {
	for _, kind := range kinds {
		b.Run(kind, func(b *testing.B) {
			l, _, server := start(b, kind, Config{MaximumConnectionsPerHost: 64}, serveKilobyte)
			req := newRequest(b, "GET", server.URL, nil)
			b.ReportAllocs()
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				buf := make([]byte, 4<<10)
				for pb.Next() {
					resp, err := l.Load(b.Context(), req)
					if err != nil {
						b.Error(err)

						return
					}
					_, _ = io.CopyBuffer(io.Discard, struct{ io.Reader }{resp.Body}, buf)
					_ = resp.Body.Close()
				}
			})
		})
	}
}

var _ protocols.URLProtocol = (*loader)(nil)

var _ io.Closer = (*loader)(nil)
