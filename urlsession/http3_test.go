//go:build !urlkit_nohttp3

package urlsession_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/http3server"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/path"
	"github.com/urlkit/urlkit/proxy"
	"github.com/urlkit/urlkit/storage/altsvc"
	"github.com/urlkit/urlkit/urlsession"
)

// started3 starts a server that ends with the test.
func started3(t *testing.T, handler http.HandlerFunc) *http3server.Server {
	t.Helper()
	s, err := http3server.Start(handler)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})

	return s
}

// serve3 starts a server; where announces, it says where it speaks HTTP/3.
func serve3(t *testing.T, announces bool) *http3server.Server {
	t.Helper()
	leak.Check(t)
	var field atomic.Pointer[string]
	s := started3(t, func(w http.ResponseWriter, r *http.Request) {
		if f := field.Load(); f != nil {
			w.Header().Set("Alt-Svc", *f)
		}
		_, _ = io.WriteString(w, r.Proto+" "+r.RemoteAddr)
	})
	if announces {
		_, port, _ := net.SplitHostPort(s.Addr)
		said := `h3=":` + port + `"; ma=3600; persist=1`
		field.Store(&said)
	}

	return s
}

func assuming(t *testing.T, url string) *urlsession.Request {
	t.Helper()
	req := get(t, url)
	req.AssumesHTTP3Capable = true

	return req
}

// Metrics and the response tell of HTTP/3 as of any other connection.
func TestHTTP3Metrics(t *testing.T) {
	server := serve3(t, false)
	s := delegated(t, nil, func(c *urlsession.Configuration) { c.RootCAs = server.RootCAs })
	for i := range 2 {
		var m urlsession.TaskMetrics
		body, _, err := s.Data(urlsession.WithMetrics(t.Context(), &m), assuming(t, server.URL))
		if err != nil || !strings.HasPrefix(string(body), "HTTP/3.0 ") || len(m.Transactions) != 1 {
			t.Fatal(string(body), err)
		}
		x := m.Transactions[0]
		if x.NetworkProtocolName != "h3" || x.ReusedConnection != (i > 0) || x.TLSVersion != tls.VersionTLS13 || x.RemoteAddr.String() != server.Addr {
			t.Errorf("%+v", x)
		}
		dates := []time.Time{x.ConnectStart, x.SecureConnectionStart, x.SecureConnectionEnd, x.ConnectEnd, x.RequestStart, x.ResponseStart, x.ResponseEnd}
		for n, date := range dates {
			if connecting := n < 4; date.IsZero() != (connecting && i > 0) || n > 0 && date.Before(dates[n-1]) {
				t.Errorf("load %d: date %d of %v", i, n, dates)
			}
		}
	}
}

// A delegate is asked for trust as over TCP, and may vouch for a server that nobody
// knows.
func TestHTTP3ServerTrust(t *testing.T) {
	server := serve3(t, false)
	for _, known := range []bool{true, false} {
		var asked atomic.Int32
		s := delegated(t, &urlsession.Delegate{
			DidReceiveChallenge: func(_ context.Context, _ urlsession.Task, c *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
				if asked.Add(1); c.Space.Method != urlsession.MethodServerTrust || (c.Err == nil) != known {
					t.Errorf("asked %v, %v", c.Space, c.Err)
				}

				return urlsession.UseCredential, &urlsession.Credential{Trust: c.TLS}
			},
		}, func(c *urlsession.Configuration) {
			if c.RootCAs = x509.NewCertPool(); known {
				c.RootCAs = server.RootCAs
			}
		})
		if data, _ := load(t, s, assuming(t, server.URL)); !strings.HasPrefix(data, "HTTP/3.0 ") || asked.Load() == 0 {
			t.Errorf("known %v: %q, asked %d times", known, data, asked.Load())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What an origin says is kept in a file, for the next session; Flush drops the
// connection, and Reset what is known.
func TestHTTP3OnDisk(t *testing.T) {
	server := serve3(t, true)
	name := filepath.Join(t.TempDir(), "services")
	opened := func() *urlsession.Session {
		file, err := altsvc.Open(t.Context(), name, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = file.Close() })

		return delegated(t, nil, func(c *urlsession.Configuration) { c.RootCAs, c.AlternativeServices = server.RootCAs, file })
	}
	s := opened()
	if first, _ := load(t, s, get(t, server.URL)); strings.HasPrefix(first, "HTTP/3") {
		t.Error("HTTP/3 before anything was said")
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	if data, err := os.ReadFile(name); err != nil || !strings.Contains(string(data), server.Addr) {
		t.Errorf("the file holds %q, %v", data, err)
	}
	other := opened()
	e, err := other.Explain(t.Context(), get(t, server.URL))
	if err != nil || !strings.Contains(e.String(), "at "+server.Addr+", by Alt-Svc") {
		t.Errorf("%v, %v", e, err)
	}
	before, _ := load(t, other, get(t, server.URL))
	if !strings.HasPrefix(before, "HTTP/3.0 ") {
		t.Errorf("the first of another session: %s", before)
	}
	if again, _ := load(t, other, get(t, server.URL)); again != before {
		t.Errorf("%s after %s", again, before)
	}
	if err := other.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	if fresh, _ := load(t, other, get(t, server.URL)); fresh == before || !strings.HasPrefix(fresh, "HTTP/3.0 ") {
		t.Errorf("after Flush: %s, and %s before", fresh, before)
	}
	if err := other.Reset(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(name); err == nil {
		t.Error("there is a file after Reset")
	}
	if last, _ := load(t, other, get(t, server.URL)); strings.HasPrefix(last, "HTTP/3") {
		t.Errorf("after Reset: %s", last)
	}
}

// records answers with loopback, and an HTTPS record.
type records struct {
	port  uint16
	names chan string
}

func (records) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

func (r records) LookupHTTPS(_ context.Context, name string) ([]proxy.HTTPSRecord, error) {
	r.names <- name

	return []proxy.HTTPSRecord{
		{Priority: 1, ALPN: []string{"h2"}, TTL: time.Hour},
		{Priority: 2, ALPN: []string{"h2", "h3"}, Port: r.port, TTL: time.Hour},
	}, nil
}

func TestHTTP3ByRecord(t *testing.T) {
	server := serve3(t, false)
	_, port, _ := net.SplitHostPort(server.Addr)
	addr := netip.MustParseAddrPort(server.Addr)
	names := make(chan string, 9)
	s := delegated(t, nil, func(c *urlsession.Configuration) {
		c.RootCAs, c.Resolver = server.RootCAs, records{addr.Port(), names}
	})
	url := "https://example.com:" + port // httptest's certificate means it
	if got, _ := load(t, s, get(t, url)); !strings.HasPrefix(got, "HTTP/3.0 ") {
		t.Errorf("the first: %s", got)
	}
	if name, want := <-names, "_"+port+"._https.example.com"; name != want {
		t.Errorf("asked for %s, want %s", name, want)
	}
}

// A connection goes on over another network.
func TestHTTP3PathChanges(t *testing.T) {
	if raced {
		t.Skip("quic-go replaces what it sends by when a connection moves, and looks at it with each request, without a lock")
	}
	server := serve3(t, false)
	monitor := path.NewScripted(path.Path{Satisfied: true, ID: 1})
	s := delegated(t, nil, func(c *urlsession.Configuration) { c.RootCAs, c.PathMonitor = server.RootCAs, monitor })
	first, _ := load(t, s, assuming(t, server.URL))
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for id := uint64(2); ; id++ {
		if id%50 == 2 { // now and then: the watching may begin late
			monitor.Set(path.Path{Satisfied: true, ID: id})
		}
		now, resp := load(t, s, assuming(t, server.URL))
		if !strings.HasPrefix(now, "HTTP/3.0 ") {
			t.Fatalf("%s, %v", now, resp)
		}
		if now != first {
			return
		}
		if id > 2000 {
			t.Fatal("the connection never moved")
		}
		<-tick.C
	}
}

// Where TLS 1.3 or HTTP/3 is not allowed, nothing is sent over UDP.
func TestHTTP3NotAllowed(t *testing.T) {
	server := serve3(t, true)
	for name, change := range map[string]func(*urlsession.Configuration){
		"TLS 1.2":  func(c *urlsession.Configuration) { c.MaximumTLSVersion = tls.VersionTLS12 },
		"switched": func(c *urlsession.Configuration) { c.OmitsHTTP3 = true },
	} {
		s := delegated(t, nil, func(c *urlsession.Configuration) {
			c.RootCAs = server.RootCAs
			change(c)
		})
		for range 3 {
			if got, _ := load(t, s, assuming(t, server.URL)); strings.HasPrefix(got, "HTTP/3") {
				t.Errorf("%s: %s", name, got)
			}
		}
		if e, err := s.Explain(t.Context(), assuming(t, server.URL)); err != nil || !strings.Contains(e.String(), "is switched off") {
			t.Errorf("%v, %v", e, err)
		}
	}
}

// The certificate and its policy are judged over QUIC as over TCP: a server that is not
// trusted fails the load, once and with the reason.
func TestHTTP3NotTrusted(t *testing.T) {
	server := serve3(t, false)
	s := delegated(t, nil, nil)
	_, _, err := s.Data(t.Context(), assuming(t, server.URL))
	var e *urlsession.Error
	if !errors.As(err, &e) || e.Code != urlsession.ServerCertificateHasUnknownRoot && e.Code != urlsession.ServerCertificateUntrusted {
		t.Errorf("%v", err)
	}
	asked := make(chan *urlsession.Challenge, 9)
	trusting := delegated(t, &urlsession.Delegate{
		DidReceiveChallenge: func(_ context.Context, _ urlsession.Task, c *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
			asked <- c

			return urlsession.PerformDefaultHandling, nil
		},
	}, func(c *urlsession.Configuration) { c.RootCAs = server.RootCAs })
	if got, _ := load(t, trusting, assuming(t, server.URL)); !strings.HasPrefix(got, "HTTP/3.0 ") {
		t.Errorf("%s", got)
	}
	if c := <-asked; c.Space.Method != urlsession.MethodServerTrust || c.TLS == nil {
		t.Errorf("asked for %v", c.Space)
	}
}

// What an origin says of HTTP/3 to an ephemeral session no other one knows.
func TestEphemeralAlternativeServices(t *testing.T) {
	server := serve3(t, true)
	var verdicts []string
	for range 2 {
		s := session(t, func(c *urlsession.Configuration) {
			c.RootCAs, c.AlternativeServices = server.RootCAs, nil // its own
		})
		for range 2 {
			e, err := s.Explain(t.Context(), get(t, server.URL))
			if err != nil {
				t.Fatal(err)
			}
			known := "known"
			if strings.Contains(e.String(), "nothing is known") {
				known = "unknown"
			}
			verdicts = append(verdicts, known)
			load(t, s, get(t, server.URL))
		}
	}
	if got := strings.Join(verdicts, " "); got != "unknown known unknown known" {
		t.Error(got)
	}
}
