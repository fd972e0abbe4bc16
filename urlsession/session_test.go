package urlsession_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/ats"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

func hello(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	fmt.Fprintf(w, "%s %s", r.Method, r.Proto)
}

func TestData(t *testing.T) {
	leak.Check(t)
	onEachWire(t, http.HandlerFunc(hello), func(t *testing.T, base string) {
		data, resp := load(t, session(t, nil), get(t, base+"/x"))
		if !strings.HasPrefix(data, "GET HTTP/") || !resp.OK() {
			t.Errorf("data %q, status %d", data, resp.StatusCode)
		}
		if resp.MIMEType != "text/plain" || resp.TextEncodingName != "utf-8" || resp.ContentLength != int64(len(data)) {
			t.Errorf("type %q, charset %q, length %d", resp.MIMEType, resp.TextEncodingName, resp.ContentLength)
		}
		if resp.Conn == nil || resp.Conn.Remote == nil || (resp.Conn.TLS == nil) != strings.HasPrefix(base, "http:") {
			t.Errorf("connection facts %+v", resp.Conn)
		}
	})
}

func TestStatusIsNoError(t *testing.T) {
	leak.Check(t)
	onEachWire(t, http.NotFoundHandler(), func(t *testing.T, base string) {
		data, resp := load(t, session(t, nil), get(t, base))
		if resp.StatusCode != 404 || resp.OK() || data == "" {
			t.Errorf("status %d, data %q", resp.StatusCode, data)
		}
	})
}

func TestHeadersAddedWhenAbsent(t *testing.T) {
	leak.Check(t)
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = r.Header.Write(w) })
	onEachWire(t, echo, func(t *testing.T, base string) {
		s := session(t, func(c *urlsession.Configuration) {
			c.AdditionalHeaders = http.Header{"X-App": {"1"}, "accept": {"text/html"}}
		})
		req := request(t, http.MethodPost, base, urlsession.StringBody("a=b"))
		req.Header.Set("User-Agent", "mine")
		data, _ := load(t, s, req)
		for _, want := range []string{
			"Accept: text/html\r\n", "Accept-Encoding: gzip, deflate, br, zstd\r\n", "User-Agent: mine\r\n", "X-App: 1\r\n",
			"Content-Type: application/x-www-form-urlencoded\r\n", "Content-Length: 3\r\n",
		} {
			if !strings.Contains(data, want) {
				t.Errorf("the server saw\n%swithout %q", data, want)
			}
		}
		req = request(t, http.MethodPut, base, urlsession.StringBody("a=b"))
		req.Header.Set("Range", "bytes=0-1")
		data, _ = load(t, s, req)
		if strings.Contains(data, "form-urlencoded") || strings.Contains(data, "gzip") {
			t.Errorf("a PUT with a Range got\n%s", data)
		}
	})
}

func TestUpload(t *testing.T) {
	leak.Check(t)
	leak.CheckFiles(t)
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%d ", r.ContentLength)
		_, _ = io.Copy(w, r.Body)
	})
	name := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(name, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	bodies := map[string]struct {
		body *urlsession.Body
		want string
	}{
		"bytes":  {urlsession.BytesBody([]byte("some bytes")), "10 some bytes"},
		"file":   {urlsession.FileBody(name), "11 from a file"},
		"reader": {urlsession.ReaderBody(io.MultiReader(strings.NewReader("a "), strings.NewReader("reader"))), "-1 a reader"},
	}
	onEachWire(t, echo, func(t *testing.T, base string) {
		s := session(t, nil)
		for name, b := range bodies {
			if name == "reader" {
				b.body = urlsession.ReaderBody(io.MultiReader(strings.NewReader("a "), strings.NewReader("reader")))
			}
			if data, _ := load(t, s, request(t, http.MethodPut, base, b.body)); data != b.want {
				t.Errorf("%s: the server saw %q, want %q", name, data, b.want)
			}
		}
		_, _, err := s.Data(t.Context(), request(t, http.MethodPut, base, urlsession.FileBody(name+".missing")))
		wantCode(t, err, urlsession.FileDoesNotExist, os.ErrNotExist)
	})
}

func TestPolicy(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", http.HandlerFunc(hello))
	s := session(t, func(c *urlsession.Configuration) { c.ATS.AllowsLocalNetworking = ats.No })
	_, _, err := s.Data(t.Context(), get(t, base))
	wantCode(t, err, urlsession.AppTransportSecurityRequiresSecureConnection)
	if !strings.Contains(err.Error(), "ExceptionDomains") {
		t.Errorf("%v does not say which key would allow it", err)
	}
	_, _, err = s.Data(t.Context(), get(t, "ws-unknown://example.com/"))
	wantCode(t, err, urlsession.UnsupportedURL)
	if !strings.Contains(err.Error(), "data, file, http, https are registered") {
		t.Errorf("%v does not name what is registered", err)
	}
}

func TestUntrustedServer(t *testing.T) {
	leak.Check(t)
	base := serve(t, "h2", http.HandlerFunc(hello))
	s := session(t, func(c *urlsession.Configuration) { c.RootCAs = nil })
	_, _, err := s.Data(t.Context(), get(t, base))
	wantCode(t, err, urlsession.ServerCertificateUntrusted)
}

func TestNewRefuses(t *testing.T) {
	tests := map[string]func(*urlsession.Configuration){
		"ExceptionDomains": func(c *urlsession.Configuration) {
			c.ATS.ExceptionDomains = map[string]ats.Exception{"*.example.com": {}}
		},
		"Authorization is reserved": func(c *urlsession.Configuration) { c.AdditionalHeaders = http.Header{"authorization": {"x"}} },
		"control character":         func(c *urlsession.Configuration) { c.AdditionalHeaders = http.Header{"X": {"a\r\nb"}} },
		"above MaximumTLSVersion": func(c *urlsession.Configuration) {
			c.MinimumTLSVersion, c.MaximumTLSVersion = 0x0304, 0x0303
		},
	}
	for want, change := range tests {
		cfg := urlsession.DefaultConfiguration()
		change(&cfg)
		if _, err := urlsession.New(cfg, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New gives %v, want an error with %q", err, want)
		}
	}
}

func TestContextErrors(t *testing.T) {
	leak.Check(t)
	stall := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
	})
	onEachWire(t, stall, func(t *testing.T, base string) {
		s := session(t, nil)
		for _, path := range []string{"/head", "/body"} {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
			_, _, err := s.Data(ctx, get(t, base+path))
			cancel()
			wantCode(t, err, urlsession.TimedOut, context.DeadlineExceeded)

			cause := errors.New("a reason")
			ctx, cancelCause := context.WithCancelCause(t.Context())
			time.AfterFunc(30*time.Millisecond, func() { cancelCause(cause) })
			_, _, err = s.Data(ctx, get(t, base+path))
			wantCode(t, err, urlsession.Cancelled, context.Canceled, cause)

			req := get(t, base+path)
			req.Timeout = 30 * time.Millisecond
			_, _, err = s.Data(t.Context(), req)
			wantCode(t, err, urlsession.TimedOut, os.ErrDeadlineExceeded)
		}
	})
}

func TestClose(t *testing.T) {
	leak.Check(t)
	leak.CheckFiles(t)
	arrived := make(chan struct{}, 8)
	stall := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	onEachWire(t, stall, func(t *testing.T, base string) {
		s := session(t, nil)
		failed := make(chan error, 1)
		go func() {
			_, _, err := s.Data(context.Background(), get(t, base))
			failed <- err
		}()
		<-arrived
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		wantCode(t, <-failed, urlsession.Cancelled, urlsession.ErrSessionInvalidated)
		_, _, err := s.Data(context.Background(), get(t, base))
		wantCode(t, err, urlsession.Cancelled, urlsession.ErrSessionInvalidated)
	})
}

func TestCloseEndsAnUnreadStream(t *testing.T) {
	leak.Check(t)
	endless := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for p := make([]byte, 64<<10); ; {
			if _, err := w.Write(p); err != nil {
				return
			}
		}
	})
	onEachWire(t, endless, func(t *testing.T, base string) {
		s := session(t, nil)
		body, err := s.Bytes(t.Context(), get(t, base))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		_, err = io.Copy(io.Discard, body)
		wantCode(t, err, urlsession.Cancelled, urlsession.ErrSessionInvalidated)
	})
}

func TestSharedIsNotClosed(t *testing.T) {
	if err := urlsession.Shared().Close(); err != nil {
		t.Fatal(err)
	}
	data, _, err := urlsession.Data(t.Context(), "data:,still%20here")
	if err != nil || string(data) != "still here" {
		t.Errorf("%q, %v", data, err)
	}
	var lines []string
	for line, err := range urlsession.Lines(t.Context(), "data:,a%0A%0Ab") {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if strings.Join(lines, "|") != "a||b" {
		t.Errorf("lines %q", lines)
	}
}

func TestConfigurationIsCopied(t *testing.T) {
	cfg := urlsession.EphemeralConfiguration()
	cfg.AdditionalHeaders = http.Header{"X-App": {"1"}}
	s, err := urlsession.New(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cfg.AdditionalHeaders.Set("X-App", "2")
	s.Configuration().AdditionalHeaders.Set("X-App", "3")
	if got := s.Configuration().AdditionalHeaders.Get("X-App"); got != "1" {
		t.Errorf("the session's field is %q", got)
	}
}
