//go:build !urlkit_nohttp3

package http

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"log/slog"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// server3 speaks HTTP/3 on a UDP port and, if asked, TCP on the port of the same
// number.
type server3 struct {
	*http3.Server

	udp  net.PacketConn
	tcp  *httptest.Server // nil: nothing listens
	URL  string
	done chan struct{}
}

// start3 makes the server and a loader for it; both end with the test. tcp is "",
// "tls" or "h2".
func start3(t testing.TB, tcp string, config Config, handler nethttp.HandlerFunc) (*loader, *testClient, *server3) {
	t.Helper()
	leak.Check(t)
	client := &testClient{cache: tls.NewLRUClientSessionCache(16)}
	s := serve3(t, client, tcp, nil, handler)

	return loaderFor(t, client, config, true), client, s
}

func serve3(t testing.TB, client *testClient, tcp string, config *quic.Config, handler nethttp.Handler) *server3 {
	t.Helper()
	s := &server3{done: make(chan struct{})}
	model := httptest.NewUnstartedServer(handler)
	model.Config.ErrorLog = log.New(io.Discard, "", 0)
	model.EnableHTTP2 = tcp == "h2"
	model.StartTLS()
	certificate, roots := model.TLS.Certificates[0], x509.NewCertPool()
	roots.AddCert(model.Certificate())
	client.roots = roots
	addr := model.Listener.Addr().String()
	if tcp == "" {
		model.Close()
	} else {
		s.tcp = model
	}
	var err error
	if s.udp, err = net.ListenPacket("udp", addr); err != nil {
		t.Fatal(err)
	}
	if config == nil {
		config = &quic.Config{Allow0RTT: true}
	}
	s.Server = &http3.Server{
		TLSConfig:  http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{certificate}}),
		QUICConfig: config, Handler: handler, Logger: slog.New(slog.DiscardHandler),
	}
	s.URL = "https://" + addr
	go func() {
		defer close(s.done)
		_ = s.Serve(s.udp)
	}()
	t.Cleanup(s.stop)

	return s
}

func (s *server3) stop() {
	_ = s.Server.Close()
	_ = s.udp.Close()
	<-s.done
	if s.tcp != nil {
		s.tcp.CloseClientConnections()
		s.tcp.Close()
	}
}

// request3 is a request on a route that carries datagrams.
func request3(t testing.TB, method, url string, body *protocols.Body) *protocols.Request {
	t.Helper()
	req := newRequest(t, method, url, body)
	req.Route.Packets = true

	return req
}

// get3 is a GET that assumes HTTP/3, or does not.
func get3(t testing.TB, l *loader, url string, assumes bool) (proto, body string) {
	t.Helper()
	req := request3(t, "GET", url, nil)
	req.AssumesHTTP3Capable = assumes
	resp, body, err := fetch(context.Background(), l, req)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}

	return resp.Proto, body
}

// blackHole is a UDP port that takes everything and answers nothing; it ends with the
// test.
func blackHole(t testing.TB) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })

	return conn.LocalAddr().String()
}
