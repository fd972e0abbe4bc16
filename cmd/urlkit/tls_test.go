package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
)

// serveTLS starts a server with a certificate for 127.0.0.1, and gives the flag
// that trusts it.
func serveTLS(t *testing.T, auth tls.ClientAuthType) (url string, trust []string) {
	t.Helper()
	leak.Check(t)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto)
	}))
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{ClientAuth: auth}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	write(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))

	return s.URL, []string{"get", "--cacert", ca}
}

func TestTLSFlags(t *testing.T) {
	url, trust := serveTLS(t, tls.NoClientCert)
	try(t, "get", url).want(t, exitPeer)
	for flag, want := range map[string]string{"-s": "HTTP/2.0", "--http2": "HTTP/2.0", "--http1.1": "HTTP/1.1"} {
		if r := try(t, append(trust, flag, url)...).want(t, 0); r.out != want {
			t.Errorf("with %s: %q, want %s", flag, r.out, want)
		}
	}
	r := try(t, append(trust, "-v", url)...).want(t, 0)
	contains(t, "the report", r.err, "TLS 1.3 with TLS_", ", h2\n", "tls ")
	r = try(t, append(trust, "--json", url)...).want(t, 0)
	contains(t, "the record", r.out, `"protocol":"h2"`, `"tls":"TLS 1.3"`)
}

func TestClientCertificate(t *testing.T) {
	url, trust := serveTLS(t, tls.RequireAnyClientCert)
	cert, key := clientCertificate(t)
	both := filepath.Join(t.TempDir(), "both.pem")
	write(t, both, content(t, cert)+content(t, key))
	if r := try(t, append(trust, url)...); r.status != exitAsked && r.status != exitSend && r.status != exitReceive {
		t.Errorf("without one: exit status %d; the refusal, or the connection that it ends, is expected", r.status)
	}
	try(t, append(trust, "--cert", cert, "--key", key, url)...).want(t, 0)
	try(t, append(trust, "--cert", both, url)...).want(t, 0)
	try(t, append(trust, "--cert", cert, url)...).want(t, exitCertificate)
}

// clientCertificate makes the files of a certificate and its key.
func clientCertificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "client"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))

	return cert, key
}
