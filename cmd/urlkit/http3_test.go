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
