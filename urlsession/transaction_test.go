package urlsession_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
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

func TestTransactionMetricsOverTLS(t *testing.T) {
	leak.Check(t)
	for _, wire := range wires[1:] {
		s := session(t, nil)
		base := serve(t, wire, measureOrigin())
		for _, want := range []string{"connect+ tls+ request+ response+", "request+ response+"} {
			x := measured(t, s, get(t, base+"/plain")).Transactions[0]
			if got := phases(&x); got != want || x.ReusedConnection != strings.HasPrefix(want, "request") {
				t.Errorf("%s: %q, reused %v", wire, got, x.ReusedConnection)
			}
			name := "http/1.1"
			if wire == "h2" {
				name = wire
			}
			if x.NetworkProtocolName != name || x.TLSVersion != 0x0304 || x.TLSCipherSuite == 0 || x.TLS() != "TLS 1.3" {
				t.Errorf("%s: %q, %x, %x", wire, x.NetworkProtocolName, x.TLSVersion, x.TLSCipherSuite)
			}
		}
	}
}

// naming resolves every name in one way.
type naming struct {
	to  netip.Addr
	err error
}

func (a naming) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	if a.err != nil {
		return nil, a.err
	}

	return []netip.Addr{a.to}, nil
}

// What did not finish has no end, and what would have followed no dates.
func TestPhasesOfFailedTransactions(t *testing.T) {
	leak.Check(t)
	loopback := naming{to: netip.MustParseAddr("127.0.0.1")}
	closing := rawServer(t, "")
	cut := rawServer(t, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
	refusing := rawServer(t, "")
	refusing.Close()
	port := func(l net.Listener) string { _, p, _ := net.SplitHostPort(l.Addr().String()); return p }
	untrusted := httptest.NewTLSServer(measureOrigin())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer untrusted.Close()
	for _, row := range []struct {
		name, url string
		resolver  naming
		code      urlsession.Code
		phases    string
		connected bool
	}{
		{"no such name", "https://nowhere.test/", naming{err: &net.DNSError{IsNotFound: true}}, urlsession.CannotFindHost, "lookup", false},
		{"refused", "http://localhost:" + port(refusing) + "/", loopback, urlsession.CannotConnectToHost, "lookup+ connect", false},
		{"untrusted", untrusted.URL, loopback, urlsession.ServerCertificateUntrusted, "connect tls", false},
		{"closed", "http://localhost:" + port(closing) + "/", loopback, urlsession.NetworkConnectionLost, "lookup+ connect+ request+", true},
		{"cut", "http://localhost:" + port(cut) + "/", loopback, urlsession.NetworkConnectionLost, "lookup+ connect+ request+ response", true},
		{"policy", "http://example.com/", loopback, urlsession.AppTransportSecurityRequiresSecureConnection, "", false},
		{"scheme", "nothing:x", loopback, urlsession.UnsupportedURL, "", false},
	} {
		s := session(t, func(c *urlsession.Configuration) { c.Resolver = row.resolver })
		m := measured(t, s, get(t, row.url))
		x := m.Transactions[len(m.Transactions)-1]
		if got := phases(&x); got != row.phases || !errors.Is(m.Err, row.code) || (x.RemoteAddr != nil) != row.connected || x.FetchStart.IsZero() {
			t.Errorf("%s: phases %q, %v, to %v; want %q, %v", row.name, got, m.Err, x.RemoteAddr, row.phases, row.code)
		}
		if own, ok := x.Err.(*urlsession.Error); !ok || own.Code != row.code || own.URL == "" {
			t.Errorf("%s: the transaction's error is %T %v", row.name, x.Err, x.Err)
		}
		if row.phases == "lookup+ connect+ request+" && (x.Response != nil || x.RequestHeaderBytesSent <= 0 || x.ResponseHeaderBytesReceived != -1) {
			t.Errorf("%s: %+v", row.name, x)
		}
	}
}

// rawServer answers each request with the same bytes, and hangs up.
func rawServer(t *testing.T, answer string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(c))
			_, _ = io.WriteString(c, answer)
			_ = c.Close()
		}
	}()

	return listener
}

// A body that the app does not read to its end has none, and is no failure; what it
// comes from without a network has no connection.
func TestPhasesOfOtherTransactions(t *testing.T) {
	leak.Check(t)
	s := session(t, nil)
	var m urlsession.TaskMetrics
	stream, err := s.Bytes(urlsession.WithMetrics(t.Context(), &m), get(t, serve(t, "http/1.1", measureOrigin())+"/chunked"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stream, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	_ = stream.Close()
	x := m.Transactions[0]
	if got := phases(&x); got != "connect+ request+ response" || x.BodyBytesAfterDecoding != 10 || x.Err != nil || m.Err != nil {
		t.Errorf("%q, %d bytes, %v, %v", got, x.BodyBytesAfterDecoding, x.Err, m.Err)
	}
	x = measured(t, s, get(t, "data:,hello")).Transactions[0]
	if got := phases(&x); got != "request+ response+" || x.RemoteAddr != nil || x.ResourceFetchType != urlsession.FetchUnknown || x.BodyBytesReceived != 5 {
		t.Errorf("data: %q, %v, %d, %d", got, x.RemoteAddr, x.ResourceFetchType, x.BodyBytesReceived)
	}
}

// The interval of a task begins when it is made, and not at its turn.
func TestTaskInterval(t *testing.T) {
	leak.Check(t)
	var told []string
	var m *urlsession.TaskMetrics
	s := delegated(t, &urlsession.Delegate{
		DidFinishCollecting: func(_ urlsession.Task, metrics *urlsession.TaskMetrics) { m, told = metrics, append(told, "metrics") },
		DidComplete:         func(urlsession.Task, error) { told = append(told, "complete") },
	}, nil)
	before := time.Now()
	task := s.DataTask(get(t, "data:,x"))
	made := time.Now()
	task.SetEarliestBeginDate(made.Add(20 * time.Millisecond))
	task.Resume()
	if err := wait(t, task); err != nil {
		t.Fatal(err)
	}
	x := m.Transactions[0]
	if m.Start.Before(before) || m.Start.After(made) || x.FetchStart.Sub(m.Start) < 15*time.Millisecond || m.End.Before(x.ResponseEnd) {
		t.Errorf("made between %v and %v: from %v to %v, fetched at %v", before, made, m.Start, m.End, x.FetchStart)
	}
	if got := strings.Join(told, " "); got != "metrics complete" {
		t.Errorf("told %q", got)
	}
}
