package cookie

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urlkit/urlkit/internal/filelock"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/storage"
)

// TestMain is also what the tests of several processes run.
func TestMain(m *testing.M) {
	if name := os.Getenv("URLKIT_TEST_COOKIE_FILE"); name != "" {
		if err := child(name, os.Getenv("URLKIT_TEST_COOKIE_CHILD")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child sets 40 cookies in a shared file, and removes every fourth again. The child
// "endless" sets cookies until it is killed, and tells of each that is written.
func child(name, id string) error {
	f, err := Open(context.Background(), name, nil)
	if err != nil {
		return err
	}
	for i := 0; id == "endless"; i++ {
		f.StoreCookies(&storage.CookieQuery{URL: &url.URL{Scheme: "https", Host: "a.test"}}, []string{fmt.Sprintf("last=%d; Max-Age=1000", i)})
		if err := f.Flush(context.Background()); err != nil {
			return err
		}
		fmt.Println(i)
	}
	for i := range 40 {
		line := fmt.Sprintf("c%s_%d=v; Max-Age=1000", id, i)
		q := &storage.CookieQuery{URL: &url.URL{Scheme: "https", Host: fmt.Sprintf("h%d.test", i%7), Path: "/"}}
		f.StoreCookies(q, []string{line})
		if i%10 == 9 {
			if err := f.Flush(context.Background()); err != nil {
				return err
			}
		}
		if i%4 == 3 {
			f.StoreCookies(q, []string{fmt.Sprintf("c%s_%d=; Max-Age=0", id, i)})
		}
	}

	return f.Close()
}

// logged collects what a logger is told.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.text.String()
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// opened opens a file whose clock stands at start.
func opened(t *testing.T, name string, l *logged) *File {
	t.Helper()
	s, _ := at()
	f, err := open(t.Context(), name, l.logger(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})

	return f
}

func flush(t *testing.T, f *File) {
	t.Helper()
	if err := f.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestFileKeepsCookies(t *testing.T) {
	leak.Check(t)
	name := filepath.Join(t.TempDir(), "cookies")
	var l logged
	f := opened(t, name, &l)
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a store without cookies has a file: %v", err)
	}
	q := query(t, "https://www.a.test/p/q")
	f.StoreCookies(q, []string{
		"long=1; Max-Age=60", "session=1", "other=\xff\t<\"; Domain=a.test; Path=/; Expires=Wed, 02 Jan 2030 03:05:05 GMT; HttpOnly; Secure; SameSite=None; Partitioned",
	})
	partition := query(t, "https://www.a.test/p/q")
	partition.Partition = "p\xff"
	f.StoreCookies(partition, []string{"in=1; Max-Age=60"})
	want := f.All()
	flush(t, f)
	if info, err := os.Stat(name); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	again := opened(t, name, &l)
	if got := again.All(); !reflect.DeepEqual(got, append(want[:1:1], want[2:]...)) {
		t.Errorf("read again: %v, want %v but for the session's", got, want)
	}
	if got := again.CookieHeader(q) + " " + again.CookieHeader(partition); got != "long=1; other=\xff\t<\" in=1" {
		t.Errorf("sent: %q", got)
	}
	if err := again.RemoveAll(t.Context()); err != nil || len(again.All()) != 0 {
		t.Errorf("RemoveAll: %v, %v", err, again.All())
	}
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after RemoveAll there is a file: %v", err)
	}
	flush(t, f)
	if got := names(f.All()); got != "session=1" { // the other store has removed what was shared
		t.Errorf("the first store has %s", got)
	}
	if l.String() != "" {
		t.Error(l.String())
	}
}

// Two stores on one file lose nothing of each other's.
func TestFileMerges(t *testing.T) {
	name := filepath.Join(t.TempDir(), "cookies")
	var l logged
	a, b := opened(t, name, &l), opened(t, name, &l)
	q := query(t, "https://a.test/")
	a.StoreCookies(q, []string{"a=1; Max-Age=60", "both=a; Max-Age=60", "gone=1; Max-Age=60", "session=1; Max-Age=60"})
	b.StoreCookies(q, []string{"b=1; Max-Age=60", "both=b; Max-Age=60"})
	flush(t, a)
	flush(t, b)
	a.StoreCookies(q, []string{"gone=; Max-Age=0", "session=2"})
	b.StoreCookies(q, []string{"b=2; Max-Age=60"})
	flush(t, b)
	flush(t, a)
	flush(t, b)
	if got := names(a.All()); got != "a=1 both=b session=2 b=2" {
		t.Errorf("the first has %s", got)
	}
	if got := names(b.All()); got != "b=2 both=b a=1" {
		t.Errorf("the second has %s", got)
	}
	told := make(chan struct{}, 10)
	defer b.Observe(func() { told <- struct{}{} })()
	a.StoreCookies(q, []string{"late=1; Max-Age=60"})
	flush(t, a)
	flush(t, b)
	<-told
}

// A cookie that is set again as it was outlives that another process removed it before.
func TestFileMergesWhatIsSetAgain(t *testing.T) {
	name := filepath.Join(t.TempDir(), "cookies")
	var l logged
	a, b := opened(t, name, &l), opened(t, name, &l)
	q := query(t, "https://a.test/")
	again := []string{"a=1; Expires=" + start.Add(time.Hour).Format(http.TimeFormat)}
	a.StoreCookies(q, again)
	flush(t, a)
	flush(t, b)
	b.StoreCookies(q, []string{"a=; Max-Age=0"})
	flush(t, b)
	a.StoreCookies(q, again)
	flush(t, a)
	flush(t, b)
	if got := names(a.All()) + ", " + names(b.All()); got != "a=1, a=1" {
		t.Errorf("they have %s", got)
	}
}

func TestSeveralProcesses(t *testing.T) {
	name := filepath.Join(t.TempDir(), "cookies")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for id := range 4 {
		wg.Go(func() {
			cmd := exec.CommandContext(t.Context(), exe)
			cmd.Env = append(os.Environ(), "URLKIT_TEST_COOKIE_FILE="+name, fmt.Sprintf("URLKIT_TEST_COOKIE_CHILD=%d", id))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("process %d: %v\n%s", id, err, out)
			}
		})
	}
	wg.Wait()
	f, err := Open(t.Context(), name, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n := len(f.All()); n != 4*30 {
		t.Errorf("%d cookies, want %d: %s", n, 4*30, names(f.All()))
	}
}

// A process that is killed while it writes leaves a whole file, with all that it was
// told is written.
func TestKilledProcess(t *testing.T) {
	name := filepath.Join(t.TempDir(), "cookies")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for round := range 6 {
		cmd := exec.CommandContext(t.Context(), exe)
		cmd.Env = append(os.Environ(), "URLKIT_TEST_COOKIE_FILE="+name, "URLKIT_TEST_COOKIE_CHILD=endless")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines, told := bufio.NewScanner(out), ""
		for range 3 + 2*round {
			if !lines.Scan() {
				t.Fatalf("told nothing: %v", lines.Err())
			}
			told = lines.Text()
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		var l logged
		f, err := Open(t.Context(), name, l.logger())
		if err != nil {
			t.Fatal(err)
		}
		written, last := 0, 0
		_, err = fmt.Sscanf(names(f.All()), "last=%d", &written)
		if _, errT := fmt.Sscan(told, &last); err != nil || errT != nil || written < last || l.String() != "" {
			t.Errorf("round %d: %s after %s, %v, %v; told %s", round, names(f.All()), told, err, errT, l.String())
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What is written in the background is written two seconds later, and Close ends that.
func TestFileIsWrittenBehind(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		name := filepath.Join(dir, "cookies")
		f, err := Open(t.Context(), name, nil)
		if err != nil {
			t.Fatal(err)
		}
		q := query(t, "https://a.test/")
		f.StoreCookies(q, []string{"session=1"})
		<-time.After(time.Minute)
		f.StoreCookies(q, []string{"a=1; Max-Age=600"})
		<-time.After(writeDelay - time.Millisecond)
		f.StoreCookies(q, []string{"b=1; Max-Age=600"})
		if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("written at once: %v", err)
		}
		<-time.After(2 * time.Millisecond)
		synctest.Wait()
		first, err := os.ReadFile(name)
		if err != nil || bytes.Count(first, []byte("\n")) != 3 {
			t.Errorf("after the delay: %v, %s", err, first)
		}
		f.StoreCookies(q, []string{"c=1; Max-Age=600"})
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		second, _ := os.ReadFile(name)
		if bytes.Count(second, []byte("\n")) != 4 {
			t.Errorf("after Close: %s", second)
		}
		f.StoreCookies(q, []string{"d=1; Max-Age=600"})
		<-time.After(time.Hour)
		if third, _ := os.ReadFile(name); !bytes.Equal(third, second) {
			t.Error("written after Close")
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A write that fails is told, tried again, less and less often, and loses nothing.
func TestFileThatCannotBeWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "folder")
	away := dir + "-away"
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var l logged
		f, err := Open(t.Context(), filepath.Join(dir, "cookies"), l.logger())
		if err != nil {
			t.Fatal(err)
		}
		q := query(t, "https://a.test/")
		f.StoreCookies(q, []string{"a=secret; Max-Age=60000"})
		if err := os.Rename(dir, away); err != nil {
			t.Fatal(err)
		}
		<-time.After(10 * time.Minute)
		synctest.Wait()
		if n := strings.Count(l.String(), "cannot be written"); n < 5 || n > 20 || strings.Contains(l.String(), "secret") {
			t.Errorf("told %d times: %s", n, l.String())
		}
		if err := f.RemoveAll(t.Context()); err == nil || len(f.All()) != 0 {
			t.Errorf("RemoveAll: %v, %v", err, f.All())
		}
		f.StoreCookies(q, []string{"b=1; Max-Age=60000"})
		if err := os.Rename(away, dir); err != nil {
			t.Fatal(err)
		}
		<-time.After(2 * longestDelay)
		synctest.Wait()
		again, err := Open(t.Context(), filepath.Join(dir, "cookies"), nil)
		if err != nil || names(again.All()) != "b=1" {
			t.Errorf("then: %v, %v", again, err)
		}
		if err := errors.Join(f.Close(), again.Close()); err != nil {
			t.Error(err)
		}
	})
}

// A process that holds the lock for ever holds up what asks for the disk, as long as
// its context lasts, and nothing else.
func TestFileThatAnotherHolds(t *testing.T) {
	leak.Check(t)
	name := filepath.Join(t.TempDir(), "cookies")
	var l logged
	f := opened(t, name, &l)
	unlock, err := filelock.Lock(t.Context(), name+".lock")
	if err != nil {
		t.Fatal(err)
	}
	q := query(t, "https://a.test/")
	f.StoreCookies(q, []string{"a=1; Max-Age=60"})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := f.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Flush: %v", err)
	}
	if _, err := Open(ctx, name, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Open: %v", err)
	}
	if got := f.CookieHeader(q); got != "a=1" {
		t.Errorf("meanwhile %q is sent", got)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	flush(t, f)
}
