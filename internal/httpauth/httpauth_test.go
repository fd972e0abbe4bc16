package httpauth_test

import (
	"net/http"
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
	resp := &protocols.Response{StatusCode: 401, Header: http.Header{"Www-Authenticate": {
		`Unknown x=y, Basic realm="one"`, `Basic`, `Bearer error="invalid_token", Basic realm=two`,
	}}}
	got := httpauth.Challenges(req, resp)
	space := protocols.ProtectionSpace{Host: "a.example", Port: 443, Protocol: "https"}
	want := []protocols.ProtectionSpace{space, space, space}
	want[0].Method = protocols.MethodHTTPBearer
	want[1].Method, want[1].Realm = protocols.MethodHTTPBasic, "one"
	want[2].Method, want[2].Realm = protocols.MethodHTTPBasic, "two"
	if len(got) != len(want) {
		t.Fatalf("%d challenges", len(got))
	}
	for i, c := range got {
		if c.Space != want[i] {
			t.Errorf("challenge %d: %+v, want %+v", i, c.Space, want[i])
		}
	}
	if got[0].Parameters["error"] != "invalid_token" {
		t.Errorf("parameters %v", got[0].Parameters)
	}
	req.URL.Host = "[::1]:8443"
	if c := httpauth.Challenges(req, resp)[0]; c.Space.Host != "::1" || c.Space.Port != 8443 {
		t.Errorf("space %+v", c.Space)
	}
	if none := httpauth.Challenges(req, &protocols.Response{StatusCode: 401}); len(none) != 0 {
		t.Errorf("without a field: %v", none)
	}
}

func TestAuthorization(t *testing.T) {
	tests := []struct {
		method     protocols.AuthenticationMethod
		credential *protocols.Credential
		want       string
	}{
		{protocols.MethodHTTPBasic, nil, ""},
		{protocols.MethodHTTPBasic, &protocols.Credential{User: "Aladdin", Password: "open sesame"}, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
		{protocols.MethodHTTPBasic, &protocols.Credential{User: "test", Password: "123£"}, "Basic dGVzdDoxMjPCow=="},
		{protocols.MethodHTTPBasic, &protocols.Credential{}, "Basic Og=="},
		{protocols.MethodHTTPBearer, &protocols.Credential{Token: "mF_9.B5f-4.1JqM"}, "Bearer mF_9.B5f-4.1JqM"},
		{protocols.MethodHTTPBearer, &protocols.Credential{User: "u", Password: "p"}, ""},
		{protocols.MethodHTTPBearer, &protocols.Credential{Token: "a\r\nX-Injected: 1"}, ""},
		{protocols.MethodHTTPBearer, &protocols.Credential{Token: "a b"}, ""},
		{protocols.MethodDefault, &protocols.Credential{User: "u"}, ""},
		{protocols.MethodServerTrust, &protocols.Credential{User: "u"}, ""},
	}
	for _, tt := range tests {
		if got := httpauth.Authorization(protocols.ProtectionSpace{Method: tt.method}, tt.credential); got != tt.want {
			t.Errorf("%v, %v: %q, want %q", tt.method, tt.credential, got, tt.want)
		}
	}
}
