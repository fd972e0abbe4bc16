package keyring_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage/credential/keyring"
)

// sharedSpace is one that processes share, and with a realm of its own one of theirs.
func sharedSpace(realm string) protocols.ProtectionSpace {
	return protocols.ProtectionSpace{Host: "a.example", Port: 443, Protocol: "https", Realm: realm, Method: protocols.MethodHTTPBasic}
}

// share keeps twenty users in a space that it shares and one of its own, and removes
// every fourth again.
func share(name, id string) error {
	ctx := context.Background()
	s, err := keyring.OpenFile(ctx, name, nil)
	if err != nil {
		return err
	}
	for i := range 20 {
		c := &protocols.Credential{User: fmt.Sprintf("%s-%d", id, i), Password: "p", Persistence: protocols.PersistencePermanent}
		err = errors.Join(s.Set(ctx, c, sharedSpace("all")), s.SetDefault(ctx, c, sharedSpace(id)))
		if i%4 == 3 {
			err = errors.Join(err, s.Remove(ctx, c, sharedSpace("all")))
		}
		if err != nil {
			return err
		}
	}

	return nil
}

// Processes that change one file at once lose nothing of each other's, in one space
// neither.
func TestProcessesShareFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "credentials")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const processes = 4
	var all sync.WaitGroup
	for id := range processes {
		all.Go(func() {
			c := exec.CommandContext(t.Context(), exe)
			c.Env = append(os.Environ(), childFile+"="+name, fmt.Sprintf("%s=%d", childUser, id))
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("process %d: %v\n%s", id, err, out)
			}
		})
	}
	all.Wait()
	s, err := keyring.OpenFile(t.Context(), name, nil)
	if err != nil {
		t.Fatal(err)
	}
	if users, err := s.Credentials(t.Context(), sharedSpace("all")); err != nil || len(users) != processes*15 {
		t.Errorf("%d users of the shared space, %v", len(users), err)
	}
	for id := range processes {
		own := sharedSpace(fmt.Sprint(id))
		users, err := s.Credentials(t.Context(), own)
		first, ferr := s.Default(t.Context(), own)
		if err := errors.Join(err, ferr); err != nil || len(users) != 20 || first == nil || first.User != fmt.Sprintf("%d-19", id) {
			t.Errorf("process %d: %d users, %v, %v", id, len(users), first, err)
		}
	}
	if _, err := os.Stat(name + ".damaged"); err == nil {
		t.Error("a file was found damaged")
	}
}

// Where the file can be locked no more, what it does not concern goes on.
func TestFileWithoutLock(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "folder")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := keyring.OpenFile(t.Context(), filepath.Join(folder, "credentials"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	for persistence, fails := range map[protocols.Persistence]bool{protocols.PersistenceForSession: false, protocols.PersistencePermanent: true} {
		c := &protocols.Credential{User: "u", Password: "p", Persistence: persistence}
		if err := s.SetDefault(t.Context(), c, sharedSpace("r")); (err != nil) != fails {
			t.Errorf("persistence %v: %v", persistence, err)
		}
	}
	if c, err := s.Default(t.Context(), sharedSpace("r")); err != nil || c == nil {
		t.Errorf("%v, %v", c, err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	c := &protocols.Credential{User: "u", Password: "p", Persistence: protocols.PersistencePermanent}
	if err := s.SetDefault(t.Context(), c, sharedSpace("r")); err != nil {
		t.Errorf("the folder is there again: %v", err)
	}
}
