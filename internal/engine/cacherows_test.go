package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/internal/httpcache"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage"
)

// A cacheRow is a script of testdata/cache: what is asked, what the origin answers,
// and what it must see and return. Its lines begin with
//
//	#  section: name          a new row
//	>  METHOD path [policy]   a request, with fields
//	?                         fields that the origin must see, or must not (!Name)
//	<  status                 what the origin answers, with fields and | body; "fail": no answer
//	=  how status             what is returned, with fields and | body
//	+  duration               time passes; with - the clock is set back
//
// Fields are separated by " ; "; "because" and words in place of one is what the cache
// says. @ and a duration stand for a date so far from now.
// How is one of hit, stale, revalidated, completed, miss, none and error.
type cacheRow struct {
	section, name string
	lines         []string
	place         string
}

func readRows(t testing.TB) []cacheRow {
	t.Helper()
	files, err := filepath.Glob("testdata/cache/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var rows []cacheRow
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(data), "\n") {
			line = strings.TrimSpace(line)
			if title, ok := strings.CutPrefix(line, "# "); ok {
				section, name, found := strings.Cut(title, ": ")
				if !found {
					t.Fatalf("%s:%d: a title without a section", file, i+1)
				}
				rows = append(rows, cacheRow{section: section, name: name, place: fmt.Sprintf("%s:%d", filepath.Base(file), i+1)})
			} else if line != "" {
				rows[len(rows)-1].lines = append(rows[len(rows)-1].lines, line)
			}
		}
	}

	return rows
}

// cacheStep is one request of a row.
type cacheStep struct {
	request, sees, want string
	answers             []string
	shift               time.Duration // before it
}

func (r *cacheRow) steps() (steps []cacheStep, err error) {
	next := cacheStep{}
	for _, line := range r.lines {
		rest := strings.TrimSpace(line[1:])
		switch line[0] {
		case '>':
			next.request = rest
		case '?':
			next.sees = rest
		case '<':
			next.answers = append(next.answers, rest)
		case '=':
			next.want = rest
			steps = append(steps, next)
			next = cacheStep{}
		case '+', '-':
			d, err := time.ParseDuration(line[:1] + rest)
			if err != nil {
				return nil, err
			}
			next.shift += d
		default:
			return nil, fmt.Errorf("%s: what is %q?", r.place, line)
		}
	}

	return steps, nil
}

// origin is the protocol that answers for a row.
type origin struct {
	mu      sync.Mutex
	now     time.Time
	answers []string
	seen    []http.Header
}

func (o *origin) clock() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()

	return o.now
}

func (o *origin) load(_ context.Context, _ protocols.Client, req *protocols.Request) (*protocols.Response, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = append(o.seen, req.Header.Clone())
	if len(o.answers) == 0 {
		return nil, errors.New("the row has no answer to this")
	}
	answer := o.answers[0]
	o.answers = o.answers[1:]
	if answer == "fail" {
		return nil, protocols.Errorf(protocols.NetworkConnectionLost, "the row says so")
	}
	head, body, _ := strings.Cut(answer, " | ")
	fields := strings.Split(head, " ; ")
	status, err := strconv.Atoi(strings.TrimSpace(fields[0]))
	if err != nil {
		return nil, err
	}
	if req.Method == http.MethodHead {
		body = ""
	}
	resp := reply(status, body, o.fields(fields[1:])...)
	if resp.Header.Get("X-Length") == "unknown" && body != "" {
		resp.ContentLength = -1
	}
	if policy := resp.Header.Get("X-Policy"); policy != "" {
		resp.CacheStoragePolicy = map[string]protocols.CacheStoragePolicy{
			"allowed": protocols.StorageAllowed, "memory": protocols.StorageAllowedInMemoryOnly,
		}[policy]
	}
	resp.SetContentType(resp.Header.Get("Content-Type"))

	return resp, nil
}

// fields gives names and values, with dates for @.
func (o *origin) fields(list []string) (pairs []string) {
	for _, field := range list {
		name, value, _ := strings.Cut(strings.TrimSpace(field), ":")
		value = strings.TrimSpace(value)
		if ago, ok := strings.CutPrefix(value, "@"); ok {
			d, err := time.ParseDuration(ago)
			if err != nil {
				panic(err)
			}
			value = o.now.Add(d).UTC().Format(http.TimeFormat)
		}
		pairs = append(pairs, name, value)
	}

	return pairs
}

var rowPolicies = map[string]protocols.CachePolicy{
	"reload": protocols.ReloadIgnoringLocalCache, "reload-all": protocols.ReloadIgnoringLocalAndRemoteCache,
	"else-load": protocols.ReturnCacheElseLoad, "dont-load": protocols.ReturnCacheDontLoad, "revalidate": protocols.ReloadRevalidatingCache,
}

// run carries out a row, and tells in what it came out differently.
func (r *cacheRow) run(t testing.TB, change func(*engine.Engine)) error {
	return r.runOver(t, newMemory(), change)
}

func (r *cacheRow) runOver(t testing.TB, store storage.CacheStore, change func(*engine.Engine)) error {
	steps, err := r.steps()
	if err != nil {
		return err
	}
	o := &origin{now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
	web := func(name string) protocols.Scheme { return scheme(name, protocols.Local, o.load) }
	e := open(t, engine.Config{
		Cache: store, Now: o.clock,
		Header: http.Header{"Accept-Encoding": {"gzip"}, "User-Agent": {"row"}},
	}, web("http"), web("https"), web("custom"))
	if change != nil {
		change(e)
	}
	for i := range steps {
		if err := r.step(e, o, &steps[i]); err != nil {
			return fmt.Errorf("%s, %s: %s: request %d: %w", r.place, r.section, r.name, i+1, err)
		}
	}

	return nil
}

func (r *cacheRow) step(e *engine.Engine, o *origin, s *cacheStep) error {
	o.mu.Lock()
	o.now = o.now.Add(s.shift)
	o.answers, o.seen = s.answers, nil
	o.mu.Unlock()
	fields := strings.Split(s.request, " ; ")
	words := strings.Fields(fields[0])
	u := words[1]
	if strings.HasPrefix(u, "/") {
		u = "http://origin.example" + u
	}
	req, err := protocols.NewRequest(words[0], u, nil)
	if err != nil {
		return err
	}
	pairs := o.fields(fields[1:])
	for i := 0; i < len(pairs); i += 2 {
		req.Header.Add(pairs[i], pairs[i+1])
	}
	task := &engine.Task{}
	for _, word := range words[2:] {
		policy, ok := rowPolicies[word]
		if task.Uncached = word == "uncached"; !ok && !task.Uncached {
			return fmt.Errorf("what is %q?", word)
		}
		req.CachePolicy = policy
	}
	var last *engine.Transaction
	task.Collect = func(tr *engine.Transaction) { last = tr }
	resp, err := e.Load(context.Background(), req, task)
	var data []byte
	if err == nil {
		data, err = engine.ReadAll(resp, -1)
	}
	e.WaitForBackground()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.answers) > 0 {
		return fmt.Errorf("the origin was asked %d times, and has %d answers left (%s)", len(o.seen), len(o.answers), verdictOf(last))
	}
	if len(o.seen) > len(s.answers) {
		return fmt.Errorf("the origin was asked %d times, %d expected (%s)", len(o.seen), len(s.answers), verdictOf(last))
	}
	if s.sees != "" {
		if err := compare("the origin saw", o.seen[0], o.fields(strings.Split(s.sees, " ; "))); err != nil {
			return err
		}
	}

	return r.compare(o, s, resp, string(data), err, last)
}

func verdictOf(t *engine.Transaction) string {
	if t == nil {
		return "no transaction"
	}

	return t.Cache
}

func (r *cacheRow) compare(o *origin, s *cacheStep, resp *protocols.Response, body string, err error, last *engine.Transaction) error {
	head, want, _ := strings.Cut(s.want, " | ")
	fields := strings.Split(head, " ; ")
	words := strings.Fields(fields[0])
	how := words[0]
	if how == "error" {
		var e *protocols.Error
		if !errors.As(err, &e) || strconv.Itoa(int(e.Code)) != words[1] {
			return fmt.Errorf("error %v, want %s", err, words[1])
		}

		return nil
	}
	if err != nil {
		return fmt.Errorf("%w (%s)", err, verdictOf(last))
	}
	if got, _, _ := strings.Cut(last.Cache, ":"); got != how && !(how == "none" && got == "") {
		return fmt.Errorf("the cache says %q, want %s", last.Cache, how)
	}
	if local := how == "hit" || how == "stale"; last.Local != local {
		return fmt.Errorf("the response is a stored one: %v", last.Local)
	}
	if status := strconv.Itoa(resp.StatusCode); status != words[1] {
		return fmt.Errorf("status %s, want %s (%s)", status, words[1], last.Cache)
	}
	if body != want {
		return fmt.Errorf("body %q, want %q (%s)", body, want, last.Cache)
	}
	var has []string
	for _, f := range fields[1:] {
		if why, ok := strings.CutPrefix(f, "because "); !ok {
			has = append(has, f)
		} else if !strings.Contains(last.Cache, why) {
			return fmt.Errorf("the cache says %q, want %q", last.Cache, why)
		}
	}

	return compare("the response has", resp.Header, o.fields(has))
}

// compare looks for fields; !Name is one that must not be there.
func compare(who string, h http.Header, pairs []string) error {
	for i := 0; i < len(pairs); i += 2 {
		if name, ok := strings.CutPrefix(pairs[i], "!"); ok {
			if lines := h.Values(name); len(lines) > 0 {
				return fmt.Errorf("%s %s: %s", who, name, lines)
			}
		} else if got := strings.Join(h.Values(pairs[i]), ", "); got != pairs[i+1] {
			return fmt.Errorf("%s %s: %q, want %q", who, pairs[i], got, pairs[i+1])
		}
	}

	return nil
}

// The behaviour of the cache is data: see testdata/cache.
func TestCacheRows(t *testing.T) {
	rows := readRows(t)
	if len(rows) < 150 {
		t.Errorf("%d rows", len(rows))
	}
	for _, row := range rows {
		t.Run(row.place+" "+row.name, func(t *testing.T) {
			if !strings.HasPrefix(row.section, "RFC ") && !strings.HasPrefix(row.section, "Apple ") {
				t.Errorf("%s names no section", row.place)
			}
			if err := row.run(t, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// Each directive and field that is understood does something: without it a row comes
// out differently.
func TestCacheRowsNeedEachName(t *testing.T) {
	rows := readRows(t)
	for _, name := range httpcache.Names() {
		t.Run(name.String(), func(t *testing.T) {
			differ := 0
			for _, row := range rows {
				if row.run(t, func(e *engine.Engine) { e.IgnoreInCache(name) }) != nil {
					differ++
				}
			}
			if differ == 0 {
				t.Errorf("without %s no row comes out differently", name)
			}
			t.Logf("%d rows", differ)
		})
	}
}
