package http

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	nethttp "net/http"
	"os"
	"testing"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

func upgrading(w nethttp.ResponseWriter, r *nethttp.Request) {
	if r.Header.Get("Upgrade") == "" {
		return
	}
	conn, buffered, err := w.(nethttp.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	// The first words come in one packet with the head.
	fmt.Fprint(buffered, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello\n")
	_ = buffered.Flush()
	_, _ = io.Copy(conn, buffered)
}

func TestUpgrade(t *testing.T) {
	for _, kind := range kinds {
		l, client, server := start(t, kind, Config{MaximumConnectionsPerHost: 1}, upgrading)
		req := newRequest(t, "GET", server.URL, nil)
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", "echo")
		resp, err := l.Load(t.Context(), req)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if resp.StatusCode != 101 || resp.Body != protocols.NoBody || resp.Proto != "http/1.1" {
			t.Errorf("%s: %d %s", kind, resp.StatusCode, resp.Proto)
		}
		conn := resp.Upgraded
		lines := bufio.NewReader(conn)
		if line, err := lines.ReadString('\n'); err != nil || line != "hello\n" {
			t.Errorf("%s: %q, %v", kind, line, err)
		}
		fmt.Fprint(conn, "ping\n")
		if line, err := lines.ReadString('\n'); err != nil || line != "ping\n" {
			t.Errorf("%s: %q, %v", kind, line, err)
		}
		conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := lines.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: after the deadline: %v", kind, err)
		}
		if info := protocols.InfoOf(conn); info != resp.Conn && !info.Proxied {
			t.Errorf("%s: facts %+v", kind, info)
		}
		get(t, l, server.URL) // the upgraded connection takes no place among the host's
		if n := client.dials.Load(); n != 2 {
			t.Errorf("%s: %d connections", kind, n)
		}
		if err := conn.Close(); err != nil {
			t.Errorf("%s: Close: %v", kind, err)
		}
	}
}
