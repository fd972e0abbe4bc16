package conformance

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/urlkit/urlkit/internal/fault"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/proxy"
)

// dialer makes a session's connections: to the fixture's hosts alone, counted,
// and broken as planned. It is an engine.Dialer.
type dialer struct {
	hosts map[string]string
	plan  plan
	// forge makes a connection out of nothing instead of dialling; hold is asked
	// before. Both are set before the session is used, and may be nil.
	forge func(i int) net.Conn
	hold  func(ctx context.Context)

	ended   chan struct{} // closed by cut
	stalled chan struct{} // closed when somebody reads at a Stall
	stall   sync.Once

	mu    sync.Mutex
	conns []*wire
	dials int // asked for, packets included
	over  bool
}

func newDialer(hosts map[string]string, p plan) *dialer {
	if p == nil {
		p = always(fault.Fault{})
	}

	return &dialer{hosts: hosts, plan: p, ended: make(chan struct{}), stalled: make(chan struct{})}
}

// Dial implements engine.Dialer.
func (d *dialer) Dial(ctx context.Context, trace *protocols.Trace, p proxy.Parameters, network, addr string) (net.Conn, error) {
	i := d.asked()
	if d.hold != nil {
		d.hold(ctx)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f := d.plan(i)
	conn, err := fault.Dial(func(ctx context.Context, network, addr string) (net.Conn, error) {
		if d.forge != nil {
			return d.forge(i), nil
		}
		target, err := d.resolve(addr)
		if err != nil {
			return nil, err
		}

		return new(proxy.Dialer).Dial(ctx, trace, p, network, target)
	}, f)(ctx, network, addr)
	if err != nil {
		return nil, err
	}

	return d.keep(&wire{Conn: conn, dialer: d, fault: f})
}

// DialPacket implements engine.Dialer. Of the faults it knows Deny: what is sent in
// datagrams is lost, repeated and late as it is.
func (d *dialer) DialPacket(ctx context.Context, trace *protocols.Trace, p proxy.Parameters, addr string) (net.PacketConn, []net.Addr, error) {
	i := d.asked()
	if d.hold != nil {
		d.hold(ctx)
	}
	if f := d.plan(i); f.Kind == fault.Deny {
		return nil, nil, &net.OpError{Op: "dial", Net: "udp", Err: syscall.ECONNREFUSED}
	}
	target, err := d.resolve(addr)
	if err != nil {
		return nil, nil, err
	}

	return new(proxy.Dialer).DialPacket(ctx, trace, p, target)
}

func (d *dialer) asked() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dials++

	return d.dials - 1
}

// resolve knows the fixture's hosts and no others.
func (d *dialer) resolve(addr string) (string, error) {
	if target, ok := d.hosts[addr]; ok {
		return target, nil
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	target, ok := d.hosts[host]
	if !ok {
		return "", &net.DNSError{Err: "not among Fixture.Hosts", Name: host, IsNotFound: true}
	}
	if _, _, err := net.SplitHostPort(target); err != nil {
		target = net.JoinHostPort(target, port)
	}

	return target, nil
}

func (d *dialer) keep(w *wire) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		_ = w.Conn.Close()

		return nil, net.ErrClosed
	}
	w.index = len(d.conns)
	d.conns = append(d.conns, w)

	return w, nil
}

// cut closes every connection, and refuses new ones.
func (d *dialer) cut() {
	d.mu.Lock()
	conns := d.conns
	if !d.over {
		d.over = true
		close(d.ended)
	}
	d.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
}

// dialled is how many connections were asked for.
func (d *dialer) dialled() int {
	d.mu.Lock()
	defer d.mu.Unlock()

	return d.dials
}

// made are the connections that were made.
func (d *dialer) made() []*wire {
	d.mu.Lock()
	defer d.mu.Unlock()

	return append([]*wire(nil), d.conns...)
}

// open is how many connections are not closed.
func (d *dialer) open() int {
	n := 0
	for _, c := range d.made() {
		if !c.closed.Load() {
			n++
		}
	}

	return n
}

// fetched is how many bytes were read from all connections.
func (d *dialer) fetched() int64 {
	var n int64
	for _, c := range d.made() {
		n += c.read.Load()
	}

	return n
}

// remembered is how much of the beginning of a connection is kept, in bytes.
const remembered = 4 << 10

// wire is a connection that counts, and remembers how it began.
type wire struct {
	net.Conn

	dialer        *dialer
	fault         fault.Fault
	index         int
	read, written atomic.Int64
	closed        atomic.Bool
	greeted       atomic.Bool // the peer spoke first

	mu    sync.Mutex
	first []byte // the first bytes read
}

// Unwrap gives the connection beneath.
func (w *wire) Unwrap() net.Conn { return w.Conn }

func (w *wire) Read(p []byte) (int, error) {
	if w.fault.Kind == fault.Stall && w.fault.Direction == fault.Reading && w.read.Load() >= w.fault.At {
		w.dialer.stall.Do(func() { close(w.dialer.stalled) })
	}
	n, err := w.Conn.Read(p)
	if w.read.Add(int64(n)) > 0 && w.written.Load() == 0 {
		w.greeted.Store(true)
	}
	w.mu.Lock()
	if room := remembered - len(w.first); room > 0 {
		w.first = append(w.first, p[:min(n, room)]...)
	}
	w.mu.Unlock()

	return n, err
}

func (w *wire) Write(p []byte) (int, error) {
	// Counted before it is sent: the answer must not come first.
	w.written.Add(int64(len(p)))
	n, err := w.Conn.Write(p)
	w.written.Add(int64(n - len(p)))

	return n, err
}

func (w *wire) Close() error {
	w.closed.Store(true)

	return w.Conn.Close()
}

// beginning is how the peer's bytes began.
func (w *wire) beginning() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()

	return append([]byte(nil), w.first...)
}
