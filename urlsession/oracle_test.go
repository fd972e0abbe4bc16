package urlsession_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/andybalholm/brotli"
)

// capitals are served under the names of their countries.
var capitals = map[string]string{
	"/Nepal": "Kathmandu", "/Peru": "Lima", "/Italy": "Rome", "/USA": "Washington, D.C.", "/country.txt": "A country is a region that is identified as a distinct entity in political geography",
}

// echoed is what /jsonBody says of a request.
type echoed struct {
	Method string
	Header http.Header
	Body   []byte
}

// oracle answers the endpoints of the reference's §15 but for those of WebSocket.
// closed is the address of a port where nobody listens.
func oracle(closed string) http.Handler {
	mux := http.NewServeMux()
	for path, capital := range capitals {
		mux.HandleFunc(path, say(capital))
	}
	mux.HandleFunc("/jsonBody", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_ = json.NewEncoder(w).Encode(echoed{r.Method, r.Header, body})
	})
	for _, method := range []string{"GET", "PUT", "POST", "DELETE", "HEAD"} {
		mux.HandleFunc("/"+strings.ToLower(method), func(w http.ResponseWriter, r *http.Request) {
			if r.Method != method {
				w.WriteHeader(http.StatusMethodNotAllowed)
			}
		})
	}
	mux.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%d bytes", n)
	})
	mux.HandleFunc("/requestHeaders", echoHeader)
	mux.HandleFunc("/echoHeaders", echoHeader)
	mux.HandleFunc("/echo-query", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.RawQuery) })
	mux.HandleFunc("/accept-encoding", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("Accept-Encoding"))
	})
	mux.HandleFunc("/emptyPost", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Type") != "" {
			w.WriteHeader(http.StatusNotFound)
		}
	})
	oracleRedirects(mux, closed)
	oracleSecrets(mux)
	oracleCodings(mux)
	for path, reply := range brokenReplies {
		mux.HandleFunc(path, raw(reply))
	}
	mux.HandleFunc("/", statusByPath)

	return paused(mux)
}

func say(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

func echoHeader(w http.ResponseWriter, r *http.Request) {
	for name, values := range r.Header {
		fmt.Fprintf(w, "%s: %s\n", name, strings.Join(values, ", "))
	}
}

// paused waits as many seconds as a request says before it is answered.
func paused(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if seconds, err := strconv.ParseFloat(r.Header.Get("X-Pause"), 64); err == nil {
			select {
			case <-time.After(time.Duration(seconds * float64(time.Second))):
			case <-r.Context().Done():
			}
		}
		next.ServeHTTP(w, r)
	})
}

var threeDigits = regexp.MustCompile(`^/(\d{3})$`)

// statusByPath answers "/302?location=/next", with the fields of the query.
func statusByPath(w http.ResponseWriter, r *http.Request) {
	match := threeDigits.FindStringSubmatch(r.URL.Path)
	if match == nil {
		w.WriteHeader(http.StatusNotFound)

		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	for name, values := range r.URL.Query() {
		for _, value := range values {
			w.Header().Add(name, value)
		}
	}
	status, _ := strconv.Atoi(match[1])
	w.WriteHeader(status)
	if status != http.StatusNotModified {
		_, _ = io.WriteString(w, "status "+match[1])
	}
}

func oracleRedirects(mux *http.ServeMux, closed string) {
	to := func(location func(r *http.Request) string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", location(r))
			w.WriteHeader(http.StatusFound)
		}
	}
	mux.HandleFunc("/redirect/{n}", to(func(r *http.Request) string {
		if n, _ := strconv.Atoi(r.PathValue("n")); n > 1 {
			return fmt.Sprint(n - 1) // relative to the folder
		}

		return "/jsonBody"
	}))
	mux.HandleFunc("/UnitedStates", to(func(*http.Request) string { return "http://" + closed + "/" }))
	mux.HandleFunc("/UnitedKingdom", to(func(*http.Request) string { return "country.txt" }))
	mux.HandleFunc("/redirect-with-default-port", to(func(r *http.Request) string {
		host, _, _ := net.SplitHostPort(r.Host)

		return "http://" + host + "/country.txt" // port 80, not that of this server
	}))
	mux.HandleFunc("/redirectToEchoHeaders", func(w http.ResponseWriter, _ *http.Request) {
		setOracleCookies(w)
		w.Header().Set("Location", "/echoHeaders")
		w.WriteHeader(http.StatusFound)
	})
}

func setOracleCookies(w http.ResponseWriter) {
	w.Header()["Set-Cookie"] = []string{"fr=anjd&232; Max-Age=7776000; path=/", "nm=sddf&232; Max-Age=7776000; path=/; secure; httponly"}
}

func oracleSecrets(mux *http.ServeMux) {
	mux.HandleFunc("/requestCookies", func(w http.ResponseWriter, _ *http.Request) { setOracleCookies(w) })
	mux.HandleFunc("/unauthorized", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	mux.HandleFunc("/auth/basic", func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "user" || password != "password" {
			w.Header().Set("WWW-Authenticate", `Basic realm="Fake Realm"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
}

func oracleCodings(mux *http.ServeMux) {
	coded := func(coding string, encode func(io.Writer) io.WriteCloser) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			var b bytes.Buffer
			e := encode(&b)
			_, _ = io.WriteString(e, "Hello World!")
			_ = e.Close()
			w.Header().Set("Content-Encoding", coding)
			_, _ = w.Write(b.Bytes())
		}
	}
	mux.HandleFunc("/gzipped-response", coded("gzip", func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }))
	mux.HandleFunc("/brotli-response", coded("br", func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) }))
}

// brokenReplies are written to the connection as they are, which is then closed.
// Only HTTP/1.1 can send them.
var brokenReplies = map[string]string{
	"/response-header-without-whitespace": "HTTP/1.1 200 OK\r\nContent-Length:2\r\nX-Tight:yes\r\n\r\nok",
	"/broken/no-status-code":              "HTTP/1.1\r\n\r\n",
	"/broken/no-length":                   "HTTP/1.1 200 OK\r\n\r\nto the end",
	"/broken/status-999":                  "HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nok",
	"/broken/two-digits":                  "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
	"/broken/four-digits":                 "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok",
	"/broken/http-0.9":                    "just text\r\n",
	"/broken/http2-preface":               "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}

func raw(reply string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			w.WriteHeader(http.StatusNotImplemented) // HTTP/2 has no such replies

			return
		}
		defer conn.Close()
		writeRaw(rw, reply)
	}
}

func writeRaw(rw *bufio.ReadWriter, reply string) {
	_, _ = rw.WriteString(reply)
	_ = rw.Flush()
}
