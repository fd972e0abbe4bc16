package httpauth_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/httpauth"
	"github.com/urlkit/urlkit/protocols"
)

func TestChallenges(t *testing.T) {
	req, err := protocols.NewRequest("GET", "HTTPS://User:pw@A.Example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.DefaultPort = 443
	place := httpauth.Place(req)
	if place != (protocols.ProtectionSpace{Host: "a.example", Port: 443, Protocol: "https"}) {
		t.Errorf("place %+v", place)
	}
	req.URL.Host = "[::1]:8443"
	if p := httpauth.Place(req); p.Host != "::1" || p.Port != 8443 {
		t.Errorf("place %+v", p)
	}
	const digest = `Digest realm="d", nonce="n", qop="auth"`
	offered := []string{
		`Unknown x=y, Basic realm="one"`, `Basic`, `Bearer error="invalid_token", Basic realm=two`, digest, digest + `, algorithm=SHA-256-sess`,
		digest + `, algorithm=SHA-512-256`, `NTLM, Negotiate`, `Digest realm="d"`,
	}
	tests := []struct {
		proxy, want string
		negotiates  bool
	}{
		{"", "Negotiate NTLM HTTPDigest/SHA-512-256 HTTPDigest/SHA-256-sess HTTPDigest HTTPBearer HTTPBasic HTTPBasic", true},
		{"", "NTLM HTTPDigest/SHA-512-256 HTTPDigest/SHA-256-sess HTTPDigest HTTPBearer HTTPBasic HTTPBasic", false},
		{"http", "Negotiate HTTPDigest/SHA-512-256 HTTPDigest/SHA-256-sess HTTPDigest NTLM HTTPBearer HTTPBasic HTTPBasic", true},
	}
	for _, tt := range tests {
		place.ProxyType = tt.proxy
		var names []string
		for _, c := range httpauth.Challenges(place, offered, tt.negotiates) {
			name := c.Space.Method.String()
			if algorithm := c.Parameters["algorithm"]; algorithm != "" {
				name += "/" + algorithm
			}
			names = append(names, name)
			if space := c.Space; space.Host != place.Host || space.Realm != c.Parameters["realm"] || space.ProxyType != tt.proxy {
				t.Errorf("space %+v", space)
			}
		}
		if got := strings.Join(names, " "); got != tt.want {
			t.Errorf("%q, negotiates %v: %s, want %s", tt.proxy, tt.negotiates, got, tt.want)
		}
	}
	if none := httpauth.Challenges(place, nil, true); len(none) != 0 {
		t.Errorf("without a field: %v", none)
	}
}

func TestBasicAndBearer(t *testing.T) {
	tests := []struct {
		method     protocols.AuthenticationMethod
		credential *protocols.Credential
		want       string // "": the credential is of no use
	}{
		{protocols.MethodHTTPBasic, &protocols.Credential{User: "Aladdin", Password: "open sesame"}, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
		{protocols.MethodHTTPBasic, &protocols.Credential{User: "test", Password: "123\u00a3"}, "Basic dGVzdDoxMjPCow=="},
		{protocols.MethodHTTPBasic, &protocols.Credential{}, "Basic Og=="},
		{protocols.MethodHTTPBasic, &protocols.Credential{User: "a:b", Password: "c"}, ""},
		{protocols.MethodHTTPBasic, &protocols.Credential{Token: "t"}, ""},
		{protocols.MethodHTTPBearer, &protocols.Credential{Token: "mF_9.B5f-4.1JqM"}, "Bearer mF_9.B5f-4.1JqM"},
		{protocols.MethodHTTPBearer, &protocols.Credential{User: "u", Password: "p"}, ""},
		{protocols.MethodHTTPBearer, &protocols.Credential{Token: "a\r\nX-Injected: 1"}, ""},
		{protocols.MethodHTTPBearer, &protocols.Credential{Token: "a b"}, ""},
	}
	for _, tt := range tests {
		c := &protocols.Challenge{Space: protocols.ProtectionSpace{Method: tt.method}}
		x, err := httpauth.Begin(t.Context(), c, tt.credential, nil, nil)
		if tt.want == "" {
			if err == nil {
				t.Errorf("%v takes %v", tt.method, tt.credential)
			}

			continue
		}
		if err != nil {
			t.Errorf("%v, %v: %v", tt.method, tt.credential, err)

			continue
		}
		field, err := x.Field(t.Context(), nil)
		if err != nil || field != tt.want || x.Continue(t.Context(), c) != httpauth.Refused || x.Bound() || x.Opening() {
			t.Errorf("%v, %v: %q, %v, want %q", tt.method, tt.credential, field, err, tt.want)
		}
		x.Accepted(t.Context(), http.Header{})
	}
	for _, method := range []protocols.AuthenticationMethod{protocols.MethodDefault, protocols.MethodServerTrust, protocols.MethodHTMLForm} {
		x, err := httpauth.Begin(t.Context(), &protocols.Challenge{Space: protocols.ProtectionSpace{Method: method}}, &protocols.Credential{User: "u"}, nil, nil)
		if x != nil || err != nil {
			t.Errorf("%v: %v, %v", method, x, err)
		}
	}
}
