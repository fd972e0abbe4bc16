package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// No secret is in what is reported, whichever way it came.
func TestSecrets(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "sid=SECRET-cookie; Path=/")
		w.Header().Set("X-Auth-Token", "SECRET-token")
		w.Header().Set("X-CsrfToken", "SECRET-csrf")
		w.Header().Set("Link", "<http://me:SECRET-link@"+r.Host+"/>; rel=next")
		w.Header().Set("X-Harmless", "shown\u009b31m")
		if r.URL.Path == "/from" {
			w.Header().Set("Location", "http://me:SECRET-location@"+r.Host+"/to")
			w.WriteHeader(http.StatusFound)

			return
		}
		if _, _, ok := r.BasicAuth(); !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
			w.WriteHeader(http.StatusUnauthorized)

			return
		}
		_, _ = w.Write([]byte("body"))
	})
	userInfo := strings.Replace(s.URL, "http://", "http://you:SECRET-user@", 1)
	tests := [][]string{
		{"-L", "-u", "me:SECRET-u", s.URL + "/from?q=1"},
		{"-L", userInfo + "/from?q=1"},
		{"-L", "-H", "Authorization: Basic SECRET-h", "-H", "Cookie: a=SECRET-c", "-H", "Proxy-Authorization: SECRET-p", "-H", "X-Api-Key: SECRET-k", "-H", "x-accesstoken: SECRET-a", "-H", "Referer: http://me:SECRET-r@h/", s.URL + "/from?q=1"},
	}
	for _, args := range tests {
		for _, extra := range [][]string{{"-v"}, {"--json"}, {"-v", "--json"}, {"-v", "-o", t.TempDir() + "/f"}} {
			r := try(t, append(append([]string{"get"}, extra...), args...)...).want(t, 0)
			text := r.out + r.err
			lacks(t, "the report", text, "SECRET", "U0VDUkVU", "\u009b") // base64 of it, and a terminal's control
			contains(t, "the report", text, hidden, "shown", "/from?q=1")
		}
	}
	r := try(t, "get", "-v", strings.Replace(userInfo, "127.0.0.1", "127.0.0.1.1:x", 1), "http://me:SECRET@[").want(t, exitURL)
	lacks(t, "the errors", r.err, "SECRET")
	r = try(t, "explain", "-H", "Cookie: a=SECRET", userInfo).want(t, 0)
	lacks(t, "the explanation", r.out+r.err, "SECRET")
	r = try(t, "explain", "--json", userInfo).want(t, 0)
	lacks(t, "the explanation", r.out+r.err, "SECRET")
}

func TestShowURL(t *testing.T) {
	for raw, want := range map[string]string{
		"https://host/p?q=1":            "https://host/p?q=1",
		"https://u:p@host/p?q=1":        "https://REDACTED@host/p?q=1",
		"https://u@host":                "https://REDACTED@host",
		"mailto:someone:secret@host?x":  "mailto:...@host?...",
		"data:text/plain,secret":        "data:text/plain,...",
		"//u:p@host/relative":           "//REDACTED@host/relative",
		"/path":                         "/path",
		"file:///etc/passwd":            "file:///etc/passwd",
		"https://u:p@host/a//b?c=//u@d": "https://REDACTED@host/a//b?c=//u@d",
		"https://host/#access_token=s":  "https://host/#access_token=REDACTED",
		"https://u@host/?a#part%20two":  "https://REDACTED@host/?a#part%20two",
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := showURL(u); got != want {
			t.Errorf("%s is shown as %s, want %s", raw, got, want)
		}
	}
	if got := showURL(nil); got != "" {
		t.Errorf("no URL is shown as %s", got)
	}
	if got := showRaw("http://u:p@["); got != "REDACTED@[" {
		t.Errorf("shown as %s", got)
	}
}

func TestShowField(t *testing.T) {
	for _, name := range []string{
		"Authorization", "PROXY-AUTHORIZATION", "cookie", "Set-Cookie", "X-AccessToken", "X-Accesstoken", "X-Csrftoken",
		"Clientsecret", "X-USERPASSWORD", "X-Api-Key", "X-Myapikey", "x_api_key",
		"X-Session-Id", "Authentication-Info", "Sec-WebSocket-Key", "X-Signature", "X-Auth-Key",
	} {
		if got := showField(name, "value"); got != hidden {
			t.Errorf("%s is shown as %s", name, got)
		}
	}
	for _, test := range []struct{ name, value, want string }{
		{"Link", `<http://u:p@h/>; rel="next", <//v:q@i/?a=b@c>`, `<http://REDACTED@h/>; rel="next", <//REDACTED@i/?a=b@c>`},
		{"Refresh", "0; url=ftp://u:p@p@h", "0; url=ftp://REDACTED@h"},
		{"Origin", "http://u@h", "http://REDACTED@h"},
		{"Location", "http://u:p@h/?to=http://v:q@i/", "http://REDACTED@h/?to=http://REDACTED@i/"},
		{"Location", "http://u:p/q@h:x/", "REDACTED@h:x/"},
		{"referer", "//u:p@h/", "//REDACTED@h/"},
		{"Location", "/back#access_token=s&state=1", "/back#access_token=REDACTED&state=1"},
		{"WWW-Authenticate", "Negotiate c2VjcmV0", "Negotiate REDACTED"},
		{"From", "someone@example.com", "someone@example.com"},
		{"Link", "<https://h/p@1>, <https://i/>; title=a@b", "<https://h/p@1>, <https://i/>; title=a@b"},
		{"Content-Type", "text/plain", "text/plain"},
	} {
		if got := showField(test.name, test.value); got != test.want {
			t.Errorf("%s: %s is shown as %s, want %s", test.name, test.value, got, test.want)
		}
	}
}
