//go:build !urlkit_nohttp3

package urlsession_test

import (
	"math/rand/v2"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/http3server"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// A few requests over HTTP/3 through a relay that loses, repeats, reorders and delays
// datagrams. URLKIT_SEED repeats a run.
func TestHTTP3FaultRun(t *testing.T) { faultRun3(t, 60) }

// The same with five hundred, which takes longer than a test should.
func TestPeerHTTP3FaultRun(t *testing.T) {
	if os.Getenv("URLKIT_PEERS") == "" {
		t.Skip("URLKIT_PEERS is not set: the long run goes with the tests against real servers")
	}
	faultRun3(t, 500)
}

// faultRun3 is faultRun over HTTP/3. Nothing listens on TCP where the relay is, so that
// there is no other way.
func faultRun3(t *testing.T, requests int) {
	leak.Check(t)
	leak.CheckFiles(t)
	t.Setenv("TMPDIR", t.TempDir())
	seed := faultSeed(t)
	run := &counts{ended: make(map[string]int), http3: true}
	var served atomic.Int64
	server := started3(t, func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		faultOrigin(w, r)
	})
	relay, err := http3server.NewRelay(server.Addr, rand.New(rand.NewPCG(seed, 1)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := relay.Close(); err != nil {
			t.Error(err)
		}
	})
	for name, policy := range map[string]urlsession.RetryPolicy{
		"h3 without a policy": {}, "h3 with a policy": {Attempts: 4, FirstDelay: 5 * time.Millisecond, Continuations: 8},
	} {
		s := session(t, func(c *urlsession.Configuration) {
			c.RequestTimeout, c.ResourceTimeout = faultRequestTimeout, faultResourceTimeout
			c.Retry, c.RootCAs = policy, server.RootCAs
		})
		run.make(t, s, name, "https://"+relay.Addr, seed, requests/2)
	}
	run.report(t, seed)
	if n := run.ended["all, right"]; n < requests/2 || int(served.Load()) < n {
		t.Errorf("%d of %d ended right, %d were served", n, requests, served.Load())
	}
}
