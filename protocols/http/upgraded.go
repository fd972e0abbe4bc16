package http

import (
	"io"
	"net"

	"github.com/urlkit/urlkit/protocols"
)

// upgrade makes a connection of the answer 101 (RFC 9110 §7.8). From here on it
// is the session's, and takes no place among the host's.
func (x *exchange) upgrade(asked bool) error {
	body, ok := x.raw.Body.(io.ReadWriteCloser)
	if !ok || !asked {
		_ = x.raw.Body.Close()
		x.conn.abort()

		return protocols.Errorf(protocols.BadServerResponse, "the server switches protocols unasked")
	}
	x.ended.Store(true)
	x.finishUpload()
	x.pool.retire(x.conn, false)
	x.Response.Body, x.Response.ContentLength = protocols.NoBody, 0
	x.Response.Upgraded = &upgraded{Conn: x.conn.raw, body: body, conn: x.conn}

	return nil
}

// upgraded is the connection after 101: what the codec has read ahead comes
// first.
type upgraded struct {
	net.Conn

	body io.ReadCloser
	conn *conn
}

func (u *upgraded) Read(p []byte) (int, error)    { return u.body.Read(p) }
func (u *upgraded) ConnInfo() *protocols.ConnInfo { return u.conn.info }
func (u *upgraded) Unwrap() net.Conn              { return u.Conn }

func (u *upgraded) Close() error {
	err := u.Conn.Close()
	u.conn.cancel()

	return err
}
