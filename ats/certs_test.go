package ats

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"sync"
	"testing"
	"time"
)

// Keys are made once for all tests: RSA is dear.
var keys = map[string]func() crypto.Signer{
	"rsa1024": sync.OnceValue(func() crypto.Signer { return rsaKey(1024) }),
	"rsa2047": sync.OnceValue(func() crypto.Signer { return rsaKey(2047) }),
	"rsa2048": sync.OnceValue(func() crypto.Signer { return rsaKey(2048) }),
	"p224":    sync.OnceValue(func() crypto.Signer { return ecKey(elliptic.P224()) }),
	"p256":    sync.OnceValue(func() crypto.Signer { return ecKey(elliptic.P256()) }),
	"p256-ca": sync.OnceValue(func() crypto.Signer { return ecKey(elliptic.P256()) }),
	"p256-2":  sync.OnceValue(func() crypto.Signer { return ecKey(elliptic.P256()) }),
	"p384":    sync.OnceValue(func() crypto.Signer { return ecKey(elliptic.P384()) }),
	"ed25519": sync.OnceValue(func() crypto.Signer {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			panic(err)
		}

		return key
	}),
}

func rsaKey(bits int) crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}

	return key
}

func ecKey(curve elliptic.Curve) crypto.Signer {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		panic(err)
	}

	return key
}

// spec says what is odd about a certificate; the zero value is a good leaf for
// a.example, issued a day ago for 90 days.
type spec struct {
	name     string // common name; "" is a leaf's
	key      string // of keys; "" is p256
	issued   time.Time
	lifetime time.Duration
	usage    []x509.ExtKeyUsage // nil is serverAuth, empty is none
	hash     x509.SignatureAlgorithm
	ca       bool
}

// signed is a certificate and its key.
type signed struct {
	*x509.Certificate
	key crypto.Signer
}

// issue makes a certificate; without an issuer it signs itself.
func issue(t testing.TB, issuer *signed, s spec) *signed {
	t.Helper()

	if s.key == "" {
		s.key = "p256"
	}

	if s.issued.IsZero() {
		s.issued = time.Now().Add(-day)
	}

	if s.lifetime == 0 {
		s.lifetime = 90 * day
	}

	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: s.name},
		NotBefore: s.issued, NotAfter: s.issued.Add(s.lifetime), SignatureAlgorithm: s.hash,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: s.usage,
		BasicConstraintsValid: true, IsCA: s.ca,
	}

	switch {
	case s.ca:
		template.KeyUsage = x509.KeyUsageCertSign
	case s.usage == nil:
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}

	if !s.ca {
		template.DNSNames = []string{"a.example"}
	}

	key := keys[s.key]()
	if issuer == nil {
		issuer = &signed{template, key}
	}

	der, err := x509.CreateCertificate(rand.Reader, template, issuer.Certificate, key.Public(), issuer.key)
	if err != nil {
		t.Fatalf("certificate %+v: %v", s, err)
	}

	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("certificate %+v: %v", s, err)
	}

	return &signed{cert, key}
}

// root makes a self-signed authority.
func root(t testing.TB, s spec) *signed {
	t.Helper()

	s.ca = true
	if s.name == "" {
		s.name = "root"
	}

	if s.key == "" {
		s.key = "p256-ca"
	}

	if s.lifetime == 0 {
		s.lifetime = 3650 * day
	}

	return issue(t, nil, s)
}

// chainOf is the chain from a leaf up.
func chainOf(certs ...*signed) []*x509.Certificate {
	chain := make([]*x509.Certificate, len(certs))
	for i, c := range certs {
		chain[i] = c.Certificate
	}

	return chain
}

// forServer is the chain as a TLS server presents it.
func forServer(certs ...*signed) tls.Certificate {
	c := tls.Certificate{PrivateKey: certs[0].key, Leaf: certs[0].Certificate}
	for _, s := range certs {
		c.Certificate = append(c.Certificate, s.Raw)
	}

	return c
}

func poolOf(c *signed) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.Certificate)

	return pool
}
