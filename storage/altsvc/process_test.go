package altsvc_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage/altsvc"
)

// roleVariable makes the test binary a process that shares a file: "number file".
const roleVariable = "URLKIT_TEST_ALTSVC_ROLE"

func TestMain(m *testing.M) {
	id, name, child := strings.Cut(os.Getenv(roleVariable), " ")
	if !child {
		os.Exit(m.Run())
	}
	if err := share(name, id); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// share stores 40 origins of its own and one of all, and forgets every fourth again.
func share(name, id string) error {
	f, err := altsvc.Open(context.Background(), name, nil)
	if err != nil {
		return err
	}
	for i := range 40 {
		key := fmt.Sprintf("%s-%d", id, i)
		f.StoreServices(key, []protocols.AlternativeService{service(uint16(i+1), true)})
		f.StoreServices("all", []protocols.AlternativeService{service(uint16(i+1), true)})
		if i%5 == 4 {
			err = f.Flush(context.Background())
		}
		if i%4 == 3 {
			f.StoreServices(key, nil)
		}
		if err != nil {
			return err
		}
	}

	return f.Close()
}

// Processes that write one file at once lose nothing of each other's, and bring nothing
// back that another has forgotten.
func TestProcessesShareFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "services")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const processes = 4
	var all sync.WaitGroup
	for id := range processes {
		all.Go(func() {
			c := exec.CommandContext(t.Context(), exe)
			c.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", roleVariable, id, name))
			if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("process %d: %v\n%s", id, err, out)
			}
		})
	}
	all.Wait()
	f := open(t, name)
	for id := range processes {
		for i := range 40 {
			got, want := ports(f, fmt.Sprintf("%d-%d", id, i)), []uint16{uint16(i + 1)}
			if i%4 == 3 {
				want = nil
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("process %d, origin %d: %v, want %v", id, i, got, want)
			}
		}
	}
	if got := ports(f, "all"); !reflect.DeepEqual(got, []uint16{40}) {
		t.Errorf("of all: %v", got)
	}
}

// What one has forgotten another forgets, and does not write again; what it has stored
// since counts.
func TestForgottenElsewhere(t *testing.T) {
	name := filepath.Join(t.TempDir(), "services")
	first, second := open(t, name), open(t, name)
	flush := func(f *altsvc.File) {
		t.Helper()
		if err := f.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for i, key := range []string{"a", "b", "c"} {
		first.StoreServices(key, []protocols.AlternativeService{service(uint16(i+1), true)})
	}
	flush(first)
	flush(second)
	first.StoreServices("a", nil)
	flush(first)
	flush(second)
	if third := open(t, name); ports(second, "a") != nil || ports(third, "a") != nil || ports(third, "b") == nil {
		t.Errorf("%v, %v, %v", ports(second, "a"), ports(third, "a"), ports(third, "b"))
	}
	second.StoreServices("b", []protocols.AlternativeService{service(7, true)})
	if err := first.RemoveAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	flush(second)
	if got := ports(open(t, name), "b"); !reflect.DeepEqual(got, []uint16{7}) || ports(second, "c") != nil {
		t.Errorf("after RemoveAll: %v, %v", got, ports(second, "c"))
	}
	if err := second.RemoveAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	flush(first)
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a file: %v", err)
	}
}

// A file that others have damaged takes nothing from a store that knows better.
func TestDamagedElsewhere(t *testing.T) {
	name := filepath.Join(t.TempDir(), "services")
	f, err := altsvc.Open(t.Context(), name, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.StoreServices("a", []protocols.AlternativeService{service(1, true)})
	for range 2 {
		if err := f.Flush(t.Context()); err != nil || ports(open(t, name), "a") == nil {
			t.Errorf("%v, %v", err, ports(open(t, name), "a"))
		}
		if err := os.WriteFile(name, []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
