package http

import (
	"context"
	"errors"
	nethttp "net/http"

	"github.com/urlkit/urlkit/protocols"
)

// attempts bounds how many kept connections a load finds dead before it gives
// up: each died between being taken and being written to.
const attempts = 4

// loader is the URLProtocol of one scheme in one session.
type loader struct {
	pool *pool
}

func newLoader(client protocols.Client, config Config, secure bool) *loader {
	p := &pool{
		client: client, config: config, secure: secure, patience: attemptPatience, hosts: make(map[key]*host),
	}
	if secure {
		if config.AlternativeServices == nil {
			p.config.AlternativeServices = &memory{}
		}
		p.http3.init(&p.config)
	}

	return &loader{p}
}

// Load sends the request over a connection of the pool, once.
func (l *loader) Load(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if req.URL == nil || req.URL.Host == "" {
		return nil, protocols.Errorf(protocols.BadURL, "the URL has no host")
	}
	k := keyOf(req, l.pool.secure)
	for n := 1; ; n++ {
		c, err := l.pool.acquire(ctx, k, req)
		if err != nil {
			return nil, err
		}
		resp, again, err := l.exchange(ctx, c, req)
		if again && n < attempts {
			continue
		}

		return resp, err
	}
}

// exchange sends the request over c and waits for the head of the answer. again:
// the connection was found dead before anything of the request was used.
func (l *loader) exchange(ctx context.Context, c *conn, req *protocols.Request) (resp *protocols.Response, again bool, err error) {
	x := &exchange{pool: l.pool, conn: c, ctx: ctx, trace: req.Trace}
	sending := ctx
	if x.trace != nil {
		sending = x.watch(ctx)
	}
	out := x.outgoing(sending, req, l.pool.config.Header)
	if x.upload != nil && !c.shared {
		c.socket.upload.Store(x.upload)
	}
	reused := c.served.Swap(true)
	was := before{kept: reused || c.rested, early: !c.answered.Load(), sent: c.socket.sent.Load(), received: c.socket.received.Load()}
	x.trace.SetConnection(c.facts(), reused)
	x.trace.SetHeader(out.Header)
	x.trace.Mark(protocols.RequestStart)
	raw, err := c.send(out, req)
	if err == nil {
		if !c.answered.Swap(true) && c.quic {
			l.pool.works(c.host.key)
		}
		if resp, err = x.begin(raw, out); err == nil && c.quic && raw.StatusCode == nethttp.StatusMisdirectedRequest {
			x.misdirected()
			if req.Body.Replayable() {
				_ = x.Close()

				return nil, false, protocols.Errorf(protocols.BadServerResponse, "%w: %w", protocols.ErrNotSent, errMisdirected)
			}
		}
	}
	if err != nil {
		unbroken := raw == nil && c.Err() == nil
		x.finishUpload()
		x.count()
		again, err = x.failure(err, was, req.Body, unbroken)
		l.pool.release(c, raw == nil)

		return nil, again, err
	}
	resp.Reused = reused

	return resp, false, nil
}

// Close ends the idle connections. Running loads go on; their connections end
// with them.
func (l *loader) Close() error { return l.pool.Close() }

// finishUpload waits until the request's body may be opened anew.
func (x *exchange) finishUpload() {
	if x.upload != nil {
		x.upload.finish()
		x.conn.socket.upload.CompareAndSwap(x.upload, nil)
	}
}

// begin makes the response of the head.
func (x *exchange) begin(raw *nethttp.Response, out *nethttp.Request) (*protocols.Response, error) {
	x.raw = raw
	if err := x.check(raw); err != nil {
		_ = raw.Body.Close()
		x.conn.abort()

		return nil, err
	}
	r := &x.Response
	r.StatusCode, r.Header, r.Trailer = raw.StatusCode, raw.Header, raw.Trailer
	r.Proto, r.Conn, r.ContentLength = x.proto(), x.conn.facts(), raw.ContentLength
	if values := raw.Header["Alt-Svc"]; len(values) > 0 && x.pool.secure {
		x.pool.learn(x.conn, values)
	}
	if value := raw.Header["Content-Type"]; len(value) > 0 {
		setContentType(r, value[0])
	}
	if raw.StatusCode == nethttp.StatusSwitchingProtocols {
		return r, x.upgrade(len(out.Header["Upgrade"]) > 0)
	}
	if x.bodiless(out.Method) {
		_ = raw.Body.Close()
		r.Body = protocols.NoBody
		if out.Method != nethttp.MethodHead { // whose length is that of the answer to a GET
			r.ContentLength = 0
		}
		x.trace.Mark(protocols.ResponseEnd)
		x.end(!x.strayBody())

		return r, nil
	}
	r.Body = x

	return r, nil
}

var errStatus = errors.New("the status is not between 100 and 999")

// check refuses heads that net/http lets pass, and the one that crosses the end
// of the context.
func (x *exchange) check(raw *nethttp.Response) error {
	switch {
	case x.ctx.Err() != nil:
		return x.ctx.Err()
	case raw.StatusCode < 100 || raw.StatusCode > 999:
		return protocols.Errorf(protocols.BadServerResponse, "%w: %d", errStatus, raw.StatusCode)
	case !x.conn.shared && raw.ProtoMajor != 1:
		return protocols.Errorf(protocols.BadServerResponse, "the server answers in %.20q", raw.Proto)
	default:
		return nil
	}
}

func (x *exchange) proto() string {
	switch {
	case x.conn.shared:
		return x.conn.proto()
	case x.raw.ProtoMinor == 0:
		return "http/1.0"
	default:
		return "http/1.1"
	}
}

// bodiless tells whether no body follows the head.
func (x *exchange) bodiless(method string) bool {
	r := x.raw
	switch {
	case r.Body == nethttp.NoBody, method == nethttp.MethodHead,
		r.StatusCode == nethttp.StatusNoContent, r.StatusCode == nethttp.StatusNotModified:
		return true
	default:
		s, ok := r.Body.(*stream)

		return ok && s.empty
	}
}

// strayBody tells whether the head of an answer that has no body announces one:
// bytes may follow that must not be taken for the next answer.
func (x *exchange) strayBody() bool {
	r := x.raw
	switch r.StatusCode {
	case nethttp.StatusNoContent, nethttp.StatusNotModified:
		length := r.Header["Content-Length"]

		return len(r.TransferEncoding) > 0 || len(length) > 0 && length[0] != "0"
	default:
		return false
	}
}
