package protocols_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing/fstest"

	"github.com/urlkit/urlkit/protocols"
)

type echo struct{ client protocols.Client }

func (e echo) Load(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
	conn, err := e.client.Dial(ctx, "tcp", req.HostPort())
	if err != nil {
		return nil, err
	}
	if err := req.WriteBody(conn); err != nil {
		conn.Close()
		return nil, err
	}

	return &protocols.Response{MIMEType: "text/plain", ContentLength: -1, Body: conn}, nil
}

var echoScheme = protocols.Scheme{Name: "echo", DefaultPort: 7, New: func(c protocols.Client) protocols.URLProtocol { return echo{c} }}

// A protocol is one method. A session dials for it, by its own rules.
func Example() {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)

		return
	}
	defer server.Close()
	go func() {
		conn, err := server.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.CopyN(conn, conn, 5)
	}()

	req, _ := protocols.NewRequest("PUT", "echo://"+server.Addr().String(), protocols.StringBody("hello"))
	resp, err := echoScheme.New(dialer{}).Load(context.Background(), req)
	if err != nil {
		fmt.Println(err)

		return
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	fmt.Println(resp.MIMEType, string(text), err)
	// Output: text/plain hello <nil>
}

// dialer is what a session is to a protocol, here without any policy.
type dialer struct{}

func (dialer) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer

	return d.DialContext(ctx, network, addr)
}

func (dialer) Load(context.Context, *protocols.Request) (*protocols.Response, error) {
	return nil, errors.ErrUnsupported
}

func (dialer) DialPacket(context.Context, string) (net.PacketConn, net.Addr, error) {
	return nil, nil, errors.ErrUnsupported
}

func (dialer) TLSConfig(context.Context, string) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12}
}
func (dialer) Inform(context.Context, *protocols.Response) {}

func (dialer) Authenticate(context.Context, *protocols.Challenge) (*protocols.Credential, error) {
	return nil, nil
}

// canned is a RoundTripper that answers without a network.
type canned string

func (c canned) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Request: req, ContentLength: int64(len(c)),
		Header: http.Header{"Content-Type": {"text/plain"}}, Body: io.NopCloser(strings.NewReader(string(c))),
	}, nil
}

func ExampleFromRoundTripper() {
	mock := protocols.FromRoundTripper(canned("from the mock"))
	req, _ := protocols.NewRequest("GET", "https://example.com/", nil)
	resp, err := mock.Load(context.Background(), req)
	if err != nil {
		fmt.Println(err)

		return
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, string(text), err)
	// Output: 200 from the mock <nil>
}

func ExampleFromFS() {
	assets := fstest.MapFS{"index.html": {Data: []byte("<h1>hello</h1>")}}
	scheme := protocols.Scheme{
		Name: "app", Security: protocols.Local,
		New: func(protocols.Client) protocols.URLProtocol { return protocols.FromFS(assets) },
	}
	req, _ := protocols.NewRequest("GET", "app:///index.html", nil)
	resp, err := scheme.New(nil).Load(context.Background(), req)
	if err != nil {
		fmt.Println(err)

		return
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	fmt.Println(resp.MIMEType, resp.ContentLength, string(text), err)
	// Output: text/html 14 <h1>hello</h1> <nil>
}

func ExampleErrorf() {
	err := protocols.Errorf(protocols.FileDoesNotExist, "no such article: %w", io.ErrUnexpectedEOF)
	fmt.Println(errors.Is(err, protocols.FileDoesNotExist), errors.Is(err, io.ErrUnexpectedEOF))
	fmt.Println(err)
	// Output:
	// true true
	// fileDoesNotExist (-1100): no such article: unexpected EOF
}
