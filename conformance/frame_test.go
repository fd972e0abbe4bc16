package conformance_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"

	"github.com/urlkit/urlkit/protocols"
)

// frame is a small correct protocol. A request is a line "METHOD path length
// credential" and a body of that length; an answer is a line "status length type
// target" and a body. Each has a connection of its own.
type frame struct {
	client  protocols.Client
	secure  bool
	maxHead int
	// The rest is how it can be wrong in the middle.
	informs bool                                        // whether somebody asks or not
	latest  func(*protocols.Request) *protocols.Request // nil: the request itself
}

func newFrame(c protocols.Client) *frame { return &frame{client: c, maxHead: 4 << 10} }

var frameScheme = protocols.Scheme{Name: "frame", DefaultPort: 4000, New: func(c protocols.Client) protocols.URLProtocol {
	return altered{inner: newFrame(c)}
}}

var framesScheme = protocols.Scheme{
	Name: "frames", DefaultPort: 4001, Security: protocols.Encrypted,
	New: func(c protocols.Client) protocols.URLProtocol {
		f := newFrame(c)
		f.secure = true

		return f
	},
}

// Claims implements protocols.Claimer.
func (f *frame) Claims(req *protocols.Request) bool { return req.URL.Opaque == "" }

// Close implements io.Closer. Nothing is idle here.
func (f *frame) Close() error { return nil }

// Load implements protocols.URLProtocol.
func (f *frame) Load(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
	conn, err := f.client.Dial(ctx, "tcp", req.HostPort())
	if err != nil {
		return nil, err
	}
	if f.latest != nil {
		req = f.latest(req)
	}
	resp, err := f.exchange(ctx, conn, req)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}

	return resp, nil
}

func (f *frame) exchange(ctx context.Context, conn net.Conn, req *protocols.Request) (*protocols.Response, error) {
	if f.secure {
		conn = tls.Client(conn, f.client.TLSConfig(ctx, req.URL.Hostname()))
	}
	credential := "-"
	if c := req.Credential; c != nil {
		credential = c.User + ":" + c.Password
	}
	length := int64(0)
	if req.Body != nil {
		length = req.Body.Length
	}
	if _, err := fmt.Fprintf(conn, "%s %s %d %s\n", req.Method, req.URL.Path, length, credential); err != nil {
		return nil, err
	}
	if err := req.WriteBody(conn); err != nil {
		return nil, err
	}
	r := bufio.NewReader(conn)
	for {
		resp, err := f.head(r, req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode == 100 {
			if req.Trace != nil || f.informs {
				resp.Body = protocols.NoBody
				f.client.Inform(ctx, resp)
			}

			continue
		}
		body := &frameBody{Reader: r, conn: conn, left: resp.ContentLength}
		switch {
		case resp.StatusCode == 101:
			resp.Upgraded, resp.Body = conn, protocols.NoBody
		case resp.ContentLength == 0:
			resp.Body = protocols.NoBody

			return resp, conn.Close()
		default:
			resp.Body = body
		}

		return resp, nil
	}
}

func (f *frame) head(r *bufio.Reader, req *protocols.Request) (*protocols.Response, error) {
	var line []byte
	for len(line) == 0 || line[len(line)-1] != '\n' {
		b, err := r.ReadByte()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
		if line = append(line, b); len(line) > f.maxHead {
			return nil, errors.New("frame: the head is too long")
		}
	}
	resp := &protocols.Response{}
	var target string
	if _, err := fmt.Sscanf(string(line), "%d %d %s %s\n", &resp.StatusCode, &resp.ContentLength, &resp.MIMEType, &target); err != nil {
		return nil, fmt.Errorf("frame: %w", err)
	}
	if resp.ContentLength < 0 || resp.StatusCode < 100 || resp.StatusCode > 999 {
		return nil, errors.New("frame: malformed head")
	}
	switch resp.StatusCode {
	case 302:
		to, err := url.Parse(target)
		if err != nil {
			return nil, err
		}
		resp.Redirect = &protocols.Request{URL: req.URL.ResolveReference(to)}
	case 401:
		resp.Challenges = []*protocols.Challenge{{Space: protocols.ProtectionSpace{Realm: "frame"}}}
	}

	return resp, nil
}

// frameBody is a body of known length on a connection of its own.
type frameBody struct {
	io.Reader
	conn net.Conn
	left int64
}

func (b *frameBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.Reader.Read(p[:min(int64(len(p)), b.left)])
	if b.left -= int64(n); b.left > 0 && err == io.EOF {
		err = io.ErrUnexpectedEOF
	}

	return n, err
}

func (b *frameBody) Close() error { return b.conn.Close() }

// altered is a protocol, or its Client, in which something is done otherwise.
type altered struct {
	inner protocols.URLProtocol
	load  func(ctx context.Context, req *protocols.Request) (*protocols.Response, error)
}

func (a altered) Unwrap() protocols.URLProtocol { return a.inner }

func (a altered) Load(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
	if a.load == nil {
		return a.inner.Load(ctx, req)
	}

	return a.load(ctx, req)
}

type alteredClient struct {
	protocols.Client
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

func (a alteredClient) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return a.dial(ctx, network, addr)
}

// alteredBody is a body of which a method does otherwise.
type alteredBody struct {
	io.ReadCloser
	read  func(p []byte) (int, error)
	close func() error
}

func (b *alteredBody) Read(p []byte) (int, error) {
	if b.read == nil {
		return b.ReadCloser.Read(p)
	}

	return b.read(p)
}

func (b *alteredBody) Close() error {
	if b.close == nil {
		return b.ReadCloser.Close()
	}

	return b.close()
}

// memory is a small correct Local protocol: a path gives its own name, repeated.
type memory struct{}

var memoryScheme = protocols.Scheme{Name: "memory", Security: protocols.Local, New: func(protocols.Client) protocols.URLProtocol {
	return memory{}
}}

func (memory) Load(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	name := strings.TrimPrefix(req.URL.Path, "/")
	switch name {
	case "missing":
		return nil, protocols.Errorf(protocols.FileDoesNotExist, "there is no %s", name)
	case "silent":
		<-ctx.Done()

		return nil, ctx.Err()
	case "slow":
		r, w := io.Pipe()
		stop := context.AfterFunc(ctx, func() { _ = r.CloseWithError(ctx.Err()) })
		go func() { _, _ = io.WriteString(w, "slowly") }()

		return &protocols.Response{ContentLength: -1, Body: &alteredBody{ReadCloser: r, close: func() error {
			stop()

			return r.Close()
		}}}, nil
	}
	text := strings.Repeat(name+" ", 400)

	return &protocols.Response{MIMEType: "text/plain", ContentLength: int64(len(text)), Body: io.NopCloser(strings.NewReader(text))}, nil
}
