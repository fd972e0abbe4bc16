package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"
)

// origin is the servers of the tour, on loopback, with a certificate made for
// them.
type origin struct {
	clear, http1, http2 string // base URLs
	http3               string // "": not in this build
	reverse             string // host:port
	roots               *x509.CertPool

	servers  []*httptest.Server
	quic     func() error // ends the server of HTTP/3; nil: none was started
	listener net.Listener
}

func startOrigin() (*origin, error) {
	o := &origin{roots: x509.NewCertPool()}
	var guarded secret
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/large":
			serveLarge(w)

			return
		case "/page":
			servePage(w, r)

			return
		case "/secret":
			guarded.ServeHTTP(w, r)

			return
		}
		_, _ = io.WriteString(w, "Hello over "+r.Proto+"\n")
	})
	certificate, err := newCertificate()
	if err != nil {
		return nil, err
	}
	o.roots.AddCert(certificate.Leaf)
	plain := httptest.NewServer(handler)
	one, two := httptest.NewUnstartedServer(handler), httptest.NewUnstartedServer(handler)
	two.EnableHTTP2 = true
	for _, s := range []*httptest.Server{one, two} {
		s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
		s.StartTLS()
	}
	o.servers = []*httptest.Server{plain, one, two}
	o.clear, o.http1, o.http2 = plain.URL, one.URL, two.URL
	if o.http3, o.quic, err = startHTTP3(certificate, handler); err != nil {
		o.Close()

		return nil, err
	}
	if o.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		o.Close()

		return nil, err
	}
	o.reverse = o.listener.Addr().String()
	go serveReverse(o.listener)

	return o, nil
}

func (o *origin) Close() {
	for _, s := range o.servers {
		s.Close()
	}
	if o.quic != nil {
		_ = o.quic()
	}
	if o.listener != nil {
		_ = o.listener.Close()
	}
}

// serveReverse answers each line with its bytes reversed.
func serveReverse(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			line, err := bufio.NewReader(io.LimitReader(conn, 4<<10)).ReadBytes('\n')
			if err != nil {
				return
			}
			line = line[:len(line)-1]
			slices.Reverse(line)
			_, _ = conn.Write(append(line, '\n'))
		}()
	}
}

// newCertificate makes a certificate for 127.0.0.1 that policy accepts once a
// session trusts it: P-256, for servers, valid for a day.
func newCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "tour"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)

	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}
