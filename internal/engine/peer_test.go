package engine_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/proxy"
)

// authority signs certificates for the tests' peers.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}

	return key
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(240 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert = sign(t, template, template, a.key.Public(), a.key)

	return a
}

func sign(t testing.TB, template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}

	return c
}

// leaf is a server's certificate for these hosts; change may spoil it.
func (a *authority) leaf(t testing.TB, change func(*x509.Certificate), hosts ...string) tls.Certificate {
	t.Helper()
	template := newTemplate(hosts...)
	if change != nil {
		change(template)
	}
	key := newKey(t)
	c := sign(t, template, a.cert, key.Public(), a.key)

	return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key, Leaf: c}
}

func newTemplate(hosts ...string) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}

	return template
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)

	return p
}

// listener serves connections on loopback and keeps what it received.
type listener struct {
	addr string

	mu   sync.Mutex
	got  []byte
	done int
	end  sync.Cond
}

// received is what came over the connections that d made. It waits for their end.
func (l *listener) received(d *to) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.done < d.dialled() {
		l.end.Wait()
	}

	return string(l.got)
}

// tapped is a peer's end, whose reads are kept.
type tapped struct {
	net.Conn
	of *listener
}

func (c tapped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.of.got = append(c.of.got, p[:n]...)

	return n, err
}

// serve runs handle for each connection; it and its connection end with the test.
func serve(t testing.TB, handle func(net.Conn)) *listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{addr: ln.Addr().String()}
	l.end.L = &l.mu
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer func() { _ = conn.Close() }()
				_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
				handle(tapped{conn, l})
				l.mu.Lock()
				defer l.mu.Unlock()
				l.done++
				l.end.Broadcast()
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		all.Wait()
	})

	return l
}

// echoes answers each line of a connection.
func echoes(conn net.Conn) {
	buf := make([]byte, 4<<10)
	for {
		n, err := conn.Read(buf)
		if n > 0 {
			if _, err := conn.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// to dials one address whatever is asked for, and keeps what was asked.
type to struct {
	addr string

	mu    sync.Mutex
	asked []string
}

func (d *to) Dial(ctx context.Context, trace *protocols.Trace, p proxy.Parameters, network, addr string) (net.Conn, error) {
	d.mu.Lock()
	d.asked = append(d.asked, addr)
	d.mu.Unlock()

	return (&proxy.Dialer{}).Dial(ctx, trace, p, network, d.addr)
}

func (d *to) DialPacket(ctx context.Context, trace *protocols.Trace, p proxy.Parameters, addr string) (net.PacketConn, []net.Addr, error) {
	d.mu.Lock()
	d.asked = append(d.asked, addr)
	d.mu.Unlock()

	return (&proxy.Dialer{}).DialPacket(ctx, trace, p, d.addr)
}

func (d *to) dialled() int {
	d.mu.Lock()
	defer d.mu.Unlock()

	return len(d.asked)
}
