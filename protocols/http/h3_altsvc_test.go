//go:build !urlkit_nohttp3

package http

import (
	"context"
	"errors"
	"io"
	"net"
	nethttp "net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

// What an origin says over TCP is followed for the requests to come, on a port of its
// choice, and its server is told by what name it was reached.
func TestAltSvc(t *testing.T) {
	var field atomic.Pointer[string]
	used := make(chan string, 100)
	handler := func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if f := field.Load(); f != nil {
			w.Header().Set("Alt-Svc", *f)
		}
		if r.ProtoMajor == 3 {
			used <- r.Header.Get("Alt-Used")
		}
		_, _ = io.WriteString(w, r.Proto)
	}
	for _, tcp := range []string{"tls", "h2"} {
		t.Run(tcp, func(t *testing.T) {
			l, client, server := start3(t, tcp, Config{}, handler)
			host, port, _ := net.SplitHostPort(server.udp.LocalAddr().String())
			field.Store(nil)
			for len(used) > 0 {
				<-used
			}
			for range 2 {
				if proto, _ := get3(t, l, server.URL, false); proto == "h3" {
					t.Error("HTTP/3 without a reason")
				}
			}
			if n := client.packets.Load(); n != 0 {
				t.Errorf("%d sockets without a reason", n)
			}
			say := `h2=":1", h3=":` + port + `"; ma=60`
			field.Store(&say)
			eventually(t, "HTTP/3", func() bool {
				proto, _ := get3(t, l, server.URL, false)

				return proto == "h3"
			})
			if got, want := <-used, net.JoinHostPort(host, port); got != want {
				t.Errorf("Alt-Used: %q, want %q", got, want)
			}
			clearing := "clear"
			field.Store(&clearing)
			get3(t, l, server.URL, false)
			forgetAll(l)
			if proto, _ := get3(t, l, server.URL, false); proto == "h3" {
				t.Error("HTTP/3 after clear")
			}
		})
	}
}

// The certificate of an alternative has to be the origin's.
func TestAltSvcOfAnother(t *testing.T) {
	l, client, server := start3(t, "h2", Config{HTTP3HeadStart: 2 * time.Second}, hello)
	_, port, _ := net.SplitHostPort(server.udp.LocalAddr().String())
	k := keyOf(request3(t, "GET", "https://other.invalid:"+port+"/", nil), true)
	l.pool.config.AlternativeServices.StoreServices(originKey(k), []protocols.AlternativeService{
		{Protocol: "h3", Host: "127.0.0.1", Port: server.port(), Expires: time.Now().Add(time.Hour)},
	})
	req := request3(t, "GET", "https://other.invalid:"+port+"/", nil)
	client.dial = func(ctx context.Context, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", server.udp.LocalAddr().String())
	}
	_, _, err := fetch(t.Context(), l, req)
	if err == nil || client.packets.Load() != 1 || client.dials.Load() != 1 {
		t.Errorf("%v, %d sockets, %d connections", err, client.packets.Load(), client.dials.Load())
	}
	if !l.pool.blocked(k) {
		t.Error("the alternative would be tried again at once")
	}
}

// Without HTTP/3 in the configuration, in clear text, with a connection of its own, or
// on a route without datagrams nothing is tried.
func TestNoHTTP3(t *testing.T) {
	l, client, server := start3(t, "h2", Config{OmitsHTTP3: true}, hello)
	get3(t, l, server.URL, true)
	other := loaderFor(t, client, Config{}, true)
	for name, change := range map[string]func(*protocols.Request){
		"route":   func(r *protocols.Request) { r.Route.Packets = false },
		"bind":    func(r *protocols.Request) { r.Bind = "x" },
		"upgrade": func(r *protocols.Request) { r.Header.Set("Upgrade", "x"); r.Header.Set("Connection", "Upgrade") },
	} {
		req := request3(t, "GET", server.URL, nil)
		req.AssumesHTTP3Capable = true
		change(req)
		if resp, _, err := fetch(t.Context(), other, req); err != nil || resp.Proto == "h3" {
			t.Errorf("%s: %v, %v", name, resp, err)
		}
	}
	if n := client.packets.Load(); n != 0 {
		t.Errorf("%d sockets", n)
	}
}

// The DNS is asked for hosts of which nothing is known, once, and not for long.
func TestHTTPSRecords(t *testing.T) {
	var asked atomic.Int32
	var answer func(ctx context.Context, host string, port uint16) ([]protocols.AlternativeService, error)
	l, _, server := start3(t, "h2", Config{
		HTTPSRecords: func(ctx context.Context, host string, port uint16) ([]protocols.AlternativeService, error) {
			asked.Add(1)

			return answer(ctx, host, port)
		},
		HTTP3HeadStart: 2 * time.Second,
	}, hello)
	answer = func(_ context.Context, host string, port uint16) ([]protocols.AlternativeService, error) {
		if host != "127.0.0.1" || port != server.port() {
			t.Errorf("asked for %s port %d", host, port)
		}

		return []protocols.AlternativeService{{Protocol: "h3", Port: port, Expires: time.Now().Add(time.Hour)}}, nil
	}
	if proto, _ := get3(t, l, server.URL, false); proto != "h3" {
		t.Errorf("by %s", proto)
	}
	forgetAll(l)
	if proto, _ := get3(t, l, server.URL, false); proto != "h3" || asked.Load() != 1 {
		t.Errorf("by %s, asked %d times", proto, asked.Load())
	}
	for name, silent := range map[string]func(context.Context, string, uint16) ([]protocols.AlternativeService, error){
		"no answer": func(ctx context.Context, _ string, _ uint16) ([]protocols.AlternativeService, error) {
			<-ctx.Done()

			return nil, ctx.Err()
		},
		"an error": func(context.Context, string, uint16) ([]protocols.AlternativeService, error) {
			return nil, errors.New("why not")
		},
		"none": func(context.Context, string, uint16) ([]protocols.AlternativeService, error) { return nil, nil },
	} {
		answer = silent
		l := loaderFor(t, l.pool.client, Config{HTTPSRecords: answer, HTTP3HeadStart: time.Minute}, true)
		began := time.Now()
		if proto, _ := get3(t, l, server.URL, false); proto != "h2" || time.Since(began) > 3*time.Second {
			t.Errorf("%s: by %s after %v", name, proto, time.Since(began))
		}
		if len(l.pool.breakdowns) > 0 {
			t.Errorf("%s: counts as a breakdown", name)
		}
	}
}

// A connection moves to another socket where the network changes, and what does not
// work is tried again.
func TestPathChanged(t *testing.T) {
	if raceEnabled() {
		t.Skip("quic-go replaces what it sends by when a connection moves, and looks at it with each answer, without a lock")
	}
	l, client, server := start3(t, "h2", Config{}, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		_, _ = io.WriteString(w, r.RemoteAddr)
	})
	address := func() (string, bool) {
		req := request3(t, "GET", server.URL, nil)
		req.AssumesHTTP3Capable = true
		resp, body, err := fetch(t.Context(), l, req)
		if err != nil || resp.Proto != "h3" {
			t.Fatal(resp, err)
		}

		return body, resp.Reused
	}
	first, _ := address()
	l.pool.breakDown(key{host: "elsewhere"})
	l.pool.pathChanged()
	if len(l.pool.breakdowns) > 0 {
		t.Error("what was broken in another network counts in this one")
	}
	eventually(t, "another address", func() bool {
		now, reused := address()

		return reused && now != first
	})
	if n := client.packets.Load(); n != 2 {
		t.Errorf("%d sockets", n)
	}
	hole := blackHole(t)
	client.packet.Store(&hole)
	now, _ := address()
	if again, reused := address(); again != now || !reused {
		t.Errorf("%s, then %s, reused: %v", now, again, reused)
	}
}

func (s *server3) port() uint16 { return uint16(s.udp.LocalAddr().(*net.UDPAddr).Port) }

// A service that does not want the origin's requests is forgotten, though the DNS goes on
// to name it, and the session may send them again where it can.
func TestMisdirected(t *testing.T) {
	l, _, server := start3(t, "h2", Config{}, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if r.ProtoMajor == 3 {
			w.WriteHeader(nethttp.StatusMisdirectedRequest)
		}
	})
	l.pool.config.HTTPSRecords = func(context.Context, string, uint16) ([]protocols.AlternativeService, error) {
		return []protocols.AlternativeService{{Protocol: "h3", Port: server.port(), Expires: time.Now().Add(time.Hour)}}, nil
	}
	once := request3(t, "POST", server.URL, protocols.ReaderBody(io.MultiReader(strings.NewReader("x"))))
	if resp, _, err := fetch(t.Context(), l, once); err != nil || resp.StatusCode != nethttp.StatusMisdirectedRequest {
		t.Errorf("of a body that there is once: %v, %v", resp, err)
	}
	l.pool.pathChanged() // forgets that
	req := request3(t, "POST", server.URL, &protocols.Body{Bytes: []byte("x"), Length: 1})
	if _, _, err := fetch(t.Context(), l, req); !errors.Is(err, protocols.ErrNotSent) {
		t.Errorf("%v", err)
	}
	resp, _, err := fetch(t.Context(), l, req)
	if err != nil || resp.Proto != "h2" || resp.StatusCode != nethttp.StatusOK {
		t.Errorf("%v, %v", resp, err)
	}
}
