package http3server

import (
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Relay passes datagrams on to a server and back, well or badly. It is safe for
// concurrent use.
type Relay struct {
	// Addr is its address, "127.0.0.1:port", which clients take for the server's.
	Addr string

	front  net.PacketConn
	target *net.UDPAddr

	mu      sync.Mutex
	random  *rand.Rand // nil: everything passes
	dead    bool       // nothing passes
	passed  int        // bytes to the client
	dieAt   int        // of passed; 0: never
	backs   map[string]*net.UDPConn
	late    []*time.Timer
	running sync.WaitGroup
}

// NewRelay starts a relay before the server at an address. random decides which
// datagrams are lost, repeated and late; with nil all pass. Close it in the end.
func NewRelay(target string, random *rand.Rand) (*Relay, error) {
	to, err := net.ResolveUDPAddr("udp", target)
	if err != nil {
		return nil, err
	}
	front, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Relay{Addr: front.LocalAddr().String(), front: front, target: to, random: random, backs: make(map[string]*net.UDPConn)}
	r.running.Go(r.forth)

	return r, nil
}

// Close ends it, with all that it holds back.
func (r *Relay) Close() error {
	err := r.front.Close()
	r.mu.Lock()
	for _, b := range r.backs {
		err = errors.Join(err, b.Close())
	}
	r.dead = true
	for _, timer := range r.late {
		timer.Stop()
	}
	r.mu.Unlock()
	r.running.Wait()

	return err
}

// forth passes what clients send.
func (r *Relay) forth() {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := r.front.ReadFrom(buf)
		if err != nil {
			return
		}
		r.mu.Lock()
		if r.dead {
			r.mu.Unlock()

			continue
		}
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
func (r *Relay) back(b *net.UDPConn, to net.Addr) {
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

// DieAfter makes it a black hole once so many bytes have come from the server.
func (r *Relay) DieAfter(bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dieAt = bytes
}

// Die makes it a black hole.
func (r *Relay) Die() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dead = true
}

// Revive ends that.
func (r *Relay) Revive() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dead = false
}

// pass drops one datagram of 20, repeats one of 25, and holds back one of 10 for up
// to 20 ms, past others.
func (r *Relay) pass(p []byte, send func([]byte)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead {
		return
	}
	times, wait := 1, time.Duration(0)
	if r.random != nil {
		switch n := r.random.IntN(100); {
		case n < 5:
			return
		case n < 9:
			times = 2
		case n < 19:
			wait = time.Duration(r.random.IntN(20)) * time.Millisecond
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
