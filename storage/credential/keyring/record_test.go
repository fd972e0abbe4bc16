package keyring

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/urlkit/urlkit/protocols"
)

func TestKeys(t *testing.T) {
	seen := map[string]bool{}
	proxy, long, longer, foreign := space, space, space, space
	foreign.Realm = "r" + strings.Repeat("я", 100)
	proxy.ProxyType = "http"
	long.Realm = strings.Repeat("r", 10000)
	longer.Realm = long.Realm + "r"
	other := space
	other.Method = protocols.MethodHTTPBasic
	for _, s := range []protocols.ProtectionSpace{space, proxy, long, longer, other, foreign} {
		k := key(s)
		if seen[k] || len(k) > 200 || !utf8.ValidString(k) { // which no D-Bus takes
			t.Errorf("the key %q", k)
		}
		seen[k] = true
	}
	if got := key(space); got != `https://a.example:443 HTTPDigest "r"` {
		t.Errorf("a user reads %s", got)
	}
	upper := space
	upper.Host, upper.Protocol = "A.Example", "HTTPS"
	if canonical(upper) != space {
		t.Error("the case of a name matters")
	}
}
