package conformance_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/urlkit/urlkit/conformance"
	"github.com/urlkit/urlkit/protocols"
)

const serverName = "fixture.test"

// server speaks frame's language.
type server struct {
	listener net.Listener
	done     sync.WaitGroup

	mu       sync.Mutex
	conns    map[net.Conn]bool
	uploaded []byte
}

func serve(l net.Listener) *server {
	s := &server{listener: l, conns: make(map[net.Conn]bool)}
	s.done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[conn] = true
			s.mu.Unlock()
			s.done.Go(func() {
				s.answer(conn)
				_ = conn.Close()
				s.mu.Lock()
				defer s.mu.Unlock()
				delete(s.conns, conn)
			})
		}
	})

	return s
}

func (s *server) close() error {
	err := s.listener.Close()
	s.mu.Lock()
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.done.Wait()

	return err
}

func (s *server) received() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.uploaded
}

var (
	page   = []byte(strings.Repeat("a page of some length. ", 60))
	middle = bytes.Repeat([]byte("0123456789abcdef"), 20<<10)
)

func (s *server) answer(conn net.Conn) {
	r := bufio.NewReader(conn)
	var method, path, credential string
	var length int64
	if _, err := fmt.Fscanf(r, "%s %s %d %s\n", &method, &path, &length, &credential); err != nil {
		return
	}
	body, err := io.ReadAll(io.LimitReader(r, length))
	if err != nil || int64(len(body)) < length {
		return
	}
	reply := func(status int, body []byte, target string) {
		_, _ = conn.Write(append(fmt.Appendf(nil, "%d %d text/plain %s\n", status, len(body), target), body...))
	}
	switch path {
	case "/page":
		reply(200, page, "-")
	case "/middle":
		reply(200, middle, "-")
	case "/empty":
		reply(200, nil, "-")
	case "/interim":
		reply(100, nil, "-")
		reply(200, []byte("after an interim response"), "-")
	case "/large":
		_, _ = fmt.Fprintf(conn, "200 %d text/plain -\n", conformance.MinimumLarge)
		for i := 0; i < conformance.MinimumLarge; i += 64 << 10 {
			if _, err := conn.Write(middle[:64<<10]); err != nil {
				return
			}
		}
	case "/redirect":
		reply(302, nil, "/page")
	case "/secret":
		if credential != "ada:lovelace" {
			reply(401, []byte("who is there?"), "-")

			return
		}
		reply(200, page, "-")
	case "/upload":
		s.mu.Lock()
		s.uploaded = body
		s.mu.Unlock()
		reply(200, []byte("thank you"), "-")
	case "/connection":
		reply(101, nil, "-")
		_, _ = io.Copy(io.Discard, r)
	default:
		reply(404, []byte("there is no such thing"), "-")
	}
}

// frameFixture is all that frame can do.
func frameFixture(context.Context) (*conformance.Fixture, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := serve(l)
	f := fixtureAt("frame://"+serverName, s)
	f.Hosts = map[string]string{serverName: l.Addr().String()}

	return f, nil
}

// framesFixture is the same inside TLS.
func framesFixture(context.Context) (*conformance.Fixture, error) {
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate().Certificate}})
	if err != nil {
		return nil, err
	}
	s := serve(l)
	f := fixtureAt("frames://"+serverName, s)
	f.Hosts = map[string]string{serverName: l.Addr().String()}
	f.RootCAs = certificate().pool

	return f, nil
}

func fixtureAt(origin string, s *server) *conformance.Fixture {
	return &conformance.Fixture{
		Content: []conformance.Content{
			{URL: origin + "/page", Bytes: page, MIMEType: "text/plain"},
			{URL: origin + "/middle", Bytes: middle},
			{URL: origin + "/empty", Bytes: []byte{}},
			{URL: origin + "/interim", Bytes: []byte("after an interim response")},
		},
		Large:         conformance.Content{URL: origin + "/large", Size: conformance.MinimumLarge},
		Missing:       origin + "/missing",
		MissingStatus: 404,
		Redirect:      origin + "/redirect",
		Target:        origin + "/page",
		Challenge:     conformance.Content{URL: origin + "/secret", Bytes: page},
		Credential:    &protocols.Credential{User: "ada", Password: "lovelace"},
		Upload:        conformance.Upload{URL: origin + "/upload", Received: s.received},
		Connection:    origin + "/connection",
		Close:         s.close,
	}
}

func memoryFixture(context.Context) (*conformance.Fixture, error) {
	text := func(name string) []byte { return []byte(strings.Repeat(name+" ", 400)) }

	return &conformance.Fixture{
		Content: []conformance.Content{
			{URL: "memory:///one", Bytes: text("one"), MIMEType: "text/plain"},
			{URL: "memory:///two", Bytes: text("two")},
		},
		Missing: "memory:///missing",
		Silent:  "memory:///silent",
		Slow:    "memory:///slow",
	}, nil
}

type authority struct {
	tls.Certificate
	pool *x509.CertPool
}

// certificate is that of serverName, made once.
var certificate = sync.OnceValue(func() authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: serverName}, DNSNames: []string{serverName},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)

	return authority{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool}
})
