package urlsession_test

import (
	"cmp"
	"encoding/base64"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/proxy"
	"github.com/urlkit/urlkit/storage/cache"
	"github.com/urlkit/urlkit/urlsession"
)

// nameserver answers DNS over HTTPS: every name is on loopback.
type nameserver struct {
	ttl    uint32
	secure bool // it calls its answers validated
	spoil  func(w http.ResponseWriter) bool

	mu    sync.Mutex
	asked []string
}

func (n *nameserver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	message, err := base64.RawURLEncoding.DecodeString(r.FormValue("dns"))
	var p dnsmessage.Parser
	h, startErr := p.Start(message)
	q, questionErr := p.Question()
	if err != nil || startErr != nil || questionErr != nil || h.ID != 0 || r.Method != http.MethodGet || r.Header.Get("Accept") != "application/dns-message" {
		w.WriteHeader(http.StatusBadRequest)

		return
	}
	n.mu.Lock()
	n.asked = append(n.asked, strings.TrimSuffix(q.Name.String(), ".")+" "+strings.TrimPrefix(q.Type.String(), "Type"))
	n.mu.Unlock()
	if n.spoil != nil && n.spoil(w) {
		return
	}
	m := dnsmessage.Message{Header: dnsmessage.Header{Response: true, AuthenticData: n.secure}, Questions: []dnsmessage.Question{q}}
	if q.Type == dnsmessage.TypeA {
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: n.ttl},
			Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
		}}
	}
	packed, _ := m.Pack()
	w.Header().Set("Content-Type", "application/dns-message")
	_, _ = w.Write(packed)
}

func (n *nameserver) questions() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	slices.Sort(n.asked)

	return n.asked
}

func newDoH(t *testing.T, s *urlsession.Session, url string) *urlsession.DoHResolver {
	t.Helper()
	r, err := urlsession.NewDoHResolver(s, url)
	if err != nil {
		t.Fatal(err)
	}

	return r
}

// named is the URL of a server of the tests by a name that only the tests know.
func named(base string) string { return strings.Replace(base, "127.0.0.1", "origin.test", 1) }

// A session asks by itself, or by another, over either wire, and remembers what it was
// told.
func TestDoH(t *testing.T) {
	leak.Check(t)
	for _, wire := range []string{"https http/1.1", "h2"} {
		for _, own := range []bool{true, false} {
			server := &nameserver{ttl: 60}
			dns := serve(t, wire, server)
			var asks *urlsession.Session
			if !own {
				asks = session(t, nil)
			}
			s := session(t, func(c *urlsession.Configuration) {
				c.Resolver, c.OmitsHTTP3 = newDoH(t, asks, dns+"/dns-query{?dns}"), true // which would ask for its records
			})
			origin := named(serve(t, wire, http.HandlerFunc(hello)))
			for range 2 {
				req := get(t, origin)
				req.Header.Set("Connection", "close") // so that the next request connects
				if data, _ := load(t, s, req); !strings.HasPrefix(data, "GET ") {
					t.Errorf("%s: %q", wire, data)
				}
			}
			if got, want := server.questions(), []string{"origin.test A", "origin.test AAAA"}; !slices.Equal(got, want) {
				t.Errorf("%s, by itself %v: asked %q, want %q", wire, own, got, want)
			}
			if err := s.Flush(t.Context()); err != nil {
				t.Error(err)
			}
			load(t, s, get(t, origin))
			if got := server.questions(); len(got) != 4 {
				t.Errorf("%s: after Flush asked %q", wire, got)
			}
		}
	}
}

// The metrics say how a name was looked up: not where a connection made that needless,
// nor of the server's own, nor of a resolver that does not tell.
func TestDomainResolutionProtocol(t *testing.T) {
	leak.Check(t)
	dns := newDoH(t, nil, strings.Replace(serve(t, "h2", &nameserver{ttl: 60}), "127.0.0.1", "localhost", 1))
	dns.Bootstrap = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	origin := serve(t, "https http/1.1", http.HandlerFunc(hello))
	s := session(t, func(c *urlsession.Configuration) { c.Resolver, c.OmitsHTTP3 = dns, true })
	silent := session(t, func(c *urlsession.Configuration) { c.Resolver = naming{to: dns.Bootstrap[0]} })
	for i, tt := range []struct {
		session *urlsession.Session
		url     string
		want    urlsession.DomainResolutionProtocol
	}{
		{s, named(origin), urlsession.ResolutionHTTPS},
		{s, named(origin), urlsession.ResolutionUnknown}, // over the same connection
		{s, strings.Replace(origin, "127.0.0.1", "localhost", 1), urlsession.ResolutionUnknown},
		{s, origin, urlsession.ResolutionUnknown},
		{silent, named(origin), urlsession.ResolutionUnknown},
	} {
		x := measured(t, tt.session, get(t, tt.url)).Transactions[0]
		if x.Err != nil || x.DomainResolutionProtocol != tt.want || x.ReusedConnection != (i == 1) {
			t.Errorf("%d: by %q, want %q: %v", i, x.DomainResolutionProtocol, tt.want, x.Err)
		}
	}
	for p, want := range map[urlsession.DomainResolutionProtocol]string{
		urlsession.ResolutionUDP: "udp", urlsession.ResolutionTCP: "tcp", urlsession.ResolutionTLS: "tls", 99: "",
	} {
		if p.String() != want {
			t.Errorf("%d is %q", p, p)
		}
	}
}

// The server's own name is found by the addresses that the app gives.
func TestDoHBootstrap(t *testing.T) {
	leak.Check(t)
	server := &nameserver{ttl: 60}
	resolver := newDoH(t, nil, strings.Replace(serve(t, "h2", server), "127.0.0.1", "localhost", 1))
	resolver.Bootstrap = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	s := session(t, func(c *urlsession.Configuration) { c.Resolver = resolver })
	load(t, s, get(t, named(serve(t, "https http/1.1", http.HandlerFunc(hello)))))
	if addrs, err := resolver.LookupNetIP(t.Context(), "ip6", "LOCALHOST."); err == nil {
		t.Errorf("it has an address of IPv6: %v", addrs)
	}
	if records, err := resolver.LookupHTTPS(t.Context(), proxy.HTTPSName("localhost", 8443)); records != nil || err != nil {
		t.Errorf("it asked itself how to reach itself: %v, %v", records, err)
	}
	for _, question := range server.questions() {
		if strings.Contains(question, "localhost") {
			t.Errorf("it was asked for %s", question)
		}
	}
}

// Where DNSSEC is required the server must call its answers validated.
func TestDoHValidates(t *testing.T) {
	leak.Check(t)
	for _, secure := range []bool{true, false} {
		resolver := newDoH(t, nil, serve(t, "h2", &nameserver{ttl: 60, secure: secure}))
		resolver.RequiresDNSSEC = true
		s := session(t, func(c *urlsession.Configuration) { c.Resolver, c.RequiresDNSSEC = resolver, true })
		_, _, err := s.Data(t.Context(), get(t, named(serve(t, "https http/1.1", http.HandlerFunc(hello)))))
		if secure && err != nil {
			t.Error(err)
		} else if !secure {
			wantCode(t, err, urlsession.DNSLookupFailed)
		}
	}
}

// A server that does not do what it should is an error.
func TestDoHFailures(t *testing.T) {
	leak.Check(t)
	spoils := map[string]func(w http.ResponseWriter) bool{
		"a status": func(w http.ResponseWriter) bool { w.WriteHeader(http.StatusForbidden); return true },
		"a page":   func(w http.ResponseWriter) bool { _, _ = io.WriteString(w, "<html>"); return true },
		"garbage": func(w http.ResponseWriter) bool {
			w.Header().Set("Content-Type", "application/dns-message")
			_, _ = io.WriteString(w, "garbage")

			return true
		},
		"too much": func(w http.ResponseWriter) bool {
			w.Header().Set("Content-Type", "application/dns-message")
			_, _ = w.Write(make([]byte, 70_000))

			return true
		},
		"an answer that is old already": func(w http.ResponseWriter) bool { w.Header().Set("Age", "100"); return false },
	}
	for name, spoil := range spoils {
		server := &nameserver{ttl: 60, spoil: spoil}
		s := session(t, func(c *urlsession.Configuration) {
			c.Resolver, c.OmitsHTTP3 = newDoH(t, nil, serve(t, "h2", server)), true // which would ask for its records
		})
		origin := named(serve(t, "https http/1.1", http.HandlerFunc(hello)))
		for range 2 {
			req := get(t, origin)
			req.Header.Set("Connection", "close")
			_, _, err := s.Data(t.Context(), req)
			if strings.HasPrefix(name, "an answer") {
				if err != nil {
					t.Error(err)
				}
			} else {
				wantCode(t, err, urlsession.DNSLookupFailed)
			}
		}
		if got := server.questions(); len(got) != 4 {
			t.Errorf("%s: asked %q, want both questions twice", name, got)
		}
	}
}

// A server that sends its questions on to another host would have that looked up by
// itself, by a question that is sent on again.
func TestDoHRedirects(t *testing.T) {
	leak.Check(t)
	server := &nameserver{ttl: 60}
	moved := serve(t, "h2", server)
	for target, follows := range map[string]bool{moved: true, named(moved): false, strings.Replace(moved, "https", "http", 1): false, "": true} {
		dns := ""
		dns = serve(t, "h2", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/here" {
				server.ServeHTTP(w, r)

				return
			}
			http.Redirect(w, r, cmp.Or(target, dns)+"/here?"+r.URL.RawQuery, http.StatusTemporaryRedirect)
		}))
		s := session(t, func(c *urlsession.Configuration) { c.Resolver, c.ConnectTimeout = newDoH(t, nil, dns), 5*time.Second })
		_, _, err := s.Data(t.Context(), get(t, named(serve(t, "https http/1.1", http.HandlerFunc(hello)))))
		if follows && err != nil {
			t.Error(err)
		} else if !follows {
			wantCode(t, err, urlsession.DNSLookupFailed)
		}
	}
}

// What was asked is in no cache but that of names.
func TestDoHStoresNothing(t *testing.T) {
	leak.Check(t)
	server := &nameserver{ttl: 60, spoil: func(w http.ResponseWriter) bool {
		w.Header().Set("Cache-Control", "max-age=60")

		return false
	}}
	store := cache.New(cache.Config{MemoryCapacity: 1 << 20})
	s := session(t, func(c *urlsession.Configuration) { c.Resolver, c.Cache = newDoH(t, nil, serve(t, "h2", server)), store })
	load(t, s, request(t, http.MethodOptions, named(serve(t, "https http/1.1", http.HandlerFunc(hello))), nil))
	if used := store.MemoryUsage(); used != 0 {
		t.Errorf("the cache has %d bytes", used)
	}
}

// The load that a name is for is repeated by the policy, and not its questions too.
func TestDoHIsNotRetried(t *testing.T) {
	leak.Check(t)
	server := &nameserver{spoil: func(w http.ResponseWriter) bool {
		w.WriteHeader(http.StatusServiceUnavailable)

		return true
	}}
	s := session(t, func(c *urlsession.Configuration) {
		c.Resolver = newDoH(t, nil, serve(t, "h2", server))
		c.Retry = urlsession.RetryPolicy{Attempts: 3, FirstDelay: -1}
	})
	_, _, err := s.Data(t.Context(), get(t, named(serve(t, "https http/1.1", http.HandlerFunc(hello)))))
	wantCode(t, err, urlsession.DNSLookupFailed)
	if got := server.questions(); strings.Count(strings.Join(got, ";")+";", " A;") != 3 {
		t.Errorf("asked %q, want an address at each of three attempts", got)
	}
}

func TestNewDoHResolver(t *testing.T) {
	for _, url := range []string{"http://dns.example/dns-query", "dns.example", "https:///dns-query", "https://dns.example/{path}", "file:///dns"} {
		if r, err := urlsession.NewDoHResolver(nil, url); err == nil {
			t.Errorf("%s makes %v", url, r)
		}
	}
	r := newDoH(t, nil, "https://192.0.2.1/dns-query")
	if addrs, err := r.LookupNetIP(t.Context(), "ip", "a.example"); err == nil {
		t.Errorf("a resolver without a session found %v", addrs)
	}
}
