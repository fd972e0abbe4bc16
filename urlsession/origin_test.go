package urlsession_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/urlkit/urlkit/urlsession"
)

// certificate is what the tests' servers present: P-256, for a day, and trusted
// by the tests' sessions.
var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "origin"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost", "origin.test"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}

	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
})

func roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(certificate().Leaf)

	return pool
}

// wires are the ways on which a server of the tests is reached over TCP, and allWires
// those over QUIC as well: a session of these tests knows which servers speak HTTP/3.
var (
	wires    = []string{"http/1.1", "https http/1.1", "h2"}
	allWires = append(slices.Clone(wires), quicWires...)
)

// serve starts a server on one of the wires and returns its base URL.
func serve(t testing.TB, wire string, handler http.Handler) string {
	t.Helper()
	if wire == "h3" {
		return serveQUIC(t, handler)
	}
	s := httptest.NewUnstartedServer(handler)
	s.EnableHTTP2 = wire == "h2"
	if wire == "http/1.1" {
		s.Start()
	} else {
		s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate()}}
		s.StartTLS()
	}
	t.Cleanup(s.Close)

	return s.URL
}

// onEachWire runs a test over each wire.
func onEachWire(t *testing.T, handler http.Handler, test func(t *testing.T, base string)) {
	t.Helper()
	onWires(t, allWires, handler, test)
}

func onWires(t *testing.T, wires []string, handler http.Handler, test func(t *testing.T, base string)) {
	t.Helper()
	for _, wire := range wires {
		t.Run(wire, func(t *testing.T) { test(t, serve(t, wire, handler)) })
	}
}

// wiresFor are those for a path. What is cut is cut over TCP: a reset of a stream takes
// with it, over QUIC, what has not arrived.
func wiresFor(path string) []string {
	if strings.HasSuffix(path, "/cut") {
		return wires
	}

	return allWires
}

// session makes an ephemeral session that trusts the tests' servers; change may
// be nil.
func session(t testing.TB, change func(*urlsession.Configuration)) *urlsession.Session {
	t.Helper()

	return delegated(t, nil, change)
}

func get(t testing.TB, url string) *urlsession.Request {
	t.Helper()

	return request(t, http.MethodGet, url, nil)
}

func request(t testing.TB, method, url string, body *urlsession.Body) *urlsession.Request {
	t.Helper()
	req, err := urlsession.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}

	return req
}

// load is Data that must succeed.
func load(t testing.TB, s *urlsession.Session, req *urlsession.Request) (string, *urlsession.Response) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	data, resp, err := s.Data(ctx, req)
	if err != nil {
		t.Fatalf("%v: %v", req, err)
	}

	return string(data), resp
}

// wantCode fails the test unless err is one *Error with the code and every one
// of the causes beneath.
func wantCode(t testing.TB, err error, code urlsession.Code, causes ...error) {
	t.Helper()
	var e *urlsession.Error
	if !errors.As(err, &e) || err != error(e) {
		t.Fatalf("error %v (%T) is no *Error", err, err)
	}
	if e.Code != code {
		t.Fatalf("error %v has code %v, want %v", err, e.Code, code)
	}
	for _, cause := range causes {
		if !errors.Is(err, cause) {
			t.Errorf("error %v does not wrap %v", err, cause)
		}
	}
}
