package har_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/har"
)

const secret = "s3cr3t"

// planted is an entry with a secret in every place that is known to hold them.
func planted() *har.Entry {
	fields := []har.NameValue{{Name: "Accept", Value: "*/*"}}
	for _, name := range []string{
		"Authorization", "proxy-authorization", "Cookie", "Set-Cookie", "Sec-WebSocket-Key", "sec-websocket-accept",
		"X-Api-Key", "X-AccessToken", "X-CSRF-Token", "Authentication-Info", "X-Amz-Security-Token", "my-own",
	} {
		fields = append(fields, har.NameValue{Name: name, Value: "x " + secret})
	}
	fields = append(fields,
		har.NameValue{Name: "Location", Value: "https://u:" + secret + "@example.com/cb?state=1&code=" + secret + "#access_token=" + secret},
		har.NameValue{Name: "Link", Value: `<https://u:` + secret + `@example.com/>; rel="next"`},
		har.NameValue{Name: "WWW-Authenticate", Value: "Negotiate " + secret + "="},
	)
	e := &har.Entry{Notes: har.Notes{Custom: har.Custom{
		"_token": []byte(`{"a":"` + secret + `"}`), "_initiator": []byte(`{"url":"https://example.com/?sig=` + secret + `","password":"` + secret + `"}`),
	}}}
	e.Request = har.Request{
		URL: "https://user:" + secret + "@example.com/a?q=1&api_key=" + secret + "&X-Amz-Signature=" + secret + "&user%5Bpassword%5D=" + secret, Headers: fields,
		Cookies:     []har.Cookie{{Name: "id", Value: secret}},
		QueryString: []har.NameValue{{Name: "api_key", Value: secret}, {Name: "q", Value: "1"}},
		PostData: &har.PostData{
			MIMEType: "application/x-www-form-urlencoded", Text: "name=n&Password=" + secret + "&code=" + secret,
			Params: []har.Param{{Name: "Password", Value: secret}, {Name: "name", Value: "n"}},
		},
	}
	e.Response = har.Response{
		Headers: fields, RedirectURL: "https://example.com/?token=" + secret, Cookies: []har.Cookie{{Name: "id", Value: secret}},
		Content: har.Content{MIMEType: "application/json", Text: `{"access_token" : "` + secret + `","n":[1,{"refreshToken":"` + secret +
			`\"` + secret + `"}],"tokens":["` + secret + `","` + secret + `"],"pin":1234567,"next":"https://example.com/?token=` + secret + `","code":200,"b":true}`},
	}

	return e
}

func TestRedaction(t *testing.T) {
	e := planted()
	var out, kept bytes.Buffer
	w := har.NewWriter(&out, har.Options{
		Redaction: har.Redaction{Names: []string{"My-Own"}},
		Log:       har.Log{Pages: []har.Page{{Title: "https://example.com/?token=" + secret}}, Notes: har.Notes{Custom: har.Custom{"_x": []byte(`{"secret":"` + secret + `"}`)}}},
	})
	all := har.NewWriter(&kept, har.Options{KeepsSecrets: true})
	for _, w := range []*har.Writer{w, all} {
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(out.String(), secret) || strings.Contains(out.String(), "1234567") || !json.Valid(out.Bytes()) {
		t.Errorf("a secret is in\n%s", strings.ReplaceAll(out.String(), ",", ",\n"))
	}
	whole, err := json.Marshal(planted())
	if err != nil || !reflect.DeepEqual(e, planted()) {
		t.Errorf("the entry was changed: %v", err)
	}
	if want := bytes.Count(whole, []byte(secret)); want < 30 || bytes.Count(kept.Bytes(), []byte(secret)) != want {
		t.Errorf("%d secrets, and %d where they are kept", want, bytes.Count(kept.Bytes(), []byte(secret)))
	}
	log, err := har.Read(&out, har.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	r := log.Entries[0]
	for got, want := range map[string]string{
		r.Request.URL:                "https://REDACTED@example.com/a?q=1&api_key=REDACTED&X-Amz-Signature=REDACTED&user%5Bpassword%5D=REDACTED",
		r.Request.PostData.Text:      "name=n&Password=REDACTED&code=REDACTED",
		r.Request.Headers[0].Value:   "*/*",
		r.Response.Headers[13].Value: "https://REDACTED@example.com/cb?state=1&code=REDACTED#access_token=REDACTED",
		r.Response.Content.Text: `{"access_token" : "REDACTED","n":[1,{"refreshToken":"REDACTED"}],"tokens":["REDACTED","REDACTED"],` +
			`"pin":"REDACTED","next":"https://example.com/?token=REDACTED","code":200,"b":true}`,
	} {
		if got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
}

func TestRedactText(t *testing.T) {
	var r har.Redaction
	form := "--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n" + secret + "\r\n--b\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\nv\r\n--b--"
	for _, row := range []struct{ kind, text, want string }{
		{"multipart/form-data; boundary=b", form, strings.Replace(form, secret, har.Redacted, 1)},
		{"multipart/form-data; boundary=b", form[:strings.Index(form, secret)+3], strings.Replace(form[:strings.Index(form, secret)+3], secret[:3], har.Redacted+"\r\n", 1)},
		{"application/json", `{"password":"` + secret, `{"password":"REDACTED`},
		{"application/json", `{"password":12`, `{"password":"REDACTED"`},
		{"application/json", `{"password":{"a":"b"},"c":"d"}`, `{"password":{"a":"b"},"c":"d"}`},
		{"application/json", `{"passw`, `{"passw`},
		{"text/plain", `["https://u:` + secret + `@h/"]`, `["https://REDACTED@h/"]`},
		{"text/plain", "password=x", "password=x"},
		{"", "", ""},
	} {
		if got := r.Text(row.kind, row.text); got != row.want {
			t.Errorf("%s: %q became %q, want %q", row.kind, row.text, got, row.want)
		}
	}
	e := &har.Entry{Response: har.Response{Content: har.Content{
		MIMEType: "application/json", Encoding: "base64", Text: base64.StdEncoding.EncodeToString([]byte(`{"token":"` + secret + `"}`)),
	}}}
	c := r.Entry(e).Response.Content
	if body, err := c.Body(); err != nil || string(body) != `{"token":"REDACTED"}` {
		t.Errorf("%q, %v", body, err)
	}
}
