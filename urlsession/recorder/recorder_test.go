package recorder_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/urlkit/urlkit/har"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
	"github.com/urlkit/urlkit/urlsession/recorder"
)

const secret = "s3cr3t"

func origin(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/from":
		http.SetCookie(w, &http.Cookie{Name: "id", Value: secret, Path: "/", HttpOnly: true})
		http.Redirect(w, r, "/to?token="+secret+"&n=1", http.StatusFound)
	case "/gzip":
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, strings.Repeat("a€", 1000))
		_ = z.Close()
	case "/binary":
		_, _ = w.Write([]byte{0xff, 0, 1})
	case "/cut":
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "hel")
	case "/login":
		if _, _, ok := r.BasicAuth(); !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
			w.WriteHeader(http.StatusUnauthorized)

			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"access_token":"`+secret+`"}`)
	default:
		_, _ = io.WriteString(w, "hello")
	}
}

// record loads paths of a server in a session that is recorded, and reads the log.
func record(t *testing.T, o har.Options, bodies int, requests ...*urlsession.Request) (*har.Log, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "session.har")
	o.Log.Creator = recorder.Creator
	log, err := har.Create(path, o)
	if err != nil {
		t.Fatal(err)
	}
	c := urlsession.EphemeralConfiguration()
	c.Observers = []urlsession.Observer{&recorder.Recorder{Log: log, Bodies: bodies}}
	s, err := urlsession.New(c, &urlsession.Delegate{
		DidReceiveChallenge: func(_ context.Context, _ urlsession.Task, c *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
			return urlsession.UseCredential, &urlsession.Credential{User: "user", Password: secret}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, req := range requests {
		_, _, _ = s.Data(t.Context(), req) // some fail
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	read, err := har.Read(bytes.NewReader(data), har.Limits{})
	if err != nil {
		t.Fatal(err)
	}

	return read, string(data)
}

func request(t *testing.T, method, url string, body *urlsession.Body) *urlsession.Request {
	t.Helper()
	req, err := urlsession.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}

	return req
}

func serve(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(origin))
	t.Cleanup(s.Close)

	return s.URL
}

func TestRecorder(t *testing.T) {
	leak.Check(t)
	base := serve(t)
	login := request(t, "POST", base+"/login?api_key="+secret, urlsession.StringBody("user=me&password="+secret))
	login.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	login.Header.Set("X-Api-Key", secret)
	log, text := record(t, har.Options{}, 1<<20,
		request(t, "GET", strings.Replace(base, "://", "://u:"+secret+"@", 1)+"/from", nil), login, request(t, "GET", base+"/cut", nil), request(t, "GET", "nothing:x", nil))
	if strings.Contains(text, secret) || strings.Contains(text, "dXNlcjpzM2NyM3Q") {
		t.Errorf("a secret is in\n%s", text)
	}
	if len(log.Entries) != 6 || log.Creator.Name != "urlkit" {
		t.Fatalf("%d entries", len(log.Entries))
	}
	from, to, asked, answered, cut, refused := log.Entries[0], log.Entries[1], log.Entries[2], log.Entries[3], log.Entries[4], log.Entries[5]
	host, port, _ := net.SplitHostPort(strings.TrimPrefix(base, "http://"))
	if from.Response.Status != 302 || from.Response.RedirectURL != "/to?token=REDACTED&n=1" || from.ServerIPAddress != host || from.Connection == "" ||
		from.Connection == port || from.Request.HTTPVersion != "HTTP/1.1" || !from.Response.Cookies[0].HTTPOnly || from.Time <= 0 || from.Timings.Connect < 0 {
		t.Errorf("%+v", from)
	}
	if !strings.HasSuffix(to.Request.URL, host+":"+port+"/to?token=REDACTED&n=1") ||
		to.Request.QueryString[1].Value != "1" || to.Timings.Connect != har.Unknown || to.Connection != from.Connection ||
		to.Response.Content.Text != "hello" || string(to.Custom["_reused"]) != "true" || string(to.Custom["_protocol"]) != `"http/1.1"` {
		t.Errorf("%+v", to)
	}
	if asked.Response.Status != 401 || answered.Response.Status != 200 || answered.Request.PostData.Text != "user=me&password=REDACTED" ||
		answered.Request.PostData.Params[0].Value != "me" || answered.Response.Content.Text != `{"access_token":"REDACTED"}` || answered.Request.HeadersSize <= 0 {
		t.Errorf("%+v\n%+v", asked, answered)
	}
	fields := map[string]string{}
	for _, h := range answered.Request.Headers {
		fields[h.Name] = h.Value
	}
	if fields["User-Agent"] != "urlkit/"+urlsession.Version || fields["Authorization"] != "REDACTED" || fields["Content-Type"] == "" {
		t.Errorf("sent %v", fields)
	}
	if cut.Response.Status != 200 || !strings.Contains(string(cut.Response.Custom["_error"]), "networkConnectionLost") || cut.Response.Content.Text != "hel" {
		t.Errorf("%+v", cut)
	}
	if refused.Response.Status != 0 || !strings.Contains(string(refused.Response.Custom["_error"]), "unsupportedURL") || refused.Request.URL != "nothing:x" {
		t.Errorf("%+v", refused)
	}
}

func TestRecordedBodies(t *testing.T) {
	leak.Check(t)
	base := serve(t)
	requests := func() []*urlsession.Request {
		return []*urlsession.Request{
			request(t, "GET", base+"/gzip", nil), request(t, "GET", base+"/binary", nil), request(t, "PUT", base+"/put", urlsession.StringBody("0123456789")),
		}
	}
	log, _ := record(t, har.Options{}, 1<<20, requests()...)
	zipped, binary, put := log.Entries[0].Response.Content, log.Entries[1].Response.Content, log.Entries[2].Request.PostData
	if body, err := binary.Body(); err != nil || string(body) != "\xff\x00\x01" || binary.Encoding != "base64" {
		t.Errorf("%+v, %v", binary, err)
	}
	if zipped.Text != strings.Repeat("a€", 1000) || zipped.Size != 4000 || zipped.Compression <= 0 || zipped.Custom["_truncated"] != nil {
		t.Errorf("%d characters, %+v", len(zipped.Text), zipped.Notes)
	}
	if put.Text != "0123456789" {
		t.Errorf("%+v", put)
	}
	log, _ = record(t, har.Options{}, 6, requests()...)
	zipped, put = log.Entries[0].Response.Content, log.Entries[2].Request.PostData
	if zipped.Text != "a€a" || string(zipped.Custom["_truncated"]) != "true" || put.Text != "012345" || string(put.Custom["_truncated"]) != "true" {
		t.Errorf("%q, %q", zipped.Text, put.Text)
	}
	log, _ = record(t, har.Options{}, 0, requests()...)
	if log.Entries[0].Response.Content.Text != "" || log.Entries[2].Request.PostData != nil || log.Entries[2].Request.BodySize != 10 {
		t.Errorf("bodies are recorded unasked: %+v", log.Entries[2])
	}
}

// Many loads at once, some of which are cancelled: the log is whole, and has each
// transaction once.
func TestRecorderOfManyLoads(t *testing.T) {
	leak.Check(t)
	base := serve(t)
	var out bytes.Buffer
	log := har.NewWriter(&out, har.Options{})
	counting := &transactions{}
	c := urlsession.EphemeralConfiguration()
	c.Observers = []urlsession.Observer{&recorder.Recorder{Log: log, Bodies: 100}, counting}
	s, err := urlsession.New(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	var loads sync.WaitGroup
	for i := range 16 {
		loads.Go(func() {
			for n := range 25 {
				url := base + []string{"/from", "/gzip", "/cut", "/", "/binary"}[(i+n)%5]
				switch n % 3 {
				case 0:
					task := s.DataTask(request(t, "GET", url, nil))
					task.Resume()
					if n%2 == 0 {
						task.Cancel()
					}
					_ = task.Wait(t.Context())
				case 1:
					stream, err := s.Bytes(t.Context(), request(t, "GET", url, nil))
					if err == nil {
						_, _ = io.ReadFull(stream, make([]byte, 2))
						_ = stream.Close()
					}
				default:
					_, _, _ = s.Upload(t.Context(), request(t, "POST", url, nil), urlsession.StringBody("x"))
				}
			}
		})
	}
	loads.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	read, err := har.Read(&out, har.Limits{})
	if err != nil || len(read.Entries) != int(counting.count.Load()) || len(read.Entries) < 300 {
		t.Errorf("%d entries of %d transactions, %v", len(read.Entries), counting.count.Load(), err)
	}
}

type transactions struct{ count atomic.Int64 }

func (c *transactions) Observe(context.Context, *urlsession.Request) *urlsession.Observation {
	return &urlsession.Observation{DidFinishCollecting: func(m *urlsession.TaskMetrics) { c.count.Add(int64(len(m.Transactions))) }}
}

// What the format has no place for stands in custom fields, where it says something.
func TestEntryHasCustomFields(t *testing.T) {
	x := &urlsession.TransactionMetrics{
		Request: request(t, "GET", "https://example.com/", nil), NetworkProtocolName: "h3", Policy: "p", Retry: urlsession.RetryNotSent, Inner: true,
		ReusedConnection: true, ProxyConnection: true, Multipath: true, Cellular: true, Expensive: true, Constrained: true, ResourceFetchType: urlsession.FetchLocalCache, Cache: "hit: fresh",
		DomainResolutionProtocol: urlsession.ResolutionHTTPS,
		TLSVersion:               0x0304, RemoteAddr: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 3128}, RequestHeaderBytesSent: -1,
	}
	e := recorder.Entry(x)
	for name, want := range map[string]string{
		"_protocol": `"h3"`, "_policy": `"p"`, "_retry": `"not sent"`, "_inner": "true", "_reused": "true", "_proxied": "true", "_multipath": "true",
		"_cellular": "true", "_expensive": "true", "_constrained": "true", "_fromCache": "true", "_cache": `"hit: fresh"`, "_tls": `"TLS 1.3"`,
		"_resolution": `"https"`,
	} {
		if got := string(e.Custom[name]); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if e.Request.HTTPVersion != "HTTP/3" || e.ServerIPAddress != "" || e.Request.HeadersSize != har.Unknown || e.Response.Status != 0 {
		t.Errorf("%+v", e)
	}
	if e := recorder.Entry(&urlsession.TransactionMetrics{Request: x.Request}); len(e.Custom) != 0 {
		t.Errorf("nothing is known, and there is %v", e.Custom)
	}
}

// What the cache answers has an entry too, which says so.
func TestRecordedCacheHit(t *testing.T) {
	leak.Check(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, "hello")
	}))
	defer s.Close()
	log, _ := record(t, har.Options{}, 10, request(t, "GET", s.URL, nil), request(t, "GET", s.URL, nil))
	if len(log.Entries) != 2 {
		t.Fatalf("%d entries", len(log.Entries))
	}
	for i, e := range log.Entries {
		hit := i == 1
		if e.Response.Content.Text != "hello" || (string(e.Custom["_fromCache"]) == "true") != hit || strings.HasPrefix(string(e.Custom["_cache"]), `"hit: `) != hit ||
			(e.Response.BodySize == 0) != hit || (e.ServerIPAddress == "") != hit {
			t.Errorf("entry %d: %+v", i, e)
		}
	}
}

// Without a log nothing is measured.
func TestNoLog(t *testing.T) {
	if o := (&recorder.Recorder{Bodies: 1}).Observe(t.Context(), &urlsession.Request{}); o != nil {
		t.Errorf("observes %+v", o)
	}
}

// The whole time has no more digits than its parts.
func TestEntryTime(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	m := urlsession.TransactionMetrics{
		Request: &urlsession.Request{}, FetchStart: at, RequestStart: at.Add(100 * time.Microsecond), RequestEnd: at.Add(300 * time.Microsecond),
	}
	if got := recorder.Entry(&m).Time; got != 0.3 {
		t.Errorf("%v ms", got)
	}
}
