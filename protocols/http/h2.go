package http

import (
	"errors"
	"fmt"
	"net"
	nethttp "net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"

	"github.com/urlkit/urlkit/protocols"
)

const (
	// windowOfStream is how much of a body may come that nobody has read (RFC 9113
	// §5.2): what a link of 300 Mbit/s carries in 100 ms. It grows to fastWindow as long
	// as the reader keeps up: 1.3 Gbit/s.
	windowOfStream = 4 << 20
	fastWindow     = 16 << 20
	// windowOfConnection is that of the connection, which is opened again as bytes come,
	// read or not: a body that nobody reads holds up no other.
	windowOfConnection = 64 << 20
	// maxUnread bounds what a connection holds of unread bodies: beyond it the
	// connection's window opens as they are read. From the half on it takes no new
	// request.
	maxUnread   = 1 << 30
	frameHeader = 9
	// maxFrame is the longest frame that is taken; longer ones are not sent either.
	maxFrame = 64 << 10
	// newcomerLimit is how many requests a connection gets until its peer has told its
	// own limit: what is sent beyond that limit is refused.
	newcomerLimit = 10
	maxStreamID   = 1<<31 - 1
	maxWindow     = 1<<31 - 1
	// firstWindow is what both sides begin with.
	firstWindow = 65535
)

// codec2 is the wire of HTTP/2 (RFC 9113): many requests at once. One goroutine
// reads. Whoever has something to say writes it, or leaves it to the one who is
// writing already.
type codec2 struct {
	conn    net.Conn // TLS
	socket  *socket
	config  *Config
	changed func() // what it takes has changed; called without the lock
	in      intake
	born    time.Time
	heard   atomic.Int64 // when bytes came last, since born
	unread  atomic.Int64 // bytes of bodies that nobody has read
	shut    atomic.Bool  // it takes no more requests

	mu      sync.Mutex // never held while the network is used
	out     outbox
	streams map[uint32]*stream
	nextID  uint32
	window  int64     // bytes of bodies that may be sent
	receive window    // what the peer may send
	room    sync.Cond // a window has grown, a stream has ended, or nobody writes
	peer    settings
	limit   int // requests at once
	err     error
	watch   watch
	// readies are channels that streams were awaited on which have ended, for the next.
	// (A pool of all connections would hand them from one bubble of synctest to another.)
	readies []chan struct{}
}

// settings are those of the peer (RFC 9113 §6.5.2).
type settings struct {
	window     int64
	frame      int
	headerList uint64
	connect    bool // RFC 8441: takes CONNECT with a protocol
	// reprioritizes: it did not say yet that it goes by other signals than those of RFC
	// 9218 (§2.1.1).
	reprioritizes bool
}

// newCodec2 makes the wire of a connection. changed is called when what it takes has
// changed, from begin on.
func newCodec2(conn net.Conn, socket *socket, config *Config, changed func()) *codec2 {
	c := &codec2{
		conn: conn, socket: socket, config: config, changed: changed, born: time.Now(),
		streams: make(map[uint32]*stream), nextID: 1, limit: newcomerLimit, readies: make([]chan struct{}, 0, 64),
		window: firstWindow, receive: window{allowed: windowOfConnection},
		peer: settings{window: firstWindow, frame: 16 << 10, headerList: 1<<64 - 1, reprioritizes: true},
	}
	socket.arrived = func() { c.heard.Store(int64(time.Since(c.born))) }
	c.room.L = &c.mu
	c.in.start(c)
	c.out.start(conn)

	return c
}

// begin says hello, and reads from then on.
func (c *codec2) begin() {
	c.mu.Lock()
	c.out.queue = append(c.out.queue, http2.ClientPreface...)
	_ = c.out.frames.WriteSettings(
		http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: windowOfStream},
		http2.Setting{ID: http2.SettingMaxFrameSize, Val: maxFrame},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: uint32(c.config.MaximumHeaderBytes)},
	)
	_ = c.out.frames.WriteWindowUpdate(0, windowOfConnection-firstWindow)
	c.send()
	go c.read()
}

// Limit is how many requests it takes at once.
func (c *codec2) Limit() int {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.limit
}

// Available is how many requests it would take now.
func (c *codec2) Available() int {
	if c.Err() != nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()

	return max(0, c.limit-len(c.streams))
}

// Err tells why it takes no request.
func (c *codec2) Err() error {
	switch {
	case c.shut.Load():
		return errShut
	case c.unread.Load() > maxUnread/2:
		return errUnread
	default:
		return nil
	}
}

// stillborn is the error of a connection over HTTP/2 that takes no request though it
// has served none; nil: it does, or speaks something else.
func (c *conn) stillborn() error {
	codec, ok := c.wire.(*codec2)
	if !ok || codec.Err() == nil {
		return nil
	}
	err := codec.Err()
	codec.mu.Lock()
	if codec.err != nil && !errors.Is(codec.err, errClosed) { // closed because it takes none
		err = codec.err
	}
	codec.mu.Unlock()

	return fmt.Errorf("%w: %w", protocols.ErrNotSent, connectionLost(err))
}

var (
	errShut   = errors.New("http: the connection takes no more requests")
	errUnread = errors.New("http: the connection is full of what nobody has read")
	errClosed = fmt.Errorf("http: %w", net.ErrClosed)
	errPlaces = errors.New("http: the server takes no more requests at once")
)

// Close says goodbye, and closes the connection. Requests that it has fail.
func (c *codec2) Close() error {
	c.shut.Store(true)
	c.mu.Lock()
	polite := c.err == nil && !c.out.writing && c.out.fits(goodbye)
	if polite {
		_ = c.out.frames.WriteGoAway(0, http2.ErrCodeNo, nil)
	}
	c.send()
	if polite {
		_ = c.conn.Close() // TLS says goodbye too
	}
	c.fail(errClosed)

	return nil
}

// goodbye is the length of a GOAWAY frame.
const goodbye = 17

// unbegun is why nothing of a request was sent: another connection may serve it.
type unbegun struct{ error }

func (e unbegun) Unwrap() error { return e.error }

// RoundTrip sends a request, and waits for the head of its answer.
func (c *codec2) RoundTrip(r *nethttp.Request) (*nethttp.Response, error) {
	return c.load(r, urgency{})
}

// load is RoundTrip for a request whose priority may change.
func (c *codec2) load(r *nethttp.Request, u urgency) (*nethttp.Response, error) {
	ctx := r.Context()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := sendable2(r); err != nil {
		return nil, protocols.Errorf(protocols.BadURL, "the request cannot be sent: %w", brief(err))
	}
	s := &stream{codec: c, ctx: ctx, length: -1, lengthOnly: r.Method == nethttp.MethodHead, urgency: u}
	s.allowed, s.most = windowOfStream, windowOfStream
	trace := httptrace.ContextClientTrace(ctx)
	u.changes.AddObserver(s)
	if err := s.send(r, trace); err != nil {
		u.changes.RemoveObserver(s)

		return nil, err
	}

	return s.answer(trace)
}

// open gives a stream its number and queues its head. The lock is held.
func (c *codec2) open(s *stream, r *nethttp.Request, end bool) error {
	switch {
	case c.err != nil && !errors.Is(c.err, errClosed):
		return unbegun{c.err}
	case c.err != nil, c.shut.Load(), c.nextID > maxStreamID, len(c.out.queue) > maxQueued:
		c.shut.Store(true)

		return unbegun{errShut}
	case len(c.streams) >= c.limit:
		return unbegun{errPlaces}
	}
	if err := c.writeHead(s, r, end); err != nil {
		return err
	}
	if r.Close {
		c.shut.Store(true)
	}
	if n := len(c.readies); n > 0 {
		s.ready, c.readies = c.readies[n-1], c.readies[:n-1]
	} else {
		s.ready = make(chan struct{}, 1)
	}
	s.awaited = s.ready
	s.window, s.sent, s.mark = c.peer.window, end, c.out.total()
	c.streams[s.id] = s
	c.reprioritize(s) // meanwhile
	c.keepWatch()

	return nil
}

// drop forgets a stream. The lock is held.
func (c *codec2) drop(s *stream) {
	if s.gone {
		return
	}
	s.gone = true
	s.urgency.changes.RemoveObserver(s)
	delete(c.streams, s.id)
	c.room.Broadcast()
}

// fail ends the connection for a reason, once, and everything on it.
func (c *codec2) fail(err error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()

		return
	}
	c.err = err
	c.shut.Store(true)
	c.watch.stop()
	if c.out.guard.timer != nil {
		c.out.guard.timer.Stop()
	}
	orphans := make([]*stream, 0, len(c.streams))
	for _, s := range c.streams {
		orphans = append(orphans, s)
	}
	for _, s := range orphans {
		c.drop(s)
	}
	c.room.Broadcast()
	c.mu.Unlock()
	_ = c.socket.Close() // TLS would say goodbye, and wait for a peer that does not read
	for _, s := range orphans {
		s.fail(err, false)
	}
	c.changed()
}

// refuse ends the connection for what its peer did (RFC 9113 §5.4.1). The peer is
// told why, if it reads.
func (c *codec2) refuse(f violation) {
	timer := time.AfterFunc(lastWords, func() { c.fail(f) })
	defer timer.Stop()
	c.mu.Lock()
	c.shut.Store(true)
	_ = c.out.frames.WriteGoAway(0, f.code, []byte(f.reason))
	for c.out.writing && c.err == nil {
		c.room.Wait()
	}
	if c.err == nil {
		c.out.writing = true // and nobody writes after it
		c.writeBatch()
	}
	c.mu.Unlock()
	c.fail(f)
}

// lastWords is how long the peer may take to read why it is left.
const lastWords = 100 * time.Millisecond

// cancelled is the end of the context of a stream whose head was told.
func (s *stream) cancelled() { s.abort(http2.ErrCodeCancel, s.ctx.Err()) }
