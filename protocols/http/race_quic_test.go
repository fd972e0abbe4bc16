//go:build !urlkit_nohttp3

package http

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	nethttp "net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/http3server"
	"github.com/urlkit/urlkit/protocols"
)

func hello(w nethttp.ResponseWriter, r *nethttp.Request) { _, _ = io.WriteString(w, r.Proto) }

// newRelay3 starts a relay that ends with the test.
func newRelay3(t testing.TB, target string, random *rand.Rand) *http3server.Relay {
	t.Helper()
	r, err := http3server.NewRelay(target, random)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})

	return r
}

// closedPort is a UDP port where nothing listens.
func closedPort(t testing.TB) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	return conn.LocalAddr().String()
}

// forgetAll ends all idle connections.
func forgetAll(l *loader) {
	l.pool.mu.Lock()
	idle := slices.Clone(l.pool.idle)
	for _, c := range idle {
		l.pool.forget(c)
	}
	l.pool.mu.Unlock()
	endAll(idle)
}

// A network that swallows UDP, or a port that is closed, costs one head start. What
// follows does not wait, and HTTP/3 is tried again after the cool-down.
func TestBrokenPath(t *testing.T) {
	for name, hole := range map[string]func(testing.TB) string{"swallowed": blackHole, "refused": closedPort} {
		for _, tcp := range []string{"tls", "h2"} {
			t.Run(name+" "+tcp, func(t *testing.T) {
				const start, cool, slack = 150 * time.Millisecond, 400 * time.Millisecond, 150 * time.Millisecond
				_, client, server := start3(t, tcp, Config{}, hello)
				to := hole(t)
				client.packet.Store(&to)
				alone, _ := bestOf(t, client, Config{OmitsHTTP3: true}, server.URL)
				took, l := bestOf(t, client, Config{HTTP3HeadStart: start, HTTP3CoolDown: cool}, server.URL)
				if took[0] < start || took[0] > alone[0]+start+slack {
					t.Errorf("the first after %v, over TCP alone after %v", took[0], alone[0])
				}
				if next := slices.Max(took[1:]); next >= start {
					t.Errorf("%v: the next waited", took)
				}
				eventually(t, "a breakdown", func() bool {
					l.pool.mu.Lock()
					defer l.pool.mu.Unlock()

					return len(l.pool.breakdowns) == 1
				})
				client.packet.Store(nil)
				tried := client.packets.Load()
				if proto, _ := get3(t, l, server.URL, true); proto == "h3" || client.packets.Load() != tried {
					t.Errorf("HTTP/3 was tried during the cool-down (%s)", proto)
				}
				eventually(t, "HTTP/3 again", func() bool {
					proto, _ := get3(t, l, server.URL, true)

					return proto == "h3"
				})
				if _, blocked := l.pool.serviceFor(key{host: "x"}, true); blocked || len(l.pool.breakdowns) != 0 {
					t.Errorf("what works is remembered as broken: %v", l.pool.breakdowns)
				}
			})
		}
	}
}

// bestOf makes four requests, on connections of their own, by each of three fresh
// loaders: the machine may be busy. It gives how long each took at best, and the last
// loader.
func bestOf(t *testing.T, client *testClient, config Config, url string) (took [4]time.Duration, l *loader) {
	t.Helper()
	for range 3 {
		l = loaderFor(t, client, config, true)
		l.pool.patience = 2 * l.pool.config.HTTP3HeadStart
		for i := range took {
			began := time.Now()
			if proto, _ := get3(t, l, url, true); proto == "h3" {
				t.Errorf("request %d by %s", i, proto)
			}
			if now := time.Since(began); took[i] == 0 || now < took[i] {
				took[i] = now
			}
			forgetAll(l)
		}
	}

	return took, l
}

// A network that drops UDP costs two head starts, however many hosts speak HTTP/3,
// until one of them has served a request over it, or the path has changed.
func TestNetworkDropsUDP(t *testing.T) {
	const start = 200 * time.Millisecond
	_, client, server := start3(t, "h2", Config{}, hello)
	urls := []string{server.URL}
	for range 3 {
		urls = append(urls, other(t, client).URL)
	}
	hole := blackHole(t)
	best := [4]time.Duration{}
	var l *loader
	for range 3 { // the machine may be busy
		client.packet.Store(&hole)
		l = loaderFor(t, client, Config{HTTP3HeadStart: start}, true)
		for i, url := range urls {
			took := timed(t, l, url)
			if i < silentHosts && took < start {
				t.Errorf("host %d after %v, before the head start was over", i, took)
			}
			if best[i] == 0 || took < best[i] {
				best[i] = took
			}
		}
	}
	if late := slices.Max(best[silentHosts:]); late >= start {
		t.Errorf("at best %v", best)
	}
	forgetAll(l)
	l.pool.pathChanged()
	if took := timed(t, l, other(t, client).URL); took < start {
		t.Errorf("another path: after %v", took)
	}
	if took := timed(t, l, other(t, client).URL); took < start {
		t.Errorf("another path: the second after %v", took)
	}
	client.packet.Store(nil)
	fine := other(t, client)
	eventually(t, "HTTP/3", func() bool {
		proto, _ := get3(t, l, fine.URL, true)

		return proto == "h3"
	})
	client.packet.Store(&hole)
	if took := timed(t, l, other(t, client).URL); took < start {
		t.Errorf("after HTTP/3 worked: after %v", took)
	}
}

// other is one more server.
func other(t *testing.T, client *testClient) *server3 {
	t.Helper()

	return serve3(t, client, "h2", nil, nethttp.HandlerFunc(hello))
}

// timed is how long a GET takes, which goes over TCP.
func timed(t *testing.T, l *loader, url string) time.Duration {
	t.Helper()
	began := time.Now()
	if proto, _ := get3(t, l, url, true); proto != "h2" {
		t.Errorf("%s by %s", url, proto)
	}

	return time.Since(began)
}

// Each failure that follows another doubles the cool-down.
func TestCoolDownDoubles(t *testing.T) {
	l := loaderFor(t, &testClient{}, Config{HTTP3CoolDown: time.Second}, true)
	p, k := l.pool, key{host: "a.example"}
	want := time.Second
	for range 20 {
		p.breakDown(k)
		p.breakDown(k) // at the same time: counts once
		b := p.breakdowns[k]
		if left := time.Until(b.until); left > want || left < want-time.Second/2 {
			t.Fatalf("%v are left, want %v", left, want)
		}
		want = min(2*want, longestCoolDown)
		b.until = time.Now()
		p.breakdowns[k] = b
	}
	if p.works(k); p.blocked(k) {
		t.Error("still blocked after a success")
	}
	for i := range 2 * maxOrigins {
		p.breakDown(key{host: fmt.Sprint(i)})
	}
	if len(p.breakdowns) > maxOrigins {
		t.Errorf("%d hosts are remembered", len(p.breakdowns))
	}
}

// Where TCP fails the load waits for HTTP/3, but not for ever.
func TestNothingButHTTP3(t *testing.T) {
	l, client, server := start3(t, "", Config{HTTP3HeadStart: time.Millisecond}, hello)
	relay := newRelay3(t, strings.TrimPrefix(server.URL, "https://"), nil)
	client.packet.Store(&relay.Addr)
	if proto, _ := get3(t, l, server.URL, true); proto != "h3" {
		t.Errorf("by %s", proto)
	}
	relay.Die()
	other := loaderFor(t, client, Config{HTTP3HeadStart: time.Millisecond}, true)
	other.pool.patience = 300 * time.Millisecond
	req := request3(t, "GET", server.URL, nil)
	req.AssumesHTTP3Capable = true
	_, _, err := fetch(t.Context(), other, req)
	var refused *net.OpError
	if !errors.As(err, &refused) || refused.Op != "dial" {
		t.Errorf("neither way gives %v", err)
	}
}

// A connection whose path dies in the middle of a body fails the load, and the next go
// over TCP at once.
func TestDiesInMidDownload(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	l, client, server := start3(t, "h2", Config{HTTP3HeadStart: attemptPatience}, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		for i := 0; i < 64 && r.URL.Path == "/big"; i++ {
			if _, err := io.WriteString(w, big); err != nil {
				return
			}
		}
	})
	l.pool.http3.idle = time.Second
	relay := newRelay3(t, strings.TrimPrefix(server.URL, "https://"), nil)
	relay.DieAfter(4 << 20)
	client.packet.Store(&relay.Addr)
	req := request3(t, "GET", server.URL+"/big", nil)
	req.AssumesHTTP3Capable = true
	resp, body, err := fetch(t.Context(), l, req)
	if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, protocols.NetworkConnectionLost) || resp.Proto != "h3" || len(body) == 0 || len(body) >= 64<<20 {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	began := time.Now()
	if proto, _ := get3(t, l, server.URL, true); proto != "h2" || time.Since(began) >= attemptPatience {
		t.Errorf("the next by %s after %v", proto, time.Since(began))
	}
}

// A path that dies between two requests costs the second one some seconds, and it may
// be sent again.
func TestDiesWhileIdle(t *testing.T) {
	l, client, server := start3(t, "h2", Config{}, hello)
	relay := newRelay3(t, strings.TrimPrefix(server.URL, "https://"), nil)
	client.packet.Store(&relay.Addr)
	if proto, _ := get3(t, l, server.URL, true); proto != "h3" {
		t.Fatal(proto)
	}
	relay.Die()
	began := time.Now()
	_, _, err := fetch(t.Context(), l, request3(t, "GET", server.URL, nil))
	if took := time.Since(began); !errors.Is(err, protocols.ErrStaleConnection) || took > acknowledged+3*time.Second {
		t.Errorf("%v after %v", err, took)
	}
	if proto, _ := get3(t, l, server.URL, true); proto != "h2" {
		t.Errorf("the next by %s", proto)
	}
}

// What is lost, repeated, late and out of order is QUIC's affair: every request ends in
// the right bytes.
func TestBadNetwork(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 3))
	const each = 100
	l, client, server := start3(t, "", Config{HTTP3HeadStart: 2 * time.Second}, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
		_, _ = io.WriteString(w, strings.Repeat(r.URL.Path, 300))
	})
	l.pool.patience = 20 * time.Second
	relay := newRelay3(t, strings.TrimPrefix(server.URL, "https://"), rng)
	client.packet.Store(&relay.Addr)
	errs := make(chan error)
	for worker := range 5 {
		go func() {
			errs <- func() error {
				for i := range each {
					path := fmt.Sprintf("/%d-%d", worker, i)
					req := request3(t, "POST", server.URL+path, &protocols.Body{Bytes: []byte(path), Length: int64(len(path))})
					req.AssumesHTTP3Capable = true
					resp, body, err := fetch(t.Context(), l, req)
					if err != nil || resp.Proto != "h3" || body != strings.Repeat(path, 301) {
						return fmt.Errorf("%s: %d bytes, %w", path, len(body), err)
					}
				}

				return nil
			}()
		}()
	}
	for range 5 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// A host has several addresses, and nothing answers at the first.
func TestSecondAddress(t *testing.T) {
	l, client, server := start3(t, "", Config{HTTP3HeadStart: 2 * time.Second}, hello)
	silent, err := net.ResolveUDPAddr("udp", blackHole(t))
	if err != nil {
		t.Fatal(err)
	}
	client.silent.Store(silent)
	k := keyOf(request3(t, "GET", server.URL, nil), true)
	l.pool.config.AlternativeServices.StoreServices(originKey(k), []protocols.AlternativeService{
		{Protocol: "h3", Host: "localhost", Port: server.port(), Expires: time.Now().Add(time.Hour)},
	})
	began := time.Now()
	if proto, _ := get3(t, l, server.URL, false); proto != "h3" || time.Since(began) > time.Second {
		t.Errorf("by %s after %v", proto, time.Since(began))
	}
	if n := client.packets.Load(); n != 2 {
		t.Errorf("%d sockets", n)
	}
}
