//go:build !urlkit_nohttp3

package http

import (
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// relay3 passes datagrams on to a server and back, badly. It ends with the test.
type relay3 struct {
	addr   string
	front  net.PacketConn
	target *net.UDPAddr

	mu      sync.Mutex
	rng     *rand.Rand // nil: everything passes
	dead    bool       // nothing passes
	passed  int        // bytes to the client
	dieAt   int        // of passed; 0: never
	backs   map[string]*net.UDPConn
	late    []*time.Timer
	running sync.WaitGroup
}

func newRelay3(t testing.TB, target string, rng *rand.Rand) *relay3 {
	t.Helper()
	front, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to, err := net.ResolveUDPAddr("udp", target)
	if err != nil {
		t.Fatal(err)
	}
	r := &relay3{addr: front.LocalAddr().String(), front: front, target: to, rng: rng, backs: make(map[string]*net.UDPConn)}
	r.running.Go(r.forth)
	t.Cleanup(func() {
		r.front.Close()
		r.mu.Lock()
		for _, b := range r.backs {
			b.Close()
		}
		r.dead = true
		for _, timer := range r.late {
			timer.Stop()
		}
		r.mu.Unlock()
		r.running.Wait()
	})

	return r
}

// forth passes what clients send.
func (r *relay3) forth() {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := r.front.ReadFrom(buf)
		if err != nil {
			return
		}
		r.mu.Lock()
		b := r.backs[from.String()]
		if b == nil {
			if b, err = net.DialUDP("udp", nil, r.target); err != nil {
				r.mu.Unlock()

				return
			}
			_ = b.SetReadBuffer(4 << 20)
			r.backs[from.String()] = b
			r.running.Go(func() { r.back(b, from) })
		}
		r.mu.Unlock()
		r.pass(buf[:n], func(p []byte) { _, _ = b.Write(p) })
	}
}

// back passes what the server sends to one client.
func (r *relay3) back(b *net.UDPConn, to net.Addr) {
	buf := make([]byte, 64<<10)
	for {
		n, err := b.Read(buf)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.passed += n
		if r.dieAt > 0 && r.passed >= r.dieAt {
			r.dead = true
		}
		r.mu.Unlock()
		r.pass(buf[:n], func(p []byte) { _, _ = r.front.WriteTo(p, to) })
	}
}

// dieAfter makes it a black hole once so many bytes have come from the server.
func (r *relay3) dieAfter(bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dieAt = bytes
}

// die makes it a black hole.
func (r *relay3) die() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dead = true
}

// revive ends that.
func (r *relay3) revive() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dead = false
}

// pass drops one datagram of 20, repeats one of 25, and holds back one of 10 for up
// to 20 ms, past others.
func (r *relay3) pass(p []byte, send func([]byte)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead {
		return
	}
	times, wait := 1, time.Duration(0)
	if r.rng != nil {
		switch n := r.rng.IntN(100); {
		case n < 5:
			return
		case n < 9:
			times = 2
		case n < 19:
			wait = time.Duration(r.rng.IntN(20)) * time.Millisecond
		}
	}
	if wait == 0 {
		for range times {
			send(p)
		}

		return
	}
	held := append([]byte(nil), p...)
	r.late = append(r.late, time.AfterFunc(wait, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.dead {
			send(held)
		}
	}))
}
