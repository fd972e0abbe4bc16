package protocols_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/protocols"
)

func TestErrorIsAndAs(t *testing.T) {
	missing := &fs.PathError{Op: "open", Path: "x", Err: os.ErrNotExist}
	tests := []struct {
		name string
		err  error
		is   []error
		not  []error
	}{
		{"a code", protocols.TimedOut, []error{protocols.TimedOut}, []error{protocols.Cancelled}},
		{"an Error", &protocols.Error{Code: protocols.TimedOut}, []error{protocols.TimedOut}, []error{protocols.Unknown, protocols.Cancelled}},
		{"no code", &protocols.Error{}, []error{protocols.Unknown}, []error{protocols.TimedOut}},
		{
			"a context", &protocols.Error{Code: protocols.Cancelled, Err: context.Canceled},
			[]error{protocols.Cancelled, context.Canceled},
			[]error{context.DeadlineExceeded},
		},
		{
			"Errorf", protocols.Errorf(protocols.FileDoesNotExist, "look: %w", missing),
			[]error{protocols.FileDoesNotExist, os.ErrNotExist, missing},
			[]error{os.ErrPermission},
		},
		{
			"an Error in an Error", &protocols.Error{Code: protocols.NetworkConnectionLost, Err: protocols.Errorf(protocols.BadServerResponse, "%w", io.ErrUnexpectedEOF)},
			[]error{protocols.NetworkConnectionLost, protocols.BadServerResponse, io.ErrUnexpectedEOF},
			[]error{io.EOF},
		},
		{
			"wrapped outside", fmt.Errorf("app: %w", &protocols.Error{Code: protocols.BadURL}),
			[]error{protocols.BadURL},
			nil,
		},
		{
			"joined", errors.Join(io.EOF, protocols.Errorf(protocols.BadURL, "x")),
			[]error{protocols.BadURL, io.EOF},
			nil,
		},
	}
	for _, test := range tests {
		for _, target := range test.is {
			if !errors.Is(test.err, target) {
				t.Errorf("%s: %v is not %v", test.name, test.err, target)
			}
		}
		for _, target := range test.not {
			if errors.Is(test.err, target) {
				t.Errorf("%s: %v is %v", test.name, test.err, target)
			}
		}
	}
	if errors.Is(protocols.TimedOut, &protocols.Error{Code: protocols.TimedOut}) {
		t.Error("a code is an Error with details")
	}
	err := fmt.Errorf("app: %w", &protocols.Error{Code: protocols.ServerCertificateUntrusted, Err: x509.UnknownAuthorityError{}})
	var e *protocols.Error
	var unknown x509.UnknownAuthorityError
	if !errors.As(err, &e) || e.Code != protocols.ServerCertificateUntrusted || !errors.As(err, &unknown) {
		t.Errorf("%v hides what it is", err)
	}
}

func TestErrorIsANetError(t *testing.T) {
	for code, want := range map[protocols.Code]bool{protocols.TimedOut: true, protocols.Cancelled: false, 0: false} {
		var n net.Error
		if err := error(&protocols.Error{Code: code}); !errors.As(err, &n) || n.Timeout() != want {
			t.Errorf("%v: Timeout is not %v", err, want)
		}
	}
}

func TestRetryable(t *testing.T) {
	tests := []struct {
		err  *protocols.Error
		want bool
	}{
		{&protocols.Error{Code: protocols.CannotFindHost}, true},
		{&protocols.Error{Code: protocols.CannotConnectToHost}, true},
		{&protocols.Error{Code: protocols.DNSLookupFailed}, true},
		{&protocols.Error{Code: protocols.NotConnectedToInternet}, true},
		{&protocols.Error{Code: protocols.NetworkConnectionLost}, false},
		{&protocols.Error{Code: protocols.NetworkConnectionLost, Err: fmt.Errorf("x: %w", protocols.ErrNotSent)}, true},
		{&protocols.Error{Code: protocols.NetworkConnectionLost, Err: protocols.ErrStaleConnection}, false},
		{&protocols.Error{Code: protocols.TimedOut}, false},
		{&protocols.Error{}, false},
	}
	for _, test := range tests {
		if test.err.Retryable() != test.want {
			t.Errorf("%v: Retryable is not %v", test.err, test.want)
		}
	}
}

func TestErrorText(t *testing.T) {
	full := &protocols.Error{Code: protocols.TimedOut, Op: "GET", URL: "https://h/", Phase: "connect", Err: io.ErrUnexpectedEOF}
	tests := map[string]error{
		"GET https://h/: timedOut (-1001) in phase connect: unexpected EOF": full,
		"unknown (-1)":          &protocols.Error{},
		"parse: badURL (-1000)": &protocols.Error{Code: protocols.BadURL, Op: "parse"},
		"code -7 (-7)":          protocols.Code(-7),
	}
	for want, err := range tests {
		if err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
}

func TestRedact(t *testing.T) {
	tests := []struct{ raw, want string }{
		{"https://example.com/a/b", "https://example.com/a/b"},
		{"https://user:secret@example.com:8443/a?token=secret#secret", "https://example.com:8443/a?..."},
		{"https://secret@example.com", "https://example.com"},
		{"https://example.com/?", "https://example.com/?..."},
		{"https://example.com/a%3Fb", "https://example.com/a%3Fb"},
		{"ftp://user:se:cret@[::1]/x", "ftp://[::1]/x"},
		{"data:text/plain;base64,c2VjcmV0", "data:text/plain;base64,..."},
		{"data:secret", "data:..."},
		{"DATA:,secret?secret", "data:,..."},
		{"data:" + strings.Repeat("secret", 20) + ",x", "data:..."},
		{"scheme:user:secret@host/x", "scheme:...@host/x"},
		{"scheme:host?secret", "scheme:host?..."},
		{"mailto:someone@example.com", "mailto:...@example.com"},
	}
	for _, test := range tests {
		u, err := url.Parse(test.raw)
		if err != nil {
			t.Fatal(err)
		}
		before := *u
		if got := protocols.Redact(u); got != test.want {
			t.Errorf("%q gives %q, want %q", test.raw, got, test.want)
		}
		if *u != before {
			t.Errorf("%q was changed", test.raw)
		}
	}
	opaque := &url.URL{Scheme: "http", Host: "h", Opaque: "//user:secret@h/path?secret"}
	if got := protocols.Redact(opaque); strings.Contains(got, "secret") {
		t.Errorf("got %q", got)
	}
	if protocols.Redact(nil) != "" {
		t.Error("no URL gives a text")
	}
}

// Neither user info nor query shows in any text that is made of a URL.
func FuzzRedact(f *testing.F) {
	f.Add("https://", "user", ":", "", "host/path", "q")
	f.Add("ftp://", "us%20er", "%zz", "@", "[::1", "&")
	f.Add("scheme:", "", ":", "%", "host", "#")
	f.Add("https://", "", ":80", "", "host:port", "")
	f.Add("", "user", ":", "", "host", "")
	f.Fuzz(func(t *testing.T, scheme, user, between, after, host, query string) {
		const secret = "S3CR3T"
		switch scheme {
		case "https://", "ftp://", "scheme:", "x://":
		default:
			scheme = "https://"
		}
		if strings.ContainsAny(user+between+after, "/?#\\") || strings.Contains(user+between+after+host+query, secret) {
			t.Skip() // then the mark does not stand in the user info
		}
		raw := scheme + user + between + secret + after + "@" + host
		if !strings.ContainsAny(host, "?#") {
			raw += "?" + query + secret
		}
		req, err := protocols.NewRequest("GET", raw, nil)
		if err != nil {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%q: %v", raw, err)
			}

			return
		}
		for _, text := range []string{protocols.Redact(req.URL), req.String()} {
			if strings.Contains(text, secret) {
				t.Errorf("%q gives %q", raw, text)
			}
		}
	})
}
