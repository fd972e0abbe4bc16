package urlsession_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/urlsession"
)

// unauthorized are the forms of a 401: its fields and body, and what a delegate that
// knows a user and a password is asked before it rejects. All of them end as the
// response, but where it is let in.
var unauthorized = []struct {
	name   string
	fields []string
	asked  string
	letIn  string // what the answer begins with; "": nobody is let in
}{
	{"no challenge", nil, "", ""},
	{"an empty one", []string{""}, "", ""},
	{"one that cannot be read", []string{`="x", "`}, "", ""},
	{"schemes that are not known", []string{`Hawk`, `Mutual realm="r"`, `HOBA max-age="1", SCRAM-SHA-256 realm="r"`}, "", ""},
	{"Basic without a realm", []string{`Basic`}, "", ""},
	{"Basic", []string{`Basic realm="r"`}, "HTTPBasic(0)", "Basic "},
	{"Basic in other letters", []string{`bAsIc ReAlM=r , ChArSeT="utf-8"`}, "HTTPBasic(0)", "Basic "},
	{"an empty realm", []string{`Basic realm=""`}, "HTTPBasic(0)", "Basic "},
	{"a realm with quotes", []string{`Basic realm="a \"b\", c\\"`}, "HTTPBasic(0)", "Basic "},
	{"after one that is not known", []string{`Hawk x="Basic realm=no", Basic realm="r"`}, "HTTPBasic(0)", "Basic "},
	{"in another field", []string{`Hawk`, `Basic realm="r"`}, "HTTPBasic(0)", "Basic "},
	{"two realms", []string{`Basic realm="a", Basic realm="b"`}, "HTTPBasic(0) HTTPBasic(0)", ""},
	{"the same twice", []string{`Basic realm="a"`, `Basic realm="a"`}, "HTTPBasic(0)", ""},
	{"Digest", []string{`Digest realm="r", nonce="n", qop="auth"`}, "HTTPDigest(0)", "Digest "},
	{"Digest before Basic", []string{`Basic realm="r", Digest realm="r", nonce="n"`}, "HTTPDigest(0)", "Digest "},
	{"Digest that is not known, and Basic", []string{`Digest realm="r", nonce="n", algorithm=SHA-3, Basic realm="r"`}, "HTTPBasic(0)", "Basic "},
	{"Digest of a quality that is not known", []string{`Digest realm="r", nonce="n", qop="auth-conf"`}, "", ""},
	{"a nonce of 100 KB", []string{`Digest realm="r", nonce="` + strings.Repeat("n", 100<<10) + `"`}, "", ""},
	{"a thousand challenges", []string{strings.Repeat(`Hawk, `, 1000) + `Basic realm="r"`}, "", ""},
	{"Bearer, for which a password is of no use", []string{`Bearer realm="r"`}, "HTTPBearer(0)", ""},
	{"Bearer, then Basic", []string{`Bearer realm="r"`, `Basic realm="r"`}, "HTTPBearer(0) HTTPBasic(0)", "Basic "},
	{"NTLM, then Basic", []string{`NTLM`, `Basic realm="r"`}, "NTLM(0) HTTPBasic(0)", "Basic "},
	{"Negotiate without a Negotiator", []string{`Negotiate`, `Basic realm="r"`}, "HTTPBasic(0)", "Basic "},
}

func TestFormsOfA401(t *testing.T) {
	leak.Check(t)
	var now atomic.Int32 // the row; over UDP nothing orders client and server for the race detector
	onEachWire(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tt := unauthorized[now.Load()]
		if field := r.Header.Get("Authorization"); tt.letIn != "" && strings.HasPrefix(field, tt.letIn) {
			return
		}
		w.Header()["Www-Authenticate"] = tt.fields
		w.WriteHeader(http.StatusUnauthorized)
		if r.URL.Query().Has("chunked") {
			_ = http.NewResponseController(w).Flush()
		}
		_, _ = io.WriteString(w, "who are you?")
	}), func(t *testing.T, base string) {
		for row := range unauthorized {
			now.Store(int32(row))
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut} {
				for _, form := range []string{"", "?chunked"} {
					unauthorizedRow(t, row, method, base+"/"+form)
				}
			}
		}
	})
}

// unauthorizedRow loads a row by one method. The delegate rejects what it was asked
// before, where nobody is let in.
func unauthorizedRow(t *testing.T, row int, method, url string) {
	t.Helper()
	tt := unauthorized[row]
	a := &asker{answer: func(c *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
		if tt.letIn == "" && c.Space.Method != urlsession.MethodHTTPBearer || c.Space.Method == urlsession.MethodNTLM {
			return urlsession.RejectProtectionSpace, nil
		}

		return urlsession.UseCredential, &urlsession.Credential{User: "u", Password: "p"}
	}}
	s := delegated(t, a.delegate(), nil)
	var body *urlsession.Body
	if method == http.MethodPut {
		body = urlsession.StringBody("sent")
	}
	data, resp := load(t, s, request(t, method, url, body))
	want, text := http.StatusUnauthorized, "who are you?"
	if tt.letIn != "" {
		want, text = http.StatusOK, ""
	}
	if method == http.MethodHead {
		text = ""
	}
	if resp.StatusCode != want || data != text || a.String() != tt.asked {
		t.Errorf("%s, %s %s: %d %q, asked %q, want %q", tt.name, method, url, resp.StatusCode, data, a, tt.asked)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// levels says whom Apple asks for each method.
var levels = map[urlsession.AuthenticationMethod]string{
	urlsession.MethodHTTPBasic: "task", urlsession.MethodHTTPDigest: "task", urlsession.MethodHTTPBearer: "task",
	urlsession.MethodNTLM: "session", urlsession.MethodNegotiate: "session",
	urlsession.MethodClientCertificate: "session", urlsession.MethodServerTrust: "session",
	urlsession.MethodDefault: "task", urlsession.MethodHTMLForm: "task",
}

// Who is asked where both a task and its session have a delegate, or one of them.
func TestLevelsOfChallenges(t *testing.T) {
	leak.Check(t)
	fields := map[urlsession.AuthenticationMethod]string{
		urlsession.MethodHTTPBasic: `Basic realm="r"`, urlsession.MethodHTTPDigest: `Digest realm="r", nonce="n"`, urlsession.MethodHTTPBearer: `Bearer`,
		urlsession.MethodNTLM: `NTLM`, urlsession.MethodNegotiate: `Negotiate`,
	}
	server := wantsCertificate(x509.NewCertPool(), false, tls.VersionTLS13)
	defer server.Close()
	base := serve(t, "http/1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", r.URL.Query().Get("field"))
		w.WriteHeader(http.StatusUnauthorized)
	}))
	for method, level := range levels {
		for _, has := range []string{"task session", "task", "session"} {
			want := level
			if !strings.Contains(has, level) {
				want = has
			}
			var asked []string
			delegate := func(name string) *urlsession.Delegate {
				if !strings.Contains(has, name) {
					return nil
				}

				return &urlsession.Delegate{
					DidReceiveChallenge: func(_ context.Context, _ urlsession.Task, c *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
						if c.Space.Method == method {
							asked = append(asked, name)
						}

						return urlsession.PerformDefaultHandling, nil
					},
				}
			}
			s := delegated(t, delegate("session"), func(c *urlsession.Configuration) {
				c.Protocols = []protocols.Scheme{asksFor(method)}
				c.Negotiator = negotiator{}
			})
			url := "ask://localhost/"
			switch {
			case fields[method] != "":
				url = base + "/?field=" + strings.NewReplacer(" ", "%20", ",", "%2C", `"`, "%22").Replace(fields[method])
			case level == "session":
				url = server.URL
			}
			task := s.DataTask(get(t, url))
			if err := task.SetDelegate(delegate("task")); err != nil {
				t.Fatal(err)
			}
			task.Resume()
			_ = wait(t, task) // a certificate that was wanted is missing
			if len(asked) == 0 || asked[0] != want {
				t.Errorf("%v, of a %s: %v was asked, want the %s", method, has, asked, want)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// asksFor is a scheme whose protocol asks by itself.
func asksFor(method urlsession.AuthenticationMethod) protocols.Scheme {
	return protocols.Scheme{Name: "ask", Security: protocols.Local, New: func(protocols.Client) protocols.URLProtocol {
		return asksItself{method}
	}}
}

type asksItself struct {
	method urlsession.AuthenticationMethod
}

// Load asks for the origin, or where the URL says so for a proxy.
func (a asksItself) Load(_ context.Context, req *protocols.Request) (*protocols.Response, error) {
	space := protocols.ProtectionSpace{Method: a.method, ProxyType: req.URL.Query().Get("proxy")}

	return &protocols.Response{Body: protocols.NoBody, Challenges: []*protocols.Challenge{{Space: space}}}, nil
}

// For a proxy's login the task is asked, whatever the method.
func TestLevelOfAProxy(t *testing.T) {
	leak.Check(t)
	for _, method := range []urlsession.AuthenticationMethod{urlsession.MethodHTTPBasic, urlsession.MethodNTLM, urlsession.MethodNegotiate} {
		var asked []string
		delegate := func(name string) *urlsession.Delegate {
			return &urlsession.Delegate{
				DidReceiveChallenge: func(context.Context, urlsession.Task, *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
					asked = append(asked, name)

					return urlsession.PerformDefaultHandling, nil
				},
			}
		}
		s := delegated(t, delegate("session"), func(c *urlsession.Configuration) { c.Protocols = []protocols.Scheme{asksFor(method)} })
		task := s.DataTask(get(t, "ask://localhost/?proxy=http"))
		if err := task.SetDelegate(delegate("task")); err != nil {
			t.Fatal(err)
		}
		task.Resume()
		if err := wait(t, task); err != nil || len(asked) != 1 || asked[0] != "task" {
			t.Errorf("%v: %v was asked, %v", method, asked, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
