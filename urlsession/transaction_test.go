package urlsession_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// phases are those of a transaction that began, in order; + stands for its end. Dates
// that are out of order are named.
func phases(m *urlsession.TransactionMetrics) string {
	var words []string
	last := m.FetchStart
	for _, p := range []struct {
		name       string
		start, end time.Time
	}{
		{"lookup", m.DomainLookupStart, m.DomainLookupEnd},
		{"connect", m.ConnectStart, m.ConnectEnd},
		{"tls", m.SecureConnectionStart, m.SecureConnectionEnd},
		{"request", m.RequestStart, m.RequestEnd},
		{"response", m.ResponseStart, m.ResponseEnd},
	} {
		if p.start.IsZero() && p.end.IsZero() {
			continue
		}
		word := p.name
		if !p.end.IsZero() {
			word += "+"
		}
		if p.start.Before(last) || !p.end.IsZero() && p.end.Before(p.start) {
			word += "(disordered)"
		}
		if last = p.start; p.name == "tls" && m.ConnectEnd.Before(p.end) {
			word += "(after connect)"
		}
		words = append(words, word)
	}

	return strings.Join(words, " ")
}

// wireCounter counts what each side of a server's connections carries.
type wireCounter struct {
	net.Listener

	mu       sync.Mutex
	in, out  int64
	accepted []net.Addr
}

func (w *wireCounter) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.accepted = append(w.accepted, c.RemoteAddr())

	return &countedConn{c, w}, nil
}

type countedConn struct {
	net.Conn

	of *wireCounter
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.of.in += int64(n)

	return n, err
}

func (c *countedConn) Write(p []byte) (int, error) {
	c.of.mu.Lock()
	c.of.out += int64(len(p)) // before it is written: the client may be done first
	c.of.mu.Unlock()

	return c.Conn.Write(p)
}

// measureOrigin answers what the rows of TestTransactionMetrics ask for.
func measureOrigin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/plain", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	mux.HandleFunc("/chunked", func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			_, _ = io.WriteString(w, strings.Repeat("x", 1000))
			_ = http.NewResponseController(w).Flush()
		}
	})
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/plain")
		w.WriteHeader(http.StatusFound)
		_, _ = io.WriteString(w, "this way")
	})
	mux.HandleFunc("/secret", func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, "no")

			return
		}
		_, _ = io.WriteString(w, "hello")
	})
	mux.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})
	mux.HandleFunc("/nothing", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })

	return mux
}

// A row is one load of TestTransactionMetrics, and what each of its transactions has
// to say. Numbers are of body bytes: sent, received, given.
var transactionRows = []struct {
	name, method, path string
	body               func() *urlsession.Body
	want               []string // a transaction each: status, phases of the first time, bytes of the source and of the app
}{
	{"GET", "GET", "/plain", nil, []string{"200 0>5"}},
	{"chunked answer", "GET", "/chunked", nil, []string{"200 0>3000"}},
	{"HEAD", "HEAD", "/plain", nil, []string{"200 0>0"}},
	{"204", "GET", "/nothing", nil, []string{"204 0>0"}},
	{"redirect", "GET", "/redirect", nil, []string{"302 0>0", "200 0>5"}},
	{"401", "GET", "/secret", nil, []string{"401 0>0", "200 0>5"}},
	{"short upload", "POST", "/upload", func() *urlsession.Body { return urlsession.StringBody("abc") }, []string{"200 3>1"}},
	{
		"long upload", "POST", "/upload",
		func() *urlsession.Body { return urlsession.BytesBody(make([]byte, 300_000)) },
		[]string{"200 300000>6"},
	},
	{
		"chunked upload", "PUT", "/upload",
		func() *urlsession.Body { return urlsession.ReaderBody(io.LimitReader(zeros{}, 100_000)) },
		[]string{"200 100000>6"},
	},
}

// Each fact is compared with what the server knows: the bytes of all transactions
// together are those that crossed its sockets.
func TestTransactionMetrics(t *testing.T) {
	leak.Check(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	wire := &wireCounter{Listener: listener}
	server := &httptest.Server{Listener: wire, Config: &http.Server{Handler: measureOrigin()}}
	server.Start()
	defer server.Close()
	s := delegated(t, &urlsession.Delegate{DidReceiveChallenge: loginDelegate}, nil)
	kept := false // a connection
	for _, row := range transactionRows {
		wire.mu.Lock()
		wire.in, wire.out = 0, 0
		wire.mu.Unlock()
		var body *urlsession.Body
		if row.body != nil {
			body = row.body()
		}
		m := measured(t, s, request(t, row.method, server.URL+row.path, body))
		var sent, received int64
		for i, x := range m.Transactions {
			got := fmt.Sprintf("%d %d>%d", x.Response.StatusCode, x.BodyBytesBeforeEncoding, x.BodyBytesAfterDecoding)
			if i >= len(row.want) || got != row.want[i] {
				t.Errorf("%s: transaction %d is %q, want %q", row.name, i, got, row.want)
			}
			want := "connect+ request+ response+"
			if kept {
				want = "request+ response+"
			}
			if got := phases(&x); got != want || x.ReusedConnection != kept {
				t.Errorf("%s: phases %q, reused %v; want %q", row.name, got, x.ReusedConnection, want)
			}
			if x.NetworkProtocolName != "http/1.1" || x.ResourceFetchType != urlsession.FetchNetworkLoad || x.TLSVersion != 0 || x.ProxyConnection {
				t.Errorf("%s: %+v", row.name, x)
			}
			if x.LocalAddr.String() != wire.accepted[len(wire.accepted)-1].String() || x.RemoteAddr.String() != listener.Addr().String() {
				t.Errorf("%s: from %v to %v", row.name, x.LocalAddr, x.RemoteAddr)
			}
			kept = true
			sent += x.RequestHeaderBytesSent + x.BodyBytesSent
			received += x.ResponseHeaderBytesReceived + x.BodyBytesReceived
		}
		wire.mu.Lock()
		if sent != wire.in || received != wire.out {
			t.Errorf("%s: %d bytes sent and %d received; the server's socket has seen %d and %d", row.name, sent, received, wire.in, wire.out)
		}
		wire.mu.Unlock()
		if len(m.Transactions) != len(row.want) || m.RedirectCount != strings.Count(row.name, "redirect") || m.Err != nil {
			t.Errorf("%s: %d transactions, %d redirects, %v", row.name, len(m.Transactions), m.RedirectCount, m.Err)
		}
	}
}

func loginDelegate(_ context.Context, _ urlsession.Task, c *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
	if c.Space.Method != urlsession.MethodHTTPBasic {
		return urlsession.PerformDefaultHandling, nil
	}

	return urlsession.UseCredential, &urlsession.Credential{User: "u", Password: "p"}
}

// measured loads a request to its end, whatever that is.
func measured(t *testing.T, s *urlsession.Session, req *urlsession.Request) *urlsession.TaskMetrics {
	t.Helper()
	var m urlsession.TaskMetrics
	before := time.Now()
	_, _, err := s.Data(urlsession.WithMetrics(t.Context(), &m), req)
	if m.Start.Before(before) || m.End.Before(m.Start) || m.End.After(time.Now()) || (m.Err == nil) != (err == nil) {
		t.Errorf("from %v to %v, %v; the load gave %v", m.Start, m.End, m.Err, err)
	}
	if len(m.Transactions) == 0 {
		t.Fatalf("no transactions: %v", err)
	}

	return &m
}

// Over TLS and HTTP/2 the sockets carry more than the transactions; what each says is
// held against what was loaded.
func TestTransactionMetricsOverTLS(t *testing.T) {
	leak.Check(t)
	for _, wire := range wires[1:] {
		s := delegated(t, &urlsession.Delegate{DidReceiveChallenge: loginDelegate}, nil)
		base := serve(t, wire, measureOrigin())
		name := "http/1.1"
		if wire == "h2" {
			name = wire
		}
		want := "connect+ tls+ request+ response+"
		for _, row := range transactionRows {
			var body *urlsession.Body
			if row.body != nil {
				body = row.body()
			}
			for i, x := range measured(t, s, request(t, row.method, base+row.path, body)).Transactions {
				got := fmt.Sprintf("%d %d>%d", x.Response.StatusCode, x.BodyBytesBeforeEncoding, x.BodyBytesAfterDecoding)
				if i >= len(row.want) || got != row.want[i] {
					t.Errorf("%s, %s: transaction %d is %q, want %q", wire, row.name, i, got, row.want)
				}
				if got := phases(&x); got != want || x.ReusedConnection != strings.HasPrefix(want, "request") {
					t.Errorf("%s, %s: %q, reused %v", wire, row.name, got, x.ReusedConnection)
				}
				want = "request+ response+"
				if x.NetworkProtocolName != name || x.TLSVersion != tls.VersionTLS13 || x.TLSCipherSuite == 0 || x.TLS() != "TLS 1.3" {
					t.Errorf("%s: %q, %x, %x", wire, x.NetworkProtocolName, x.TLSVersion, x.TLSCipherSuite)
				}
				if x.RequestHeaderBytesSent < 10 || x.ResponseHeaderBytesReceived < 10 || x.BodyBytesSent < x.BodyBytesBeforeEncoding ||
					x.BodyBytesSent > x.BodyBytesBeforeEncoding*102/100+100 || x.BodyBytesReceived < x.BodyBytesAfterDecoding {
					t.Errorf("%s, %s: %d and %d of the heads, %d of %d and %d for %d of the bodies", wire, row.name, x.RequestHeaderBytesSent, x.ResponseHeaderBytesReceived,
						x.BodyBytesSent, x.BodyBytesBeforeEncoding, x.BodyBytesReceived, x.BodyBytesAfterDecoding)
				}
			}
		}
	}
}
