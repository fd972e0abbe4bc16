//go:build !urlkit_nohttp3

package http3server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// Server speaks HTTP/3 on a UDP port of loopback, and HTTP/2 on the TCP port of the
// same number, with httptest's certificate.
type Server struct {
	// URL is the server's, with an address for the host.
	URL string
	// Addr is its address, "127.0.0.1:port".
	Addr string
	// RootCAs trust it.
	RootCAs *x509.CertPool

	udp  net.PacketConn
	quic *http3.Server
	tcp  *httptest.Server
	done chan struct{}
}

// Start makes a server. Close it in the end.
func Start(handler http.Handler) (*Server, error) {
	s := &Server{tcp: httptest.NewUnstartedServer(handler), done: make(chan struct{})}
	s.tcp.EnableHTTP2 = true
	s.tcp.StartTLS()
	s.Addr, s.URL = s.tcp.Listener.Addr().String(), s.tcp.URL
	s.RootCAs = x509.NewCertPool()
	s.RootCAs.AddCert(s.tcp.Certificate())
	var err error
	if s.udp, err = net.ListenPacket("udp", s.Addr); err != nil {
		s.tcp.Close()

		return nil, err
	}
	s.quic = &http3.Server{
		TLSConfig:  http3.ConfigureTLSConfig(&tls.Config{Certificates: s.tcp.TLS.Certificates}),
		QUICConfig: &quic.Config{Allow0RTT: true}, Handler: handler, Logger: slog.New(slog.DiscardHandler),
	}
	go func() {
		defer close(s.done)
		_ = s.quic.Serve(s.udp) // its error is that of Close
	}()

	return s, nil
}

// Close ends the server and its connections.
func (s *Server) Close() error {
	err := errors.Join(s.quic.Close(), s.udp.Close())
	<-s.done
	s.tcp.CloseClientConnections()
	s.tcp.Close()

	return err
}
