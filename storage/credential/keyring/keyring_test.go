package keyring

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

var space = protocols.ProtectionSpace{Host: "a.example", Port: 443, Protocol: "https", Realm: "r", Method: protocols.MethodHTTPDigest}

func credentialOf(user string, p protocols.Persistence) *protocols.Credential {
	return &protocols.Credential{User: user, Password: "password of " + user, Persistence: p}
}

// held is a ring in memory, which may fail or not answer.
type held struct {
	records map[string]string
	err     error
	silent  chan struct{} // nil: it answers
}

func (h *held) get(_ context.Context, key string) (*record, error) {
	if h.silent != nil {
		<-h.silent
	}
	if data, ok := h.records[key]; ok && h.err == nil {
		return decode([]byte(data))
	}

	return nil, h.err
}

func (h *held) set(_ context.Context, key string, r *record) error {
	if h.err != nil {
		return h.err
	}
	data, err := json.Marshal(r)
	if h.records[key] = string(data); len(r.Users) == 0 {
		delete(h.records, key)
	}

	return err
}

func (h *held) alone(_ context.Context, something func() error) error { return something() }

func (h *held) clear(context.Context) error { clear(h.records); return h.err }

// stores are new stores of each kind, and how to open them again.
func stores(t *testing.T) map[string]func() *Store {
	t.Helper()
	name := filepath.Join(t.TempDir(), "credentials")
	ring := &held{records: map[string]string{}}

	return map[string]func() *Store{
		"a file": func() *Store {
			s, err := OpenFile(t.Context(), name, nil)
			if err != nil {
				t.Fatal(err)
			}

			return s
		},
		"a ring": func() *Store { return newStore(ring) },
	}
}

// state tells the users of a space, the default with a star; permanent ones stand
// in capitals.
func state(t *testing.T, s *Store) string {
	t.Helper()
	all, err := s.Credentials(t.Context(), space)
	if err != nil {
		t.Error(err)
	}
	first, err := s.Default(t.Context(), space)
	if err != nil {
		t.Error(err)
	}
	var words []string
	for _, user := range []string{"a", "b", "c"} {
		c := all[user]
		if c == nil {
			continue
		}
		if c.Password != "password of "+user {
			t.Errorf("%s has %q", user, c.Password)
		}
		if c.Persistence == protocols.PersistencePermanent {
			user = strings.ToUpper(user)
		}
		if first != nil && first.User == c.User {
			user += "*"
		}
		words = append(words, user)
	}

	return strings.Join(words, " ")
}

// The rules of Apple's store, whatever is where.
func TestStore(t *testing.T) {
	leak.Check(t)
	const none, session, permanent = protocols.PersistenceNone, protocols.PersistenceForSession, protocols.PersistencePermanent
	type step struct {
		what string // "set", "default" or "remove", "open"
		user string
		p    protocols.Persistence
		want string
	}
	for name, open := range stores(t) {
		for i, steps := range [][]step{
			{{"set", "a", none, ""}, {"remove", "a", none, ""}},
			{{"set", "a", permanent, "A*"}, {"set", "b", permanent, "A* B"}, {"open", "", 0, "A* B"}, {"default", "b", permanent, "A B*"}, {"remove", "b", 0, "A"}, {"open", "", 0, "A"}, {"set", "c", permanent, "A C"}},
			{{"set", "a", session, "a*"}, {"set", "b", permanent, "a* B"}, {"open", "", 0, "B"}},
			{{"set", "a", permanent, "A*"}, {"set", "b", session, "A* b"}, {"default", "b", session, "A b*"}, {"open", "", 0, "A"}},
			{{"set", "a", permanent, "A*"}, {"set", "a", session, "a*"}, {"open", "", 0, ""}},
			{{"set", "a", session, "a*"}, {"set", "a", permanent, "A*"}, {"open", "", 0, "A*"}},
			{{"set", "a", session, "a*"}, {"default", "b", permanent, "a B*"}, {"remove", "a", 0, "B*"}, {"remove", "b", 0, ""}, {"set", "c", session, "c*"}},
			{{"set", "a", permanent, "A*"}, {"set", "b", session, "A* b"}, {"remove", "a", 0, "b"}, {"set", "c", session, "b c"}},
		} {
			s := open()
			for _, step := range steps {
				var err error
				switch c := credentialOf(step.user, step.p); step.what {
				case "set":
					err = s.Set(t.Context(), c, space)
				case "default":
					err = s.SetDefault(t.Context(), c, space)
				case "remove":
					err = s.Remove(t.Context(), c, space)
				default:
					s = open()
				}
				if got := state(t, s); err != nil || got != step.want {
					t.Errorf("%s, %d: %s %s gives %q, %v; want %q", name, i, step.what, step.user, got, err, step.want)
				}
			}
			if err := s.RemoveAll(t.Context()); err != nil || state(t, s) != "" || state(t, open()) != "" {
				t.Errorf("%s, %d: RemoveAll leaves %q, %v", name, i, state(t, s), err)
			}
		}
	}
}

func TestWhatCannotBeKept(t *testing.T) {
	for name, open := range stores(t) {
		s := open()
		if err := s.Set(t.Context(), nil, space); err == nil {
			t.Errorf("%s: no credential is stored", name)
		}
		if err := s.Set(t.Context(), &protocols.Credential{Token: "t", Persistence: protocols.PersistencePermanent}, space); err != nil {
			t.Errorf("%s: a token: %v", name, err)
		}
		if c, err := s.Default(t.Context(), space); err != nil || c == nil || c.Token != "t" {
			t.Errorf("%s: %v, %v", name, c, err)
		}
		if err := s.Set(t.Context(), withCertificate(protocols.PersistencePermanent), space); !errors.Is(err, errNoSecret) {
			t.Errorf("%s: a certificate: %v", name, err)
		}
		if err := s.Set(t.Context(), withCertificate(protocols.PersistenceForSession), space); err != nil {
			t.Errorf("%s: a certificate for the session: %v", name, err)
		}
		if !s.KeepsPermanent() || s.Remove(t.Context(), nil, space) != nil {
			t.Errorf("%s: what it says", name)
		}
	}
	if _, err := Open(t.Context(), ""); !errors.Is(err, errNoName) {
		t.Errorf("no name: %v", err)
	}
	if _, err := OpenFile(t.Context(), "", nil); !errors.Is(err, errNoName) {
		t.Errorf("no name: %v", err)
	}
}

func withCertificate(p protocols.Persistence) *protocols.Credential {
	return &protocols.Credential{Certificate: &tls.Certificate{}, Persistence: p}
}

var errLocked = errors.New("locked")

// Without the ring the memory works.
func TestRingThatFails(t *testing.T) {
	s := newStore(&held{err: errLocked})
	if err := s.Set(t.Context(), credentialOf("a", protocols.PersistencePermanent), space); !errors.Is(err, errLocked) {
		t.Errorf("Set: %v", err)
	}
	if _, err := s.Default(t.Context(), space); !errors.Is(err, errLocked) {
		t.Errorf("Default: %v", err)
	}
	if err := s.Set(t.Context(), credentialOf("b", protocols.PersistenceForSession), space); err != nil {
		t.Errorf("Set in memory: %v", err)
	}
	if c, err := s.Default(t.Context(), space); err != nil || c == nil || c.User != "b" {
		t.Errorf("%v, %v", c, err)
	}
	if err := s.RemoveAll(t.Context()); !errors.Is(err, errLocked) {
		t.Errorf("RemoveAll: %v", err)
	}
}

// A keyring that waits for its user holds nobody whose context ends.
func TestRingThatDoesNotAnswer(t *testing.T) {
	leak.Check(t)
	ring := &held{records: map[string]string{}, silent: make(chan struct{})}
	s := newStore(ring)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := s.Default(ctx, space); !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
			if err := s.Set(ctx, credentialOf("a", protocols.PersistencePermanent), space); !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
		})
	}
	all.Wait()
	close(ring.silent)
}

func TestSpacesInMemoryAreBounded(t *testing.T) {
	s := newStore(&held{records: map[string]string{}})
	for i := range maxSpaces + 5 {
		one := space
		one.Realm = fmt.Sprint(i)
		if err := s.Set(t.Context(), credentialOf("a", protocols.PersistenceForSession), one); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.spaces) != maxSpaces {
		t.Errorf("%d spaces", len(s.spaces))
	}
}

func TestFile(t *testing.T) {
	leak.Check(t)
	name := filepath.Join(t.TempDir(), "credentials")
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	open := func() (*Store, error) { return OpenFile(t.Context(), name, logger) }
	s, err := open()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Set(t.Context(), credentialOf("a", protocols.PersistencePermanent), space); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if runtime.GOOS != "windows" {
		if err := os.Chmod(name, 0o640); err != nil {
			t.Fatal(err)
		}
		if _, err := open(); err == nil || !strings.Contains(err.Error(), "0600") {
			t.Errorf("a file that others may read: %v", err)
		}
	}
	for _, damage := range []string{"", "{", "null", "[]", `{"k":{"users":{}}}`, `{"k":5}`, "\x00\xff"} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		log.Reset()
		s, err := open()
		if err != nil || !strings.Contains(log.String(), "damaged") {
			t.Fatalf("%q: %v, %s", damage, err, log.String())
		}
		if aside, err := os.ReadFile(name + ".damaged"); err != nil || string(aside) != damage {
			t.Errorf("%q: set aside %q, %v", damage, aside, err)
		}
		if err := s.Set(t.Context(), credentialOf("a", protocols.PersistencePermanent), space); err != nil || state(t, s) != "A*" {
			t.Errorf("%q: %v, %s", damage, err, state(t, s))
		}
	}
	if err := s.RemoveAll(t.Context()); err != nil {
		t.Error(err)
	}
	for _, file := range []string{name, name + ".damaged"} {
		if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", file, err)
		}
	}
	if _, err := OpenFile(t.Context(), filepath.Join(name, "no", "folder"), nil); err == nil {
		t.Error("a folder that is missing is no error")
	}
	if _, err := OpenFile(t.Context(), t.TempDir(), nil); err == nil {
		t.Error("a folder is taken for a file")
	}
}

// Two stores of one file, as two processes have, lose nothing.
func TestFileIsShared(t *testing.T) {
	leak.Check(t)
	name := filepath.Join(t.TempDir(), "credentials")
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			s, err := OpenFile(t.Context(), name, nil)
			if err != nil {
				t.Error(err)

				return
			}
			for j := range 10 {
				one := space
				one.Realm = fmt.Sprint(i, j)
				if err := s.Set(t.Context(), credentialOf("a", protocols.PersistencePermanent), one); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if records, err := decodeFile(data); err != nil || len(records) != 40 {
		t.Errorf("%d records, %v", len(records), err)
	}
}

func FuzzDecodeFile(f *testing.F) {
	for _, seed := range []string{`{}`, `{"k":{"default":"u","users":{"u":{"password":"p"}}}}`, `{"k":{"default":"v","users":{"u":{"token":"t"}}}}`, `{"k":null}`, `[`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := decodeFile(data)
		if err != nil && !errors.Is(err, errCorrupt) {
			t.Errorf("%v quotes the file", err)
		}
		for key, r := range all {
			if r.Default != nil && r.credential(*r.Default).User != *r.Default || len(r.Users) == 0 {
				t.Errorf("%s: %+v", key, r)
			}
		}
	})
}

func TestRemovals(t *testing.T) {
	s := newStore(&held{records: map[string]string{}})
	for i, remove := range []func() error{
		func() error { return s.Remove(t.Context(), credentialOf("a", protocols.PersistencePermanent), space) },
		func() error { return s.RemoveAll(t.Context()) },
	} {
		if err := s.Set(t.Context(), credentialOf("a", protocols.PersistencePermanent), space); err != nil {
			t.Fatal(err)
		}
		if err := remove(); err != nil || s.Removals() != uint64(i+1) {
			t.Errorf("%d removals, %v", s.Removals(), err)
		}
	}
}

func TestFileIsNoLink(t *testing.T) {
	name := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(name, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(name, name+".link"); err != nil {
		t.Skipf("the system makes no links: %v", err)
	}
	if _, err := OpenFile(t.Context(), name+".link", nil); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a link: %v", err)
	}
}
