// Package origin holds the servers that the measurements load from. Each is the
// role of a child process and listens on loopback only.
package origin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/urlkit/urlkit/bench/internal/child"
)

// Address is where an origin listens. It is the first value that it sends.
type Address struct {
	HTTP  string // URL of the clear-text listener, HTTP/1.1
	HTTPS string // URL of the TLS listener, HTTP/2 by ALPN
	CA    []byte // PEM certificate to trust; nil: the system's are enough
}

// Roots are the authorities to trust; nil: the system's.
func (a Address) Roots() (*x509.CertPool, error) {
	if a.CA == nil {
		return nil, nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(a.CA) {
		return nil, errors.New("the authority is no PEM certificate")
	}

	return roots, nil
}

// SmallBody is the length in bytes of what Small answers.
const SmallBody = 1 << 10

// Small answers every request with SmallBody bytes, until its parent ends it.
func Small(parent *child.Pipe) error {
	body := make([]byte, SmallBody)
	for i := range body {
		body[i] = byte('a' + i%26)
	}
	length := []string{strconv.Itoa(len(body))}
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{"text/plain"}
		w.Header()["Content-Length"] = length
		_, _ = w.Write(body)
	})
	address, stop, err := serve(handler, nil)
	if err != nil {
		return err
	}
	defer stop()
	if err := parent.Send(address); err != nil {
		return err
	}

	return parent.UntilEnd()
}

// serve starts both listeners. configure may change the server first.
func serve(handler http.Handler, configure func(*http.Server)) (Address, func(), error) {
	certificate, ca, err := newCertificate()
	if err != nil {
		return Address{}, nil, err
	}
	clear, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return Address{}, nil, err
	}
	secure, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		_ = clear.Close()

		return Address{}, nil, err
	}
	server := &http.Server{
		Handler: handler,
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{certificate},
			NextProtos:   []string{"h2", "http/1.1"}, // or Serve would decide for ServeTLS too that there is no HTTP/2
		},
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	if configure != nil {
		configure(server)
	}
	go func() { _ = server.Serve(clear) }()
	go func() { _ = server.ServeTLS(secure, "", "") }()
	address := Address{
		HTTP:  "http://" + clear.Addr().String() + "/",
		HTTPS: "https://" + secure.Addr().String() + "/",
		CA:    ca,
	}

	return address, func() { _ = server.Close() }, nil
}

// newCertificate makes a certificate for 127.0.0.1 that is its own authority.
func newCertificate() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "benchmark origin"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}

	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}
