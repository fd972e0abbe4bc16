package urlsession_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/ats"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/urlsession"
)

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

// What a protocol tells of its connection is what the metrics say, and what it tells
// before it fails too.
func TestConnectionOfATransaction(t *testing.T) {
	leak.Check(t)
	info := &protocols.ConnInfo{
		Local: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, Remote: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2), Port: 3128},
		Proxied: true, Multipath: true, TLS: &tls.ConnectionState{Version: tls.VersionTLS12, CipherSuite: 0xc02f, NegotiatedProtocol: "h2"},
	}
	s := session(t, func(c *urlsession.Configuration) {
		c.Protocols = []protocols.Scheme{{Name: "told", New: func(protocols.Client) protocols.URLProtocol { return telling{info} }}}
		c.ATS.ExceptionDomains = map[string]ats.Exception{"host": {AllowsInsecureHTTPLoads: true}}
	})
	for _, url := range []string{"told://host/", "told://host/fail"} {
		x := measured(t, s, get(t, url)).Transactions[0]
		if !x.ProxyConnection || !x.Multipath || !x.ReusedConnection || x.NetworkProtocolName != "h2" || x.TLS() != "TLS 1.2" || x.TLSCipherSuite != 0xc02f ||
			x.RemoteAddr != info.Remote || x.LocalAddr != info.Local || x.ResourceFetchType != urlsession.FetchNetworkLoad {
			t.Errorf("%s: %+v", url, x)
		}
	}
}

// telling is a protocol that tells of a connection.
type telling struct{ info *protocols.ConnInfo }

func (p telling) Load(_ context.Context, req *protocols.Request) (*protocols.Response, error) {
	if req.URL.Path == "/fail" {
		req.Trace.SetConnection(p.info, true)

		return nil, io.ErrUnexpectedEOF
	}

	return &protocols.Response{StatusCode: 200, Body: protocols.NoBody, Proto: "h2", Conn: p.info, Reused: true}, nil
}
