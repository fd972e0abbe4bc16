package http

import (
	nethttp "net/http"
	"testing"
	"time"
)

// A request's priority is told to the server (RFC 9218), unless it is the default or the
// app says something itself.
func TestPriorityField(t *testing.T) {
	for _, kind := range kinds {
		seen := make(chan string, 1)
		l, _, server := start(t, kind, Config{}, func(_ nethttp.ResponseWriter, r *nethttp.Request) { seen <- r.Header.Get("Priority") })
		for priority, want := range map[float64]string{
			0: "", 0.5: "", 1: "u=0", 0.9: "u=1", 0.75: "u=2", 0.25: "u=5", 0.4: "u=4", 0.001: "u=7", -1: "", 2: "",
		} {
			req := newRequest(t, "GET", server.URL, nil)
			req.Priority = priority
			if _, _, err := fetch(t.Context(), l, req); err != nil {
				t.Fatal(err)
			}
			if got := <-seen; got != want {
				t.Errorf("%s: priority %v is told as %q, want %q", kind, priority, got, want)
			}
		}
		req := newRequest(t, "GET", server.URL, nil)
		req.Priority = 1
		req.Header.Set("Priority", "u=6, i")
		if _, _, err := fetch(t.Context(), l, req); err != nil || <-seen != "u=6, i" {
			t.Errorf("%s: %v, or the app's own priority was not sent", kind, err)
		}
	}
}

// A connection that is too old serves what it has, and takes nothing new.
func TestConnectionAge(t *testing.T) {
	for _, kind := range kinds {
		gate := make(chan struct{})
		l, client, server := start(t, kind, Config{MaximumConnectionAge: 50 * time.Millisecond}, func(w nethttp.ResponseWriter, r *nethttp.Request) {
			if r.URL.Path == "/slow" {
				w.WriteHeader(200)
				w.(nethttp.Flusher).Flush()
				<-gate
			}
			_, _ = w.Write([]byte("done"))
		})
		resp, err := l.Load(t.Context(), newRequest(t, "GET", server.URL+"/slow", nil))
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is too old", func() bool { open, _, _, shared := l.pool.counts(); return open == 0 && !shared })
		get(t, l, server.URL)
		if n := client.dials.Load(); n != 2 {
			t.Errorf("%s: %d connections", kind, n)
		}
		close(gate)
		data := make([]byte, 10)
		if n, err := resp.Body.Read(data); string(data[:n]) != "done" {
			t.Errorf("%s: %q, %v", kind, data[:n], err)
		}
		_ = resp.Body.Close()
		eventually(t, "the other is too old, and nothing is left", func() bool {
			open, idle, _, shared := l.pool.counts()

			return open == 0 && idle == 0 && !shared
		})
	}
	l := loaderFor(t, &testClient{}, Config{MaximumConnectionAge: -1}, false)
	if age := l.pool.config.MaximumConnectionAge; age < 1<<62 {
		t.Errorf("a negative age gives %v", age)
	}
}
