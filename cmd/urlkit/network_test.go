package main

import (
	"encoding/base64"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/urlkit/urlkit/internal/leak"
)

// --retry tries again where the server is busy, and -v says so.
func TestRetryFlag(t *testing.T) {
	var requests atomic.Int32
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1)%3 != 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, "hello")
	})
	r := try(t, "get", "-f", "-v", "--retry", "2", s.URL).want(t, 0)
	contains(t, "the report", r.err, "< HTTP/1.1 503", "again (status)", "< HTTP/1.1 200")
	if n := requests.Load(); r.out != "hello" || n != 3 {
		t.Errorf("%q after %d requests", r.out, n)
	}
	try(t, "get", "-f", "--retry", "1", s.URL).want(t, exitStatus)
	if n := requests.Load(); n != 5 {
		t.Errorf("%d requests, want two more", n)
	}
	try(t, "get", "--retry", "-1", s.URL).want(t, exitUsage)
}

// --doh-url asks a server for the address of a name.
func TestDoHFlag(t *testing.T) {
	leak.Check(t)
	var asked atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		question, err := base64.RawURLEncoding.DecodeString(r.FormValue("dns"))
		if r.URL.Path != "/dns-query" || err != nil {
			_, _ = io.WriteString(w, r.Host)

			return
		}
		asked.Add(1)
		var m dnsmessage.Message
		if err := m.Unpack(question); err != nil {
			t.Error(err)
		}
		m.Response = true
		if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 60},
				Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
			}}
		}
		packed, _ := m.Pack()
		w.Header().Set("Content-Type", "application/dns-message")
		_, _ = w.Write(packed)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	write(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	url := strings.Replace(s.URL, "127.0.0.1", "www.example.com", 1)
	r := try(t, "get", "--cacert", ca, "--doh-url", s.URL+"/dns-query", url).want(t, 0)
	if want := strings.TrimPrefix(url, "https://"); r.out != want || asked.Load() == 0 {
		t.Errorf("%q, want %q; asked %d times", r.out, want, asked.Load())
	}
	contains(t, "the report", try(t, "get", "-v", "--cacert", ca, "--doh-url", s.URL+"/dns-query", url).want(t, 0).err, "* lookup: DNS by https\n")
	contains(t, "the record", try(t, "get", "--json", "-s", "-o", filepath.Join(t.TempDir(), "out"), "--cacert", ca, "--doh-url", s.URL+"/dns-query", url).want(t, 0).out, `"resolution":"https"`)
	try(t, "get", "--doh-url", "http://127.0.0.1/", url).want(t, exitUsage)
}
