package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/urlkit/urlkit/internal/peer"
	"github.com/urlkit/urlkit/urlsession"
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

// -u is for the host that was named, in whatever form.
func TestUserOfANamedHost(t *testing.T) {
	credential := &urlsession.Credential{User: "u", Password: "p"}
	for _, tt := range []struct {
		url   string
		space urlsession.ProtectionSpace
		want  bool
	}{
		{"https://bücher.example/", urlsession.ProtectionSpace{Host: "xn--bcher-kva.example", Port: 443, Protocol: "https"}, true},
		{"https://A.example/", urlsession.ProtectionSpace{Host: "a.example", Port: 443, Protocol: "https"}, true},
		{"https://[::1]:8443/", urlsession.ProtectionSpace{Host: "::1", Port: 8443, Protocol: "https"}, true},
		{"https://a.example/", urlsession.ProtectionSpace{Host: "a.example", Port: 80, Protocol: "http"}, false},
		{"https://a.example/", urlsession.ProtectionSpace{Host: "a.example", Port: 8443, Protocol: "https"}, false},
		{"https://a.example/", urlsession.ProtectionSpace{Host: "b.example", Port: 443, Protocol: "https"}, false},
		{"https://a.example/", urlsession.ProtectionSpace{Host: "a.example", Port: 443, ProxyType: "https"}, false},
	} {
		req, err := urlsession.NewRequest(http.MethodGet, tt.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		tt.space.Method = urlsession.MethodHTTPBasic
		_, given := answer(&transfer{request: req}, &urlsession.Challenge{Space: tt.space}, credential)
		if (given == credential) != tt.want {
			t.Errorf("%s, %+v: %v", tt.url, tt.space, given)
		}
	}
}
