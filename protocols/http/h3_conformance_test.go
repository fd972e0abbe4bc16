//go:build !urlkit_nohttp3

package http_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"testing"

	"github.com/quic-go/quic-go/http3"

	"github.com/urlkit/urlkit/conformance"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/protocols/http"
)

func TestConformanceHTTP3(t *testing.T) {
	conformance.Run(t, conformance.Harness{
		Scheme:  schemeNamed(t, "https", http.Config{}),
		Fixture: func(context.Context) (*conformance.Fixture, error) { return newFixture3() },
		Request: func(method, url string, body *protocols.Body) (*protocols.Request, error) {
			req, err := protocols.NewRequest(method, url, body)
			if err == nil {
				req.AssumesHTTP3Capable = true
			}

			return req, err
		},
	})
}

// newFixture3 is newFixture with a server that speaks HTTP/3 and nothing else.
func newFixture3() (*conformance.Fixture, error) {
	f := newFixture(true, true)
	addr := f.Hosts["example.com"]
	var inbox inbox
	model := httptest.NewTLSServer(nil)
	certificate := model.TLS.Certificates[0]
	f.RootCAs = x509.NewCertPool()
	f.RootCAs.AddCert(model.Certificate())
	model.Close()
	if err := f.Close(); err != nil { // the port stays ours, over UDP
		return nil, err
	}
	udp, err := net.ListenPacket("udp", addr)
	if err != nil {
		return nil, err
	}
	server := &http3.Server{
		TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{certificate}}),
		Handler:   nethttp.Handler(conformanceHandler(&inbox)), Logger: slog.New(slog.DiscardHandler),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(udp)
	}()
	f.Upload.Received = inbox.last
	f.Close = func() error {
		err := errors.Join(server.Close(), udp.Close())
		<-done

		return err
	}

	return f, nil
}
