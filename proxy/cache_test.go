package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/proxy"
)

// counting gives one more address each time.
type counting struct {
	lookups atomic.Int32
	delay   time.Duration
	fail    atomic.Pointer[error]
}

func (c *counting) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	n := c.lookups.Add(1)
	select {
	case <-time.After(c.delay):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := c.fail.Load(); err != nil {
		return nil, *err
	}

	return []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(n)})}, nil
}

// expiring tells how long its answers hold.
type expiring struct {
	counting
	ttl time.Duration
}

func (e *expiring) LookupExpiring(ctx context.Context, network, host string) ([]netip.Addr, time.Duration, error) {
	addrs, err := e.LookupNetIP(ctx, network, host)

	return addrs, e.ttl, err
}

func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	leak.Check(t)
	synctest.Test(t, test)
}

func lookup(t *testing.T, c *proxy.Cache, host string) string {
	t.Helper()
	addrs, err := c.LookupNetIP(t.Context(), "ip", host)
	if err != nil {
		return err.Error()
	}

	return fmt.Sprint(addrs)
}

var (
	notFound error = &net.DNSError{Err: "no such host", Name: "a.example", IsNotFound: true}
	servfail error = &net.DNSError{Err: "server misbehaving", Name: "a.example", IsTemporary: true}
)

// An answer is asked for again when its time is over.
func TestCacheExpires(t *testing.T) {
	const long = 48 * time.Hour
	tests := []struct {
		name    string
		ttl     time.Duration // negative: not told
		unknown time.Duration
		err     error
		holds   time.Duration
	}{
		{"told", time.Minute, 0, nil, time.Minute},
		{"not at all", 0, 0, nil, 0},
		{"for very long", long, 0, nil, 24 * time.Hour},
		{"not told", -1, 0, nil, 10 * time.Second},
		{"not told, by configuration", -1, time.Hour, nil, time.Hour},
		{"not kept", -1, -1, nil, 0},
		{"no such name", 20 * time.Second, 0, notFound, 20 * time.Second},
		{"no such name for long", long, 0, notFound, 30 * time.Second},
		{"no such name, not told", -1, 0, notFound, time.Second},
		{"no such name, not kept", -1, -1, notFound, 0},
		{"a failure", time.Minute, 0, servfail, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				source := &expiring{ttl: tt.ttl}
				cache := &proxy.Cache{Resolver: source, UnknownTTL: tt.unknown}
				if tt.ttl < 0 {
					cache.Resolver = &source.counting
				}
				if tt.err != nil {
					source.fail.Store(&tt.err)
				}
				first := lookup(t, cache, "a.example")
				if tt.holds > 0 {
					<-time.After(tt.holds - 1)
					if got := lookup(t, cache, "A.Example."); got != first || source.lookups.Load() != 1 {
						t.Errorf("just before: %s after %d lookups, first %s", got, source.lookups.Load(), first)
					}
					<-time.After(time.Nanosecond)
				}
				lookup(t, cache, "a.example")
				if n := source.lookups.Load(); n != 2 {
					t.Errorf("after its time: %d lookups", n)
				}
			})
		})
	}
}

// Those who ask at one time are answered by one lookup, which ends with the last of
// them.
func TestCacheAsksOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		source := &counting{delay: time.Minute}
		cache := &proxy.Cache{Resolver: source}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 3)
		for _, ctx := range []context.Context{ctx, t.Context(), ctx} {
			go func() {
				_, err := cache.LookupNetIP(ctx, "ip", "a.example")
				ended <- err
			}()
			synctest.Wait()
		}
		if n := source.lookups.Load(); n != 1 {
			t.Errorf("%d lookups", n)
		}
		cancel()
		for range 2 {
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		if err := <-ended; err != nil {
			t.Errorf("the lookup ended with the first that left: %v", err)
		}
		if _, err := cache.LookupNetIP(ctx, "ip", "a.example"); !errors.Is(err, context.Canceled) {
			t.Errorf("a context that has ended: %v", err)
		}
		brief, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := cache.LookupNetIP(brief, "ip", "b.example") // alone, so that the lookup ends with it
		if synctest.Wait(); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// What was flushed is asked for again, and what is on its way then is not kept.
func TestCacheFlush(t *testing.T) {
	bubble(t, func(t *testing.T) {
		source := &expiring{ttl: time.Hour}
		cache := &proxy.Cache{Resolver: source}
		lookup(t, cache, "a.example")
		cache.Flush()
		source.delay = time.Minute
		done := make(chan string)
		go func() { done <- lookup(t, cache, "a.example") }()
		synctest.Wait()
		cache.Flush()
		<-done
		source.delay = 0
		if got := lookup(t, cache, "a.example"); got != "[192.0.2.3]" {
			t.Errorf("%s, want the third answer", got)
		}
		lookup(t, cache, "a.example")
		if n := source.lookups.Load(); n != 3 {
			t.Errorf("%d lookups", n)
		}
	})
}

// Whoever asks after a flush gets no answer to a question from before it.
func TestCacheFlushDuringALookup(t *testing.T) {
	bubble(t, func(t *testing.T) {
		source := &expiring{counting: counting{delay: time.Minute}, ttl: time.Hour}
		cache := &proxy.Cache{Resolver: source}
		before, after := make(chan string), make(chan string)
		go func() { before <- lookup(t, cache, "a.example") }()
		synctest.Wait()
		cache.Flush()
		go func() { after <- lookup(t, cache, "a.example") }()
		if got := []string{<-before, <-after}; got[0] != "[192.0.2.1]" || got[1] != "[192.0.2.2]" {
			t.Errorf("before and after: %s", got)
		}
		if got := lookup(t, cache, "a.example"); got != "[192.0.2.2]" {
			t.Errorf("%s is kept", got)
		}
	})
}

// The names that are remembered are bounded.
func TestCacheIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		source := &expiring{}
		cache := &proxy.Cache{Resolver: source, MaximumEntries: 3}
		for i := range 5 {
			source.ttl = time.Duration(10-i) * time.Minute
			lookup(t, cache, fmt.Sprint(i, ".example"))
		}
		for _, kept := range []int{0, 1, 4} { // what expired first has made room
			lookup(t, cache, fmt.Sprint(kept, ".example"))
		}
		if n := source.lookups.Load(); n != 5 {
			t.Errorf("%d lookups, want 5", n)
		}
		lookup(t, cache, "2.example")
		if n := source.lookups.Load(); n != 6 {
			t.Errorf("%d lookups, want 6: one is remembered beyond the bound", n)
		}
	})
}

// A connection that cannot be made makes the cache forget the host.
func TestCacheOfADialer(t *testing.T) {
	source := &expiring{ttl: time.Hour}
	d := &proxy.Dialer{Resolver: &proxy.Cache{Resolver: local{source}}}
	addr := net.JoinHostPort("a.example", closedPort(t))
	for range 2 {
		if _, err := d.Dial(t.Context(), nil, proxy.Parameters{}, "tcp", addr); err == nil {
			t.Fatal("connected to a closed port")
		}
	}
	if n := source.lookups.Load(); n != 2 {
		t.Errorf("%d lookups of a host that does not answer, want 2", n)
	}
	addr = net.JoinHostPort("b.example", listen(t, "127.0.0.1"))
	dial := func(p proxy.Parameters) {
		t.Helper()
		c, err := d.Dial(t.Context(), nil, p, "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	dial(proxy.Parameters{})
	dial(proxy.Parameters{})
	if n := source.lookups.Load(); n != 3 {
		t.Errorf("%d lookups, want 3: one of them for two connections", n)
	}
	d.Flush()
	dial(proxy.Parameters{})
	if n := source.lookups.Load(); n != 4 {
		t.Errorf("%d lookups, want 4: one of them after Flush", n)
	}
}

// local gives loopback for every answer.
type local struct{ *expiring }

func (l local) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	addrs, _, err := l.LookupExpiring(ctx, network, host)

	return addrs, err
}

func (l local) LookupExpiring(ctx context.Context, network, host string) ([]netip.Addr, time.Duration, error) {
	_, ttl, err := l.expiring.LookupExpiring(ctx, network, host)

	return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, ttl, err
}

type panicking struct{}

func (panicking) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) { panic("oh") }

// A resolver that panics loses the dial, not the program.
func TestCacheOfABadResolver(t *testing.T) {
	leak.Check(t)
	d := &proxy.Dialer{Resolver: &proxy.Cache{Resolver: panicking{}}}
	_, err := d.Dial(t.Context(), nil, proxy.Parameters{}, "tcp", "a.example:80")
	var dial *proxy.DialError
	if !errors.As(err, &dial) || dial.Code != protocols.DNSLookupFailed || !strings.Contains(err.Error(), "panicked: oh") {
		t.Error(err)
	}
}
