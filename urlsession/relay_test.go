package urlsession_test

import (
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/urlkit/urlkit/internal/fault"
)

// relay passes connections on to an origin, and hurts each by a plan of its own.
type relay struct {
	listener net.Listener
	origin   string
	plan     func() []fault.Fault

	mu    sync.Mutex
	conns map[net.Conn]bool // nil: closed
	wg    sync.WaitGroup
}

// newRelay starts a relay before the server of a base URL, and gives its own.
func newRelay(t testing.TB, base string, plan func() []fault.Fault) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	scheme, origin, _ := strings.Cut(base, "://")
	r := &relay{listener: l, origin: origin, plan: plan, conns: make(map[net.Conn]bool)}
	r.wg.Go(r.accept)
	t.Cleanup(r.close)

	return scheme + "://" + l.Addr().String()
}

func (r *relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.wg.Go(func() { r.pass(client) })
	}
}

// keep makes a connection one that close closes; false: it is too late.
func (r *relay) keep(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conns != nil {
		r.conns[c] = true
	}

	return r.conns != nil
}

// pass copies both ways until both have ended, or one has failed.
func (r *relay) pass(client net.Conn) {
	hurt := client
	for _, f := range r.plan() {
		hurt = fault.Conn(hurt, f)
	}
	defer hurt.Close()
	server, err := net.Dial("tcp", r.origin)
	if err != nil {
		return
	}
	defer server.Close()
	if !r.keep(hurt) || !r.keep(server) {
		return
	}
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.conns, hurt)
		delete(r.conns, server)
	}()
	var ways sync.WaitGroup
	one := func(to, from net.Conn) {
		_, err := io.Copy(struct{ io.Writer }{to}, struct{ io.Reader }{from}) // by Read and Write, where the fault is
		if half, ok := to.(interface{ CloseWrite() error }); err != nil || !ok || half.CloseWrite() != nil {
			_, _ = to.Close(), from.Close()
		}
	}
	ways.Go(func() { one(server, hurt) })
	ways.Go(func() { one(hurt, server) })
	ways.Wait()
}

func (r *relay) close() {
	_ = r.listener.Close()
	r.mu.Lock()
	for c := range r.conns {
		_ = c.Close()
	}
	r.conns = nil
	r.mu.Unlock()
	r.wg.Wait()
}

// randomFaults gives each connection an end of some kind at a random byte of a random
// direction, and some of them small pieces before.
func randomFaults(seed uint64) func() []fault.Fault {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 1))
	ends := []fault.Kind{fault.Cut, fault.Cut, fault.Reset, fault.Reset, fault.Stall}

	return func() []fault.Fault {
		mu.Lock()
		defer mu.Unlock()
		faults := []fault.Fault{{
			Kind: ends[random.IntN(len(ends))], Direction: fault.Direction(random.IntN(2)), At: logarithmic(random, 1_000_000),
		}}
		if random.IntN(3) == 0 {
			faults = append(faults, fault.Fault{
				Kind: fault.Split, Direction: fault.Direction(random.IntN(2)),
				At: logarithmic(random, 100_000), Size: int(logarithmic(random, 2000)) + 1,
			})
		}

		return faults
	}
}

// logarithmic is a random number whose order of magnitude is random.
func logarithmic(random *rand.Rand, most float64) int64 {
	return int64(math.Exp(random.Float64()*math.Log(most+1))) - 1
}

// A relay without a fault changes nothing.
func TestRelay(t *testing.T) {
	base := newRelay(t, serve(t, "http/1.1", orderOrigin()), func() []fault.Fault { return nil })
	c, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = io.WriteString(c, "GET /plain HTTP/1.0\r\n\r\n")
	answer, readErr := io.ReadAll(c)
	if err := errors.Join(err, readErr); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.0 200 OK\r\n") {
		t.Errorf("%q, %v", answer, err)
	}
}
