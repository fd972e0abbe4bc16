package engine

import (
	"context"
	"net"
	"sync"
	"sync/atomic"

	"github.com/urlkit/urlkit/protocols"
)

// maxPreamble is how much a scheme that upgrades in place may send before TLS.
const maxPreamble = 64 << 10

// maxRecord is the longest body of a record: 2^14 bytes and what TLS 1.2 allows
// an encryption to add (RFC 5246 §6.2.3).
const maxRecord = 1<<14 + 2048

// The record types of TLS (RFC 8446 §5.1).
const (
	recordChangeCipherSpec = 20
	recordAlert            = 21
	recordHandshake        = 22
	recordApplicationData  = 23
)

// connection is what Dial gives a protocol: closed when its context ends, and
// for a scheme that declares encryption a check of what is written.
type connection struct {
	net.Conn

	info *protocols.ConnInfo
	stop func() bool
	once sync.Once
	err  error
}

// watch wraps a connection for a hop.
func watch(ctx context.Context, h *hop, conn net.Conn) net.Conn {
	c := &connection{Conn: conn, info: &protocols.ConnInfo{
		Local: conn.LocalAddr(), Remote: conn.RemoteAddr(), Proxied: h.request.Route.Proxied,
	}}
	if m, ok := conn.(interface{ MultipathTCP() (bool, error) }); ok && h.of.engine.config.Multipath {
		c.info.Multipath, _ = m.MultipathTCP() // an error: nothing is known
	}
	c.stop = context.AfterFunc(ctx, func() { _ = c.close() })
	if h.match.Security == protocols.Encrypted || h.match.Security == protocols.Upgrades {
		h.checks.clear.Add(1)

		return &checked{connection: c, of: &h.checks, security: h.match.Security, scheme: h.match.Scheme.Name}
	}

	return c
}

// ConnInfo gives the facts of the connection.
func (c *connection) ConnInfo() *protocols.ConnInfo { return c.info }

// Ended tells whether the peer has ended the connection, for protocols.Ended.
func (c *connection) Ended() (ended, known bool) { return protocols.Ended(c.Conn) }

func (c *connection) Close() error {
	c.stop()

	return c.close()
}

func (c *connection) close() error {
	c.once.Do(func() { c.err = c.Conn.Close() })

	return c.err
}

// checks is what a hop knows of the connections made under it.
type checks struct {
	clear   atomic.Int32 // those that are open and have not begun TLS
	secured atomic.Int32 // TLS sessions from TLSConfig that were verified, and not yet claimed by a connection
	any     atomic.Bool  // one of them was verified
	dialled atomic.Bool  // a connection was made
	over    atomic.Bool  // Load has returned: the time for a preamble is past
	bare    atomic.Bool  // a server asked for a certificate and was given none
	quic    atomic.Bool  // a QUIC connection claimed a session: it may move to another socket
}

// verified notes a handshake that Client.TLSConfig made.
func (c *checks) verified() {
	c.secured.Add(1)
	c.any.Store(true)
}

// claim takes one of the verified sessions for a connection: each handshake
// vouches for one.
func (c *checks) claim() bool {
	for {
		n := c.secured.Load()
		if n <= 0 {
			return false
		}
		if c.secured.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

// loaded is called when the Load of a scheme that upgrades has returned, and
// tells whether a connection was made that is not inside TLS.
func (c *checks) loaded() bool {
	c.over.Store(true)

	return c.dialled.Load() && (c.clear.Load() > 0 || !c.any.Load())
}

// checked refuses application bytes outside TLS. It follows the records that are
// written: until a TLS session made from Client.TLSConfig has been verified for
// the hop, only handshake records may go out (and, for a scheme that upgrades, a
// preamble before them). What a peer sends before is refused likewise, for a
// scheme that does not upgrade.
type checked struct {
	*connection

	of       *checks
	security protocols.Security
	scheme   string
	begun    atomic.Bool // a record was seen
	verified atomic.Bool // claimed a session: nothing is looked at any more
	counted  sync.Once   // out of checks.clear

	mu       sync.Mutex
	refused  bool
	preamble int
	header   [5]byte
	have     int // bytes of header
	left     int // bytes of the record's body
}

func (c *checked) Write(p []byte) (int, error) {
	if c.verified.Load() {
		return c.Conn.Write(p)
	}
	if err := c.check(p); err != nil {
		_ = c.Close()

		return 0, err
	}

	return c.Conn.Write(p)
}

// Read refuses what comes before TLS.
func (c *checked) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && (c.security == protocols.Encrypted || c.of.over.Load()) && !c.begun.Load() {
		_ = c.Close()
		c.mu.Lock()
		defer c.mu.Unlock()

		return 0, c.refusal("reads", "bytes in clear text")
	}

	return n, err
}

// Close closes the connection.
func (c *checked) Close() error {
	c.leaveClear()

	return c.connection.Close()
}

// leaveClear counts the connection out of those in clear text.
func (c *checked) leaveClear() {
	c.counted.Do(func() { c.of.clear.Add(-1) })
}

func (c *checked) check(p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused {
		return c.refusal("writes", "on after a refusal")
	}
	for len(p) > 0 {
		if c.left > 0 {
			n := min(c.left, len(p))
			p, c.left = p[n:], c.left-n

			continue
		}
		n := copy(c.header[c.have:], p)
		if !c.begun.Load() && c.have == 0 && p[0] != recordHandshake {
			return c.clear(p)
		}
		p, c.have = p[n:], c.have+n
		if c.have < len(c.header) {
			return nil
		}
		if done, err := c.record(); done || err != nil {
			return err
		}
	}

	return nil
}

// record judges the header of one record; true: nothing more needs to be looked
// at on this connection.
func (c *checked) record() (bool, error) {
	c.have, c.left = 0, int(c.header[3])<<8|int(c.header[4])
	known := c.header[0] >= recordChangeCipherSpec && c.header[0] <= recordApplicationData
	if !known || c.header[1] != 3 || c.left > maxRecord {
		return false, c.refusal("writes", "bytes that are no TLS record")
	}
	if !c.begun.Load() {
		c.begun.Store(true)
		c.leaveClear()
	}
	if c.header[0] == recordApplicationData {
		if !c.of.claim() {
			return false, c.refusal("writes", "application data in a TLS session that Client.TLSConfig did not make")
		}
		c.verified.Store(true)
	}

	return c.verified.Load(), nil
}

// clear judges bytes before the first record.
func (c *checked) clear(p []byte) error {
	if c.security != protocols.Upgrades {
		return c.refusal("writes", "bytes in clear text")
	}
	if c.of.over.Load() {
		return c.refusal("writes", "bytes in clear text after Load has returned")
	}
	if c.preamble += len(p); c.preamble > maxPreamble {
		return c.refusal("writes", "a clear-text preamble of more than 64 KiB")
	}

	return nil
}

func (c *checked) refusal(does, what string) error {
	c.refused = true

	return protocols.Errorf(protocols.AppTransportSecurityRequiresSecureConnection,
		"the scheme %q declares itself %s and %s %s", c.scheme, c.security, does, what)
}
