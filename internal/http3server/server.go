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

// Server speaks HTTP/3 on a UDP port of loopback. Start's speaks HTTP/2 as well, on the
// TCP port of the same number, with httptest's certificate.
type Server struct {
	// URL is the server's, with an address for the host.
	URL string
	// Addr is its address, "127.0.0.1:port".
	Addr string
	// RootCAs trust it; nil for StartAlone.
	RootCAs *x509.CertPool

	udp       net.PacketConn
	transport *quic.Transport
	quic      *http3.Server
	tcp       *httptest.Server // nil: it speaks HTTP/3 alone
	done      chan struct{}
}

// Start makes a server. Close it in the end.
func Start(handler http.Handler) (*Server, error) {
	s := &Server{tcp: httptest.NewUnstartedServer(handler)}
	s.tcp.EnableHTTP2 = true
	s.tcp.StartTLS()
	s.RootCAs = x509.NewCertPool()
	s.RootCAs.AddCert(s.tcp.Certificate())
	if err := s.serve(s.tcp.Listener.Addr().String(), handler, s.tcp.TLS.Certificates); err != nil {
		s.tcp.Close()

		return nil, err
	}

	return s, nil
}

// StartAlone makes a server that speaks HTTP/3 and nothing else, with a certificate
// that is the caller's affair. Close it in the end.
func StartAlone(handler http.Handler, certificate tls.Certificate) (*Server, error) {
	s := new(Server)
	if err := s.serve("127.0.0.1:0", handler, []tls.Certificate{certificate}); err != nil {
		return nil, err
	}

	return s, nil
}

func (s *Server) serve(addr string, handler http.Handler, certificates []tls.Certificate) (err error) {
	if s.udp, err = net.ListenPacket("udp", addr); err != nil {
		return err
	}
	// Its goroutines run when this returns: what looks for leaks knows them.
	s.transport = &quic.Transport{Conn: s.udp}
	config := http3.ConfigureTLSConfig(&tls.Config{Certificates: certificates})
	listener, err := s.transport.ListenEarly(config, &quic.Config{Allow0RTT: true})
	if err != nil {
		return errors.Join(err, s.transport.Close(), s.udp.Close())
	}
	s.Addr = s.udp.LocalAddr().String()
	s.URL, s.done = "https://"+s.Addr, make(chan struct{})
	s.quic = &http3.Server{Handler: handler, Logger: slog.New(slog.DiscardHandler)}
	go func() {
		defer close(s.done)
		_ = s.quic.ServeListener(listener) // its error is that of Close
	}()

	return nil
}

// Close ends the server and its connections.
func (s *Server) Close() error {
	err := errors.Join(s.quic.Close(), s.transport.Close(), s.udp.Close())
	<-s.done
	if s.tcp != nil {
		s.tcp.CloseClientConnections()
		s.tcp.Close()
	}

	return err
}
