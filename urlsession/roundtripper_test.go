package urlsession_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/ats"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

func TestRoundTripper(t *testing.T) {
	leak.Check(t)
	mux := http.NewServeMux()
	mux.HandleFunc("/start", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "hop", Value: "1"})
		http.Redirect(w, r, "/end", http.StatusFound)
	})
	mux.HandleFunc("/end", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		fmt.Fprint(w, r.Header.Get("Cookie"))
		w.Header().Set("X-Sum", "42")
	})
	onEachWire(t, mux, func(t *testing.T, base string) {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: session(t, nil).RoundTripper(), Jar: jar}
		resp, err := client.Get(base + "/start")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil || string(data) != "hop=1" || resp.Trailer.Get("X-Sum") != "42" {
			t.Errorf("body %q, trailer %v, %v", data, resp.Trailer, err)
		}
		if resp.Request == nil || resp.Request.URL.Path != "/end" || resp.Proto == "" {
			t.Errorf("request %v, proto %q", resp.Request, resp.Proto)
		}
	})
}

func TestRoundTripperDecodes(t *testing.T) {
	leak.Check(t)
	body := encode(t, "gzip", []byte("decoded"))
	client := &http.Client{Transport: session(t, nil).RoundTripper()}
	base := serve(t, "h2", coded(body))
	for _, own := range []bool{false, true} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"?coding=gzip", nil)
		if err != nil {
			t.Fatal(err)
		}
		want := "decoded"
		if own {
			req.Header.Set("Accept-Encoding", "gzip")
			want = string(body)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(resp.Body)
		if cerr := resp.Body.Close(); err != nil || cerr != nil || string(data) != want {
			t.Errorf("own=%v: body %q, %v, %v", own, data, err, cerr)
		}
		if resp.Uncompressed == own || (resp.Header.Get("Content-Encoding") == "") == own || !own && resp.ContentLength != -1 {
			t.Errorf("own=%v: uncompressed %v, header %v, length %d", own, resp.Uncompressed, resp.Header, resp.ContentLength)
		}
	}
}

func TestRoundTripperUpgrade(t *testing.T) {
	leak.Check(t)
	upgrade := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)

			return
		}
		defer conn.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		fmt.Fprint(rw, strings.ToUpper(line))
		_ = rw.Flush()
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, serve(t, "http/1.1", upgrade), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := session(t, nil).RoundTripper().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %d, body %T", resp.StatusCode, resp.Body)
	}
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); line != "HELLO\n" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
}

// closable tells whether a body was closed.
type closable struct {
	io.Reader

	closed bool
}

func (c *closable) Close() error {
	c.closed = true

	return nil
}

func TestRoundTripperClosesTheBody(t *testing.T) {
	leak.Check(t)
	s := session(t, func(c *urlsession.Configuration) { c.ATS.AllowsLocalNetworking = ats.No })
	for _, url := range []string{
		"http://127.0.0.1:1/", "unknown://host/", "data:,x", serve(t, "h2", http.NotFoundHandler()),
	} {
		body := &closable{Reader: strings.NewReader("body")}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.RoundTripper().RoundTrip(req)
		var e *urlsession.Error
		switch {
		case err == nil:
			_ = resp.Body.Close()
		case !errors.As(err, &e):
			t.Errorf("%s: %v is no *Error", url, err)
		}
		if !body.closed {
			t.Errorf("%s: the body was left open (%v)", url, err)
		}
	}
}

func TestRoundTripperWithoutStatus(t *testing.T) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "data:text/html,x", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := session(t, nil).RoundTripper().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/html" {
		t.Errorf("status %d, header %v", resp.StatusCode, resp.Header)
	}
}
