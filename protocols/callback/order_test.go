package callback_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/protocols/callback"
)

var (
	errAuthor = errors.New("the author's own error")
	question  = &protocols.Challenge{Space: protocols.ProtectionSpace{Realm: "one"}}
	other     = &protocols.Challenge{Space: protocols.ProtectionSpace{Realm: "two"}}
	unasked   = callback.Sender{}
)

func target(t testing.TB) *protocols.Request { return request(t, "GET", "mem://host/next") }

// wrongOrders are the calls that end a load, with a part of the error's text and
// what the body gave before.
func wrongOrders(next *protocols.Request) []wrongOrder {
	return []wrongOrder{
		{"data before the response", "DidLoad is called before DidReceive", "", func(c *callback.Client) { c.DidLoad([]byte("x")) }},
		{"finish before the response", "DidFinishLoading is called before DidReceive", "", func(c *callback.Client) { c.DidFinishLoading() }},
		{"second response", "DidReceive is called after DidReceive", "", func(c *callback.Client) {
			c.DidReceive(reply(), 0)
			c.DidReceive(reply(), 0)
		}},
		{"second response after data", "DidReceive is called after DidReceive", "x", func(c *callback.Client) {
			c.DidReceive(reply(), 0)
			c.DidLoad([]byte("x"))
			c.DidReceive(reply(), 0)
		}},
		{"redirect after the response", "WasRedirectedTo is called after DidReceive", "", func(c *callback.Client) {
			c.DidReceive(reply(), 0)
			c.WasRedirectedTo(next, reply())
		}},
		{"challenge after the response", "DidReceiveChallenge is called after DidReceive", "", func(c *callback.Client) {
			c.DidReceive(reply(), 0)
			c.DidReceiveChallenge(question, unasked)
		}},
		{"validity after the response", "CachedResponseIsValid is called after DidReceive", "", func(c *callback.Client) {
			c.DidReceive(reply(), 0)
			c.CachedResponseIsValid(nil)
		}},
		{"no response", "DidReceive gives no response", "", func(c *callback.Client) { c.DidReceive(nil, 0) }},
		{"status of two digits", "the status 42", "", func(c *callback.Client) { c.DidReceive(&protocols.Response{StatusCode: 42}, 0) }},
		{"status of four digits", "the status 2000", "", func(c *callback.Client) { c.DidReceive(&protocols.Response{StatusCode: 2000}, 0) }},
		{"redirect to nothing", "names no request", "", func(c *callback.Client) { c.WasRedirectedTo(nil, reply()) }},
		{"redirect to no URL", "names no request", "", func(c *callback.Client) { c.WasRedirectedTo(&protocols.Request{}, reply()) }},
		{"redirect without a response", "WasRedirectedTo gives no response", "", func(c *callback.Client) { c.WasRedirectedTo(next, nil) }},
		{"no challenge", "gives no challenge", "", func(c *callback.Client) { c.DidReceiveChallenge(nil, unasked) }},
		{"no candidate", "another response than the candidate", "", func(c *callback.Client) { c.CachedResponseIsValid(nil) }},
		{"foreign candidate", "another response than the candidate", "", func(c *callback.Client) {
			c.CachedResponseIsValid(&callback.CachedResponse{})
		}},
		{"more than promised", "whose ContentLength is 3", "ab", func(c *callback.Client) {
			r := reply()
			r.ContentLength = 3
			c.DidReceive(r, 0)
			c.DidLoad([]byte("ab"))
			c.DidLoad([]byte("cd"))
		}},
		{"more than nothing", "whose ContentLength is 0", "", func(c *callback.Client) {
			r := reply()
			r.ContentLength, r.Body = 0, protocols.NoBody
			c.DidReceive(r, 0)
			c.DidLoad([]byte("a"))
		}},
	}
}

type wrongOrder struct {
	name, want, body string
	start            func(c *callback.Client)
}

// Each call out of order gives one error that names the call and the rule, and
// StopLoading once; whatever comes after the error changes nothing.
func TestWrongOrder(t *testing.T) {
	for _, test := range wrongOrders(target(t)) {
		t.Run(test.name, func(t *testing.T) {
			o := load(t, "GET", nil, func(c *callback.Client) {
				test.start(c)
				c.DidFail(errAuthor)
				c.DidFinishLoading()
			})
			if !errors.Is(o.err, protocols.BadServerResponse) || !strings.Contains(o.err.Error(), test.want) || errors.Is(o.err, errAuthor) {
				t.Errorf("error %v, want one with %q alone", o.err, test.want)
			}
			if o.body != test.body || o.stops != 1 {
				t.Errorf("body %q, StopLoading called %d times", o.body, o.stops)
			}
		})
	}
}

// While a challenge is outstanding every call but its withdrawal is wrong.
func TestWrongOrderWhileAChallengeIsOutstanding(t *testing.T) {
	next := target(t)
	unanswered := session{authenticate: func(ctx context.Context, _ *protocols.Challenge) (*protocols.Credential, error) {
		<-ctx.Done()

		return nil, ctx.Err()
	}}
	calls := map[string]func(c *callback.Client){
		"DidReceive":            func(c *callback.Client) { c.DidReceive(reply(), 0) },
		"DidLoad":               func(c *callback.Client) { c.DidLoad([]byte("x")) },
		"DidFinishLoading":      func(c *callback.Client) { c.DidFinishLoading() },
		"WasRedirectedTo":       func(c *callback.Client) { c.WasRedirectedTo(next, reply()) },
		"DidReceiveChallenge":   func(c *callback.Client) { c.DidReceiveChallenge(other, unasked) },
		"CachedResponseIsValid": func(c *callback.Client) { c.CachedResponseIsValid(nil) },
		"DidCancelChallenge":    func(c *callback.Client) { c.DidCancelChallenge(other) },
		"DidFail":               func(c *callback.Client) { c.DidFail(errAuthor) },
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			o := load(t, "GET", unanswered, func(c *callback.Client) {
				c.DidReceiveChallenge(question, unasked)
				call(c)
			})
			if !errors.Is(o.err, protocols.BadServerResponse) || !strings.Contains(o.err.Error(), name) || o.stops != 1 {
				t.Errorf("error %v, StopLoading called %d times", o.err, o.stops)
			}
			if name == "DidFail" && !errors.Is(o.err, errAuthor) {
				t.Errorf("error %v hides the author's", o.err)
			}
		})
	}
}

// What comes after the end is ignored, and the first end counts.
func TestCallsAfterTheEnd(t *testing.T) {
	next := target(t)
	everything := func(c *callback.Client) {
		c.DidReceiveChallenge(question, unasked)
		c.DidCancelChallenge(question)
		c.CachedResponseIsValid(nil)
		c.DidReceive(reply(), 0)
		c.WasRedirectedTo(next, reply())
		c.DidLoad([]byte("late"))
		c.DidFinishLoading()
		c.DidFail(errors.New("late"))
	}
	t.Run("finish", func(t *testing.T) {
		o := load(t, "GET", nil, func(c *callback.Client) {
			c.DidReceive(reply(), 0)
			c.DidLoad([]byte("body"))
			c.DidFinishLoading()
			everything(c)
		})
		if o.err != nil || o.body != "body" || o.stops != 1 {
			t.Errorf("got %+v", o)
		}
	})
	t.Run("failure", func(t *testing.T) {
		o := load(t, "GET", nil, func(c *callback.Client) {
			c.DidFail(errAuthor)
			everything(c)
		})
		if o.err != errAuthor || o.resp != nil || o.stops != 1 {
			t.Errorf("got %+v", o)
		}
	})
	t.Run("failure after data", func(t *testing.T) {
		o := load(t, "GET", nil, func(c *callback.Client) {
			c.DidReceive(reply(), 0)
			c.DidLoad([]byte("half"))
			c.DidFail(errAuthor)
			everything(c)
		})
		if !errors.Is(o.err, errAuthor) || o.body != "half" || o.stops != 1 {
			t.Errorf("got %+v", o)
		}
	})
	t.Run("redirect", func(t *testing.T) { // and so the response that repeats it
		o := load(t, "GET", nil, func(c *callback.Client) {
			r := reply()
			r.StatusCode, r.ContentLength = 302, 77
			c.WasRedirectedTo(next, r)
			everything(c)
		})
		if o.err != nil || o.body != "" || o.stops != 1 {
			t.Fatalf("got %+v", o)
		}
		if o.resp.Redirect.URL.Path != "/next" || o.resp.StatusCode != 302 || o.resp.KnownLength() != 0 {
			t.Errorf("response %+v", o.resp)
		}
	})
}

// A truncated body never looks whole, whatever the author calls the end of it.
func TestTruncation(t *testing.T) {
	short := func(c *callback.Client) {
		r := reply()
		r.ContentLength = 10
		c.DidReceive(r, 0)
		c.DidLoad([]byte("half"))
		c.DidFinishLoading()
	}
	tests := []struct {
		name  string
		start func(c *callback.Client)
	}{
		{"finish too early", short},
		{"EOF as an error", func(c *callback.Client) {
			c.DidReceive(reply(), 0)
			c.DidLoad([]byte("half"))
			c.DidFail(io.EOF)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := load(t, "GET", nil, test.start)
			if !errors.Is(o.err, io.ErrUnexpectedEOF) || errors.Is(o.err, io.EOF) || o.body != "half" {
				t.Errorf("got %+v", o)
			}
		})
	}
	t.Run("no error at all", func(t *testing.T) {
		if o := load(t, "GET", nil, func(c *callback.Client) { c.DidFail(nil) }); !errors.Is(o.err, protocols.Unknown) {
			t.Errorf("got %+v", o)
		}
	})
	t.Run("not of a HEAD", func(t *testing.T) {
		o := load(t, "HEAD", nil, short)
		if o.err != nil || o.body != "" || o.resp.ContentLength != 10 {
			t.Errorf("got %+v", o)
		}
	})
}
