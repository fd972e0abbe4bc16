package urlsession_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// literals are bodies that were written down without a Length.
func literals(t testing.TB, payload string) map[string]*urlsession.Body {
	t.Helper()
	name := filepath.Join(t.TempDir(), "payload")
	if err := os.WriteFile(name, []byte(payload), 0o600); err != nil {
		t.Fatal(err)
	}

	return map[string]*urlsession.Body{
		"Bytes": {Bytes: []byte(payload)},
		"File":  {File: name},
		"Open": {Open: func(offset int64) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(payload[offset:])), nil
		}},
	}
}

func TestLiteralBodiesAreSentWhole(t *testing.T) {
	leak.Check(t)
	leak.CheckFiles(t)
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/first" {
			http.Redirect(w, r, "/again", http.StatusTemporaryRedirect)

			return
		}
		body, _ := io.ReadAll(r.Body) // to the end first: HTTP/1.1 is no echo
		fmt.Fprintf(w, "%d %s", r.ContentLength, body)
	})
	onEachWire(t, echo, func(t *testing.T, base string) {
		s := session(t, nil)
		for _, payload := range []string{"short", strings.Repeat("0123456789", 40<<10)} {
			for name, body := range literals(t, payload) {
				want := fmt.Sprintf("%d %s", len(payload), payload)
				if name == "Open" {
					want = "-1 " + payload
				}
				for _, path := range []string{"/", "/first"} {
					if data, _ := load(t, s, request(t, http.MethodPut, base+path, body)); data != want {
						t.Errorf("PUT %s of %s: the server saw %d bytes %.20q, want %d", path, name, len(data), data, len(want))
					}
				}
			}
		}
	})
}

func TestLiteralBodiesAreWrittenWhole(t *testing.T) {
	leak.Check(t)
	leak.CheckFiles(t)
	s := session(t, nil)
	payload := strings.Repeat("0123456789", 40<<10)
	for name, body := range literals(t, payload) {
		to := filepath.Join(t.TempDir(), "written")
		u := url.URL{Scheme: "file", Path: filepath.ToSlash(to)}
		load(t, s, request(t, http.MethodPut, u.String(), body))
		if written, err := os.ReadFile(to); err != nil || string(written) != payload {
			t.Errorf("%s: %d bytes were written, want %d, %v", name, len(written), len(payload), err)
		}
	}
}

// forgetful answers one request on its first connection, and hangs up at the
// second; later ones it answers with what it was sent.
func forgetful(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for first := true; ; first = false {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				for r := bufio.NewReader(conn); ; {
					req, err := http.ReadRequest(r)
					if err != nil || first && req.Method != http.MethodGet {
						return
					}
					body, _ := io.ReadAll(req.Body)
					fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		all.Wait()
	})

	return "http://" + listener.Addr().String()
}

// A body that can be read again survives a kept connection that is closed.
func TestBodiesOverAStaleConnection(t *testing.T) {
	leak.Check(t)
	const payload = "payload"
	bodies := literals(t, payload)
	bodies["FuncBody"] = urlsession.FuncBody(int64(len(payload)), bodies["Open"].Open)
	bodies["a seeker"] = urlsession.ReaderBody(strings.NewReader(payload))
	bodies["a reader"] = urlsession.ReaderBody(io.MultiReader(strings.NewReader(payload)))
	for name, body := range bodies {
		base := forgetful(t)
		s := session(t, nil)
		load(t, s, get(t, base))
		data, _, err := s.Data(t.Context(), request(t, http.MethodPut, base, body))
		if name == "a reader" {
			wantCode(t, err, urlsession.NetworkConnectionLost)
		} else if err != nil || string(data) != payload {
			t.Errorf("%s: %q, %v", name, data, err)
		}
		if err := s.Close(); err != nil { // before the server waits for its connections
			t.Error(err)
		}
	}
}
