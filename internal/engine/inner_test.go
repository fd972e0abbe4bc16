package engine_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage"
	"github.com/urlkit/urlkit/storage/cookie"
)

// pass is an interceptor: it marks the request and loads it through the session.
func pass(mark string, calls map[string]int) protocols.Scheme {
	return claimer(protocols.Cleartext, func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		calls[mark]++
		inner := req.Clone()
		inner.Header.Add("Via", mark)

		return c.Load(ctx, inner)
	})
}

// counting counts what a store is asked.
type counting struct {
	storage.CookieStore
	asked, stored int
}

func (c *counting) CookieHeader(q *storage.CookieQuery) string {
	c.asked++

	return c.CookieStore.CookieHeader(q)
}

func (c *counting) StoreCookies(q *storage.CookieQuery, set []string) {
	c.stored++
	c.CookieStore.StoreCookies(q, set)
}

// Two interceptors, and a scheme composed over https: nothing is marked and
// nothing recurses, and cookies are attached and learned once.
func TestInnerLoads(t *testing.T) {
	calls := map[string]int{}
	store := &counting{CookieStore: cookie.NewStore()}
	var got []seen
	composed := scheme("s3", protocols.Local, func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		calls["s3"]++

		return c.Load(ctx, request(t, "GET", "https://"+req.URL.Host+".storage.example"+req.URL.Path))
	})
	https := redirector(t, &got, func(int) *protocols.Response {
		return reply(200, "object", "Set-Cookie", "k=v; Path=/")
	})
	e := open(t, engine.Config{Cookies: store}, pass("one", calls), pass("two", calls), composed, https)
	load := func(url string) []*engine.Transaction {
		var collected []*engine.Transaction
		body, resp, err := fetch(e, request(t, "GET", url), &engine.Task{Collect: func(tr *engine.Transaction) { collected = append(collected, tr) }})
		if err != nil || body != "object" {
			t.Fatalf("%s: %q, %v", url, body, err)
		}
		if resp.URL.Scheme != "https" {
			t.Errorf("the response is from %s", resp.URL)
		}

		return collected
	}
	collected := load("https://bucket.storage.example/key")
	if calls["one"] != 1 || calls["two"] != 1 || len(got) != 1 || strings.Join(got[0].Header["Via"], " ") != "one two" {
		t.Errorf("calls %v, the origin got %v", calls, got[0].Header)
	}
	if store.asked != 1 || store.stored != 1 || len(collected) != 3 || !collected[0].Inner || collected[2].Inner || collected[0].Received != 6 {
		t.Errorf("cookies asked for %d times and stored %d times; %d transactions", store.asked, store.stored, len(collected))
	}
	collected = load("s3://bucket/key")
	if calls["s3"] != 1 || calls["one"] != 2 || calls["two"] != 2 || len(got) != 2 || got[1].Header.Get("Cookie") != "k=v" {
		t.Errorf("calls %v, the origin got %v", calls, got[1].Header)
	}
	if store.asked != 2 || store.stored != 2 || len(collected) != 4 {
		t.Errorf("cookies asked for %d times and stored %d times; %d transactions", store.asked, store.stored, len(collected))
	}
}

// An interceptor that leads to another host does not take the cookies there.
func TestInnerLoadToAnotherHost(t *testing.T) {
	store := cookie.NewStore()
	u := request(t, "GET", "https://a.example/").URL
	store.StoreCookies(&storage.CookieQuery{URL: u}, []string{"secret=1"})
	var got []seen
	mirror := claimer(protocols.Local, func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		inner := req.Clone()
		inner.URL.Host = "mirror.example"

		return c.Load(ctx, inner)
	})
	e := open(t, engine.Config{Cookies: store}, mirror, redirector(t, &got, func(int) *protocols.Response {
		return reply(200, "", "Set-Cookie", "own=2")
	}))
	for i, want := range []string{"", "own=2"} {
		if _, _, err := fetch(e, request(t, "GET", "https://a.example/"), nil); err != nil {
			t.Fatal(err)
		}
		if cookie := got[i].Header.Get("Cookie"); cookie != want {
			t.Errorf("load %d sends Cookie %q to the mirror, want %q", i, cookie, want)
		}
	}
}

// An inner load's error keeps its code; there is one *Error, of the task's URL.
func TestInnerErrors(t *testing.T) {
	wrap := errors.New("the bucket is gone")
	tests := map[string]struct {
		url  string
		load loading
		code protocols.Code
		is   error
	}{
		"policy":      {"http://public.example/", stalls, protocols.AppTransportSecurityRequiresSecureConnection, nil},
		"lookup":      {"gopher://public.example/", stalls, protocols.UnsupportedURL, nil},
		"no host":     {"https:///x", stalls, protocols.BadURL, nil},
		"header":      {"https://public.example/bad", stalls, protocols.BadURL, nil},
		"the network": {"https://public.example/", failing(io.ErrUnexpectedEOF), protocols.NetworkConnectionLost, io.ErrUnexpectedEOF},
		"a code":      {"https://public.example/", failing(protocols.FileDoesNotExist), protocols.FileDoesNotExist, nil},
		"a panic": {"https://public.example/", func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
			panic("oh")
		}, protocols.Unknown, nil},
	}
	for name, tt := range tests {
		composed := scheme("s3", protocols.Local, func(ctx context.Context, c protocols.Client, _ *protocols.Request) (*protocols.Response, error) {
			req := request(t, "GET", tt.url)
			if name == "header" {
				req.Header["X"] = []string{"a\r\nb"}
			}
			_, err := c.Load(ctx, req)

			return nil, errors.Join(wrap, err)
		})
		e := open(t, engine.Config{}, composed, scheme("https", protocols.Encrypted, tt.load), scheme("http", protocols.Cleartext, tt.load))
		_, _, err := fetch(e, request(t, "GET", "s3://u:secret@bucket/key?token=secret"), nil)
		got := failure(t, err, tt.code)
		if got.URL != "s3://bucket/key?..." || !errors.Is(err, wrap) || tt.is != nil && !errors.Is(err, tt.is) || contains(got.Error(), "secret") {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func failing(err error) loading {
	return func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
		return nil, err
	}
}

// What an inner load was answered with is not put on the outer hop.
func TestInnerAnswersStayInside(t *testing.T) {
	first := true
	var outer []*protocols.Credential
	composed := scheme("custom", protocols.Cleartext, func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		outer = append(outer, req.Credential)
		if c := req.Header.Get("Authorization"); c != "" {
			t.Errorf("the outer hop carries %q", c)
		}
		inner := request(t, "GET", "login://other.example/")
		if _, err := c.Load(ctx, inner); err != nil {
			return nil, err
		}
		if first {
			first = false

			return reply(302, "", "Location", "/again"), nil
		}

		return reply(0, "in"), nil
	})
	login := scheme("login", protocols.Local, func(ctx context.Context, c protocols.Client, _ *protocols.Request) (*protocols.Response, error) {
		space := protocols.ProtectionSpace{Host: "other.example", Port: 1, Method: protocols.MethodHTTPBasic}
		credential, err := c.Authenticate(ctx, &protocols.Challenge{Space: space})
		if err != nil || credential == nil {
			t.Errorf("Authenticate gave %v, %v", credential, err)
		}

		return reply(0, ""), nil
	})
	var asked []protocols.Challenge
	e := open(t, engine.Config{}, composed, login)
	body, _, err := fetch(e, request(t, "GET", "custom://localhost/"), answering(&asked,
		func(int) (protocols.Disposition, *protocols.Credential) {
			return protocols.UseCredential, &protocols.Credential{User: "u", Password: "inner"}
		}))
	if err != nil || body != "in" || len(outer) != 2 || outer[1] != nil {
		t.Errorf("%q, %v, the outer hops got %v", body, err, outer)
	}
}
