//go:build !urlkit_nohttp3

package main

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"

	"github.com/quic-go/quic-go/http3"
)

// withHTTP3: HTTP/3 is part of the build.
const withHTTP3 = true

// startHTTP3 serves the handler over QUIC, on a UDP port beside which nothing listens
// over TCP.
func startHTTP3(certificate tls.Certificate, handler http.Handler) (url string, stop func() error, err error) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http3.Server{
		TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{certificate}}),
		Handler:   handler, Logger: slog.New(slog.DiscardHandler),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(conn) // its error is that of stop
	}()

	return "https://" + conn.LocalAddr().String(), func() error {
		err := errors.Join(server.Close(), conn.Close())
		<-done

		return err
	}, nil
}
