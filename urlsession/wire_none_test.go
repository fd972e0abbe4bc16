//go:build urlkit_nohttp3

package urlsession_test

import (
	"net/http"
	"testing"

	"github.com/urlkit/urlkit/storage/altsvc"
)

// quicWires: the build has none.
var quicWires []string

func serveQUIC(t testing.TB, _ http.Handler) string {
	t.Helper()
	t.Fatal("a server for HTTP/3 in a build without it")

	return ""
}

// known is the store of the tests' sessions.
type known struct{ *altsvc.Store }
