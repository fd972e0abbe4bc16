package urlsession_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/storage"
	"github.com/urlkit/urlkit/urlsession"
)

// nowhere is an address where nobody listens.
func nowhere(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()

	return l.Addr().String()
}

// again is a body of unknown length that is made anew each time that it is sent.
func again(text string) *urlsession.Body {
	return urlsession.FuncBody(-1, func(offset int64) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(text[offset:])), nil
	})
}

// askOracle loads a path of the oracle that echoes, and gives what it saw.
func askOracle(t testing.TB, s *urlsession.Session, req *urlsession.Request) (echoed, *urlsession.Response) {
	t.Helper()
	data, resp := load(t, s, req)
	var e echoed
	if resp.StatusCode == http.StatusOK && req.Method != http.MethodHead {
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			t.Fatalf("%v: %v in %q", req, err, data)
		}
	}

	return e, resp
}

// redirectRows are those of reference §7.1: the method of the second request, "" where
// the redirect is the result. A body is kept where the method is.
var redirectRows = map[int]map[string]string{
	300: {"GET": "", "HEAD": "", "POST": "", "PUT": "", "DELETE": ""},
	301: {"GET": "GET", "HEAD": "HEAD", "POST": "GET", "PUT": "PUT", "DELETE": "DELETE"},
	302: {"GET": "GET", "HEAD": "HEAD", "POST": "GET", "PUT": "PUT", "DELETE": "DELETE"},
	303: {"GET": "GET", "HEAD": "HEAD", "POST": "GET", "PUT": "GET", "DELETE": "GET"},
	304: {"GET": "", "HEAD": "", "POST": "", "PUT": "", "DELETE": ""},
	305: {"GET": "", "HEAD": "", "POST": "", "PUT": "", "DELETE": ""},
	306: {"GET": "", "HEAD": "", "POST": "", "PUT": "", "DELETE": ""},
	307: {"GET": "GET", "HEAD": "HEAD", "POST": "POST", "PUT": "PUT", "DELETE": "DELETE"},
	308: {"GET": "GET", "HEAD": "HEAD", "POST": "POST", "PUT": "PUT", "DELETE": "DELETE"},
}

func TestRedirectRows(t *testing.T) {
	leak.Check(t)
	onEachWire(t, oracle(nowhere(t)), func(t *testing.T, base string) {
		s := session(t, nil)
		for status, methods := range redirectRows {
			for method, want := range methods {
				checkRedirectRow(t, s, fmt.Sprintf("%s/%d?location=/jsonBody", base, status), method, want)
			}
			if _, resp := load(t, s, get(t, fmt.Sprintf("%s/%d", base, status))); resp.StatusCode != status {
				t.Errorf("%d without Location: %d", status, resp.StatusCode)
			}
		}
	})
}

func checkRedirectRow(t *testing.T, s *urlsession.Session, from, method, want string) {
	t.Helper()
	hasBody := method != "GET" && method != "HEAD"
	bodies := map[string]*urlsession.Body{"none": nil}
	if hasBody {
		bodies = map[string]*urlsession.Body{"bytes": urlsession.StringBody("payload"), "made anew": again("payload")}
	}
	for kind, body := range bodies {
		req := request(t, method, from, body)
		req.Header.Set("Content-Type", "text/plain")
		req.Header.Set("Content-Language", "de")
		req.Header.Set("X-Kept", "1")
		e, resp := askOracle(t, s, req)
		name := fmt.Sprintf("%s %s, body %s", method, from, kind)
		if want == "" {
			if resp.URL.String() != from || resp.StatusCode == http.StatusOK {
				t.Errorf("%s: %s answered %d; the redirect itself is the result", name, resp.URL, resp.StatusCode)
			}

			continue
		}
		if resp.StatusCode != http.StatusOK || resp.URL.Path != "/jsonBody" {
			t.Errorf("%s: %s answered %d", name, resp.URL, resp.StatusCode)
		}
		if method == "HEAD" {
			continue // its answer has no body that tells
		}
		kept := method == want
		if e.Method != want || (string(e.Body) == "payload") != (kept && hasBody) || e.Header.Get("X-Kept") == "" ||
			(e.Header.Get("Content-Type") == "text/plain") != kept || (e.Header.Get("Content-Language") == "de") != kept ||
			e.Header.Get("Referer") != "" || e.Header.Get("Origin") != "" {
			t.Errorf("%s: then %s %q with %v", name, e.Method, e.Body, e.Header)
		}
	}
}

// The targets that a Location can name.
func TestRedirectLocations(t *testing.T) {
	leak.Check(t)
	closed := nowhere(t)
	base := serve(t, "http/1.1", oracle(closed))
	s := session(t, nil)
	for _, row := range []struct{ from, want, answer string }{
		{"/UnitedKingdom", base + "/country.txt", capitals["/country.txt"]},
		{"/UnitedKingdom#part", base + "/country.txt#part", capitals["/country.txt"]},
		{"/302?location=/Peru%23other", base + "/Peru#other", "Lima"},
		{"/302?location=" + url.QueryEscape("/echo-query?a=%2F b&c=ü"), base + "/echo-query?a=%2F%20b&c=%C3%BC", "a=%2F%20b&c=%C3%BC"},
		{"/302?location=" + url.QueryEscape(base+"/Nepal"), base + "/Nepal", "Kathmandu"},
		{"/302?location=" + url.QueryEscape("//"+strings.TrimPrefix(base, "http://")+"/Italy"), base + "/Italy", "Rome"},
		{"/302?location=" + url.QueryEscape("?location=/Peru"), base + "/Peru", "Lima"},
		{"/redirect/20", base + "/jsonBody", ""},
		{"/302?location=", base + "/302?location=", "status 302"},
		{"/302?location=" + url.QueryEscape("http://[::1"), base + "/302?location=" + url.QueryEscape("http://[::1"), "status 302"},
		{"/302?location=/Peru&location=/Nepal", base + "/302?location=/Peru&location=/Nepal", "status 302"},
	} {
		data, resp := load(t, s, get(t, base+row.from))
		if got := resp.URL.String(); got != row.want || row.answer != "" && data != row.answer {
			t.Errorf("%s led to %s, which says %q; want %s and %q", row.from, got, data, row.want, row.answer)
		}
	}
	for _, row := range []struct {
		from, failing string
		code          urlsession.Code
	}{
		{"/redirect/21", base + "/jsonBody", urlsession.HTTPTooManyRedirects},
		{"/UnitedStates", "http://" + closed + "/", urlsession.CannotConnectToHost},
		{"/302?location=nobody-has-this://x/", "nobody-has-this://x/", urlsession.UnsupportedURL},
		{"/302?location=file:///etc/hostname", "file:///etc/hostname", urlsession.UnsupportedURL},
		{"/302?location=data:,x", "data:,...", urlsession.UnsupportedURL},
		{"/redirect-with-default-port", "http://127.0.0.1/country.txt", urlsession.CannotConnectToHost},
	} {
		_, _, err := s.Data(t.Context(), get(t, base+row.from))
		var e *urlsession.Error
		if !errors.As(err, &e) || e.Code != row.code || e.URL != row.failing {
			t.Errorf("%s: %v, want %v for %s", row.from, err, row.code, row.failing)
		}
	}
}

// What a request carries to the next hop, within an origin and beyond.
func TestRedirectCarries(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", oracle(nowhere(t)))
	other := strings.Replace(base, "127.0.0.1", "localhost", 1)
	s := session(t, nil)
	for _, row := range []struct {
		to     string
		kept   bool
		refers string
	}{
		{"/jsonBody", true, "https://app.example/page"},
		{base + "/jsonBody", true, "https://app.example/page"},
		{other + "/jsonBody", false, ""}, // from an https page to clear text
	} {
		req := get(t, base+"/302?location="+url.QueryEscape(row.to))
		for name, value := range map[string]string{"Authorization": "Bearer secret", "Cookie": "own=1", "Proxy-Authorization": "x", "Referer": "https://app.example/page"} {
			req.Header.Set(name, value)
		}
		e, _ := askOracle(t, s, req)
		for _, name := range []string{"Authorization", "Cookie"} {
			if kept := e.Header.Get(name) != ""; kept != row.kept {
				t.Errorf("to %s: %s is kept: %v", row.to, name, kept)
			}
		}
		if got := e.Header.Get("Referer"); got != row.refers {
			t.Errorf("to %s: Referer %q, want %q", row.to, got, row.refers)
		}
	}
}

// A cookie that a redirect sets goes with the request that follows it.
func TestRedirectSetsCookies(t *testing.T) {
	leak.Check(t)
	onEachWire(t, oracle(nowhere(t)), func(t *testing.T, base string) {
		for name, s := range map[string]*urlsession.Session{
			"without a delegate": session(t, nil),
			"with one":           delegated(t, (&recorder{}).delegate(), nil),
			"refusing":           session(t, func(c *urlsession.Configuration) { c.CookieAcceptPolicy = storage.AcceptNever }),
			"attaching none":     session(t, func(c *urlsession.Configuration) { c.OmitsCookies = true }),
		} {
			want := "Cookie: fr=anjd&232; nm=sddf&232"
			if name == "refusing" || name == "attaching none" {
				want = ""
			}
			for range 2 {
				data, _ := load(t, s, get(t, base+"/redirectToEchoHeaders"))
				got := ""
				for line := range strings.Lines(data) {
					if strings.HasPrefix(line, "Cookie:") {
						got = strings.TrimSpace(line)
					}
				}
				if got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			kept := s.Configuration().Cookies.CookieHeader(cookieQuery(t, base)) != ""
			if kept == (name == "refusing") {
				t.Errorf("%s: stored: %v", name, kept)
			}
		}
	})
}
