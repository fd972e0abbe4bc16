package urlsession_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/urlsession"
)

// late sends a trailer that its head does not announce, or does.
func late(w http.ResponseWriter, r *http.Request) {
	body := []byte("body")
	if r.URL.Path == "/announced" {
		w.Header().Set("Trailer", "X-Sum")
	}
	if coding := r.URL.Query().Get("coding"); coding != "" {
		w.Header().Set("Content-Encoding", coding)
		body = packed(body)
	}
	_, _ = w.Write(body)
	_ = http.NewResponseController(w).Flush()
	if r.URL.Path == "/announced" {
		w.Header().Set("X-Sum", "42")
	} else {
		w.Header().Set(http.TrailerPrefix+"X-Sum", "42")
	}
}

// The trailer is there with the body's end, by each way to a response.
func TestTrailer(t *testing.T) {
	leak.Check(t)
	onEachWire(t, http.HandlerFunc(late), func(t *testing.T, base string) {
		inner := session(t, nil)
		outer := session(t, func(c *urlsession.Configuration) {
			for _, name := range []string{"http", "https"} {
				c.Protocols = append(c.Protocols, protocols.Scheme{
					Name: name, Security: protocols.Local,
					New: func(protocols.Client) protocols.URLProtocol { return protocols.FromRoundTripper(inner.RoundTripper()) },
				})
			}
		})
		for _, path := range []string{"/announced", "/late", "/late?coding=gzip"} {
			for name, s := range map[string]*urlsession.Session{"a session": inner, "one over another": outer} {
				data, resp := load(t, s, get(t, base+path))
				if data != "body" || resp.Trailer.Get("X-Sum") != "42" {
					t.Errorf("%s, Data of %s: %q, trailer %v", name, path, data, resp.Trailer)
				}
				body := stream(t, s, base+path)
				if data, err := io.ReadAll(body); err != nil || string(data) != "body" || body.Response().Trailer.Get("X-Sum") != "42" {
					t.Errorf("%s, Bytes of %s: %q, trailer %v, %v", name, path, data, body.Response().Trailer, err)
				}
				checkTrailer(t, s, name, base+path)
			}
		}
	})
}

func checkTrailer(t *testing.T, s *urlsession.Session, name, url string) {
	t.Helper()
	resp, err := (&http.Client{Transport: s.RoundTripper()}).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Trailer.Get("X-Sum") != "" {
		t.Errorf("%s, RoundTripper of %s: the trailer is there before the body", name, url)
	}
	if data, err := io.ReadAll(resp.Body); err != nil || string(data) != "body" || resp.Trailer.Get("X-Sum") != "42" {
		t.Errorf("%s, RoundTripper of %s: %q, trailer %v, %v", name, url, data, resp.Trailer, err)
	}
}
