package callback_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/protocols/callback"
)

// started is a Protocol made of one function.
type started func()

func (s started) StartLoading() { s() }
func (s started) StopLoading()  {}

func TestClaims(t *testing.T) {
	only := func(req *protocols.Request) bool { return req.URL.Host == "mine" && req.Property("handled") == nil }
	plain := request(t, "GET", "http://mine/")
	marked := plain.Clone()
	marked.SetProperty("handled", true)
	socket := plain.Clone()
	socket.Header.Set("Upgrade", "WebSocket")
	tests := []struct {
		name   string
		scheme protocols.Scheme
		req    *protocols.Request
		want   bool
	}{
		{"taken", callback.Scheme("http", callback.Class{CanInit: only}), plain, true},
		{"declined", callback.Scheme("http", callback.Class{CanInit: only}), request(t, "GET", "http://yours/"), false},
		{"marked as handled", callback.Scheme("http", callback.Class{CanInit: only}), marked, false},
		{"a WebSocket", callback.Scheme("http", callback.Class{CanInit: only}), socket, false},
		{"no CanInit", callback.Scheme("mem", callback.Class{}), plain, true},
		{"no CanInit and no name", callback.Scheme("", callback.Class{}), plain, false},
		{"a panic", callback.Scheme("", callback.Class{CanInit: func(*protocols.Request) bool { panic("oops") }}), plain, false},
	}
	for _, test := range tests {
		claimer, ok := protocols.As[protocols.Claimer](test.scheme.New(nil))
		if !ok || claimer.Claims(test.req) != test.want {
			t.Errorf("%s: claimer %v, want %v", test.name, ok, test.want)
		}
	}
}

// The instance gets the canonical request, in a copy of its own.
func TestCanonicalRequest(t *testing.T) {
	original := request(t, "POST", "mem://HOST/path")
	class := callback.Class{
		CanonicalRequest: func(req *protocols.Request) *protocols.Request {
			req.URL.Host = strings.ToLower(req.URL.Host)
			req.Header.Set("X-Canonical", "1")

			return req
		},
		New: func(req *protocols.Request, cached *callback.CachedResponse, c *callback.Client) callback.Protocol {
			return started(func() {
				if req.URL.Host != "host" || req.Header.Get("X-Canonical") != "1" || cached != nil {
					t.Errorf("request %v, candidate %v", req, cached)
				}
				req.Method, req.URL.Host = "GET", "spoiled"
				r := reply()
				r.Header = http.Header{"A": {"1"}}
				c.DidReceive(r, protocols.StorageAllowed)
				r.Header.Set("A", "2")
				c.DidFinishLoading()
			})
		},
	}
	synctest.Test(t, func(t *testing.T) {
		o := finish(callback.New(class, nil).Load(t.Context(), original))
		if o.err != nil || o.resp.URL.Host != "host" || o.resp.Header.Get("A") != "1" {
			t.Errorf("got %+v", o)
		}
		if o.resp.CacheStoragePolicy != protocols.StorageNotAllowed {
			t.Error("the answer to a POST may be stored")
		}
		if original.URL.Host != "HOST" || original.Header.Get("X-Canonical") != "" {
			t.Errorf("the request was changed: %v", original)
		}
	})
}

func TestMissingParts(t *testing.T) {
	tests := []struct {
		name  string
		class callback.Class
		code  protocols.Code
	}{
		{"no New", callback.Class{}, protocols.Unknown},
		{"New gives nothing", callback.Class{New: func(*protocols.Request, *callback.CachedResponse, *callback.Client) callback.Protocol {
			return nil
		}}, protocols.UnsupportedURL},
		{"no canonical request", callback.Class{
			CanonicalRequest: func(*protocols.Request) *protocols.Request { return nil },
			New: func(*protocols.Request, *callback.CachedResponse, *callback.Client) callback.Protocol {
				panic("never reached")
			},
		}, protocols.BadURL},
	}
	for _, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			if _, err := callback.New(test.class, nil).Load(t.Context(), request(t, "GET", "mem:/x")); !errors.Is(err, test.code) {
				t.Errorf("%s: %v", test.name, err)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		var p *callback.PanicError
		_, err := callback.New(callback.Class{
			New: func(*protocols.Request, *callback.CachedResponse, *callback.Client) callback.Protocol { panic("oops") },
		}, nil).Load(t.Context(), request(t, "GET", "mem:/x"))
		if !errors.As(err, &p) || p.Call != "the Class" {
			t.Errorf("New that panics gives %v", err)
		}
	})
}

func TestStoragePolicy(t *testing.T) {
	tests := []struct {
		method       string
		policy, want protocols.CacheStoragePolicy
	}{
		{"", protocols.StorageAllowed, protocols.StorageAllowed},
		{"get", protocols.StorageAllowedInMemoryOnly, protocols.StorageAllowedInMemoryOnly},
		{"HEAD", protocols.StorageAllowed, protocols.StorageAllowed},
		{"GET", protocols.StorageNotAllowed, protocols.StorageNotAllowed},
		{"GET", 77, protocols.StorageNotAllowed},
		{"POST", protocols.StorageAllowed, protocols.StorageNotAllowed},
		{"PUT", protocols.StorageAllowedInMemoryOnly, protocols.StorageNotAllowed},
	}
	for _, test := range tests {
		o := load(t, test.method, nil, func(c *callback.Client) {
			r := reply()
			r.CacheStoragePolicy = protocols.StorageAllowed // the argument is what counts
			c.DidReceive(r, test.policy)
			c.DidFinishLoading()
		})
		if o.err != nil || o.resp.CacheStoragePolicy != test.want {
			t.Errorf("%s %d: %d, %v", test.method, test.policy, o.resp.CacheStoragePolicy, o.err)
		}
	}
}

func candidate(of *protocols.Request) *callback.CachedResponse {
	return &callback.CachedResponse{Request: of, Response: reply(), Data: []byte("stored"), StoragePolicy: protocols.StorageAllowed}
}

// replaying gives the candidate that it gets.
func replaying(stored *callback.CachedResponse) callback.Class {
	return callback.Class{
		CachedResponse: func(context.Context, *protocols.Request) *callback.CachedResponse { return stored },
		New: func(_ *protocols.Request, cached *callback.CachedResponse, c *callback.Client) callback.Protocol {
			return started(func() {
				if cached == nil {
					c.DidFail(errAuthor)

					return
				}
				c.CachedResponseIsValid(cached)
				c.DidReceive(cached.Response, cached.StoragePolicy)
				c.DidLoad(cached.Data)
				c.DidFinishLoading()
			})
		},
	}
}

// A candidate is offered if it is equivalent, and given as any other response.
func TestCachedResponse(t *testing.T) {
	req := request(t, "GET", "mem://host/a")
	tests := []struct {
		name   string
		stored *callback.CachedResponse
		used   bool
	}{
		{"equivalent", candidate(request(t, "", "mem://host/a")), true},
		{"of the request itself", candidate(nil), true},
		{"of another URL", candidate(request(t, "GET", "mem://host/b")), false},
		{"of another method", candidate(request(t, "POST", "mem://host/a")), false},
		{"none", nil, false},
	}
	for _, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			o := finish(callback.New(replaying(test.stored), nil).Load(t.Context(), req))
			if !test.used {
				if !errors.Is(o.err, errAuthor) {
					t.Errorf("%s: %v", test.name, o.err)
				}

				return
			}
			if o.err != nil || o.body != "stored" || o.resp.CacheStoragePolicy != protocols.StorageNotAllowed {
				t.Errorf("%s: %+v (what is stored is not stored again)", test.name, o)
			}
		})
	}
}

func TestCandidateDeclaredValidTwice(t *testing.T) {
	class := replaying(candidate(nil))
	class.New = func(_ *protocols.Request, cached *callback.CachedResponse, c *callback.Client) callback.Protocol {
		return started(func() {
			c.CachedResponseIsValid(cached)
			c.CachedResponseIsValid(cached)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		if _, err := callback.New(class, nil).Load(t.Context(), request(t, "GET", "mem:/x")); !errors.Is(err, protocols.BadServerResponse) {
			t.Errorf("error %v", err)
		}
	})
}

func TestCacheEquivalent(t *testing.T) {
	a, b := request(t, "GET", "mem://host/a?x"), request(t, "GET", "mem://host/a?y")
	if (callback.Class{}).CacheEquivalent(a, b) {
		t.Error("other queries are equivalent by default")
	}
	byPath := callback.Class{RequestIsCacheEquivalent: func(a, b *protocols.Request) bool { return a.URL.Path == b.URL.Path }}
	if !byPath.CacheEquivalent(a, b) {
		t.Error("the class was not asked")
	}
	stripped := callback.Class{CanonicalRequest: func(req *protocols.Request) *protocols.Request {
		req.URL.RawQuery = ""

		return req
	}}
	if !stripped.CacheEquivalent(a, b) {
		t.Error("equal canonical forms are not equivalent")
	}
	for name, change := range map[string]func(*protocols.Request){
		"cookies":      func(r *protocols.Request) { r.OmitsCookies = true },
		"cache policy": func(r *protocols.Request) { r.CachePolicy = protocols.ReturnCacheElseLoad },
		"cellular":     func(r *protocols.Request) { r.RefusesCellular = true },
		"document":     func(r *protocols.Request) { r.MainDocumentURL = a.URL },
		"body":         func(r *protocols.Request) { r.Body = protocols.StringBody("x") },
	} {
		c := a.Clone()
		if !(callback.Class{}).CacheEquivalent(a, c) {
			t.Fatal("a copy is not equivalent")
		}
		if change(c); (callback.Class{}).CacheEquivalent(a, c) {
			t.Errorf("%s makes no difference", name)
		}
	}
}
