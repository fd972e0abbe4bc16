package http

import (
	"context"
	nethttp "net/http"
	"net/http/httptrace"
	"net/textproto"

	"github.com/urlkit/urlkit/protocols"
)

// maxInterim bounds the interim responses to one request: net/http counts their
// bytes only as long as nobody looks at them.
const maxInterim = 100

// watcher tells the session what happens to a request that somebody traces.
type watcher struct {
	x       *exchange
	interim int
}

// watch gives the context that makes the codec report.
func (x *exchange) watch(ctx context.Context) context.Context {
	w := &watcher{x: x}

	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaders:         w.wroteHeaders,
		WroteRequest:         w.wroteRequest,
		GotFirstResponseByte: w.gotFirstByte,
		Got1xxResponse:       w.got1xx,
	})
}

// wroteHeaders notes where the head ends: what follows is the body with its framing.
func (w *watcher) wroteHeaders() {
	if codec, ok := w.x.conn.wire.(*codec1); ok {
		codec.headSent.Store(codec.out.total.Load() + int64(codec.w.Buffered()))
	}
}

func (w *watcher) wroteRequest(info httptrace.WroteRequestInfo) {
	if info.Err == nil {
		w.x.trace.Mark(protocols.RequestEnd)
	}
}

func (w *watcher) gotFirstByte() {
	w.x.markSent()
	w.x.trace.Mark(protocols.ResponseStart)
}

// markSent marks the end of a request that must have ended by now, because it is being
// answered: HTTP/2's codec may say so only later, on another goroutine.
func (x *exchange) markSent() {
	if x.trace != nil && (x.upload == nil || x.upload.read()) {
		x.trace.Mark(protocols.RequestEnd)
	}
}

func (w *watcher) got1xx(code int, header textproto.MIMEHeader) error {
	if w.interim++; w.interim > maxInterim {
		return protocols.Errorf(protocols.BadServerResponse, "more than %d interim responses", maxInterim)
	}
	proto := "http/1.1"
	if w.x.conn.shared {
		proto = w.x.conn.proto()
	}
	w.x.pool.client.Inform(w.x.ctx, &protocols.Response{
		StatusCode: code, Header: nethttp.Header(header), Proto: proto, Body: protocols.NoBody, Conn: w.x.conn.facts(),
	})

	return nil
}
