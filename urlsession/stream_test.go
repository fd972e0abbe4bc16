package urlsession_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

func stream(t testing.TB, s *urlsession.Session, url string) *urlsession.ByteStream {
	t.Helper()
	body, err := s.Bytes(t.Context(), get(t, url))
	if err != nil {
		t.Fatal(err)
	}

	return body
}

func TestLines(t *testing.T) {
	leak.Check(t)
	text := "first\r\n\nthird\n" + strings.Repeat("x", 300_000) + "\nlast"
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
	onEachWire(t, handler, func(t *testing.T, base string) {
		var lines []string
		for line, err := range stream(t, session(t, nil), base).Lines() {
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, line)
		}
		if got, want := strings.Join(lines, "\n"), strings.ReplaceAll(text, "\r", ""); got != want {
			t.Errorf("%d lines, %d bytes; want %d bytes", len(lines), len(got), len(want))
		}
	})
}

func TestLeavingTheLoopEndsTheLoad(t *testing.T) {
	leak.Check(t)
	ended := make(chan struct{}, 1)
	endless := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := io.WriteString(w, "line\n"); err != nil {
				ended <- struct{}{}

				return
			}
		}
	})
	onEachWire(t, endless, func(t *testing.T, base string) {
		body := stream(t, session(t, nil), base)
		for line, err := range body.Lines() {
			if line != "line" || err != nil {
				t.Fatalf("%q, %v", line, err)
			}

			break
		}
		<-ended
		if _, err := body.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("a Read after the loop gives %v", err)
		}
	})
}

func TestCutBody(t *testing.T) {
	leak.Check(t)
	cut := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", "1000")
		}
		_, _ = io.WriteString(w, "one\ntwo")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	onWires(t, wiresFor("/cut"), cut, func(t *testing.T, base string) {
		s := session(t, nil)
		for _, path := range []string{"/length", "/chunked"} {
			data, resp, err := s.Data(t.Context(), get(t, base+path))
			wantCode(t, err, urlsession.NetworkConnectionLost, io.ErrUnexpectedEOF)
			if data != nil || resp == nil || resp.StatusCode != 200 {
				t.Errorf("with the error came %q and %v", data, resp)
			}
			var lines []string
			for line, lineErr := range stream(t, s, base+path).Lines() {
				if err = lineErr; err == nil {
					lines = append(lines, line)
				}
			}
			wantCode(t, err, urlsession.NetworkConnectionLost, io.ErrUnexpectedEOF)
			if strings.Join(lines, "|") != "one" {
				t.Errorf("lines of a cut body: %q", lines)
			}
		}
	})
}

func TestChunksAndTrailer(t *testing.T) {
	leak.Check(t)
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = w.Write(make([]byte, 200_000))
		w.Header().Set("X-Sum", "42")
	})
	onEachWire(t, handler, func(t *testing.T, base string) {
		body := stream(t, session(t, nil), base)
		total := 0
		for chunk, err := range body.Chunks() {
			if err != nil {
				t.Fatal(err)
			}
			total += len(chunk)
		}
		if total != 200_000 || body.Response().Trailer.Get("X-Sum") != "42" {
			t.Errorf("%d bytes, trailer %v", total, body.Response().Trailer)
		}
	})
}

func TestLineTooLong(t *testing.T) {
	leak.Check(t)
	long := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 2<<20)) })
	var last error
	for _, err := range stream(t, session(t, nil), serve(t, "h2", long)).Lines() {
		last = err
	}
	wantCode(t, last, urlsession.DataLengthExceedsMaximum)
}
