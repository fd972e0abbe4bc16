//go:build !urlkit_nohttp3

package http

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// frame3 is an HTTP/3 frame (RFC 9114 §7.1).
func frame3(kind byte, payload string) string {
	if len(payload) < 64 {
		return string([]byte{kind, byte(len(payload))}) + payload
	}

	return string([]byte{kind, 0x80, byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload))}) + payload
}

// The frames that the answers are made of; a status is an entry of QPACK's static
// table (RFC 9204, Appendix A), a length a literal with a name from there.
var (
	ok3       = frame3(1, "\x00\x00\xd9")
	hints3    = frame3(1, "\x00\x00\xd8")
	length10  = frame3(1, "\x00\x00\xd9\x54\x0210")
	fiveBytes = frame3(0, "12345")
)

// raw3 is a server of QUIC that answers each request with bytes; it ends with the
// test.
func raw3(t *testing.T, answer func(c *quic.Conn, s *quic.Stream)) (*loader, string) {
	t.Helper()
	leak.Check(t)
	model := httptest.NewTLSServer(nil)
	certificate, roots := model.TLS.Certificates[0], x509.NewCertPool()
	roots.AddCert(model.Certificate())
	model.Close()
	listener, err := quic.ListenAddr("127.0.0.1:0", http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{certificate}}), nil)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := listener.Accept(context.Background())
			if err != nil {
				return
			}
			if control, err := c.OpenUniStream(); err == nil {
				_, _ = control.Write([]byte("\x00\x04\x00")) // SETTINGS, none
			}
			go func() {
				for {
					s, err := c.AcceptStream(context.Background())
					if err != nil {
						return
					}
					_, _ = s.Read(make([]byte, 1))
					answer(c, s)
				}
			}()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
	client := &testClient{roots: roots, dial: func(context.Context, string) (net.Conn, error) { return nil, errNoTCP }}

	return loaderFor(t, client, Config{}, true), "https://" + listener.Addr().String()
}

var errNoTCP = errors.New("no TCP here")

type answer3 = func(*quic.Conn, *quic.Stream)

// says3 answers with bytes.
func says3(text string) answer3 {
	return func(_ *quic.Conn, s *quic.Stream) {
		_, _ = io.WriteString(s, text)
		_ = s.Close()
	}
}

// resets3 resets the stream.
func resets3(code http3.ErrCode) answer3 {
	return func(_ *quic.Conn, s *quic.Stream) {
		s.CancelRead(quic.StreamErrorCode(code))
		s.CancelWrite(quic.StreamErrorCode(code))
	}
}

// closes3 closes the connection.
func closes3(code http3.ErrCode) answer3 {
	return func(c *quic.Conn, _ *quic.Stream) { _ = c.CloseWithError(quic.ApplicationErrorCode(code), "because") }
}

const (
	broke = protocols.NetworkConnectionLost
	odd   = protocols.CannotParseResponse
)

var badAnswers3 = []struct {
	name   string
	answer func(*quic.Conn, *quic.Stream)
	is     []error
	not    []error
}{
	{"rejected", resets3(http3.ErrCodeRequestRejected), []error{broke, protocols.ErrNotSent}, []error{protocols.ErrStaleConnection}},
	{"another version", resets3(http3.ErrCodeVersionFallback), []error{broke, protocols.ErrNotSent}, nil},
	{"reset", resets3(http3.ErrCodeInternalError), []error{broke}, []error{protocols.ErrNotSent, protocols.ErrStaleConnection}},
	{"closed", closes3(http3.ErrCodeInternalError), []error{broke, protocols.ErrStaleConnection}, []error{protocols.ErrNotSent}},
	{"closed in peace", closes3(http3.ErrCodeNoError), []error{broke, protocols.ErrStaleConnection}, nil},
	{"no answer", says3(""), []error{broke, io.ErrUnexpectedEOF}, []error{protocols.ErrNotSent}},
	{"half a frame", says3(ok3[:3]), []error{broke, io.ErrUnexpectedEOF}, nil},
	{"a body first", says3(fiveBytes), []error{odd}, nil},
	{"a frame that has no place there", says3(frame3(4, "")), []error{odd}, nil},
	{"a head too long", says3("\x01\xbf\xff\xff\xff"), []error{odd}, nil},
	{"no QPACK", says3(frame3(1, "\x00\x00\xff\xff\xff\xff")), []error{odd}, nil},
	{"no status", says3(frame3(1, "\x00\x00")), []error{odd}, nil},
	{"hints without end", says3(strings.Repeat(hints3, 50)), []error{odd}, nil},
	{"a body too short", says3(length10 + fiveBytes), []error{io.ErrUnexpectedEOF}, nil},
	{"a body too long", says3(length10 + fiveBytes + fiveBytes + fiveBytes), []error{odd}, nil},
	{"half a frame of the body", says3(ok3 + fiveBytes + fiveBytes[:4]), []error{io.ErrUnexpectedEOF}, nil},
	{"data after the trailer", says3(ok3 + fiveBytes + frame3(1, "\x00\x00") + fiveBytes), []error{odd}, nil},
}

func TestBadAnswers3(t *testing.T) {
	for _, tt := range badAnswers3 {
		t.Run(tt.name, func(t *testing.T) {
			l, url := raw3(t, tt.answer)
			for range 2 {
				req := request3(t, "PUT", url, &protocols.Body{Bytes: []byte("x"), Length: 1})
				req.AssumesHTTP3Capable = true
				_, body, err := fetch(t.Context(), l, req)
				if errors.Is(err, errNoTCP) {
					return // the connection is gone, and HTTP/3 counts as broken
				}
				for _, want := range tt.is {
					if !errors.Is(err, want) {
						t.Errorf("%q, %v, want %v", body, err, want)
					}
				}
				for _, not := range tt.not {
					if errors.Is(err, not) {
						t.Errorf("%v, which is %v", err, not)
					}
				}
			}
		})
	}
}

// A connection that a stream was rejected on serves the next one.
func TestRejectedThenServed(t *testing.T) {
	n := 0
	l, url := raw3(t, func(_ *quic.Conn, s *quic.Stream) {
		if n++; n == 1 {
			s.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestRejected))
			s.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestRejected))

			return
		}
		_, _ = io.WriteString(s, ok3+fiveBytes)
		_ = s.Close()
	})
	req := request3(t, "GET", url, nil)
	req.AssumesHTTP3Capable = true
	if _, _, err := fetch(t.Context(), l, req); !errors.Is(err, protocols.ErrNotSent) {
		t.Errorf("%v", err)
	}
	resp, body, err := fetch(t.Context(), l, req)
	if err != nil || body != "12345" || !resp.Reused {
		t.Errorf("%q, %v", body, err)
	}
}

// A body that breaks off is no whole one, however it does.
func TestBodiesBreakOff3(t *testing.T) {
	for name, breaks := range map[string]func(*quic.Conn, *quic.Stream){
		"reset":           func(_ *quic.Conn, s *quic.Stream) { s.CancelWrite(quic.StreamErrorCode(http3.ErrCodeInternalError)) },
		"closed":          func(c *quic.Conn, _ *quic.Stream) { _ = c.CloseWithError(0x102, "because") },
		"closed in peace": func(c *quic.Conn, _ *quic.Stream) { _ = c.CloseWithError(0x100, "") },
	} {
		t.Run(name, func(t *testing.T) {
			read := make(chan struct{})
			l, url := raw3(t, func(c *quic.Conn, s *quic.Stream) {
				_, _ = io.WriteString(s, ok3+fiveBytes)
				<-read
				breaks(c, s)
			})
			req := request3(t, "GET", url, nil)
			req.AssumesHTTP3Capable = true
			resp, err := l.Load(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if _, err := io.ReadFull(resp.Body, make([]byte, 5)); err != nil {
				t.Error(err)
			}
			close(read)
			if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%d bytes, %v", n, err)
			}
		})
	}
}
