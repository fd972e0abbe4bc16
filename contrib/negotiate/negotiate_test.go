package negotiate_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/contrib/negotiate"
	"github.com/urlkit/urlkit/protocols"
)

// conf writes a configuration whose realm has a server that answers by serve.
func conf(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	path := filepath.Join(t.TempDir(), "krb5.conf")
	text := "[libdefaults]\n default_realm = A.EXAMPLE\n dns_lookup_kdc = false\n udp_preference_limit = 1\n[realms]\n A.EXAMPLE = {\n  kdc = " +
		listener.Addr().String() + "\n }\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}

	return path
}

var space = protocols.ProtectionSpace{Host: "a.example", Method: protocols.MethodNegotiate}

func TestNoTicket(t *testing.T) {
	t.Setenv("KRB5_CONFIG", "")
	t.Setenv("KRB5CCNAME", "")
	garbage := filepath.Join(t.TempDir(), "cache")
	if err := os.WriteFile(garbage, []byte("\x05\x04\x00\xffno ticket"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := conf(t, func(c net.Conn) { _ = c.Close() })
	for name, k := range map[string]*negotiate.Kerberos{
		"no configuration": {Config: filepath.Join(t.TempDir(), "none")}, "no cache": {Config: empty, Cache: filepath.Join(t.TempDir(), "none")},
		"a cache of garbage": {Config: empty, Cache: "FILE:" + garbage},
	} {
		if _, err := k.Negotiate(t.Context(), space, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for name, answer := range map[string]string{"nothing": "", "garbage": "\x00\x00\x00\x04abcd", "a length that lies": "\xff\xff\xff\xff"} {
		k := &negotiate.Kerberos{Config: conf(t, func(c net.Conn) {
			defer c.Close()
			_, _ = c.Write([]byte(answer))
		})}
		_, err := k.Negotiate(t.Context(), space, &protocols.Credential{User: "alice", Password: "SECRET"})
		if err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A centre that does not answer holds nobody up whose context ends.
func TestCancelled(t *testing.T) {
	asked := make(chan struct{}, 16)
	release := make(chan struct{})
	k := &negotiate.Kerberos{Config: conf(t, func(c net.Conn) {
		asked <- struct{}{}
		<-release
		_ = c.Close()
	})}
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	if _, err := k.Negotiate(ctx, space, &protocols.Credential{User: "alice@A.EXAMPLE", Password: "p"}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
