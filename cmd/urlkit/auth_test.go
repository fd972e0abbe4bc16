package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/urlkit/urlkit/internal/peer"
)

// -u answers whatever method the server has.
func TestUserOfOtherMethods(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
		_, _ = io.WriteString(w, " for "+r.Header.Get("X-User"))
	})
	digest := httptest.NewServer(&peer.Digest{T: t, Handler: handler, User: "me", Password: "pass:word", Realm: "r", Algorithm: "SHA-256", QOP: "auth-int"})
	defer digest.Close()
	ntlm := peer.StartNTLM(t, nil, handler)
	for _, tt := range []struct{ user, url, want string }{
		{"me:pass:word", digest.URL, "sent for "},
		{`Domain\me:` + peer.NTLMPassword, ntlm.URL, "sent for me"},
	} {
		if r := try(t, "get", "-f", "-d", "sent", "-u", tt.user, tt.url).want(t, 0); r.out != tt.want {
			t.Errorf("%s: %q", tt.url, r.out)
		}
		try(t, "get", "-f", "-u", tt.user+"wrong", tt.url).want(t, exitStatus)
	}
}
