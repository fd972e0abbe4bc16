package http

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// testClient is the session's side: it dials loopback, or what dial says, and
// trusts one server.
type testClient struct {
	roots *x509.CertPool
	dial  func(ctx context.Context, addr string) (net.Conn, error)
	dials atomic.Int32

	looks   bool                        // connections tell whether they have ended
	packet  atomic.Pointer[string]      // where datagrams go; nil: where they are to
	packets atomic.Int32                // calls of DialPacket
	silent  atomic.Pointer[net.UDPAddr] // an address that each host has before its own; nil: none
	cache   tls.ClientSessionCache

	mu       sync.Mutex
	addrs    []string
	informed []*protocols.Response
}

func (c *testClient) Load(context.Context, *protocols.Request) (*protocols.Response, error) {
	return nil, errors.ErrUnsupported
}

func (c *testClient) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c.dials.Add(1)
	c.mu.Lock()
	c.addrs = append(c.addrs, addr)
	c.mu.Unlock()
	var conn net.Conn
	var err error
	if c.dial != nil {
		conn, err = c.dial(ctx, addr)
	} else {
		conn, err = new(net.Dialer).DialContext(ctx, network, addr)
	}
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })

	if c.looks {
		return &looking{watched{conn, stop}}, nil
	}

	return &watched{conn, stop}, nil
}

// looking is a connection that can tell whether it has ended, as those of a session can.
type looking struct{ watched }

func (l *looking) Ended() (ended, known bool) { return protocols.Ended(l.Conn) }

// peered is a socket that knows all addresses of the host it was made for.
type peered struct {
	*net.UDPConn
	peers []net.Addr
}

func (p *peered) Peers() []net.Addr { return p.peers }

type watched struct {
	net.Conn
	stop func() bool
}

func (w *watched) Close() error {
	w.stop()

	return w.Conn.Close()
}

func (w *watched) ConnInfo() *protocols.ConnInfo {
	return &protocols.ConnInfo{Local: w.LocalAddr(), Remote: w.RemoteAddr(), Proxied: true}
}

// DialPacket opens a socket, as package proxy does.
func (c *testClient) DialPacket(ctx context.Context, addr string) (net.PacketConn, net.Addr, error) {
	c.packets.Add(1)
	if to := c.packet.Load(); to != nil {
		addr = *to
	}
	peer, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return nil, nil, err
	}
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: peer.IP})
	if err != nil {
		return nil, nil, err
	}
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	if silent := c.silent.Load(); silent != nil && strings.HasPrefix(addr, "localhost:") {
		return &peered{conn, []net.Addr{silent, peer}}, silent, nil
	}

	return conn, peer, nil
}

func (c *testClient) TLSConfig(_ context.Context, host string) *tls.Config {
	return &tls.Config{RootCAs: c.roots, ServerName: host, ClientSessionCache: c.cache}
}

func (c *testClient) Authenticate(context.Context, *protocols.Challenge) (*protocols.Credential, error) {
	return nil, errors.ErrUnsupported
}

func (c *testClient) Inform(_ context.Context, r *protocols.Response) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.informed = append(c.informed, r)
}

// start makes a server and a loader for it; both end with the test.
func start(t testing.TB, kind string, config Config, handler nethttp.HandlerFunc) (*loader, *testClient, *httptest.Server) {
	t.Helper()
	leak.Check(t)
	server := httptest.NewUnstartedServer(handler)
	client := &testClient{}
	switch kind {
	case "h2":
		server.EnableHTTP2 = true
		server.StartTLS()
	case "tls":
		server.StartTLS()
	default:
		server.Start()
	}
	if server.TLS != nil {
		client.roots = x509.NewCertPool()
		client.roots.AddCert(server.Certificate())
	}
	t.Cleanup(server.Close)

	return loaderFor(t, client, config, server.TLS != nil), client, server
}

// loaderFor makes the loader as a registry does.
func loaderFor(t testing.TB, client protocols.Client, config Config, secure bool) *loader {
	t.Helper()
	scheme := Schemes(config)[0]
	if secure {
		scheme = Schemes(config)[1]
	}
	l := scheme.New(client).(*loader)
	t.Cleanup(func() { _ = l.Close() })

	return l
}

// serveRaw answers every connection with serve; it ends with the test.
func serveRaw(t testing.TB, serve func(c net.Conn, r *bufio.Reader)) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	running.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			running.Go(func() {
				defer c.Close()
				serve(c, bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		running.Wait()
	})

	return "http://" + listener.Addr().String()
}

// answer reads a request's head and writes raw bytes.
func answer(text string) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, r *bufio.Reader) {
		for {
			req, err := nethttp.ReadRequest(r)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
			if req.Header.Get("X-Then") == "close" {
				return
			}
		}
	}
}

func newRequest(t testing.TB, method, url string, body *protocols.Body) *protocols.Request {
	t.Helper()
	req, err := protocols.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}

	return req
}

// fetch loads and reads all; the body's error counts.
func fetch(ctx context.Context, l *loader, req *protocols.Request) (*protocols.Response, string, error) {
	resp, err := l.Load(ctx, req)
	if err != nil {
		return nil, "", err
	}
	data, err := io.ReadAll(resp.Body)
	if cerr := resp.Body.Close(); err == nil {
		err = cerr
	}

	return resp, string(data), err
}

func get(t testing.TB, l *loader, url string) (*protocols.Response, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	resp, body, err := fetch(ctx, l, newRequest(t, "GET", url, nil))
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}

	return resp, body
}

// counts gives the state of the one host that the pool knows.
func (p *pool) counts() (open, idle, waiting int, shared bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.hosts {
		open += h.open
		waiting += h.waiting.len()
		shared = shared || h.shared != nil
	}

	return open, len(p.idle), waiting, shared
}

// eventually waits for what another goroutine does.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); !done(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
