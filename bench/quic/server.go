//go:build unix

package main

import (
	"crypto/tls"
	"encoding/pem"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"

	"github.com/quic-go/quic-go/http3"

	"github.com/urlkit/urlkit/bench/internal/child"
)

// origin is what the server tells of itself.
type origin struct {
	URL string
	CA  []byte // PEM
}

// serve answers /N with N bytes, over HTTP/3.
func serve(parent *child.Pipe) error {
	model := httptest.NewTLSServer(nil)
	certificate, leaf := model.TLS.Certificates[0], model.Certificate()
	model.Close()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer conn.Close()
	piece := []byte(strings.Repeat("0123456789abcdef", 4<<10))
	s := &http3.Server{
		TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{certificate}}),
		Logger:    slog.New(slog.DiscardHandler),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, err := strconv.Atoi(r.URL.Path[1:])
			if err != nil {
				w.WriteHeader(http.StatusNotFound)

				return
			}
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Header().Set("Content-Length", strconv.Itoa(n))
			for n > 0 {
				m, err := w.Write(piece[:min(n, len(piece))])
				if err != nil {
					return
				}
				n -= m
			}
		}),
	}
	defer s.Close()
	go func() { _ = s.Serve(conn) }() // its error is that of Close
	if err := parent.Send(origin{
		"https://" + conn.LocalAddr().String(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw}),
	}); err != nil {
		return err
	}

	return parent.UntilEnd()
}
