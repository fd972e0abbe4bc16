//go:build !urlkit_nohttp3

package http

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/urlkit/urlkit/protocols"
)

// builtHTTP3 tells whether HTTP/3 is part of the build (it is left out with the tag
// urlkit_nohttp3).
const builtHTTP3 = true

// The windows of flow control (RFC 9000 §4). A connection's is as large as that of 64
// streams that have grown to their limit, so that bodies which nobody reads do not
// stall the one that somebody does; it takes memory only for what has come.
const (
	firstStreamWindow = 1 << 20
	streamWindow      = 8 << 20
	connectionWindow  = 64 * streamWindow
)

const (
	// quicIdle is how long a peer may be silent, though asked, before the connection
	// counts as broken.
	quicIdle = 20 * time.Second
	// quicPing is how long a connection may be silent before its peer is asked.
	quicPing = 10 * time.Second
	// handshakeIdle is how long a handshake may stand still: a question to the app may
	// be part of it. How long the peer is waited for is the attempt's affair.
	handshakeIdle = 30 * time.Second
	// acknowledged is how long a peer may take to say anything at all once a request
	// was sent: it acknowledges packets within a round trip.
	acknowledged = 3 * time.Second
	// streams3 bounds the requests on one connection. Where the peer allows fewer the
	// codec makes them wait.
	streams3 = 256
	// ticketOrigins and ticketsPerOrigin bound the address tokens that are kept (RFC
	// 9000 §8.1.3).
	ticketOrigins    = 256
	ticketsPerOrigin = 4
)

// http3State is what a pool needs for HTTP/3.
type http3State struct {
	codecs http3.Transport // makes codecs, and dials nothing
	tokens quic.TokenStore
	idle   time.Duration // quicIdle
}

func (s *http3State) init(config *Config) {
	s.codecs = http3.Transport{DisableCompression: true, MaxResponseHeaderBytes: int(config.MaximumHeaderBytes)}
	s.tokens = quic.NewLRUTokenStore(ticketOrigins, ticketsPerOrigin)
	s.idle = quicIdle
}

// tokens keeps the address tokens of connections apart that are not to share any.
type tokens struct {
	quic.TokenStore

	partition string
}

func (t tokens) Pop(key string) *quic.ClientToken {
	return t.TokenStore.Pop(t.partition + " " + key)
}

func (t tokens) Put(key string, token *quic.ClientToken) {
	t.TokenStore.Put(t.partition+" "+key, token)
}

// tickets keeps the TLS sessions of QUIC apart from those of TCP, which have other
// properties, and those of one service from another's.
type tickets struct {
	tls.ClientSessionCache

	partition string
}

func (t tickets) Get(key string) (*tls.ClientSessionState, bool) {
	return t.ClientSessionCache.Get(t.partition + " " + key)
}

func (t tickets) Put(key string, state *tls.ClientSessionState) {
	t.ClientSessionCache.Put(t.partition+" "+key, state)
}

// quiet is a socket that tells what quic-go may set on it only once its buffers are
// set: else quic-go looks at what became of them, and writes a line into the app's
// log where the system has a limit.
type quiet struct {
	systemSocket

	sized bool
}

// systemSocket is what quic-go wants of a socket to read and write many packets at
// once.
type systemSocket interface {
	quic.OOBCapablePacketConn
	net.Conn
	SetWriteBuffer(bytes int) error
}

var errUnsized = errors.New("http: the buffers are not set yet")

func (q *quiet) SyscallConn() (syscall.RawConn, error) {
	if !q.sized {
		return nil, errUnsized
	}

	return q.systemSocket.SyscallConn()
}

// SetReadBuffer leaves the buffer as it is: whoever made the socket has set it.
func (q *quiet) SetReadBuffer(int) error { return nil }

// SetWriteBuffer is called last, and likewise does nothing.
func (q *quiet) SetWriteBuffer(int) error {
	q.sized = true

	return nil
}

// unsizable hides the rest of a socket that is not the system's.
type unsizable struct{ net.PacketConn }

func (unsizable) SetReadBuffer(int) error  { return nil }
func (unsizable) SetWriteBuffer(int) error { return nil }

// transportOver makes QUIC's side of a socket.
func transportOver(packets net.PacketConn) *quic.Transport {
	if s, ok := packets.(systemSocket); ok {
		return &quic.Transport{Conn: &quiet{systemSocket: s}}
	}

	return &quic.Transport{Conn: unsizable{packets}}
}

var errTLSVersion = errors.New("http: QUIC needs TLS 1.3, which is not allowed here")

// maxPeers bounds the addresses of a name that are tried, and peerDelay is how long
// each is tried alone: there is no word from one where nothing listens.
const (
	maxPeers  = 4
	peerDelay = 100 * time.Millisecond
)

// connect3 makes a connection for the attempt. ctx bounds the attempt, and not the
// connection. Where a name has several addresses they are tried in turn, each
// peerDelay after the one before.
func (p *pool) connect3(ctx context.Context, a *attempt) (won *conn, err error) {
	type outcome struct {
		conn *conn
		err  error
	}
	outcomes, found := make(chan outcome), make(chan []net.Addr, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	running := 0
	try := func(addr string, found chan<- []net.Addr) {
		running++
		go func() {
			c, err := p.try3(ctx, a, addr, found)
			outcomes <- outcome{c, err}
		}()
	}
	try(a.service.addr, found)
	var others []net.Addr
	timer := time.NewTimer(peerDelay)
	defer timer.Stop()
	for running > 0 {
		next := false
		select {
		case all := <-found:
			others = all[1:min(len(all), maxPeers)]
			timer.Reset(peerDelay)
		case <-timer.C:
			next = true
		case o := <-outcomes:
			running--
			switch {
			case o.err == nil && won == nil:
				won = o.conn
				cancel()
			case o.err == nil:
				o.conn.end()
			default:
				err = cmp.Or(err, o.err)
				next = true
			}
		}
		if next && won == nil && ctx.Err() == nil && len(others) > 0 {
			try(others[0].String(), nil)
			others = others[1:]
			timer.Reset(peerDelay)
		}
	}
	if won != nil {
		return won, nil
	}

	return nil, err
}

// try3 makes a connection to the first address that addr has, and tells all of them.
func (p *pool) try3(ctx context.Context, a *attempt, addr string, found chan<- []net.Addr) (*conn, error) {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx)) // the connection outlives the attempt
	stop := context.AfterFunc(ctx, cancel)
	packets, peer, err := p.client.DialPacket(life, addr)
	if err != nil {
		cancel()

		return nil, fmt.Errorf("%w: %w", errNoSocket, err)
	}
	if found != nil {
		found <- protocols.PeersOf(packets, peer)
	}
	b := beneath{transportOver(packets), packets}
	c, err := p.handshake3(life, a, b.transport, peer)
	if err != nil {
		b.end()
		cancel()

		return nil, err
	}
	c.cancel = cancel
	c.wire.(*codec3).own(p, c, b)
	if !stop() { // given up in this moment
		c.end()

		return nil, context.Cause(ctx)
	}

	return c, nil
}

// handshake3 makes QUIC and the codec. The certificate has to be the origin's,
// wherever the service is (RFC 7838 §2.1).
func (p *pool) handshake3(ctx context.Context, a *attempt, transport *quic.Transport, peer net.Addr) (*conn, error) {
	origin := withPort(a.host.key.host, "443")
	name, _, err := net.SplitHostPort(origin)
	if err != nil {
		return nil, err
	}
	config := p.client.TLSConfig(ctx, name)
	if config.MaxVersion != 0 && config.MaxVersion < tls.VersionTLS13 {
		return nil, errTLSVersion
	}
	partition := "h3 " + a.host.key.route.ID + " " + origin
	config.NextProtos = []string{http3.NextProtoH3}
	if config.ClientSessionCache != nil {
		config.ClientSessionCache = tickets{config.ClientSessionCache, partition}
	}
	a.trace.Mark(protocols.SecureConnectionStart)
	dial := transport.Dial
	if a.early {
		dial = transport.DialEarly
	}
	qc, err := dial(ctx, peer, config, &quic.Config{
		TokenStore:                     tokens{p.http3.tokens, partition},
		HandshakeIdleTimeout:           handshakeIdle,
		MaxIdleTimeout:                 p.http3.idle,
		KeepAlivePeriod:                min(quicPing, p.http3.idle/2),
		InitialStreamReceiveWindow:     firstStreamWindow,
		MaxStreamReceiveWindow:         streamWindow,
		InitialConnectionReceiveWindow: connectionWindow,
		MaxConnectionReceiveWindow:     connectionWindow,
		MaxIncomingStreams:             -1, // a server opens none (RFC 9114 §6.1)
	})
	if err != nil {
		return nil, err
	}
	codec := &codec3{
		ClientConn: p.http3.codecs.NewClientConn(qc), quic: qc, life: ctx, decide: a.began.Add(p.config.HTTP3HeadStart),
	}
	if codec.early = !codec.settled(); !codec.early {
		a.trace.Mark(protocols.SecureConnectionEnd)
		a.trace.Mark(protocols.ConnectEnd)
	}
	c := &conn{host: a.host, wire: codec, quic: true, shared: true, limit: streams3, altUsed: a.service.altUsed}
	c.socket = &socket{secure: true}

	return c, nil
}

// migrate moves a connection to a socket of the path that there is now (RFC 9000 §9).
// One that cannot move takes no new requests: those that it has end with it, or go on
// where the old path still works.
func (p *pool) migrate(c *conn) {
	codec, ok := c.wire.(*codec3)
	if !ok || !codec.settled() {
		return
	}
	if err := codec.move(p.client); err != nil {
		p.retire(c, false)
		p.mu.Lock()
		alone := c.active == 0
		p.mu.Unlock()
		if alone {
			c.end()
		}
	}
}

// maxMoves bounds the sockets that one connection keeps, and probePatience is how long
// a new path is tried.
const (
	maxMoves      = 8
	probePatience = 3 * time.Second
)

var errMoves = errors.New("http: the connection has moved too often")

// move opens a socket on the path that there is now, and goes over to it. The old one
// stays: its end would be that of the connection.
func (c *codec3) move(client protocols.Client) error {
	c.facts()
	c.mu.Lock()
	moves := len(c.beneath)
	c.mu.Unlock()
	if moves > maxMoves {
		return errMoves
	}
	packets, _, err := client.DialPacket(protocols.WithoutTrace(c.life), c.quic.RemoteAddr().String())
	if err != nil {
		return err
	}
	b := beneath{transportOver(packets), packets}
	if err := c.probe(b); err != nil {
		b.end()

		return err
	}
	c.mu.Lock()
	closed := c.closed
	c.beneath = append(c.beneath, b)
	c.mu.Unlock()
	if closed {
		b.end()
	}

	return nil
}

func (c *codec3) probe(b beneath) error {
	path, err := c.quic.AddPath(b.transport)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.quic.Context(), probePatience)
	defer cancel()
	if err := path.Probe(ctx); err != nil {
		_ = path.Close()

		return err
	}

	return path.Switch()
}
