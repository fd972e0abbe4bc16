package har_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/urlkit/urlkit/har"
)

// browser is what a browser writes: custom fields, an aborted request, encoded bodies.
const browser = `{"log":{"version":"1.2","creator":{"name":"WebInspector","version":"537.36"},"pages":[{"startedDateTime":
"2024-05-01T10:00:00.123Z","id":"page_1","title":"https://example.com/","pageTimings":{"onContentLoad":12.5,"onLoad":null}}],
"entries":[{"_connectionId":"42","_initiator":{"type":"script","stack":{"frames":[1,2]}},"_priority":"High","cache":{},
"connection":"443","pageref":"page_1","request":{"method":"POST","url":"https://example.com/a?b=c","httpVersion":"h3",
"headers":[{"name":":authority","value":"example.com"}],"queryString":[{"name":"b","value":"c"}],"cookies":[],
"headersSize":-1,"bodySize":3,"postData":{"mimeType":"text/plain","text":"a=b"}},"response":{"status":200,
"statusText":"","httpVersion":"h3","headers":[],"cookies":[{"name":"id","value":"1","expires":"2025-05-01T10:00:00.000Z",
"httpOnly":true,"secure":false,"sameSite":"Lax"}],"content":{"size":4,"mimeType":"image/png","text":"iVBORw==",
"encoding":"base64"},"redirectURL":"","headersSize":-1,"bodySize":-1,"_transferSize":12,"_error":null},
"serverIPAddress":"127.0.0.1","startedDateTime":"2024-05-01T10:00:00.200Z","time":10.25,
"timings":{"blocked":1.5,"dns":-1,"ssl":-1,"connect":-1,"send":0.1,"wait":7,"receive":1.65,"_blocked_queueing":1}},
{"request":{"method":"GET","url":"https://example.com/gone"},"response":{"status":0,"content":{},"_error":"net::ERR_ABORTED"}}]}}`

// debugger is what a debugging proxy writes: a byte order mark, numbers as texts, dates
// of its own, nulls, fields that nobody knows, entries before the rest.
const debugger = "\xef\xbb\xbf" + `{"extra":[1,{"log":2}],"log":{"entries":[{"startedDateTime":"2013-01-02T03:04:05.678+0100","time":"12",
"request":{"method":"GET","url":"http://example.com","headers":null,"cookies":[{"name":"a","value":7,"expires":"Session"}],
"headersSize":"310","bodySize":0.0},"response":{"status":"404","statusText":null,"headers":[{"name":"X","value":"y"}],
"content":{"size":1e3,"compression":-12},"headersSize":1.5e2},"cache":null,"timings":null,"serverIPAddress":null,"comment":""}],
"comment":"c","version":1.1,"browser":{"name":"b","version":2},"creator":{"name":"p"}}}  `

func TestRead(t *testing.T) {
	log, err := har.Read(strings.NewReader(browser), har.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if log.Version != "1.2" || log.Creator.Name != "WebInspector" || len(log.Pages) != 1 || len(log.Entries) != 2 {
		t.Fatalf("%+v", log)
	}
	if p := log.Pages[0]; p.ID != "page_1" || p.PageTimings.OnContentLoad != 12.5 || p.PageTimings.OnLoad != har.Unknown {
		t.Errorf("%+v", p)
	}
	e := log.Entries[0]
	if string(e.Custom["_initiator"]) != `{"type":"script","stack":{"frames":[1,2]}}` || string(e.Response.Custom["_transferSize"]) != "12" {
		t.Errorf("%s, %s", e.Custom, e.Response.Custom)
	}
	if body, err := e.Response.Content.Body(); err != nil || string(body) != "\x89PNG" {
		t.Errorf("%q, %v", body, err)
	}
	if e.Timings.DNS != -1 || e.Timings.Blocked != 1.5 || e.Request.HeadersSize != -1 || e.Request.BodySize != 3 || !e.Response.Cookies[0].HTTPOnly {
		t.Errorf("%+v", e)
	}
	if e.StartedDateTime != time.Date(2024, 5, 1, 10, 0, 0, 200e6, time.UTC) || e.Response.Cookies[0].Expires.Year() != 2025 {
		t.Error(e.StartedDateTime, e.Response.Cookies[0].Expires)
	}
	if e := log.Entries[1]; e.Response.Status != 0 || e.Request.BodySize != har.Unknown || e.Timings.SSL != har.Unknown {
		t.Errorf("%+v", e)
	}

	log, err = har.Read(strings.NewReader(debugger), har.Limits{})
	if err != nil || len(log.Entries) != 1 || log.Version != "1.1" || log.Browser.Version != "2" || log.Comment != "c" {
		t.Fatalf("%+v, %v", log, err)
	}
	e = log.Entries[0]
	if e.Time != 12 || e.Request.HeadersSize != 310 || e.Request.Cookies[0].Value != "7" || e.Response.Status != 404 ||
		e.Response.Content.Size != 1000 || e.Response.Content.Compression != -12 || e.Response.HeadersSize != 150 || e.StartedDateTime.UTC().Hour() != 2 {
		t.Errorf("%+v", e)
	}
}

// What was read and is written is read again as it was; keys of JSON that the format
// does not know are gone, custom ones stay.
func TestRoundTrip(t *testing.T) {
	for _, text := range []string{browser, debugger} {
		log, err := har.Read(strings.NewReader(text), har.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if again := rewritten(t, log, har.Options{KeepsSecrets: true}); !reflect.DeepEqual(log, again) {
			t.Errorf("%+v\nbecame\n%+v", log, again)
		}
	}
}

func rewritten(t *testing.T, log *har.Log, o har.Options) *har.Log {
	t.Helper()
	var out bytes.Buffer
	o.Log = *log
	w := har.NewWriter(&out, o)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if !json.Valid(out.Bytes()) {
		t.Fatalf("no JSON: %s", out.Bytes())
	}
	again, err := har.Read(&out, har.Limits{})
	if err != nil {
		t.Fatal(err)
	}

	return again
}

// Errors name the place, and none is a panic, a hang, or memory without bound.
func TestReadBadInput(t *testing.T) {
	entry := func(fields string) string { return `{"log":{"entries":[{` + fields + `}]}}` }
	huge := func(start, repeated string) io.Reader {
		return io.MultiReader(strings.NewReader(start), &endless{text: repeated, left: 100 << 20})
	}
	for name, row := range map[string]struct {
		in   io.Reader
		want string
	}{
		"empty":             {strings.NewReader(""), "unexpected EOF"},
		"no object":         {strings.NewReader("[]"), "an object is expected"},
		"no log":            {strings.NewReader(`{"a":1}`), `there is no "log"`},
		"log of a text":     {strings.NewReader(`{"log":"x"}`), "an object is expected"},
		"entries of a text": {strings.NewReader(`{"log":{"entries":"x"}}`), "an array is expected"},
		"two lists":         {strings.NewReader(`{"log":{"entries":[],"entries":[]}}`), "two lists"},
		"entry of a number": {strings.NewReader(`{"log":{"entries":[3]}}`), "entry 1: an object is expected"},
		"status":            {strings.NewReader(entry(`"response":{"status":"ok"}`)), "entry 1: response: status: a number is expected"},
		"huge number":       {strings.NewReader(entry(`"response":{"bodySize":1e30}`)), "bodySize: the number is too large"},
		"larger number":     {strings.NewReader(entry(`"time":1e999`)), "time: the number is too large"},
		"long number":       {strings.NewReader(entry(`"time":` + strings.Repeat("9", 1000))), "time: the number is too large"},
		"headers":           {strings.NewReader(entry(`"request":{"headers":{}}`)), "request: headers: an array is expected"},
		"header":            {strings.NewReader(entry(`"request":{"headers":[{},7]}`)), "headers[1]: an object is expected"},
		"url":               {strings.NewReader(entry(`"request":{"url":{}}`)), "url: a text is expected"},
		"flag":              {strings.NewReader(entry(`"request":{"cookies":[{"secure":"maybe"}]}`)), "secure: true or false is expected"},
		"date":              {strings.NewReader(entry(`"startedDateTime":"yesterday"`)), `"yesterday" is no date`},
		"deep":              {strings.NewReader(entry(`"_x":` + strings.Repeat("[", 1<<20))), "exceeded max depth"},
		"zeros":             {huge("", "\x00"), "invalid character"},
		"garbage":           {huge("", "\xfe\x12garbage"), "invalid character"},
		"a string":          {huge(`{"log":{"comment":"`, "aaaaaaaaaaaaaaaa"), "a value is longer than its limit"},
		"a name":            {huge(`{"`, "aaaaaaaaaaaaaaaa"), "a value is longer than its limit"},
		"spaces":            {huge(`{"log":`, "                "), "a value is longer than its limit"},
		"one entry":         {huge(`{"log":{"entries":[{"request":{"headers":[`, `{"name":"a"},`), "a value is longer than its limit"},
		"many headers":      {strings.NewReader(entry(`"request":{"headers":[` + strings.Repeat("{},", 200_000) + `{}]}`)), "more than 100000 items"},
		"entries":           {huge(`{"log":{"entries":[`, `{},`), "more than 1000 entries"},
	} {
		limits := har.Limits{EntryBytes: 8 << 20, Entries: 1000}
		if _, err := har.Read(row.in, limits); err == nil || !strings.Contains(err.Error(), row.want) || !strings.HasPrefix(err.Error(), "har: ") {
			t.Errorf("%s: %v, want %q", name, err, row.want)
		}
	}
	if _, err := har.Read(strings.NewReader(browser), har.Limits{Bytes: 1000}); !errors.Is(err, har.ErrTooLarge) {
		t.Error(err)
	}
	after := `{"log":{"entries":[{}]},"extra":{"a":[1]},"more":2}`
	for n := len(after) - 1; n > len(`{"log":{"entries":[{}`); n-- {
		if _, err := har.Read(strings.NewReader(after[:n]), har.Limits{}); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v", after[:n], err)
		}
	}
	if log, err := har.Read(strings.NewReader(after), har.Limits{}); err != nil || len(log.Entries) != 1 {
		t.Error(log, err)
	}
	twice := `{"log":{"version":"1","version":"2","entries":[{"time":1,"time":2,"request":{"url":"a"},"request":{"method":"b"}}]}}`
	log, err := har.Read(strings.NewReader(twice), har.Limits{})
	if err != nil || log.Version != "2" || log.Entries[0].Time != 2 || log.Entries[0].Request.URL != "" {
		t.Errorf("the last of two does not win: %+v, %v", log, err)
	}
}

type endless struct {
	text     string
	at, left int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) {
		copied := copy(p[n:], e.text[e.at:])
		n, e.at = n+copied, (e.at+copied)%len(e.text)
	}
	e.left -= n

	return n, nil
}

// A log that is cut off, wherever, is an error, and what came before is given.
func TestReadTruncated(t *testing.T) {
	whole := strings.TrimSpace(debugger)
	for n := range len(whole) {
		if _, err := har.Read(strings.NewReader(whole[:n]), har.Limits{}); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut off after %d bytes: %v", n, err)
		}
	}
	r := har.NewReader(strings.NewReader(browser[:len(browser)-20]), har.Limits{})
	e, err := r.Next()
	if err != nil || e.Time != 10.25 {
		t.Errorf("%+v, %v", e, err)
	}
	for range 2 {
		if _, err := r.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
	}
}

func TestWriter(t *testing.T) {
	var out bytes.Buffer
	w := har.NewWriter(&out, har.Options{Log: har.Log{Creator: har.Creator{Name: "c", Version: "1"}}})
	var writers sync.WaitGroup
	for i := range 20 {
		writers.Go(func() {
			if err := w.Write(&har.Entry{Notes: har.Notes{Comment: fmt.Sprint(i)}}); err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	if err := errors.Join(w.Close(), w.Close()); err != nil || w.Entries() != 20 {
		t.Fatal(err, w.Entries())
	}
	if err := w.Write(&har.Entry{}); !errors.Is(err, har.ErrClosed) {
		t.Error(err)
	}
	var log struct {
		Log struct {
			Version string
			Creator struct{ Name string }
			Entries []map[string]any
		}
	}
	if err := json.Unmarshal(out.Bytes(), &log); err != nil || log.Log.Version != "1.2" || log.Log.Creator.Name != "c" || len(log.Log.Entries) != 20 {
		t.Errorf("%v: %s", err, out.Bytes())
	}
	for _, field := range []string{"startedDateTime", "time", "request", "response", "cache", "timings"} {
		if log.Log.Entries[0][field] == nil {
			t.Errorf("an entry has no %s", field)
		}
	}
	empty := rewritten(t, &har.Log{}, har.Options{})
	if len(empty.Entries) != 0 || empty.Version != har.Version {
		t.Errorf("%+v", empty)
	}
}

// The file is whole or not there, and for its owner only.
func TestCreate(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "a.har")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	files := func() string {
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}

		return strings.Join(names, " ")
	}
	for range 2 {
		w, err := har.Create(path, har.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(&har.Entry{}); err != nil {
			t.Error(err)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != "old" {
			t.Errorf("before the end there is %q, %v", data, err)
		}
		w.Discard()
		if got := files(); got != "a.har" || w.Close() != nil {
			t.Errorf("after Discard there is %s", got)
		}
	}
	w, err := har.Create(path, har.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	info, _ := os.Stat(path)
	if err != nil || !json.Valid(data) || files() != "a.har" || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%s, %v: %s", files(), info.Mode(), data)
	}
	if _, err := har.Create(folder, har.Options{}); err == nil {
		t.Error("a folder became a log")
	}
	if _, err := har.Create(os.DevNull, har.Options{}); err == nil {
		t.Error("a device became a log")
	}
	if _, err := har.Create(filepath.Join(folder, "no", "a.har"), har.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// A file that cannot have its name is removed.
func TestCreateWhereSomethingIs(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "a.har")
	w, err := har.Create(path, har.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err == nil {
		t.Error("a log took the place of a folder")
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 1 {
		t.Errorf("%v are left, %v", entries, err)
	}
}

type failing struct{ after int }

func (f *failing) Write(p []byte) (int, error) {
	if f.after -= len(p); f.after < 0 {
		return 0, io.ErrShortWrite
	}

	return len(p), nil
}

func TestWriteFails(t *testing.T) {
	w := har.NewWriter(&failing{after: 100_000}, har.Options{})
	e := &har.Entry{Notes: har.Notes{Comment: strings.Repeat("x", 10_000)}}
	var err error
	for range 20 {
		err = w.Write(e)
	}
	if !errors.Is(err, io.ErrShortWrite) || !errors.Is(w.Close(), io.ErrShortWrite) {
		t.Error(err)
	}
}

// A long recording needs no memory.
func TestWriterHoldsNothing(t *testing.T) {
	w := har.NewWriter(io.Discard, har.Options{})
	e := &har.Entry{Response: har.Response{Content: har.Content{Text: strings.Repeat("x", 10_000)}}}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 5000 {
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
		t.Errorf("%d bytes are held after 50 MB", grown)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
