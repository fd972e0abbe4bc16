package cache_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/urlkit/urlkit/storage"
	"github.com/urlkit/urlkit/storage/cache"
)

// roleVariable names what the test binary does when a test starts it again.
const roleVariable = "URLKIT_TEST_CACHE_ROLE"

func TestMain(m *testing.M) {
	role, folder, _ := strings.Cut(os.Getenv(roleVariable), " ")
	switch role {
	case "":
		os.Exit(m.Run())
	case "writer":
		writeForever(folder)
	case "sharer":
		if err := share(folder, uint64(os.Getpid())); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
}

// child starts the test binary again. Its standard input ends with this process.
func child(t *testing.T, role, folder string) (*exec.Cmd, io.Reader) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), roleVariable+"="+role+" "+folder)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}

	return c, out
}

// body tells a body of its key and seed: what is read must be one of these, whole.
func body(seed int) []byte {
	n := seed * 7919 % 200_000
	b := text(max(n, sha256.Size), seed)
	sum := sha256.Sum256(b[sha256.Size:])
	copy(b, sum[:])

	return b
}

func sound(b []byte) bool {
	if len(b) < sha256.Size {
		return false
	}
	sum := sha256.Sum256(b[sha256.Size:])

	return bytes.Equal(b[:sha256.Size], sum[:])
}

func store(s *cache.Store, e *storage.CacheEntry, b []byte) (*storage.CacheEntry, error) {
	w, err := s.Create(ctx, e)
	if err != nil {
		return nil, err
	}
	defer w.Abort()
	for len(b) > 0 {
		n, err := w.Write(b[:min(len(b), 30_000)])
		if err != nil {
			return nil, err
		}
		b = b[n:]
	}

	return w.Commit(ctx)
}

// writeForever stores, and prints each key once it is stored.
func writeForever(folder string) {
	s := cache.New(cache.Config{DiskCapacity: 1 << 30, Directory: folder})
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := worker; ; i += 4 {
				if _, err := store(s, entry(strconv.Itoa(i), "", -1), body(i)); err != nil {
					fmt.Println("error", err)
					return
				}
				fmt.Println(i)
			}
		})
	}
	wg.Wait()
}

// TestKilled kills a process while it stores: what it said was stored is whole,
// nothing else is seen that is not, and what was being written is removed.
func TestKilled(t *testing.T) {
	folder := t.TempDir()
	said := make(map[string]bool)
	r := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	for round := range 6 {
		c, out := child(t, "writer", folder)
		lines := bufio.NewScanner(out)
		for kill := r.IntN(60); lines.Scan(); kill-- {
			if kill == 0 {
				if err := c.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := strconv.Atoi(lines.Text()); err != nil {
				t.Fatal(lines.Text())
			}
			said[lines.Text()] = true
		}
		if err := c.Wait(); err == nil {
			t.Fatal("it was not killed")
		}
		if t.Failed() {
			t.Fatal("round", round)
		}
	}
	var log bytes.Buffer
	s := cache.New(cache.Config{DiskCapacity: 1 << 30, Directory: folder, Logger: logTo(&log)})
	usage(t, s)
	for key := range said {
		if len(lookup(t, s, key)) != 1 {
			t.Errorf("%s was stored and is not there", key)
		}
	}
	for e, err := range s.All(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if b := read(t, s, e, 0); !sound(b) {
			t.Errorf("%s has %d bytes that make no sense", e.Key, len(b))
		}
	}
	if left := files(t, folder, ".temp"); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
	// A head that was superseded when the process was killed stays a minute, with its body.
	heads := strings.Join(files(t, folder, ".head"), " ")
	for _, path := range files(t, folder, ".body") {
		if generation, _, _ := strings.Cut(filepath.Base(path), "-"); !strings.Contains(heads, "-"+generation+"-") {
			t.Errorf("left: %s", path)
		}
	}
	if log.Len() != 0 {
		t.Errorf("told: %s", log.String())
	}
}

// shared is the configuration of processes that use one folder.
func shared(folder string) cache.Config {
	return cache.Config{MemoryCapacity: 1 << 20, DiskCapacity: 5 << 20, Directory: folder}
}

// share uses a store as others do at the same time: all that it reads must be whole.
func share(folder string, seed uint64) error {
	var log bytes.Buffer
	c := shared(folder)
	c.Logger = logTo(&log)
	s := cache.New(c)
	r := rand.New(rand.NewPCG(1, seed))
	for range 400 {
		if err := shareOnce(s, r); err != nil {
			return err
		}
	}
	if log.Len() != 0 {
		return errors.New("told: " + log.String())
	}

	return nil
}

func shareOnce(s *cache.Store, r *rand.Rand) error {
	key := strconv.Itoa(r.IntN(30))
	found, err := s.Lookup(ctx, key)
	if err != nil {
		return fmt.Errorf("look-up: %w", err)
	}
	if len(found) == 0 || r.IntN(4) == 0 {
		_, err := store(s, entry(key, "", -1), body(r.IntN(1000)))
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}

		return nil
	}
	e := found[0]
	switch r.IntN(20) {
	case 0:
		return s.Remove(ctx, key, nil)
	case 1:
		changed := *e
		changed.Header = map[string][]string{"X-Changed": {key}}
		if err := s.Update(ctx, e, &changed); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("update: %w", err)
		}

		return nil
	}
	b, err := s.Open(ctx, e, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another process has removed or replaced it
	}
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer b.Close()
	got, err := io.ReadAll(b)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if int64(len(got)) != e.Length || !sound(got) {
		return fmt.Errorf("%d bytes of %d make no sense", len(got), e.Length)
	}

	return nil
}

// TestTwoProcesses has this process and two more use a folder at the same time.
func TestTwoProcesses(t *testing.T) {
	folder := t.TempDir()
	first, firstOut := child(t, "sharer", folder)
	second, secondOut := child(t, "sharer", folder)
	if err := share(folder, 1); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		cmd *exec.Cmd
		out io.Reader
	}{{first, firstOut}, {second, secondOut}} {
		said, _ := io.ReadAll(c.out)
		if err := c.cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, said)
		}
	}
	s := cache.New(shared(folder))
	used := usage(t, s)
	var size int64
	for _, path := range files(t, folder, "") {
		if info, err := os.Stat(path); err == nil {
			size += info.Size()
		}
	}
	// What one process has just superseded is left for a minute; it counts all the same.
	if used != size || used > 7<<20 || used < 1<<20 {
		t.Errorf("%d bytes in use, the files have %d", used, size)
	}
	for e, err := range s.All(ctx) {
		if err != nil || !sound(read(t, s, e, 0)) {
			t.Errorf("%s: %v", e.Key, err)
		}
	}
}

// TestOtherStore finds what another store of the same folder does.
func TestOtherStore(t *testing.T) {
	folder := t.TempDir()
	one, other := cache.New(shared(folder)), cache.New(shared(folder))
	other.SetMemoryCapacity(0)
	for i := range 20 {
		e := put(t, one, entry("k", "", -1), body(i))
		found := lookup(t, other, "k")
		if len(found) != 1 || found[0].ID != e.ID || !bytes.Equal(read(t, other, found[0], 0), body(i)) {
			t.Fatalf("%d: %v", i, found)
		}
		if i%2 == 0 {
			continue // replaced in the next round
		}
		if err := one.Remove(ctx, "k", nil); err != nil {
			t.Fatal(err)
		}
		if got := has(t, other, "k"); got != "" {
			t.Fatalf("%d: removed, and still there", i)
		}
		if _, err := other.Open(ctx, e, 0); !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}
