package ats

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// serve answers TLS handshakes on loopback until the test ends, one byte for each.
func serve(t *testing.T, cfg *tls.Config) (addr string) {
	t.Helper()

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	var running sync.WaitGroup

	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}

			running.Go(func() {
				defer conn.Close()

				conn.SetDeadline(time.Now().Add(10 * time.Second))

				if _, err := tls.Server(conn, cfg).Write([]byte{1}); err == nil {
					io.Copy(io.Discard, conn) // until the client has gone: closing with unread data would reset
				}
			})
		}
	})

	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})

	return l.Addr().String()
}

// connect makes one handshake and reads the byte, so that session tickets are read too.
func connect(t *testing.T, addr string, cfg *tls.Config) (tls.ConnectionState, error) {
	t.Helper()

	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()

	raw.SetDeadline(time.Now().Add(10 * time.Second))

	conn := tls.Client(raw, cfg)
	if err := conn.Handshake(); err != nil {
		return tls.ConnectionState{}, err
	}

	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatalf("after the handshake: %v", err)
	}

	return conn.ConnectionState(), nil
}

func TestHandshakeVersionsAndSuites(t *testing.T) {
	ca := root(t, spec{key: "rsa2048"})
	leaf := forServer(issue(t, ca, spec{key: "rsa2048"}))
	rsaKex := []uint16{
		tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA,
	}
	v10, v11, v12, v13 := uint16(tls.VersionTLS10), uint16(tls.VersionTLS11), uint16(tls.VersionTLS12), uint16(tls.VersionTLS13)

	for name, row := range map[string]struct {
		low, high uint16   // of the server
		suites    []uint16 // of the server
		floor     Floor
		version   uint16 // negotiated; 0: the handshake fails
	}{
		"default":                     {v12, v13, nil, Floor{}, v13},
		"TLS 1.2":                     {v12, v12, nil, Floor{}, v12},
		"TLS 1.1":                     {v10, v11, nil, Floor{}, 0},
		"TLS 1.1, floor 1.1":          {v10, v11, nil, Floor{MinVersion: v11}, v11},
		"TLS 1.0, floor 1.1":          {v10, v10, nil, Floor{MinVersion: v11}, 0},
		"TLS 1.0, floor 1.0":          {v10, v10, nil, Floor{MinVersion: v10}, v10},
		"TLS 1.1, no floor":           {v10, v11, nil, Floor{None: true, AllowsOverride: true}, 0},
		"TLS 1.2, floor 1.3":          {v10, v12, nil, Floor{MinVersion: v13}, 0},
		"TLS 1.3, floor 1.3":          {v10, v13, nil, Floor{MinVersion: v13}, v13},
		"RSA key exchange":            {v12, v12, rsaKex, Floor{}, 0},
		"RSA key exchange, allowed":   {v12, v12, rsaKex, Floor{AllowsRSAKeyExchange: true}, v12},
		"... for clear text too":      {v12, v12, rsaKex, Floor{AllowsRSAKeyExchange: true, AllowsOverride: true}, v12},
		"RSA AES-256-CBC, allowed":    {v12, v12, rsaKex[3:], Floor{AllowsRSAKeyExchange: true}, v12},
		"RSA key exchange in TLS 1.1": {v11, v11, rsaKex[2:3], Floor{MinVersion: v11, AllowsRSAKeyExchange: true}, v11},
		"RSA key exchange, no floor":  {v12, v12, rsaKex, Floor{None: true, AllowsOverride: true}, 0},
		"triple DES":                  {v12, v12, []uint16{tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}, Floor{AllowsRSAKeyExchange: true}, 0},
		"RC4":                         {v12, v12, []uint16{tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA}, Floor{}, 0},
		"CBC with SHA-256":            {v12, v12, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256}, Floor{}, 0},
		"CBC with SHA-1":              {v12, v12, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA}, Floor{}, v12},
		"ChaCha20":                    {v12, v12, []uint16{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256}, Floor{}, v12},
	} {
		addr := serve(t, &tls.Config{Certificates: []tls.Certificate{leaf}, MinVersion: row.low, MaxVersion: row.high, CipherSuites: row.suites})
		cfg := &tls.Config{ServerName: "a.example", RootCAs: poolOf(ca)}
		row.floor.Anchors = AppAnchors
		row.floor.Apply(cfg)

		cs, err := connect(t, addr, cfg)

		var trust *TrustError
		if errors.As(err, &trust) {
			t.Errorf("%s: %v", name, err)
		}

		if (err == nil) != (row.version != 0) || cs.Version != row.version {
			t.Errorf("%s: version %#x, error %v; want %#x", name, cs.Version, err, row.version)
		}
	}
}

// Each leaf that falls short does so in a real handshake, in both versions.
func TestHandshakeCertificates(t *testing.T) {
	ca := root(t, spec{})
	wrong := root(t, spec{key: "p256-2"})

	for name, row := range map[string]struct {
		leaf *signed
		want TrustRule
	}{
		"P-256":    {issue(t, ca, spec{}), passes},
		"RSA-2048": {issue(t, ca, spec{key: "rsa2048"}), passes},
		"RSA-1024": {issue(t, ca, spec{key: "rsa1024"}), KeySize},
		"Ed25519":  {issue(t, ca, spec{key: "ed25519"}), KeyType},
		"no usage": {issue(t, ca, spec{usage: []x509.ExtKeyUsage{}}), KeyUsage},
		"825 days": {issue(t, ca, spec{lifetime: 825 * day}), passes},
		"826 days": {issue(t, ca, spec{lifetime: 826 * day}), Lifetime},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			addr := serve(t, &tls.Config{Certificates: []tls.Certificate{forServer(row.leaf)}, MaxVersion: version})
			cfg := &tls.Config{ServerName: "a.example", RootCAs: poolOf(ca)}
			Floor{Anchors: AppAnchors}.Apply(cfg)

			_, err := connect(t, addr, cfg)
			if got := verdictOf(t, err); got != row.want {
				t.Errorf("%s, %s: %v, want %v", name, tls.VersionName(version), got, row.want)
			}
		}
	}

	// What crypto/tls refuses by itself stays its own error.
	for name, leaf := range map[string]*signed{"P-224": issue(t, ca, spec{key: "p224"}), "unknown root": issue(t, wrong, spec{})} {
		addr := serve(t, &tls.Config{Certificates: []tls.Certificate{forServer(leaf)}})
		cfg := &tls.Config{ServerName: "a.example", RootCAs: poolOf(ca)}
		Floor{Anchors: AppAnchors}.Apply(cfg)

		var trust *TrustError
		if _, err := connect(t, addr, cfg); err == nil || errors.As(err, &trust) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A resumed session is held to the floor of the connection that resumes it.
func TestResumedConnectionsAreVerified(t *testing.T) {
	ca := root(t, spec{})

	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for key, want := range map[string]TrustRule{"p256": passes, "rsa1024": KeySize} {
			leaf := forServer(issue(t, ca, spec{key: key}))
			addr := serve(t, &tls.Config{Certificates: []tls.Certificate{leaf}, MaxVersion: version})
			lax := &tls.Config{ServerName: "a.example", RootCAs: poolOf(ca), ClientSessionCache: tls.NewLRUClientSessionCache(1)}

			if _, err := connect(t, addr, lax); err != nil {
				t.Fatal(err)
			}

			resumed := 0
			strict := lax.Clone()
			strict.VerifyConnection = func(cs tls.ConnectionState) error {
				if cs.DidResume {
					resumed++
				}

				return nil
			}
			Floor{Anchors: AppAnchors}.Apply(strict)

			_, err := connect(t, addr, strict)
			if got := verdictOf(t, err); got != want || resumed != 1 {
				t.Errorf("%s, %s: %v after %d resumptions, want %v after one", key, tls.VersionName(version), got, resumed, want)
			}
		}
	}
}

func TestVerifyConnectionIsChained(t *testing.T) {
	ca := root(t, spec{})
	addr := serve(t, &tls.Config{Certificates: []tls.Certificate{forServer(issue(t, ca, spec{key: "rsa1024"}))}})
	mine := errors.New("mine")
	cfg := &tls.Config{ServerName: "a.example", RootCAs: poolOf(ca), VerifyConnection: func(tls.ConnectionState) error { return mine }}
	Floor{Anchors: AppAnchors}.Apply(cfg)

	if _, err := connect(t, addr, cfg); !errors.Is(err, mine) {
		t.Errorf("the verification that was there: %v", err)
	}
}

// Without verification by crypto/tls nothing passes by accident.
func TestInsecureSkipVerify(t *testing.T) {
	unknown := root(t, spec{})

	for name, row := range map[string]struct {
		floor Floor
		key   string
		want  TrustRule
	}{
		"required":                {Floor{}, "p256", Untrusted},
		"overridable":             {Floor{AllowsOverride: true}, "p256", passes},
		"overridable, weak":       {Floor{AllowsOverride: true}, "rsa1024", KeySize},
		"no floor, weak":          {Floor{None: true, AllowsOverride: true}, "rsa1024", passes},
		"none set by hand, alone": {Floor{None: true}, "p256", Untrusted},
	} {
		addr := serve(t, &tls.Config{Certificates: []tls.Certificate{forServer(issue(t, unknown, spec{key: row.key}), unknown)}})
		cfg := &tls.Config{ServerName: "a.example", InsecureSkipVerify: true}
		row.floor.Apply(cfg)

		_, err := connect(t, addr, cfg)
		if got := verdictOf(t, err); got != row.want {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
}

// An address is named in no handshake message; the error names it all the same.
func TestTrustErrorNamesAnAddress(t *testing.T) {
	ca := root(t, spec{})
	addr := serve(t, &tls.Config{Certificates: []tls.Certificate{forServer(issue(t, ca, spec{}))}})
	cfg := &tls.Config{ServerName: "127.0.0.1", InsecureSkipVerify: true}
	Floor{}.Apply(cfg)

	if _, err := connect(t, addr, cfg); err == nil || !strings.Contains(err.Error(), `"127.0.0.1"`) {
		t.Errorf("%v", err)
	}
}
