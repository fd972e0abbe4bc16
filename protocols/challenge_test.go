package protocols_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/protocols"
)

// A credential hides its secrets wherever it is printed: itself, its pointer, and
// both inside another value.
func TestCredentialHidesItsSecrets(t *testing.T) {
	c := &protocols.Credential{
		User: "someone", Password: "SECRET", Token: "SECRET",
		Certificate: &tls.Certificate{Certificate: [][]byte{[]byte("SECRET")}, PrivateKey: "SECRET"},
	}
	type holder struct {
		Pointer *protocols.Credential
		Value   protocols.Credential
	}
	values := map[string]any{
		"pointer": c, "value": *c, "holder": holder{c, *c}, "pointer to a holder": &holder{c, *c},
		"slice": []*protocols.Credential{c}, "map": map[string]protocols.Credential{"a": *c},
	}
	for name, value := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			text := fmt.Sprintf(verb, value)
			if strings.Contains(text, "SECRET") || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", "SECRET")) {
				t.Errorf("%s by %s: %s", name, verb, text)
			}
		}
	}
	for _, value := range []any{holder{c, *c}, &protocols.Challenge{ProposedCredential: c}} {
		text, err := json.Marshal(value)
		if err != nil || strings.Contains(string(text), "SECRET") || !strings.Contains(string(text), "someone") {
			t.Errorf("%T in JSON: %s, %v", value, text, err)
		}
	}
	for _, value := range []any{c, *c} {
		var out bytes.Buffer
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "credential", value, slog.Group("g", "again", value))
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "credential", value)
		if strings.Contains(out.String(), "SECRET") || strings.Count(out.String(), "someone") != 3 {
			t.Errorf("%T in a log: %s", value, out.String())
		}
	}
	if text := fmt.Sprintf("%v", (*protocols.Credential)(nil)); text != "<nil>" {
		t.Errorf("none prints as %q", text)
	}
	if !strings.Contains(c.String(), "someone") {
		t.Errorf("%s names nobody", c)
	}
}

func TestReceivesCredentialSecurely(t *testing.T) {
	tests := []struct {
		space protocols.ProtectionSpace
		want  bool
	}{
		{protocols.ProtectionSpace{Protocol: "http", Method: protocols.MethodHTTPBasic}, false},
		{protocols.ProtectionSpace{Protocol: "https", Method: protocols.MethodHTTPBasic}, true},
		{protocols.ProtectionSpace{Protocol: "http", Method: protocols.MethodHTTPDigest}, true},
		{protocols.ProtectionSpace{Protocol: "http", Method: protocols.MethodNTLM}, true},
		{protocols.ProtectionSpace{Protocol: "http", Method: protocols.MethodHTTPBearer}, false},
		{protocols.ProtectionSpace{Protocol: "ftp"}, false},
		{protocols.ProtectionSpace{Protocol: "http", ProxyType: "https"}, true},
	}
	for _, test := range tests {
		if test.space.ReceivesCredentialSecurely() != test.want {
			t.Errorf("%+v: not %v", test.space, test.want)
		}
	}
}
