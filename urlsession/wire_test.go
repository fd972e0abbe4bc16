//go:build !urlkit_nohttp3

package urlsession_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/http3server"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage/altsvc"
)

// quicWires are the wires that a build may leave out.
var quicWires = []string{"h3"}

// quicServers are the servers that speak HTTP/3 and nothing else, by host and port.
var quicServers sync.Map

// serveQUIC is serve for HTTP/3. The tests' sessions know that the server speaks it.
func serveQUIC(t testing.TB, handler http.Handler) string {
	t.Helper()
	s, err := http3server.StartAlone(handler, certificate())
	if err != nil {
		t.Fatal(err)
	}
	quicServers.Store(s.Addr, nil)
	t.Cleanup(func() {
		quicServers.Delete(s.Addr)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})

	return s.URL
}

// known is a store that has heard of quicServers.
type known struct{ *altsvc.Store }

func (k known) Services(key string) []protocols.AlternativeService {
	origin, _, _ := strings.Cut(key, " ")
	if _, ok := quicServers.Load(origin); !ok {
		return k.Store.Services(key)
	}
	_, port, _ := strings.Cut(origin, ":")
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil
	}

	return []protocols.AlternativeService{{Protocol: "h3", Port: uint16(n), Expires: time.Now().Add(time.Hour)}}
}
