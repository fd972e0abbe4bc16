package engine_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/proxy"
)

// recorder is a connection that keeps what is written.
type recorder struct {
	net.Conn
	bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error) { return r.Buffer.Write(p) }
func (r *recorder) Read([]byte) (int, error)    { return 0, net.ErrClosed }
func (r *recorder) Close() error                { return nil }
func (r *recorder) LocalAddr() net.Addr         { return &net.TCPAddr{} }
func (r *recorder) RemoteAddr() net.Addr        { return &net.TCPAddr{} }

func (r *recorder) Dial(context.Context, *protocols.Trace, proxy.Parameters, string, string) (net.Conn, error) {
	return r, nil
}

func (r *recorder) DialPacket(context.Context, *protocols.Trace, proxy.Parameters, string) (net.PacketConn, []net.Addr, error) {
	return nil, nil, errors.ErrUnsupported
}

// Without a handshake nothing but handshake records comes out of an encrypted
// scheme, in whatever pieces it writes.
func FuzzEncryptedWrites(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n"), uint8(3))
	f.Add([]byte("\x16\x03\x01\x00\x02ab\x14\x03\x03\x00\x01\x01\x17\x03\x03\x00\x01x"), uint8(1))
	f.Add([]byte("\x16\x03\x01\x00\x00\x15\x03\x03\x00\x02\x01\x00secret"), uint8(200))
	f.Add([]byte("\x16\x16\x16"), uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, size uint8) {
		out := &recorder{}
		e := open(t, engine.Config{Dialer: out}, scheme("custom", protocols.Encrypted, dialling(
			func(_ context.Context, _ protocols.Client, conn net.Conn) (string, error) {
				for p := data; len(p) > 0; {
					n := min(len(p), int(size)+1)
					if _, err := conn.Write(p[:n]); err != nil {
						return "", err
					}
					p = p[n:]
				}

				return "", nil
			})))
		_, _, err := fetch(e, request(t, "GET", "custom://public.example:1/"), nil)
		if err != nil {
			failure(t, err, protocols.AppTransportSecurityRequiresSecureConnection)
		}
		checkRecords(t, out.Bytes())
	})
}

func checkRecords(t *testing.T, p []byte) {
	t.Helper()
	for first := true; len(p) > 0; first = false {
		if p[0] < 20 || p[0] > 22 || first && p[0] != 22 {
			// The first bytes of a header may be out before it can be judged.
			if first || len(p) >= 5 {
				t.Fatalf("%q came out", p)
			}

			return
		}
		if len(p) < 5 {
			return
		}
		if p[1] != 3 {
			t.Fatalf("%q came out", p)
		}
		p = p[min(len(p), 5+int(p[3])<<8+int(p[4])):]
	}
}

// Whatever a server says, a redirect lands on a scheme that expects it, under
// policy.
func FuzzLocation(f *testing.F) {
	for _, seed := range []string{
		"/x", "//b.example", "//A.EXAmple", "file:///etc/passwd", "FILE:/x", "http://public.example/", "http://127.0.0.1/", "https://u:p@[::1]:99999/#f", "\x00", "http:", "?%zz",
		"https://bücher.example", "custom:opaque", "https://a.example\\@b.example/",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, location string) {
		respond := func(_ context.Context, _ protocols.Client, req *protocols.Request) (*protocols.Response, error) {
			if req.URL.Scheme == "https" && req.URL.Path == "/first" {
				return reply(307, "", "Location", location), nil
			}
			if secret := req.Header.Get("Authorization"); secret != "" && strings.ToLower(req.URL.Hostname()) != "a.example" {
				t.Errorf("%q: Authorization reached %s", location, req.URL)
			}

			return reply(200, "done"), nil
		}
		file := scheme("file", protocols.Local, func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
			t.Errorf("%q reached a file", location)

			return reply(0, ""), nil
		})
		file.Redirectable = false
		e := open(t, engine.Config{}, file, scheme("https", protocols.Encrypted, respond), scheme("http", protocols.Cleartext, respond))
		_, _, err := fetch(e, request(t, "GET", "https://a.example/first", "Authorization", "secret"), nil)
		var failed *protocols.Error
		if err != nil && !errors.As(err, &failed) {
			t.Errorf("%q: %v", location, err)
		}
	})
}
