package urlsession_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/urlkit/urlkit/storage/cache"
	"github.com/urlkit/urlkit/urlsession"
)

const (
	allocationOrigin = "URLKIT_ALLOCATION_ORIGIN" // set in the process that serves
	allocationBody   = 1 << 10
)

// allocationAddress is what the process that serves prints.
type allocationAddress struct {
	HTTP, HTTPS string
	CA          []byte
}

// TestAllocations holds Session.Data to its promise: at most eight allocations
// more than http.Transport.RoundTrip whose body is discarded, which is what
// http.Client and io.ReadAll need. The server is a process of its own, because
// what it allocates depends on the fields that a client sends.
func TestAllocations(t *testing.T) {
	unraced(t)
	const more = 8
	address := startAllocationOrigin(t)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(address.CA) {
		t.Fatal("no certificate")
	}
	for _, test := range []struct{ name, proto, url string }{
		{"HTTP1", "HTTP/1.1", address.HTTP},
		{"HTTP2", "HTTP/2.0", address.HTTPS},
	} {
		t.Run(test.name, func(t *testing.T) {
			raw := allocations(t, rawRoundTrip(t, roots, test.proto, test.url))
			data := allocations(t, sessionData(t, roots, test.url))
			t.Logf("Session.Data: %.0f allocations; Transport.RoundTrip: %.0f", data, raw)
			if data > raw+more {
				t.Errorf("Session.Data makes %.0f allocations, Transport.RoundTrip %.0f: want at most %d more", data, raw, more)
			}
		})
	}
}

// unraced skips a test of costs under the race detector.
func unraced(t *testing.T) {
	t.Helper()
	if raced {
		t.Skip("the race detector allocates, and costs CPU, itself")
	}
}

// allocations is the average of many runs. Background goroutines allocate now
// and then, so that the least of several averages is the loader's own.
func allocations(t *testing.T, get func() error) float64 {
	t.Helper()
	var failed error
	run := func() {
		if err := get(); err != nil && failed == nil {
			failed = err
		}
	}
	for range 50 { // connections, pools and caches
		run()
	}
	least := testing.AllocsPerRun(1000, run)
	for range 2 {
		least = min(least, testing.AllocsPerRun(1000, run))
	}
	if failed != nil {
		t.Fatal(failed)
	}

	return least
}

func rawRoundTrip(t *testing.T, roots *x509.CertPool, proto, url string) func() error {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	ctx := t.Context()

	return func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return err
		}
		if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != allocationBody || resp.Proto != proto {
			return errors.Join(errors.New("not the response that was expected: "+resp.Proto), err)
		}

		return resp.Body.Close()
	}
}

func sessionData(t *testing.T, roots *x509.CertPool, url string) func() error {
	t.Helper()
	configuration := urlsession.EphemeralConfiguration()
	configuration.RootCAs = roots
	configuration.Cache = cache.None // TestAllocationsOfAHit is about the cache
	session, err := urlsession.New(configuration, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := session.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx := t.Context()

	return func() error {
		req, err := urlsession.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		data, _, err := session.Data(ctx, req)
		if err == nil && len(data) != allocationBody {
			err = errors.New("not the body that was expected")
		}

		return err
	}
}

// startAllocationOrigin runs TestAllocationOrigin in a process of its own, which
// ends with its standard input.
func startAllocationOrigin(t *testing.T) allocationAddress {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command(program, "-test.run=^TestAllocationOrigin$")
	server.Env = append(os.Environ(), allocationOrigin+"=1")
	server.Stderr = os.Stderr
	stdin, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		if err := server.Wait(); err != nil {
			t.Error(err)
		}
	})
	var address allocationAddress
	if err := json.NewDecoder(stdout).Decode(&address); err != nil {
		t.Fatal(err)
	}

	return address
}

// TestAllocationOrigin is the server of TestAllocations.
func TestAllocationOrigin(t *testing.T) {
	if os.Getenv(allocationOrigin) == "" {
		t.Skip("this is the server of TestAllocations, which starts it")
	}
	body := make([]byte, allocationBody)
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	})
	plain := httptest.NewServer(handler)
	defer plain.Close()
	secure := httptest.NewUnstartedServer(handler)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	defer secure.Close()
	address := allocationAddress{
		HTTP: plain.URL, HTTPS: secure.URL,
		CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}),
	}
	if err := json.NewEncoder(os.Stdout).Encode(address); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}
