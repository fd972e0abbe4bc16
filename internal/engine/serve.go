package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage"
)

// serve makes the response of a stored one: whole, or the part that the verdict
// names. An error is the store's.
func (h *hop) serve(e *storage.CacheEntry) (*protocols.Response, error) {
	c := h.cached
	v := &c.decided
	start, end := int64(0), e.Length
	answer := new(storedAnswer)
	resp := &answer.response
	h.storedHead(resp, e)
	if c.served != servedValidated {
		for _, event := range []protocols.Event{protocols.RequestStart, protocols.RequestEnd, protocols.ResponseStart} {
			h.request.Trace.Mark(event)
		}
		answer.age[0] = offset(int64(min(v.Age, 1<<31*time.Second) / time.Second))
		resp.Header["Age"] = answer.age[:]
	}
	if v.Partial {
		start, end = v.Part.Start, v.Part.End
		resp.StatusCode = http.StatusPartialContent
		resp.Header["Content-Range"] = []string{v.Part.String()}
		resp.Header["Content-Length"] = []string{offset(end - start)}
		resp.ContentLength = end - start
	}
	if c.query.Method == http.MethodHead || start == end {
		return resp, nil
	}
	reader, err := h.of.engine.config.Cache.Open(h, e, start)
	if err != nil {
		return nil, err
	}
	answer.body = storedBody{reader: reader, ctx: h.of.ctx, left: end - start}
	resp.Body = &answer.body

	return resp, nil
}

// storedAnswer is what is allocated for a response that is served.
type storedAnswer struct {
	response protocols.Response
	body     storedBody
	age      [1]string
}

// storedHead fills in the response of a stored one, without its body.
func (h *hop) storedHead(resp *protocols.Response, e *storage.CacheEntry) {
	header := e.Header.Clone()
	if header == nil {
		header = make(http.Header, 1)
	}
	u := h.request.URL
	if e.URL != nil && !sameResource(u, e.URL) {
		u = e.URL // a composing protocol named another
	}

	*resp = protocols.Response{
		URL: u, StatusCode: e.StatusCode, Header: header, Trailer: e.Trailer.Clone(), Proto: e.Proto,
		MIMEType: e.MIMEType, TextEncodingName: e.TextEncodingName, ContentLength: e.Length, Body: protocols.NoBody,
	}
}

func sameResource(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && a.Host == b.Host && a.Path == b.Path && a.RawQuery == b.RawQuery && a.Opaque == b.Opaque
}

// gatewayTimeout answers a request that says only-if-cached where nothing is stored
// that it could have (RFC 9111 §5.2.1.7).
func (h *hop) gatewayTimeout() *protocols.Response {
	h.cached.served = notServed

	return &protocols.Response{
		URL: h.request.URL, StatusCode: http.StatusGatewayTimeout, Header: make(http.Header), Body: protocols.NoBody,
	}
}

func offset(n int64) string { return strconv.FormatInt(n, 10) }

// storedBody reads a stored body, or a part of it. It ends with its load.
type storedBody struct {
	reader io.ReadCloser
	ctx    context.Context
	left   int64
}

// Context says that the body ends by itself when its load does.
func (b *storedBody) Context() context.Context { return b.ctx }

// Read fails where the store does not give all that it has promised.
func (b *storedBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	if err := context.Cause(b.ctx); err != nil {
		return 0, err
	}
	p = p[:min(int64(len(p)), b.left)]
	n, err := b.reader.Read(p)
	b.left -= int64(n)
	switch {
	case b.left == 0:
		return n, io.EOF
	case err == io.EOF:
		return n, fmt.Errorf("the stored body ends %d bytes early: %w", b.left, io.ErrUnexpectedEOF)
	case err != nil:
		return n, fmt.Errorf("%w: reading the stored body: %w", io.ErrUnexpectedEOF, err)
	}

	return n, nil
}

func (b *storedBody) Close() error { return b.reader.Close() }

// joinedBody is the stored beginning of a body, and the rest as it comes.
type joinedBody struct {
	first *storedBody
	rest  io.ReadCloser
}

func (b *joinedBody) Read(p []byte) (int, error) {
	if b.first.left > 0 {
		n, err := b.first.Read(p)
		if err == io.EOF { //nolint:errorlint // a Reader returns io.EOF bare
			err = nil
		}

		return n, err
	}

	return b.rest.Read(p)
}

func (b *joinedBody) Close() error { return errors.Join(b.first.Close(), b.rest.Close()) }
