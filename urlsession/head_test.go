package urlsession_test

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/urlsession"
)

// The answer to a HEAD tells the length of the answer to a GET, and has no body.
func TestHeadTellsTheLength(t *testing.T) {
	leak.Check(t)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if length := r.URL.Query().Get("length"); length != "" {
			w.Header().Set("Content-Length", length)
		}
		if coding := r.URL.Query().Get("coding"); coding != "" {
			w.Header().Set("Content-Encoding", coding)
		}
		w.WriteHeader(http.StatusOK)
	})
	onEachWire(t, handler, func(t *testing.T, base string) {
		s := session(t, nil)
		for _, length := range []string{"12345", "0", "12345&coding=gzip"} {
			want, _ := strconv.ParseInt(strings.TrimSuffix(length, "&coding=gzip"), 10, 64)
			data, resp := load(t, s, request(t, http.MethodHead, base+"?length="+length, nil))
			if data != "" || resp.ContentLength != want {
				t.Errorf("length=%s: %q, ContentLength %d", length, data, resp.ContentLength)
			}
			r, err := (&http.Client{Transport: s.RoundTripper()}).Head(base + "?length=" + length)
			if err != nil {
				t.Fatal(err)
			}
			read, err := io.ReadAll(r.Body)
			if cerr := r.Body.Close(); err != nil || cerr != nil || len(read) != 0 || r.ContentLength != want {
				t.Errorf("RoundTripper, length=%s: %q, %v, %v, ContentLength %d", length, read, err, cerr, r.ContentLength)
			}
		}
	})
}

// trip is an http.RoundTripper of one function.
type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// mocked makes a session in which f answers for https, as a test of an app would.
func mocked(t testing.TB, f trip) *urlsession.Session {
	t.Helper()

	return session(t, func(c *urlsession.Configuration) {
		c.Protocols = []protocols.Scheme{{
			Name: "https", Security: protocols.Local,
			New: func(protocols.Client) protocols.URLProtocol { return protocols.FromRoundTripper(f) },
		}}
	})
}

// A mock may give a length, or a body, to what has none.
func TestMockedResponsesWithoutABody(t *testing.T) {
	leak.Check(t)
	for name, body := range map[string]io.ReadCloser{
		"nil": nil, "NoBody": http.NoBody, "an empty one": io.NopCloser(strings.NewReader("")),
	} {
		for _, tt := range []struct {
			method string
			status int
			length int64
		}{
			{http.MethodHead, 200, 100},
			{http.MethodHead, 200, -1},
			{http.MethodHead, 200, 0},
			{http.MethodGet, 304, 100},
			{http.MethodGet, 304, -1},
			{http.MethodGet, 204, 100},
			{http.MethodGet, 204, 0},
			{http.MethodGet, 200, 0},
		} {
			s := mocked(t, func(r *http.Request) (*http.Response, error) {
				header := http.Header{"Content-Length": {strconv.FormatInt(tt.length, 10)}}

				return &http.Response{StatusCode: tt.status, Header: header, ContentLength: tt.length, Body: body, Request: r, ProtoMajor: 1}, nil
			})
			data, resp := load(t, s, request(t, tt.method, "https://mock.example/", nil))
			if data != "" || resp.StatusCode != tt.status {
				t.Errorf("%s %d with length %d and body %s: %q, status %d", tt.method, tt.status, tt.length, name, data, resp.StatusCode)
			}
			if tt.method == http.MethodHead && resp.ContentLength != tt.length && tt.length > 0 {
				t.Errorf("HEAD with length %d and body %s: ContentLength %d", tt.length, name, resp.ContentLength)
			}
		}
	}
}

// A body that is promised and missing is no success.
func TestMockedResponseThatIsCut(t *testing.T) {
	leak.Check(t)
	for _, body := range []io.ReadCloser{nil, http.NoBody, io.NopCloser(strings.NewReader("part"))} {
		s := mocked(t, func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, ContentLength: 100, Body: body}, nil
		})
		_, _, err := s.Data(t.Context(), get(t, "https://mock.example/"))
		if wantCode(t, err, urlsession.NetworkConnectionLost); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
	}
}

// An https mock that is registered without its Security is told what is missing.
func TestMockWithoutSecurity(t *testing.T) {
	s := session(t, func(c *urlsession.Configuration) {
		c.Protocols = []protocols.Scheme{{Name: "https", New: func(protocols.Client) protocols.URLProtocol {
			return protocols.FromRoundTripper(trip(func(*http.Request) (*http.Response, error) { panic("it is not reached") }))
		}}}
	})
	_, _, err := s.Data(t.Context(), get(t, "https://mock.example/"))
	wantCode(t, err, urlsession.AppTransportSecurityRequiresSecureConnection)
	if !strings.Contains(err.Error(), "declare Encrypted, or Local for one that makes no connection (a mock)") {
		t.Error(err)
	}
}

// The length in the answer to HEAD is not that of a body.
func TestHeadOfALargeBody(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000000")
	}))
	s := delegated(t, (&recorder{}).delegate(), func(c *urlsession.Configuration) { c.MaximumDataLength = 10 })
	data, resp, err := s.Data(t.Context(), request(t, http.MethodHead, base, nil))
	if err != nil || len(data) != 0 || resp.ContentLength != 1_000_000 {
		t.Errorf("%q, %+v, %v", data, resp, err)
	}
}
