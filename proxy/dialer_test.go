package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/proxy"
)

// answers is a Resolver in memory.
type answers map[string][]netip.Addr

func (a answers) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	found, ok := a[host]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}

	return found, nil
}

type failingResolver struct{ err error }

func (r failingResolver) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, r.err
}

func addresses(texts ...string) []netip.Addr {
	list := make([]netip.Addr, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParseAddr(text)
	}

	return list
}

// listen gives a listener that accepts and closes, and its port.
func listen(t *testing.T, host string) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Skipf("no %s here: %v", host, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	_, port, _ = net.SplitHostPort(l.Addr().String())

	return port
}

// closedPort is a port of loopback that nobody listens on.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())

	return port
}

func TestDial(t *testing.T) {
	for _, row := range []struct{ name, network, listen, host, remote string }{
		{"IPv4 address", "tcp", "127.0.0.1", "127.0.0.1", "127.0.0.1"},
		{"IPv6 address", "tcp", "::1", "::1", "::1"},
		{"IPv4 in IPv6", "tcp4", "127.0.0.1", "::ffff:127.0.0.1", "127.0.0.1"},
		{"name", "tcp", "127.0.0.1", "one.test", "127.0.0.1"},
		{"final dot", "tcp", "127.0.0.1", "one.test.", "127.0.0.1"},
		{"international name", "tcp", "127.0.0.1", "bücher.test", "127.0.0.1"},
		{"first address refuses", "tcp", "127.0.0.1", "two.test", "127.0.0.1"},
		{"family 4 only", "tcp4", "127.0.0.1", "both.test", "127.0.0.1"},
		{"family 6 only", "tcp6", "::1", "both.test", "::1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			leak.Check(t)
			leak.CheckFiles(t)
			port := listen(t, row.listen)
			d := &proxy.Dialer{Resolver: answers{
				"one.test":           addresses("127.0.0.1"),
				"one.test.":          addresses("127.0.0.1"),
				"xn--bcher-kva.test": addresses("127.0.0.1"),
				"two.test":           addresses("127.0.0.77", "127.0.0.1"),
				"both.test":          addresses("::1", "127.0.0.1"),
			}}
			c, err := d.DialContext(context.Background(), row.network, net.JoinHostPort(row.host, port))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if got, want := c.RemoteAddr().String(), net.JoinHostPort(row.remote, port); got != want {
				t.Errorf("connected to %s, want %s", got, want)
			}
			if _, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("read gives %v", err)
			}
		})
	}
}

func TestSystemResolver(t *testing.T) {
	leak.Check(t)
	port := listen(t, "127.0.0.1")
	c, err := new(proxy.Dialer).DialContext(context.Background(), "tcp4", "localhost:"+port)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestSequence(t *testing.T) {
	leak.Check(t)
	port := listen(t, "127.0.0.1")
	d := &proxy.Dialer{
		FallbackDelay: -1,
		Resolver:      answers{"two.test": addresses("127.0.0.77", "127.0.0.1")},
	}
	c, err := d.DialContext(context.Background(), "tcp", "two.test:"+port)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestTrace(t *testing.T) {
	port := listen(t, "127.0.0.1")
	d := &proxy.Dialer{Resolver: answers{"one.test": addresses("127.0.0.1")}}
	for _, row := range []struct {
		host string
		dns  bool
	}{{"one.test", true}, {"127.0.0.1", false}} {
		var trace protocols.Trace
		c, err := d.Dial(context.Background(), &trace, proxy.Parameters{}, "tcp", row.host+":"+port)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		start, end := trace.Time(protocols.DomainLookupStart), trace.Time(protocols.DomainLookupEnd)
		connect := trace.Time(protocols.ConnectStart)
		if row.dns == start.IsZero() || row.dns == end.IsZero() || end.Before(start) || connect.Before(end) || connect.IsZero() {
			t.Errorf("%s: lookup from %v to %v, connecting at %v", row.host, start, end, connect)
		}
	}
}

func TestRefusedEverywhere(t *testing.T) {
	leak.Check(t)
	for _, delay := range []time.Duration{0, -1} {
		d := &proxy.Dialer{
			FallbackDelay: delay,
			Resolver:      answers{"two.test": addresses("127.0.0.77", "127.0.0.78")},
		}
		_, err := d.DialContext(context.Background(), "tcp", "two.test:"+closedPort(t))
		if !errors.Is(err, protocols.CannotConnectToHost) || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("got %v", err)
		}
		for _, addr := range []string{"127.0.0.77", "127.0.0.78"} {
			if !strings.Contains(err.Error(), addr) {
				t.Errorf("%q does not name %s", err, addr)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%q has several lines", err)
		}
	}
}

func TestErrors(t *testing.T) {
	leak.Check(t)
	long := strings.Repeat("a", 60) + "."
	dns := func(e net.DNSError) proxy.Resolver { return failingResolver{&e} }
	for _, row := range []struct {
		network, addr string
		resolver      proxy.Resolver
		want          protocols.Code
	}{
		{"tcp", "", answers{}, protocols.BadURL},
		{"tcp", "host", answers{}, protocols.BadURL},
		{"tcp", ":80", answers{}, protocols.BadURL},
		{"tcp", ".:80", answers{}, protocols.BadURL},
		{"tcp", "host:", answers{}, protocols.BadURL},
		{"tcp", "host:0", answers{}, protocols.BadURL},
		{"tcp", "host:65536", answers{}, protocols.BadURL},
		{"tcp", "host:-1", answers{}, protocols.BadURL},
		{"tcp", "host:http", answers{}, protocols.BadURL},
		{"tcp", "a\x00b:80", answers{}, protocols.BadURL},
		{"tcp", "a b:80", answers{}, protocols.BadURL},
		{"tcp", "user@host:80", answers{}, protocols.BadURL},
		{"tcp", "a\r\nb:80", answers{}, protocols.BadURL},
		{"tcp", "[::1%]:80", answers{}, protocols.BadURL},
		{"tcp", "[zz::1]:80", answers{}, protocols.BadURL},
		{"tcp", "::1:80", answers{}, protocols.BadURL},
		{"tcp", "\xff\xfe:80", answers{}, protocols.BadURL},
		{"tcp", strings.Repeat("ü", 2000) + ":80", answers{}, protocols.BadURL},
		{"tcp", strings.Repeat(long, 5) + "test:80", answers{}, protocols.BadURL},
		{"udp", "[::1:80", answers{}, protocols.BadURL},
		{"unix", "/tmp/socket", answers{}, protocols.BadURL},
		{"tcp5", "127.0.0.1:80", answers{}, protocols.BadURL},
		{"tcp6", "127.0.0.1:80", answers{}, protocols.CannotFindHost},
		{"tcp4", "[::1]:80", answers{}, protocols.CannotFindHost},
		{"tcp", "none.test:80", answers{}, protocols.CannotFindHost},
		{"tcp", "empty.test:80", answers{"empty.test": nil}, protocols.CannotFindHost},
		{"tcp", "zero.test:80", answers{"zero.test": {{}}}, protocols.CannotFindHost},
		{"tcp4", "six.test:80", answers{"six.test": addresses("::1")}, protocols.CannotFindHost},
		{"tcp", "x.test:80", dns(net.DNSError{IsTimeout: true}), protocols.TimedOut},
		{"tcp", "x.test:80", dns(net.DNSError{IsTemporary: true}), protocols.DNSLookupFailed},
		{"tcp", "x.test:80", failingResolver{errors.New("broken")}, protocols.DNSLookupFailed},
	} {
		t.Run(row.network+" "+row.addr[:min(len(row.addr), 20)], func(t *testing.T) {
			d := &proxy.Dialer{Resolver: row.resolver}
			c, err := d.DialContext(context.Background(), row.network, row.addr)
			if c != nil || !errors.Is(err, row.want) {
				t.Fatalf("got %v, %v; want %v", c, err, row.want)
			}
			var dialErr *proxy.DialError
			if !errors.As(err, &dialErr) || dialErr.Code != row.want {
				t.Errorf("%v is not a DialError of that code", err)
			}
			if timeout := row.want == protocols.TimedOut; dialErr.Timeout() != timeout || dialErr.Temporary() != timeout {
				t.Errorf("Timeout() = %v", dialErr.Timeout())
			}
			if len(err.Error()) > 1000 {
				t.Errorf("the text has %d bytes", len(err.Error()))
			}
		})
	}
}

// A machine without a network fails in the lookup, as package net words it.
func TestUnreachableNameServer(t *testing.T) {
	leak.Check(t)
	d := &proxy.Dialer{Resolver: failingResolver{
		&net.DNSError{Err: "dial udp 192.0.2.1:53: connect: " + syscall.ENETUNREACH.Error(), Name: "x.test"},
	}}
	if _, err := d.DialContext(t.Context(), "tcp", "x.test:80"); !errors.Is(err, protocols.NotConnectedToInternet) {
		t.Errorf("got %v", err)
	}
}

func TestCancelledBefore(t *testing.T) {
	leak.Check(t)
	port := listen(t, "127.0.0.1")
	reason := errors.New("changed my mind")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(reason)
	d := &proxy.Dialer{Resolver: answers{"two.test": addresses("127.0.0.1", "127.0.0.77")}}
	for _, host := range []string{"two.test", "127.0.0.1", "none.test"} {
		_, err := d.DialContext(ctx, "tcp", host+":"+port)
		if !errors.Is(err, protocols.Cancelled) || !errors.Is(err, context.Canceled) || !errors.Is(err, reason) {
			t.Errorf("%s: %v", host, err)
		}
		if _, _, err := d.DialPacket(ctx, nil, proxy.Parameters{}, host+":"+port); !errors.Is(err, reason) {
			t.Errorf("datagrams to %s: %v", host, err)
		}
	}
}

func TestDialPacket(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			leak.Check(t)
			leak.CheckFiles(t)
			server, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
			if err != nil {
				t.Skipf("no %s here: %v", host, err)
			}
			defer server.Close()
			_, port, _ := net.SplitHostPort(server.LocalAddr().String())
			d := &proxy.Dialer{Resolver: answers{"udp.test": addresses(host, "192.0.2.7")}}
			trace := &protocols.Trace{}
			conn, peers, err := d.DialPacket(context.Background(), trace, proxy.Parameters{}, "udp.test:"+port)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			peer := peers[0]
			if len(peers) != 2 || peers[1].String() != "192.0.2.7:"+port {
				t.Errorf("the peers are %v", peers)
			}
			for _, e := range []protocols.Event{protocols.DomainLookupStart, protocols.DomainLookupEnd, protocols.ConnectStart} {
				if trace.Time(e).IsZero() {
					t.Errorf("event %d was not marked", e)
				}
			}
			if _, ok := conn.(*net.UDPConn); !ok || peer.String() != server.LocalAddr().String() {
				t.Errorf("got a %T and peer %v", conn, peer)
			}
			if local := conn.LocalAddr().(*net.UDPAddr); !local.IP.IsLoopback() {
				t.Errorf("bound to %v, which is not loopback", local)
			}
			if _, err := conn.WriteTo([]byte("ping"), peer); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 8)
			n, from, err := server.ReadFrom(buf)
			if err != nil || string(buf[:n]) != "ping" || from.String() != conn.LocalAddr().String() {
				t.Errorf("the peer got %q from %v, %v", buf[:n], from, err)
			}
		})
	}
	if _, _, err := new(proxy.Dialer).DialPacket(context.Background(), nil, proxy.Parameters{}, "host:0"); !errors.Is(err, protocols.BadURL) {
		t.Errorf("port 0 gives %v", err)
	}
	d := &proxy.Dialer{Resolver: answers{}}
	if _, _, err := d.DialPacket(context.Background(), nil, proxy.Parameters{}, "none.test:1"); !errors.Is(err, protocols.CannotFindHost) {
		t.Errorf("no such host gives %v", err)
	}
}

func ExampleDialer() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	var d proxy.Dialer
	c, err := d.DialContext(context.Background(), "tcp", l.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Println(c.RemoteAddr().String() == l.Addr().String())
	// Output: true
}
