//go:build !urlkit_nohttp3

package main

import (
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/urlkit/urlkit/internal/http3server"
	"github.com/urlkit/urlkit/internal/leak"
)

func TestHTTP3Flags(t *testing.T) {
	leak.Check(t)
	s, err := http3server.Start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	model := httptest.NewTLSServer(nil) // has the same certificate
	defer model.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	write(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: model.Certificate().Raw})))
	for flag, want := range map[string]string{"-s": "HTTP/2.0", "--http3": "HTTP/3.0", "--no-http3": "HTTP/2.0", "--http2": "HTTP/2.0"} {
		if r := try(t, "get", "--cacert", ca, flag, s.URL).want(t, 0); r.out != want {
			t.Errorf("with %s: %q, want %s", flag, r.out, want)
		}
	}
	r := try(t, "get", "--cacert", ca, "-v", "--http3", s.URL).want(t, 0)
	contains(t, "the report", r.err, "TLS 1.3 with TLS_", ", h3\n")
	_, port, _ := net.SplitHostPort(s.Addr)
	r = try(t, "explain", "--http3", "https://127.0.0.1:"+port+"/").want(t, 0)
	contains(t, "the explanation", r.out, "assumed at 127.0.0.1:"+port)
	r = try(t, "explain", "https://127.0.0.1:"+port+"/").want(t, 0)
	contains(t, "the explanation", r.out, "nothing is known")
}

// What a server says of HTTP/3 is known to the next command, and told.
func TestAltSvcFlag(t *testing.T) {
	leak.Check(t)
	var port string
	s, err := http3server.Start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Alt-Svc", `h3=":`+port+`"`)
		_, _ = io.WriteString(w, r.Proto)
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, port, _ = net.SplitHostPort(s.Addr)
	model := httptest.NewTLSServer(nil) // has the same certificate
	defer model.Close()
	dir := t.TempDir()
	ca := write(t, filepath.Join(dir, "ca.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: model.Certificate().Raw})))
	known := filepath.Join(dir, "alt-svc")
	const told = "by Alt-Svc or the DNS"
	lacks(t, "the first explanation", try(t, "explain", "--alt-svc", known, s.URL).want(t, 0).out, told)
	r := try(t, "get", "-v", "--cacert", ca, "--alt-svc", known, s.URL).want(t, 0)
	contains(t, "the first report", r.err, "* http/3, next time: at "+s.Addr+", "+told)
	contains(t, "the explanation", try(t, "explain", "--alt-svc", known, s.URL).want(t, 0).out, "at "+s.Addr+", "+told)
	lacks(t, "the explanation without the file", try(t, "explain", s.URL).want(t, 0).out, told)
	if second := try(t, "get", "-s", "--cacert", ca, "--alt-svc", known, s.URL).want(t, 0); r.out != "HTTP/2.0" || second.out != "HTTP/3.0" {
		t.Errorf("by %s, then by %s", r.out, second.out)
	}
	try(t, "get", "--alt-svc", dir, s.URL).want(t, exitRead)
	try(t, "explain", "--alt-svc", dir, s.URL).want(t, exitRead)
}
