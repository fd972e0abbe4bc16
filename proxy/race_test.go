package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

// network is a network in memory for tests of timing: what each address does.
type network struct {
	behaviour map[string]behaviour

	mu     sync.Mutex
	start  time.Time
	log    []string // "address at 250ms", in the order of starting
	opened int
	closed int
}

// behaviour is when an attempt ends, and how. after < 0: never.
type behaviour struct {
	after time.Duration
	err   error
}

func (n *network) connect(ctx context.Context, _ string, addr netip.AddrPort) (net.Conn, error) {
	n.mu.Lock()
	n.log = append(n.log, fmt.Sprintf("%v at %v", addr.Addr(), time.Since(n.start)))
	b, known := n.behaviour[addr.Addr().String()]
	n.mu.Unlock()
	if !known {
		b.after = -1
	}
	if b.after >= 0 {
		timer := time.NewTimer(b.after)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	} else {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if b.err != nil {
		return nil, b.err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.opened++
	ours, _ := net.Pipe()

	return &counted{ours, n, addr.Addr().String()}, nil
}

type counted struct {
	net.Conn
	network *network
	addr    string
}

func (c *counted) Close() error {
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	c.network.closed++

	return c.Conn.Close()
}

type fixed []netip.Addr

func (f fixed) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) { return f, nil }

func parseAll(texts ...string) fixed {
	list := make(fixed, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParseAddr(text)
	}

	return list
}

var refused = behaviour{0, syscall.ECONNREFUSED}

// raceRow is one dial in a network, and how it ends.
type raceRow struct {
	name   string
	addrs  fixed
	net    map[string]behaviour
	dialer Dialer
	winner string // "" none
	after  time.Duration
	log    string
	err    error
}

var raceRows = []raceRow{
	{
		"the first is quick", parseAll("2001:db8::1", "192.0.2.1"),
		map[string]behaviour{"2001:db8::1": {after: 100 * time.Millisecond}},
		Dialer{},
		"2001:db8::1", 100 * time.Millisecond, "2001:db8::1 at 0s", nil,
	},
	{
		"the first swallows packets", parseAll("2001:db8::1", "2001:db8::2", "192.0.2.1"),
		map[string]behaviour{"192.0.2.1": {after: 30 * time.Millisecond}},
		Dialer{},
		"192.0.2.1", 280 * time.Millisecond, "2001:db8::1 at 0s, 192.0.2.1 at 250ms", nil,
	},
	{
		"a failure starts the next at once", parseAll("192.0.2.1", "192.0.2.2"),
		map[string]behaviour{"192.0.2.1": refused, "192.0.2.2": {}},
		Dialer{},
		"192.0.2.2", 0, "192.0.2.1 at 0s, 192.0.2.2 at 0s", nil,
	},
	{
		"each delay starts one more", parseAll("2001:db8::1", "2001:db8::2", "192.0.2.1"),
		map[string]behaviour{"2001:db8::2": {after: 10 * time.Millisecond}},
		Dialer{},
		"2001:db8::2", 510 * time.Millisecond, "2001:db8::1 at 0s, 192.0.2.1 at 250ms, 2001:db8::2 at 500ms", nil,
	},
	{
		"a failure within a delay starts the next at once", parseAll("192.0.2.1", "192.0.2.2", "192.0.2.3"),
		map[string]behaviour{"192.0.2.2": {50 * time.Millisecond, syscall.ECONNREFUSED}, "192.0.2.3": {}},
		Dialer{},
		"192.0.2.3", 300 * time.Millisecond, "192.0.2.1 at 0s, 192.0.2.2 at 250ms, 192.0.2.3 at 300ms", nil,
	},
	{
		"no way by one family", parseAll("2001:db8::1", "192.0.2.1"),
		map[string]behaviour{"2001:db8::1": {err: syscall.ENETUNREACH}, "192.0.2.1": {}},
		Dialer{},
		"192.0.2.1", 0, "2001:db8::1 at 0s, 192.0.2.1 at 0s", nil,
	},
	{
		"a slow first one still wins", parseAll("192.0.2.1", "192.0.2.2"),
		map[string]behaviour{"192.0.2.1": {after: 400 * time.Millisecond}},
		Dialer{},
		"192.0.2.1", 400 * time.Millisecond, "192.0.2.1 at 0s, 192.0.2.2 at 250ms", nil,
	},
	{
		"a delay of one's own", parseAll("192.0.2.1", "192.0.2.2"),
		map[string]behaviour{"192.0.2.2": {}},
		Dialer{FallbackDelay: time.Second},
		"192.0.2.2", time.Second, "192.0.2.1 at 0s, 192.0.2.2 at 1s", nil,
	},
	{
		"both at once: one is closed", parseAll("192.0.2.1", "192.0.2.2"),
		map[string]behaviour{"192.0.2.1": {after: 300 * time.Millisecond}, "192.0.2.2": {after: 50 * time.Millisecond}},
		Dialer{},
		"*", 300 * time.Millisecond, "192.0.2.1 at 0s, 192.0.2.2 at 250ms", nil,
	},
	{
		"nobody answers", parseAll("192.0.2.1", "192.0.2.2"), nil,
		Dialer{},
		"", 30 * time.Second, "192.0.2.1 at 0s, 192.0.2.2 at 250ms", protocols.TimedOut,
	},
	{
		"a time-out of one's own", parseAll("192.0.2.1"), nil,
		Dialer{ConnectTimeout: time.Second},
		"", time.Second, "192.0.2.1 at 0s", os.ErrDeadlineExceeded,
	},
	{
		"no way at all", parseAll("192.0.2.1", "2001:db8::1"),
		map[string]behaviour{"192.0.2.1": {err: syscall.ENETUNREACH}, "2001:db8::1": {err: syscall.ENETUNREACH}},
		Dialer{},
		"", 0, "192.0.2.1 at 0s, 2001:db8::1 at 0s", protocols.NotConnectedToInternet,
	},
	{
		"a way, but refused", parseAll("192.0.2.1", "2001:db8::1"),
		map[string]behaviour{"192.0.2.1": refused, "2001:db8::1": {err: syscall.ENETUNREACH}},
		Dialer{},
		"", 0, "192.0.2.1 at 0s, 2001:db8::1 at 0s", protocols.CannotConnectToHost,
	},
	{
		"one after another", parseAll("192.0.2.1", "192.0.2.2", "192.0.2.3"),
		map[string]behaviour{"192.0.2.3": {}},
		Dialer{FallbackDelay: -1},
		"192.0.2.3", 20 * time.Second,
		"192.0.2.1 at 0s, 192.0.2.2 at 10s, 192.0.2.3 at 20s", nil,
	},
	{
		"one after another, in vain", parseAll("192.0.2.1", "192.0.2.2"), nil,
		Dialer{FallbackDelay: -1, ConnectTimeout: 2 * time.Second},
		"", 2 * time.Second,
		"192.0.2.1 at 0s, 192.0.2.2 at 1s", protocols.TimedOut,
	},
}

func TestRaceTiming(t *testing.T) {
	for _, row := range raceRows {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // fails if a goroutine is left
				n := &network{behaviour: row.net, start: time.Now()}
				d := row.dialer
				d.Resolver, d.connect = row.addrs, n.connect
				conn, err := d.DialContext(context.Background(), "tcp", "name.test:1")
				if took := time.Since(n.start); took != row.after {
					t.Errorf("took %v, want %v", took, row.after)
				}
				if log := strings.Join(n.log, ", "); log != row.log {
					t.Errorf("attempts: %s; want %s", log, row.log)
				}
				n.check(t, conn, err, row.winner, row.err)
			})
		})
	}
}

// check compares the outcome of a dial, and closes the connection.
func (n *network) check(t *testing.T, conn net.Conn, err error, winner string, want error) {
	t.Helper()
	if winner == "" {
		if !errors.Is(err, want) || conn != nil {
			t.Errorf("got %v, %v; want %v", conn, err, want)
		}
		if want != context.Canceled && errors.Is(err, context.Canceled) {
			t.Errorf("%v claims that the caller gave up", err)
		}
	} else if err != nil {
		t.Fatal(err)
	} else if got := conn.(*counted).addr; winner != "*" && got != winner {
		t.Errorf("%s won, want %s", got, winner)
	}
	if conn != nil {
		if n.opened-n.closed != 1 {
			t.Errorf("%d opened, %d closed", n.opened, n.closed)
		}
		conn.Close()
	}
	if n.opened != n.closed {
		t.Errorf("%d opened, %d closed", n.opened, n.closed)
	}
}

func TestCancelWhileRacing(t *testing.T) {
	for _, delay := range []time.Duration{0, -1} {
		for at := time.Millisecond; at < 800*time.Millisecond; at += 83 * time.Millisecond {
			synctest.Test(t, func(t *testing.T) {
				n := &network{start: time.Now()}
				d := Dialer{FallbackDelay: delay, Resolver: parseAll("192.0.2.1", "192.0.2.2"), connect: n.connect}
				ctx, cancel := context.WithCancel(context.Background())
				time.AfterFunc(at, cancel)
				conn, err := d.DialContext(ctx, "tcp", "name.test:1")
				if time.Since(n.start) != at || !errors.Is(err, protocols.Cancelled) {
					t.Errorf("cancelled at %v: ended after %v with %v", at, time.Since(n.start), err)
				}
				n.check(t, conn, err, "", context.Canceled)
			})
		}
	}
}

func TestCallersDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{start: time.Now()}
		d := Dialer{ConnectTimeout: -1, Resolver: parseAll("192.0.2.1", "192.0.2.2"), connect: n.connect}
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		_, err := d.DialContext(ctx, "tcp", "name.test:1")
		if time.Since(n.start) != time.Hour || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, protocols.TimedOut) {
			t.Errorf("after %v: %v", time.Since(n.start), err)
		}
	})
}

func TestInterleave(t *testing.T) {
	var many []string
	for i := range 40 {
		many = append(many, fmt.Sprintf("192.0.2.%d", i), fmt.Sprintf("::ffff:192.0.2.%d", i))
	}
	many = append(many, "2001:db8::1")
	for _, row := range []struct{ family, in, want string }{
		{"ip", "2001:db8::1 2001:db8::2 192.0.2.1 192.0.2.2", "2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2"},
		{"ip", "192.0.2.1 192.0.2.2 2001:db8::1", "192.0.2.1 2001:db8::1 192.0.2.2"},
		{"ip", "192.0.2.1 ::ffff:192.0.2.1 192.0.2.1", "192.0.2.1"},
		{"ip", "fe80::1%eth0 fe80::1%eth1", "fe80::1%eth0 fe80::1%eth1"},
		{"ip4", "2001:db8::1 192.0.2.1", "192.0.2.1"},
		{"ip6", "2001:db8::1 192.0.2.1", "2001:db8::1"},
	} {
		got := interleave(parseAll(strings.Fields(row.in)...), row.family)
		if !slices.Equal(got, parseAll(strings.Fields(row.want)...)) {
			t.Errorf("interleave(%s, %s) = %v", row.in, row.family, got)
		}
	}
	got := interleave(parseAll(many...), "ip")
	if len(got) != maxAddresses || got[1] != netip.MustParseAddr("2001:db8::1") {
		t.Errorf("of many: %d addresses, %v", len(got), got)
	}
}

func TestLocalFor(t *testing.T) {
	for peer, want := range map[string]string{
		"127.0.0.2": "127.0.0.1", "192.0.2.1": "0.0.0.0", "::1": "::1", "2001:db8::1": "::",
	} {
		if got := localFor(netip.MustParseAddr(peer)); got.String() != want {
			t.Errorf("localFor(%s) = %v, want %s", peer, got, want)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, addr := range []string{"host:80", "[::1]:443", "[fe80::1%eth0]:1", "bücher.example:80", ":", "[", "a\x00:1", "host:065"} {
		f.Add(addr)
	}
	f.Fuzz(func(t *testing.T, addr string) {
		got, err := parseTarget("tcp", addr)
		if err != nil {
			return
		}
		if got.port == 0 || !got.addr.IsValid() && (got.host == "" || len(got.host) > maxNameLength+1) {
			t.Errorf("parseTarget(%q) = %+v", addr, got)
		}
		for i := range len(got.host) {
			if c := got.host[i]; !got.addr.IsValid() && (c <= ' ' || c >= 0x7f) {
				t.Errorf("parseTarget(%q) lets %q through", addr, got.host)
			}
		}
	})
}
