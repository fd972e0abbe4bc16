package engine_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

func TestClassify(t *testing.T) {
	deep := func(err error) error { return fmt.Errorf("protocol: %w", errors.Join(errors.New("first"), err)) }
	missing := func() error { _, err := os.Open(filepath.Join(t.TempDir(), "none")); return err }()
	beneath := func() error {
		name := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := os.Open(filepath.Join(name, "below"))

		return err
	}()
	tests := []struct {
		err  error
		code protocols.Code
	}{
		{errors.New("something"), protocols.Unknown},
		{protocols.Errorf(protocols.ZeroByteResource, "x: %w", io.EOF), protocols.ZeroByteResource},
		{protocols.DataLengthExceedsMaximum, protocols.DataLengthExceedsMaximum},
		{&protocols.Error{Err: io.ErrUnexpectedEOF}, protocols.NetworkConnectionLost},
		{missing, protocols.FileDoesNotExist},
		{beneath, protocols.FileDoesNotExist},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, protocols.NoPermissionsToReadFile},
		{&fs.PathError{Op: "read", Path: "x", Err: syscall.EISDIR}, protocols.FileIsDirectory},
		{fs.ErrPermission, protocols.NoPermissionsToReadFile},
		{&net.DNSError{IsNotFound: true}, protocols.CannotFindHost},
		{&net.DNSError{IsTimeout: true}, protocols.TimedOut},
		{&net.DNSError{IsTemporary: true}, protocols.DNSLookupFailed},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, protocols.CannotConnectToHost},
		{&net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}, protocols.CannotConnectToHost},
		{&net.OpError{Op: "dial", Err: syscall.ENETUNREACH}, protocols.NotConnectedToInternet},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, protocols.NetworkConnectionLost},
		{&net.OpError{Op: "write", Err: syscall.EPIPE}, protocols.NetworkConnectionLost},
		{syscall.ETIMEDOUT, protocols.TimedOut},
		{os.ErrDeadlineExceeded, protocols.TimedOut},
		{context.DeadlineExceeded, protocols.TimedOut},
		{context.Canceled, protocols.Cancelled},
		{engine.ErrInvalidated, protocols.Cancelled},
		{net.ErrClosed, protocols.NetworkConnectionLost},
		{io.EOF, protocols.NetworkConnectionLost},
		{protocols.ErrNotSent, protocols.NetworkConnectionLost},
		{errors.Join(protocols.ErrNotSent, syscall.ECONNREFUSED), protocols.CannotConnectToHost},
		{protocols.ErrStaleConnection, protocols.NetworkConnectionLost},
		{x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x"}, protocols.ServerCertificateUntrusted},
		{x509.UnknownAuthorityError{}, protocols.ServerCertificateUntrusted},
		{errors.New("remote error: tls: certificate required"), protocols.ClientCertificateRequired},
		{errors.New("remote error: tls: unknown certificate"), protocols.ClientCertificateRejected},
		{errors.New("remote error: tls: unknown certificate authority"), protocols.ClientCertificateRejected},
		{errors.New("remote error: tls: handshake failure"), protocols.SecureConnectionFailed},
	}
	for _, tt := range tests {
		for _, err := range []error{tt.err, deep(tt.err)} {
			if got := engine.Classify(err); got != tt.code {
				t.Errorf("%T %v: %v, want %v", tt.err, err, got, tt.code)
			}
		}
	}
}

// Real failures of a connection, through the whole engine.
func TestConnectionErrors(t *testing.T) {
	leak.Check(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	reset := serve(t, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 1))
		if c, ok := conn.(tapped).Conn.(*net.TCPConn); ok {
			_ = c.SetLinger(0)
		}
	})
	tests := []struct {
		name, addr string
		code       protocols.Code
		is         error
		phase      string
	}{
		{"refused", closed.Addr().String(), protocols.CannotConnectToHost, syscall.ECONNREFUSED, "connect"},
		{"reset", reset.addr, protocols.NetworkConnectionLost, syscall.ECONNRESET, ""},
	}
	for _, tt := range tests {
		e := open(t, engine.Config{Dialer: &to{addr: tt.addr}}, scheme("custom", protocols.Cleartext, dialling(
			func(_ context.Context, _ protocols.Client, conn net.Conn) (string, error) { return say(conn, "hello") })))
		_, _, err := fetch(e, request(t, "GET", "custom://u:secret@localhost:1/x?secret"), nil)
		got := failure(t, err, tt.code)
		if !errors.Is(err, tt.is) || got.Phase != tt.phase || contains(got.Error(), "secret") || got.URL != "custom://localhost:1/x?..." {
			t.Errorf("%s: %v in phase %q", tt.name, got, got.Phase)
		}
	}
}

// No error's text tells user info or query.
func TestErrorsKeepSecrets(t *testing.T) {
	var late, ended context.Context
	late, stop := context.WithTimeout(t.Context(), -time.Second)
	defer stop()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	e := open(t, engine.Config{}, scheme("https", protocols.Encrypted, failing(io.EOF)), scheme("http", protocols.Cleartext, stalls),
		scheme("panics", protocols.Local, func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) { panic("x") }))
	tests := []struct {
		ctx context.Context
		url string
	}{
		{t.Context(), "https://secret:secret@a.example/?secret#secret"},
		{late, "https://secret:secret@a.example/?secret"},
		{ended, "https://secret:secret@a.example/?secret"},
		{t.Context(), "http://secret:secret@public.example/?secret"},
		{t.Context(), "gopher://secret:secret@a.example/?secret"},
		{t.Context(), "https://secret:secret@/?secret"},
		{t.Context(), "panics:secret:secret@a?secret"},
		{t.Context(), "https://secret:secret@a b.example/?secret"},
	}
	for _, tt := range tests {
		u, err := url.Parse(tt.url)
		if err != nil {
			u = &url.URL{Scheme: "https", Host: "a b.example", User: url.UserPassword("secret", "secret"), RawQuery: "secret"}
		}
		_, err = e.Load(tt.ctx, &protocols.Request{URL: u}, nil)
		if err == nil || contains(err.Error(), "secret") {
			t.Errorf("%s: %v", tt.url, err)
		}
		_, err = e.Explain(t.Context(), &protocols.Request{URL: u})
		if err != nil && contains(err.Error(), "secret") {
			t.Errorf("explaining %s: %v", tt.url, err)
		}
	}
	_, err := e.Load(t.Context(), &protocols.Request{}, nil)
	failure(t, err, protocols.UnsupportedURL)
}
