package http

import (
	"bufio"
	"io"
	"net"
	nethttp "net/http"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"
)

// reply is what codec1 has of one request, and the body of its response.
type reply struct {
	codec  *codec1
	body   io.Reader
	sender *sender     // of the request's body; nil: there is none, or it is sent
	stop   func() bool // ends the watch over the context
	keep   bool        // the connection may serve another request
	over   atomic.Bool // the connection is given up
}

// begin gives the response its body.
func (a *reply) begin(r *nethttp.Request, resp *nethttp.Response) {
	if resp.StatusCode == nethttp.StatusSwitchingProtocols && len(resp.Header["Upgrade"]) > 0 &&
		httpguts.HeaderValuesContainsToken(resp.Header["Connection"], "upgrade") {
		a.over.Store(true)
		a.codec.state.Store(stateSpent)
		if a.stop != nil {
			a.stop() // from here on the context is the session's matter
		}
		resp.Body = &switched{r: a.codec.r, Conn: a.codec.conn}

		return
	}
	a.keep = !resp.Close && !r.Close && resp.StatusCode > 199
	if resp.Body == nethttp.NoBody {
		a.finish()

		return
	}
	// Nobody calls its Close, which would read what is left.
	a.body, resp.Body = resp.Body, a
}

// Read reads the body. At its end the connection is free.
func (a *reply) Read(p []byte) (int, error) {
	n, err := a.body.Read(p)
	switch {
	case err == nil:
	case err == io.EOF: // only a bare one is the end
		a.finish()
	default:
		_ = a.Close()
	}

	return n, err
}

// Close gives up what is left of the body, and with it the connection. It ends a
// Read.
func (a *reply) Close() error {
	if a.over.Swap(true) {
		return nil
	}
	if a.stop != nil {
		a.stop()
	}
	a.sender.permit(false)
	a.codec.hangUp()

	return nil
}

// refused ends an exchange whose request could not be written: it is at fault, or
// the connection is.
func (a *reply) refused() {
	a.over.Store(true)
	c := a.codec
	if stopped := a.stop == nil || a.stop(); !stopped || c.out.begun || c.out.failed {
		c.hangUp()

		return
	}
	c.w.Reset(&c.out)
	c.state.Store(stateIdle)
}

// finish ends an exchange whose answer was read to its end.
func (a *reply) finish() {
	if a.over.Swap(true) {
		return
	}
	c := a.codec
	sent := a.sender.settled()
	if a.stop != nil && !a.stop() || !sent {
		a.sender.permit(false)
		c.hangUp()

		return
	}
	if !a.keep || c.r.Buffered() > 0 { // what nobody asked for must not answer the next request
		c.state.Store(stateSpent)

		return
	}
	c.idleSince = time.Now()
	c.state.Store(stateIdle)
}

// switched is the connection after 101: what was read ahead comes first.
type switched struct {
	net.Conn

	r *bufio.Reader
}

func (s *switched) Read(p []byte) (int, error) {
	if n := s.r.Buffered(); n > 0 {
		return s.r.Read(p[:min(n, len(p))])
	}

	return s.Conn.Read(p)
}
