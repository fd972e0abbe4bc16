package http

import (
	"errors"
	"io"
	nethttp "net/http"
	"testing"

	"github.com/urlkit/urlkit/protocols"
)

func TestTrace(t *testing.T) {
	for _, kind := range kinds {
		l, client, server := start(t, kind, Config{}, func(w nethttp.ResponseWriter, r *nethttp.Request) {
			w.Header().Set("Link", "</style.css>")
			w.WriteHeader(nethttp.StatusEarlyHints)
			_, _ = io.Copy(w, r.Body)
		})
		for i := range 2 {
			req := newRequest(t, "POST", server.URL, protocols.StringBody("x"))
			req.Trace = new(protocols.Trace)
			if _, body, err := fetch(t.Context(), l, req); err != nil || body != "x" {
				t.Fatalf("%s: %q, %v", kind, body, err)
			}
			secure := i == 0 && kind != "http"
			for event, want := range map[protocols.Event]bool{
				protocols.SecureConnectionStart: secure, protocols.SecureConnectionEnd: secure,
				protocols.RequestStart: true, protocols.RequestEnd: true, protocols.ResponseStart: true, protocols.ResponseEnd: true,
			} {
				if req.Trace.Time(event).IsZero() == want {
					t.Errorf("%s, load %d: event %d: %v", kind, i, event, req.Trace.Time(event))
				}
			}
			if req.Trace.Time(protocols.ResponseEnd).Before(req.Trace.Time(protocols.ResponseStart)) {
				t.Errorf("%s: the response ends before it starts", kind)
			}
		}
		get(t, l, server.URL) // nobody traces, nobody is informed
		if len(client.informed) != 2 {
			t.Fatalf("%s: informed %d times", kind, len(client.informed))
		}
		if r := client.informed[0]; r.StatusCode != 103 || r.Header.Get("Link") != "</style.css>" || r.Body != protocols.NoBody || r.Conn == nil {
			t.Errorf("%s: %+v", kind, r)
		}
	}
}

// Interim responses without end are an end, also where somebody looks at them.
func TestInterimWithoutEnd(t *testing.T) {
	for _, kind := range kinds {
		l, client, server := start(t, kind, Config{}, func(w nethttp.ResponseWriter, _ *nethttp.Request) {
			for range 2 * maxInterim {
				w.WriteHeader(nethttp.StatusProcessing)
			}
		})
		req := newRequest(t, "GET", server.URL, nil)
		req.Trace = new(protocols.Trace)
		if _, _, err := fetch(t.Context(), l, req); !isCode(err, protocols.BadServerResponse) && !isCode(err, protocols.CannotParseResponse) {
			t.Errorf("%s: %v", kind, err)
		}
		if n := len(client.informed); n != maxInterim {
			t.Errorf("%s: informed %d times", kind, n)
		}
	}
}

// A body that is read once more after its end counts nothing: its connection serves
// another request by then.
func TestTraceCountsItsOwnBody(t *testing.T) {
	l, _, server := start(t, "http", Config{}, func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		_, _ = io.WriteString(w, "hello")
	})
	req := newRequest(t, "GET", server.URL, nil)
	req.Trace = new(protocols.Trace)
	resp, err := l.Load(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if data, err := io.ReadAll(resp.Body); string(data) != "hello" || err != nil || req.Trace.Bytes(protocols.ResponseBodyBytes) != 5 {
		t.Fatalf("%q, %v, %d bytes", data, err, req.Trace.Bytes(protocols.ResponseBodyBytes))
	}
	get(t, l, server.URL)
	if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) || req.Trace.Bytes(protocols.ResponseBodyBytes) != 5 {
		t.Errorf("%d, %v, %d bytes", n, err, req.Trace.Bytes(protocols.ResponseBodyBytes))
	}
}
