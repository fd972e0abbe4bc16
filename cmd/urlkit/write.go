package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/urlkit/urlkit/urlsession"
)

// write loads a URL and writes its body as it comes: to standard output, to a
// device, or to nowhere.
func (r *runner) write(ctx context.Context, t *transfer, g gauge) *outcome {
	o := &outcome{transfer: t}
	var w io.Writer = r.std.out
	switch t.target.kind {
	case toNowhere:
		w = io.Discard
	case toDevice:
		f, err := os.OpenFile(t.target.name, os.O_WRONLY, 0)
		if err != nil {
			o.err = failed(exitWrite, "%w", err)

			return o
		}
		defer f.Close()
		w = f
	}
	ctx = urlsession.WithTaskDelegate(urlsession.WithMetrics(ctx, &o.metrics), r.delegate(t))
	body, err := r.session.Bytes(ctx, t.request)
	if err != nil {
		o.err = err

		return o
	}
	defer body.Close()
	o.response = body.Response()
	if o.err = r.refuses(o.response); o.err != nil {
		return o
	}
	if r.options.message.head && !r.options.json {
		if _, err := w.Write(headOf(o.response)); err != nil {
			o.err = written(err)

			return o
		}
	}
	o.err = o.copy(w, body, g)

	return o
}

// copy writes the body, and tells a failing source from a failing destination.
func (o *outcome) copy(w io.Writer, body *urlsession.ByteStream, g gauge) error {
	c := &counter{start: time.Now(), total: o.response.ContentLength}
	if o.response.Header.Get("Content-Encoding") != "" {
		c.total = -1 // it speaks of the bytes before decoding
	}
	g.watch(c)
	defer func() { o.bytes = c.done.Load() }()
	for chunk, err := range body.Chunks() {
		if err != nil {
			return err
		}
		if _, err := w.Write(chunk); err != nil {
			if o.target.kind == toDevice {
				return failed(exitWrite, "%w", err)
			}

			return written(err)
		}
		c.done.Add(int64(len(chunk)))
	}
	if o.target.kind == toDevice {
		o.file = o.target.name
	}

	return nil
}

// headOf is a response's head in the form of HTTP/1.1, as -I prints it.
func headOf(resp *urlsession.Response) []byte {
	var b bytes.Buffer
	if resp.StatusCode != 0 {
		fmt.Fprintf(&b, "%s %d %s\r\n", protocolName(resp.Proto), resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	for _, name := range fieldNames(resp.Header) {
		for _, value := range resp.Header[name] {
			fmt.Fprintf(&b, "%s: %s\r\n", name, printable(value))
		}
	}
	if resp.Header == nil && resp.MIMEType != "" {
		fmt.Fprintf(&b, "Content-Type: %s\r\n", printable(resp.MIMEType))
	}
	b.WriteString("\r\n")

	return b.Bytes()
}

// protocolName is what a status line calls the protocol.
func protocolName(alpn string) string {
	switch alpn {
	case "h2":
		return "HTTP/2"
	case "h3":
		return "HTTP/3"
	case "http/1.0":
		return "HTTP/1.0"
	default:
		return "HTTP/1.1"
	}
}

func fieldNames(h http.Header) []string {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)

	return names
}

// samePort tells whether a port is that of the URL.
func samePort(port int, u *url.URL) bool {
	if text := u.Port(); text != "" {
		return text == strconv.Itoa(port)
	}
	switch u.Scheme {
	case "http":
		return port == 80
	case "https":
		return port == 443
	default:
		return true
	}
}
