package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/urlsession"
)

// TestStatuses meets what can be met on loopback.
func TestStatuses(t *testing.T) {
	s := serve(t, misbehave)
	plain := strings.Replace(s.URL, "http://", "https://", 1)
	missing := filepath.Join(t.TempDir(), "missing")
	tests := []struct {
		status int
		args   []string
	}{
		{0, []string{"data:,x"}},
		{0, []string{s.URL + "/whole"}},
		{exitScheme, []string{"gopher://127.0.0.1/"}},
		{exitURL, []string{"http://["}},
		{exitURL, []string{"127.0.0.1/no-scheme"}},
		{exitConnect, []string{"http://" + closedPort(t)}},
		{exitReply, []string{s.URL + "/nonsense"}},
		{exitPartial, []string{s.URL + "/cut"}},
		{exitRead, []string{"-T", missing, s.URL}},
		{exitRead, []string{"-d", "@" + missing, s.URL}},
		{exitRead, []string{"-H", "@" + missing, s.URL}},
		{exitTime, []string{"--max-time", "0.1", s.URL + "/hang"}},
		{exitTLS, []string{plain + "/whole"}},
		{exitFile, []string{"file://" + missing}},
		{exitNoReply, []string{s.URL + "/nothing"}},
		{exitReceive, []string{s.URL + "/reset"}},
		{exitCoding, []string{s.URL + "/bad-gzip"}},
		{exitCertificate, []string{"--cert", missing, s.URL}},
		{exitCA, []string{"--cacert", missing, s.URL}},
		{exitCA, []string{"--cacert", write(t, missing+"-pem", "no certificate"), s.URL}},
		{exitPolicy, []string{"http://example.com/"}},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%d %s", test.status, test.args[len(test.args)-1]), func(t *testing.T) {
			r := try(t, append([]string{"get"}, test.args...)...).want(t, test.status)
			if test.status != 0 {
				contains(t, "the error", r.err, fmt.Sprintf("urlkit: (%d) ", test.status))
			}
			dir := t.TempDir()
			args := append([]string{"get", "-o", filepath.Join(dir, "file")}, test.args...)
			try(t, args...).want(t, test.status)
			if names := files(t, dir); test.status != 0 && len(names) > 0 {
				t.Errorf("left %q", names)
			}
		})
	}
}

// misbehave does what the path says.
func misbehave(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/whole":
		_, _ = io.WriteString(w, "whole")
	case "/cut":
		raw(w, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"+strings.Repeat("x", 99))
	case "/nonsense":
		raw(w, "nonsense\r\n\r\n")
	case "/nothing":
		raw(w, "")
	case "/reset":
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	case "/bad-gzip":
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, "this is not gzip at all")
	case "/hang":
		<-r.Context().Done()
	}
}

// raw answers with these bytes and closes the connection.
func raw(w http.ResponseWriter, answer string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, answer)
}

// closedPort is a port that nobody listens on.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()

	return l.Addr().String()
}

// The table is the same in the code and in help, and curl's.
func TestStatusTable(t *testing.T) {
	listed := map[int]bool{}
	for _, s := range statuses {
		if listed[s.status] || s.meaning == "" {
			t.Errorf("%d is listed twice, or says nothing", s.status)
		}
		listed[s.status] = true
	}
	for code, status := range exitOfCodes {
		if !listed[status] {
			t.Errorf("help does not list %d, of %v", status, code)
		}
	}
	tests := []struct {
		err  error
		want int
	}{
		{nil, 0},
		{&urlsession.Error{Code: urlsession.CannotFindHost}, 6},
		{&urlsession.Error{Code: urlsession.DNSLookupFailed}, 6},
		{&urlsession.Error{Code: urlsession.NotConnectedToInternet}, 7},
		{&urlsession.Error{Code: urlsession.ClientCertificateRequired}, 98},
		{&urlsession.Error{Code: urlsession.ServerCertificateNotYetValid}, 60},
		{&urlsession.Error{Code: urlsession.CannotWriteToFile}, 23},
		{&urlsession.Error{Code: urlsession.FileIsDirectory, URL: "http://host/"}, 23},
		{&urlsession.Error{Code: urlsession.FileIsDirectory, URL: "file:///tmp/"}, 37},
		{&urlsession.Error{Code: urlsession.NetworkConnectionLost, Phase: "body", Err: io.ErrUnexpectedEOF}, 18},
		{&urlsession.Error{Code: urlsession.NetworkConnectionLost, Err: errors.New("?")}, 56},
		{&urlsession.Error{Code: urlsession.Unknown}, exitOther},
		{fmt.Errorf("wrapped: %w", &urlsession.Error{Code: urlsession.TimedOut}), 28},
		{os.ErrInvalid, exitOther},
	}
	for _, test := range tests {
		if got := exitOf(test.err); got != test.want {
			t.Errorf("%v is %d, want %d", test.err, got, test.want)
		}
	}
}
