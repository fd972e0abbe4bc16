package cookie

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
)

// damages are what can become of a file.
var damages = map[string]func([]byte) []byte{
	"half written":     func(d []byte) []byte { return d[:len(d)/2] },
	"a byte less":      func(d []byte) []byte { return d[:len(d)-1] },
	"the head only":    func(d []byte) []byte { return d[:bytes.IndexByte(d, '\n')+1] },
	"half of the head": func(d []byte) []byte { return d[:20] },
	"a changed byte":   func(d []byte) []byte { d[len(d)-9] ^= 1; return d },
	"zeros":            func(d []byte) []byte { return make([]byte, len(d)) },
	"another file":     func([]byte) []byte { return []byte("<html>") },
	"more":             func(d []byte) []byte { return append(d, d...) },
}

// A damaged file is set aside, and told; what the store has in memory is written anew.
func TestDamagedFile(t *testing.T) {
	for what, damage := range damages {
		t.Run(what, func(t *testing.T) {
			leak.Check(t)
			name := filepath.Join(t.TempDir(), "cookies")
			var l logged
			f := opened(t, name, &l)
			q := query(t, "https://a.test/")
			f.StoreCookies(q, []string{"a=secret; Max-Age=60", "b=1; Max-Age=60"})
			flush(t, f)
			whole, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			damaged := damage(bytes.Clone(whole))
			if err := os.WriteFile(name, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			fresh := opened(t, name, &l)
			if got := names(fresh.All()); got != "" {
				t.Errorf("read from the damaged file: %s", got)
			}
			if kept, err := os.ReadFile(name + ".damaged"); err != nil || !bytes.Equal(kept, damaged) {
				t.Errorf("set aside: %v", err)
			}
			if told := l.String(); strings.Count(told, "level=WARN") != 1 || !strings.Contains(told, name) || strings.Contains(told, "secret") {
				t.Errorf("told: %s", told)
			}
			if err := os.WriteFile(name, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			flush(t, f) // and a damage while the store is open
			if again, err := os.ReadFile(name); err != nil || !bytes.Equal(again, whole) {
				t.Errorf("written anew: %v", err)
			}
			if err := f.RemoveAll(t.Context()); err != nil {
				t.Error(err)
			}
			if left, _ := filepath.Glob(name + "*"); len(left) != 1 || left[0] != name+".lock" {
				t.Errorf("RemoveAll leaves %v", left)
			}
		})
	}
}

// What a damaged file held, and the store has, is not lost where writing it anew fails
// the first time.
func TestDamagedFileThatCannotBeWritten(t *testing.T) {
	leak.Check(t)
	name := filepath.Join(t.TempDir(), "cookies")
	var l logged
	s, _ := at()
	ctx, cancel := context.WithCancel(t.Context())
	f, err := open(t.Context(), name, slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		cancel() // between setting aside and writing

		return l.Write(p)
	}), nil)), s)
	if err != nil {
		t.Fatal(err)
	}
	f.StoreCookies(query(t, "https://a.test/"), []string{"a=1; Max-Age=60"})
	flush(t, f)
	if err := os.WriteFile(name, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Flush(ctx); !errors.Is(err, context.Canceled) || l.String() == "" {
		t.Errorf("Flush: %v, told %s", err, l.String())
	}
	flush(t, f)
	if got := names(f.All()); got != "a=1" {
		t.Errorf("then the store has %s", got)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if again := opened(t, name, &l); names(again.All()) != "a=1" {
		t.Errorf("then the file has %s", names(again.All()))
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// An empty file is none, and one of another version is not touched.
func TestOtherFiles(t *testing.T) {
	leak.Check(t)
	name := filepath.Join(t.TempDir(), "cookies")
	if err := os.WriteFile(name, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var l logged
	f := opened(t, name, &l)
	f.StoreCookies(query(t, "https://a.test/"), []string{"a=1; Max-Age=60"})
	flush(t, f)
	if info, err := os.Stat(name); err != nil || info.Size() == 0 || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("an empty file became %v, %v", info, err)
	}
	if l.String() != "" {
		t.Error(l.String())
	}
	for what, prepare := range map[string]func(name string) error{
		"another version": func(name string) error { return os.WriteFile(name, []byte(formatName+" 2 x\n"), 0o600) },
		"a folder":        func(name string) error { return os.Mkdir(name, 0o700) },
		"no folder":       func(name string) error { return os.RemoveAll(filepath.Dir(name)) },
	} {
		name := filepath.Join(t.TempDir(), "cookies")
		if err := prepare(name); err != nil {
			t.Fatal(err)
		}
		before, _ := os.ReadFile(name)
		if f, err := Open(t.Context(), name, nil); err == nil {
			t.Errorf("%s: opened %v", what, f)
		}
		if after, _ := os.ReadFile(name); !bytes.Equal(before, after) {
			t.Errorf("%s: changed", what)
		}
	}
}

// A clock that jumps neither mixes up the order nor loses what is not written
// meanwhile.
func TestClockThatJumps(t *testing.T) {
	leak.Check(t)
	name := filepath.Join(t.TempDir(), "cookies")
	s, advance := at()
	f, err := open(t.Context(), name, nil, s)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	q := query(t, "https://a.test/")
	const decade = 10 * 365 * 24 * time.Hour
	f.StoreCookies(q, []string{"a=1; Max-Age=60"})
	advance(-decade)
	f.StoreCookies(q, []string{"b=1; Max-Age=60"})
	if got := f.CookieHeader(q); got != "a=1; b=1" {
		t.Errorf("set back: %q", got)
	}
	flush(t, f)
	advance(decade + 30*time.Second)
	if got := f.CookieHeader(q); got != "a=1" {
		t.Errorf("set right: %q", got)
	}
	advance(decade)
	if got := f.CookieHeader(q); got != "" || len(f.All()) != 0 {
		t.Errorf("set ahead: %q", got)
	}
	advance(-decade)
	f.StoreCookies(q, []string{"c=1; Max-Age=60"})
	if got := f.CookieHeader(q); got != "a=1; c=1" {
		t.Errorf("set right again: %q", got)
	}
	list, err := decode(must(encode([]record{{
		cookie: cookie{name: "n", domain: "a.test", path: "/", hostOnly: true, expires: start.Add(decade)}, created: start, stored: start,
	}})))
	if err != nil || !list[0].expires.Equal(start.Add(maxLifetime)) {
		t.Errorf("a cookie of the file lives until %v, %v", list, err)
	}
}

func must(data []byte, err error) []byte {
	if err != nil {
		panic(err)
	}

	return data
}

// Removed cookies are remembered with a bound, also where the file cannot be written.
func TestBuriedIsBounded(t *testing.T) {
	var j journal
	for i := range 3 * maxBuried {
		j.bury(identity{name: fmt.Sprint(i)}, uint64(i))
	}
	if n := len(j.buried); n != maxBuried {
		t.Errorf("%d are remembered", n)
	}
	j.wrote(3 * maxBuried)
	if n := len(j.buried); n != 0 {
		t.Errorf("%d are remembered once the file is written", n)
	}
}

func TestConcurrentFile(t *testing.T) {
	leak.Check(t)
	name := filepath.Join(t.TempDir(), "cookies")
	var l logged
	files := []*File{opened(t, name, &l), opened(t, name, &l)}
	var wg sync.WaitGroup
	for i, f := range files {
		for g := range 3 {
			wg.Go(func() {
				for n := range 40 {
					q := query(t, fmt.Sprintf("https://h%d.test/", n%3))
					f.StoreCookies(q, []string{fmt.Sprintf("n%d_%d_%d=v; Max-Age=60", i, g, n)})
					f.CookieHeader(q)
					if n%10 == g {
						flush(t, f)
					}
				}
			})
		}
	}
	wg.Wait()
	for _, i := range []int{0, 1, 0} {
		flush(t, files[i])
	}
	if a, b := len(files[0].All()), len(files[1].All()); a != 240 || b != 240 {
		t.Errorf("%d and %d cookies, want 240", a, b)
	}
}
