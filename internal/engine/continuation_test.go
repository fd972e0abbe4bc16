package engine_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
)

const alphabet = "abcdefghijklmnopqrstuvwxyz"

// brittle serves a representation by ranges, as net/http's ServeContent does, and
// breaks each answer off after some bytes.
type brittle struct {
	content string
	header  []string
	chunked bool
	cuts    []int // bytes of each answer; the last answer, and a negative number: all
	broken  error // nil: io.ErrUnexpectedEOF
	change  func(n int, req *protocols.Request, resp *protocols.Response) (*protocols.Response, error)

	requests []string // Range and If-Range
	bodies   []*cutBody
}

// cutBody ends with an error.
type cutBody struct {
	content

	err error
}

func (b *cutBody) Read(p []byte) (int, error) {
	n, err := b.content.Read(p)
	if err == io.EOF && b.err != nil {
		err = b.err
	}

	return n, err
}

func (b *brittle) load(_ context.Context, _ protocols.Client, req *protocols.Request) (*protocols.Response, error) {
	n := len(b.requests)
	b.requests = append(b.requests, strings.TrimSpace(req.Header.Get("Range")+" "+req.Header.Get("If-Range")))
	resp := reply(200, "", b.header...)
	part := b.content
	var first, last int
	if parsed, _ := fmt.Sscanf(req.Header.Get("Range"), "bytes=%d-%d", &first, &last); parsed > 0 {
		if parsed == 1 {
			last = len(part) - 1
		}
		part = part[first : last+1]
		resp.StatusCode = http.StatusPartialContent
		resp.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(b.content)))
	}
	resp.ContentLength = int64(len(part))
	if b.chunked {
		resp.ContentLength = -1
	}
	body := &cutBody{err: b.broken}
	if n < len(b.cuts) && b.cuts[n] >= 0 {
		part = part[:min(b.cuts[n], len(part))]
		if body.err == nil {
			body.err = io.ErrUnexpectedEOF
		}
	} else {
		body.err = nil
	}
	body.Reader = strings.NewReader(part)
	b.bodies = append(b.bodies, body)
	resp.Body = body
	if b.change != nil {
		return b.change(n, req, resp)
	}

	return resp, nil
}

// onSecond changes the answer to the second request.
func onSecond(change func(resp *protocols.Response)) func(int, *protocols.Request, *protocols.Response) (*protocols.Response, error) {
	return func(n int, _ *protocols.Request, resp *protocols.Response) (*protocols.Response, error) {
		if n == 1 {
			change(resp)
		}

		return resp, nil
	}
}

func set(name, value string) func(int, *protocols.Request, *protocols.Response) (*protocols.Response, error) {
	return onSecond(func(resp *protocols.Response) { resp.Header.Set(name, value) })
}

func whole(resp *protocols.Response) {
	resp.StatusCode, resp.ContentLength = 200, int64(len(alphabet))
	resp.Header.Del("Content-Range")
	if body, ok := resp.Body.(*cutBody); ok {
		body.Reader, body.err = strings.NewReader(alphabet), nil
	}
}

var (
	tagged = []string{"ETag", `"v1"`}
	dated  = []string{"Last-Modified", "Fri, 31 Dec 1999 23:58:00 GMT", "Date", "Fri, 31 Dec 1999 23:59:00 GMT"}
	recent = []string{"Last-Modified", "Fri, 31 Dec 1999 23:58:01 GMT", "Date", "Fri, 31 Dec 1999 23:59:00 GMT"}
)

// continuationTests: what is read, and the ranges that were asked for. An error is
// that of the connection which broke.
var continuationTests = []struct {
	name     string
	origin   brittle
	method   string
	ranged   string // the app's own
	limit    int    // 0: 3
	want     string
	whole    bool
	requests []string
}{
	{"by tag", brittle{header: tagged, cuts: []int{5}}, "GET", "", 0, alphabet, true, []string{"", `bytes=5-25 "v1"`}},
	{"by date", brittle{header: dated, cuts: []int{5}}, "GET", "", 0, alphabet, true, []string{"", "bytes=5-25 Fri, 31 Dec 1999 23:58:00 GMT"}},
	{"by an early end", brittle{header: tagged, cuts: []int{5}, broken: io.EOF}, "GET", "", 0, alphabet, true, []string{"", `bytes=5-25 "v1"`}},
	{"by a reset", brittle{header: tagged, cuts: []int{5}, broken: reset}, "GET", "", 0, alphabet, true, []string{"", `bytes=5-25 "v1"`}},
	{"without a length", brittle{header: tagged, cuts: []int{5}, chunked: true}, "GET", "", 0, alphabet, true, []string{"", `bytes=5- "v1"`}},
	{"three times", brittle{header: tagged, cuts: []int{1, 1, 1}}, "GET", "", 0, alphabet, true, []string{"", `bytes=1-25 "v1"`, `bytes=2-25 "v1"`, `bytes=3-25 "v1"`}},
	{"too often", brittle{header: tagged, cuts: []int{1, 1, 1, 1, 1}}, "GET", "", 0, "abcd", false, []string{"", `bytes=1-25 "v1"`, `bytes=2-25 "v1"`, `bytes=3-25 "v1"`}},
	{"before a byte came", brittle{header: tagged, cuts: []int{0}}, "GET", "", 0, alphabet, true, []string{"", ""}},
	{"before a byte came, and in the middle", brittle{header: tagged, cuts: []int{0, 7}}, "GET", "", 0, alphabet, true, []string{"", "", `bytes=7-25 "v1"`}},
	{"a part", brittle{header: tagged, cuts: []int{3}}, "GET", "bytes=10-19", 0, "klmnopqrst", true, []string{"bytes=10-19", `bytes=13-19 "v1"`}},
	{"a part that was not begun", brittle{header: tagged, cuts: []int{0}}, "GET", "bytes=0-9", 0, "abcdefghij", true, []string{"bytes=0-9", `bytes=0-9 "v1"`}},
	{"a part to the end", brittle{header: tagged, cuts: []int{3}}, "GET", "bytes=20-", 0, "uvwxyz", true, []string{"bytes=20-", `bytes=23-25 "v1"`}},
	{"a break after the last byte", brittle{header: tagged, cuts: []int{26}}, "GET", "", 0, alphabet, true, []string{""}},
	{"nothing after the last byte", brittle{header: tagged, cuts: []int{26}, broken: io.EOF}, "GET", "", 0, alphabet, true, []string{""}},
	{"no policy", brittle{header: tagged, cuts: []int{5}}, "GET", "", -99, "abcde", false, []string{""}},
	{"not POST", brittle{header: tagged, cuts: []int{5}}, "POST", "", 0, "abcde", false, []string{""}},
	{"no validator", brittle{cuts: []int{5}}, "GET", "", 0, "abcde", false, []string{""}},
	{"a weak tag", brittle{header: []string{"ETag", `W/"v1"`}, cuts: []int{5}}, "GET", "", 0, "abcde", false, []string{""}},
	{"a weak tag beside a date", brittle{header: append([]string{"ETag", `W/"v1"`}, dated...), cuts: []int{5}}, "GET", "", 0, "abcde", false, []string{""}},
	{"a date that is too recent", brittle{header: recent, cuts: []int{5}}, "GET", "", 0, "abcde", false, []string{""}},
	{"no ranges", brittle{header: append([]string{"Accept-Ranges", "none"}, tagged...), cuts: []int{5}}, "GET", "", 0, "abcde", false, []string{""}},
	{"not what the server said itself", brittle{header: tagged, cuts: []int{5}, broken: protocols.CannotParseResponse}, "GET", "", 0, "abcde", false, []string{""}},
	{"another version", brittle{header: tagged, cuts: []int{5}, change: onSecond(whole)}, "GET", "", 0, "abcde", false, []string{"", `bytes=5-25 "v1"`}},
	{"a part of another version", brittle{header: tagged, cuts: []int{5}, change: set("ETag", `"v2"`)}, "GET", "", 0, "abcde", false, []string{"", `bytes=5-25 "v1"`}},
	{"a part of no version", brittle{header: tagged, cuts: []int{5}, change: onSecond(func(resp *protocols.Response) { resp.Header.Del("ETag") })}, "GET", "", 0, "abcde", false, []string{"", `bytes=5-25 "v1"`}},
	{"a part of another date", brittle{header: dated, cuts: []int{5}, change: set("Last-Modified", "Fri, 31 Dec 1999 23:58:30 GMT")}, "GET", "", 0, "abcde", false, []string{"", "bytes=5-25 Fri, 31 Dec 1999 23:58:00 GMT"}},
	{"a part of no date", brittle{header: dated, cuts: []int{5}, change: onSecond(func(resp *protocols.Response) { resp.Header.Del("Last-Modified") })}, "GET", "", 0, alphabet, true, []string{"", "bytes=5-25 Fri, 31 Dec 1999 23:58:00 GMT"}},
	{"another beginning", brittle{header: tagged, cuts: []int{5}, change: set("Content-Range", "bytes 4-25/26")}, "GET", "", 0, "abcde", false, []string{"", `bytes=5-25 "v1"`}},
	{"another end", brittle{header: tagged, cuts: []int{5}, change: set("Content-Range", "bytes 5-24/26")}, "GET", "", 0, "abcde", false, []string{"", `bytes=5-25 "v1"`}},
	{"another length", brittle{header: tagged, cuts: []int{5}, change: set("Content-Range", "bytes 5-25/27")}, "GET", "", 0, "abcde", false, []string{"", `bytes=5-25 "v1"`}},
	{"a length that is not said", brittle{header: tagged, cuts: []int{5}, chunked: true, change: set("Content-Range", "bytes 5-25/*")}, "GET", "", 0, "abcde", false, []string{"", `bytes=5- "v1"`}},
	{"several ranges", brittle{header: tagged, cuts: []int{5}, change: onSecond(func(resp *protocols.Response) { resp.Header.Del("Content-Range") })}, "GET", "", 0, "abcde", false, []string{"", `bytes=5-25 "v1"`}},
	{"another coding", brittle{header: tagged, cuts: []int{5}, change: set("Content-Encoding", "gzip")}, "GET", "", 0, "abcde", false, []string{"", `bytes=5-25 "v1"`}},
	{"not found", brittle{header: tagged, cuts: []int{5}, change: onSecond(func(resp *protocols.Response) { resp.StatusCode = 404 })}, "GET", "", 0, "abcde", false, []string{"", `bytes=5-25 "v1"`}},
	{"a redirect", brittle{header: tagged, cuts: []int{5}, change: onSecond(func(resp *protocols.Response) { resp.StatusCode = 302; resp.Header.Set("Location", "/x") })}, "GET", "", 0, "abcde", false, []string{"", `bytes=5-25 "v1"`}},
	{"busy for a moment", brittle{header: tagged, cuts: []int{5}, change: onSecond(func(resp *protocols.Response) { resp.StatusCode = 503 })}, "GET", "", 0, alphabet, true, []string{"", `bytes=5-25 "v1"`, `bytes=5-25 "v1"`}},
	{"the whole of another version before a byte came", brittle{header: tagged, cuts: []int{0}, change: set("ETag", `"v2"`)}, "GET", "", 0, "", false, []string{"", ""}},
	{"a whole of another length before a byte came", brittle{header: tagged, cuts: []int{0}, change: onSecond(func(resp *protocols.Response) { resp.ContentLength = 27 })}, "GET", "", 0, "", false, []string{"", ""}},
}

func TestContinuation(t *testing.T) {
	for _, tt := range continuationTests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				origin := tt.origin
				origin.content = alphabet
				limit := tt.limit
				if limit == 0 {
					limit = 3
				}
				e := open(t, engine.Config{Retry: engine.Retry{Continuations: max(limit, 0)}}, scheme("https", protocols.Encrypted, origin.load))
				req := request(t, tt.method, "https://a.example/")
				if tt.ranged != "" {
					req.Header = http.Header{"range": {tt.ranged}} // the app's spelling
				}
				resp, err := e.Load(t.Context(), req, nil)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if string(got) != tt.want || (err == nil) != tt.whole {
					t.Errorf("read %q, %v; want %q, whole: %v", got, err, tt.want, tt.whole)
				}
				if !tt.whole && origin.broken == nil && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("the error is not the original one: %v", err)
				}
				if !slices.Equal(origin.requests, tt.requests) {
					t.Errorf("requests %q, want %q", origin.requests, tt.requests)
				}
				for i, body := range origin.bodies {
					if body.closes() == 0 {
						t.Errorf("body %d was not closed", i)
					}
				}
			})
		})
	}
}

// A coded body is continued beneath its decoder.
func TestContinuationOfCodedBodies(t *testing.T) {
	text := strings.Repeat(alphabet, 1000)
	var coded bytes.Buffer
	w := gzip.NewWriter(&coded)
	_, err := io.WriteString(w, text)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	for cut := range coded.Len() {
		origin := brittle{content: coded.String(), header: append([]string{"Content-Encoding", "gzip"}, tagged...), cuts: []int{cut, 1}}
		var asked []string
		origin.change = func(_ int, req *protocols.Request, resp *protocols.Response) (*protocols.Response, error) {
			asked = append(asked, req.Header.Get("Accept-Encoding"))

			return resp, nil
		}
		config := engine.Config{
			Retry:    engine.Retry{Continuations: 3, FirstDelay: -1},
			Decoders: map[string]engine.Decoder{"gzip": func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }},
		}
		e := open(t, config, scheme("https", protocols.Encrypted, origin.load))
		got, _, err := fetch(e, request(t, "GET", "https://a.example/"), nil)
		if err != nil || got != text {
			t.Fatalf("cut at %d: %d bytes of %d, %v", cut, len(got), len(text), err)
		}
		if last := asked[len(asked)-1]; cut > 0 && last != "gzip" {
			t.Fatalf("cut at %d: it asked for %q", cut, asked)
		}
	}
}

// Each piece is a transaction with its own bytes.
func TestContinuationIsMeasured(t *testing.T) {
	bubble(t, func(t *testing.T) {
		origin := brittle{content: alphabet, header: tagged, cuts: []int{5, -1, 4}}
		origin.change = func(n int, _ *protocols.Request, resp *protocols.Response) (*protocols.Response, error) {
			if n == 1 {
				return nil, reset
			}

			return resp, nil
		}
		e := open(t, engine.Config{Retry: engine.Retry{Continuations: -1}}, scheme("https", protocols.Encrypted, origin.load))
		var got []string
		_, _, err := fetch(e, request(t, "GET", "https://a.example/"), &engine.Task{Collect: func(m *engine.Transaction) {
			status := 0
			if m.Response != nil {
				status = m.Response.StatusCode
			}
			got = append(got, fmt.Sprint(status, " ", m.Retry, " ", m.Received, " ", m.Decoded, " ", m.Err == nil))
		}})
		want := []string{"200  5 5 false", "0 continuation 0 0 false", "206 continuation 4 4 false", "206 continuation 17 17 true"}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%v: transactions %q, want %q", err, got, want)
		}
	})
}

// A Close ends a continuation wherever it is.
func TestContinuationIsClosed(t *testing.T) {
	for _, where := range []string{"pause", "load"} {
		t.Run(where, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				origin := brittle{content: alphabet, header: tagged, cuts: []int{5}}
				load := func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
					if len(origin.requests) == 1 {
						<-ctx.Done() // and answers all the same
					}

					return origin.load(ctx, c, req)
				}
				retry := engine.Retry{Continuations: 3, FirstDelay: time.Hour, LongestDelay: time.Hour}
				if where == "load" {
					retry.FirstDelay = -1
				}
				e := open(t, engine.Config{Retry: retry, RequestTimeout: -1}, scheme("https", protocols.Encrypted, load))
				resp, err := e.Load(t.Context(), request(t, "GET", "https://a.example/"), nil)
				if err != nil {
					t.Fatal(err)
				}
				time.AfterFunc(time.Millisecond, func() { _ = resp.Body.Close() })
				began := time.Now()
				got, err := io.ReadAll(resp.Body)
				if failure(t, err, protocols.Cancelled); string(got) != "abcde" || time.Since(began) != time.Millisecond {
					t.Errorf("%q after %v", got, time.Since(began))
				}
				for i, body := range origin.bodies {
					if body.closes() == 0 {
						t.Errorf("body %d was not closed", i)
					}
				}
			})
		})
	}
}
