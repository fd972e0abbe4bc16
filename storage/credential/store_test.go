package credential_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage"
	"github.com/urlkit/urlkit/storage/credential"
)

var (
	ctx   = context.Background()
	space = protocols.ProtectionSpace{Host: "example.org", Port: 443, Protocol: "https", Realm: "r"}
)

func user(name string) *protocols.Credential {
	return &protocols.Credential{User: name, Password: "secret of " + name, Persistence: protocols.PersistenceForSession}
}

// step is one call, and what holds after it.
type step struct {
	do          string // "set", "default", "remove"
	user        string
	persistence protocols.Persistence
	wantDefault string // "" none
	wantUsers   string // sorted, "" none
}

func TestRules(t *testing.T) {
	const none, session, permanent = protocols.PersistenceNone, protocols.PersistenceForSession, protocols.PersistencePermanent
	for name, steps := range map[string][]step{
		"the first becomes the default": {
			{"set", "a", session, "a", "a"},
			{"set", "b", session, "a", "a b"},
			{"default", "b", session, "b", "a b"},
		},
		"the default is added": {
			{"default", "a", session, "a", "a"},
			{"default", "b", permanent, "b", "a b"},
		},
		"persistence none is ignored": {
			{"set", "a", none, "", ""},
			{"default", "a", none, "", ""},
			{"set", "b", session, "b", "b"},
			{"default", "a", none, "b", "b"},
		},
		"permanent is kept for the session": {{"set", "a", permanent, "a", "a"}},
		"removing the default clears it": {
			{"set", "a", session, "a", "a"},
			{"set", "b", session, "a", "a b"},
			{"remove", "a", session, "", "b"},
			{"set", "c", session, "", "b c"},
			{"remove", "c", session, "", "b"},
			{"remove", "b", session, "", ""},
			{"set", "c", session, "c", "c"},
		},
		"removing another leaves it": {
			{"set", "a", session, "a", "a"},
			{"set", "b", session, "a", "a b"},
			{"remove", "b", session, "a", "a"},
		},
		"removing what is not there": {
			{"remove", "a", session, "", ""},
			{"set", "a", session, "a", "a"},
			{"remove", "b", session, "a", "a"},
		},
		"a credential without a user": {
			{"set", "", session, "-", "-"},
			{"remove", "", session, "", ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := credential.NewStore()
			for i, step := range steps {
				c := user(step.user)
				c.Persistence = step.persistence
				apply(t, s, step.do, c)
				gotDefault, gotUsers := state(t, s)
				if gotDefault != step.wantDefault || gotUsers != step.wantUsers {
					t.Errorf("step %d: default %q of %q; want %q of %q", i, gotDefault, gotUsers, step.wantDefault, step.wantUsers)
				}
				if _, listed := s.All()[space]; listed != (step.wantUsers != "") {
					t.Errorf("step %d: the space is listed: %v", i, listed)
				}
			}
		})
	}
}

func apply(t *testing.T, s storage.CredentialStore, do string, c *protocols.Credential) {
	t.Helper()
	call := map[string]func(context.Context, *protocols.Credential, protocols.ProtectionSpace) error{
		"set": s.Set, "default": s.SetDefault, "remove": s.Remove,
	}[do]
	if err := call(ctx, c, space); err != nil {
		t.Fatal(err)
	}
}

// state gives the default's user and all users of the space; "-" stands for "".
func state(t *testing.T, s storage.CredentialStore) (string, string) {
	t.Helper()
	def, err := s.Default(ctx, space)
	if err != nil {
		t.Fatal(err)
	}
	users, err := s.Credentials(ctx, space)
	if err != nil {
		t.Fatal(err)
	}
	name := func(u string) string {
		if u == "" {
			return "-"
		}

		return u
	}
	var names []string
	for _, u := range []string{"", "a", "b", "c"} {
		if c, ok := users[u]; ok && c.User == u {
			names = append(names, name(u))
		}
	}
	if len(names) != len(users) || (users == nil) != (len(names) == 0) {
		t.Errorf("users %v", users)
	}
	if def == nil {
		return "", strings.Join(names, " ")
	}

	return name(def.User), strings.Join(names, " ")
}

func TestSameUserReplaces(t *testing.T) {
	s := credential.NewStore()
	c := user("a")
	apply(t, s, "set", c)
	c.Password = "changed outside"
	if got, _ := s.Default(ctx, space); got.Password != "secret of a" {
		t.Errorf("the store shares its credential with the caller")
	}
	apply(t, s, "set", c)
	got, _ := s.Default(ctx, space)
	if got.Password != "changed outside" {
		t.Errorf("the second credential did not replace the first")
	}
	got.Password = "changed again"
	all, _ := s.Credentials(ctx, space)
	all["a"].Password = "and again"
	s.All()[space]["a"].Password = "and again"
	if got, _ := s.Default(ctx, space); got.Password != "changed outside" {
		t.Errorf("the store shares its credential with those who ask")
	}
}

func TestSpaces(t *testing.T) {
	s := credential.NewStore()
	apply(t, s, "set", user("a"))
	same := space
	same.Host, same.Protocol = "EXAMPLE.org", "HTTPS"
	if c, _ := s.Default(ctx, same); c == nil {
		t.Error("the case of the host counts")
	}
	for _, other := range []protocols.ProtectionSpace{
		{Host: "example.org", Port: 8443, Protocol: "https", Realm: "r"},
		{Host: "example.org", Port: 443, Protocol: "https", Realm: "R"},
		{Host: "example.org", Port: 443, Protocol: "https", Realm: "r", Method: protocols.MethodHTTPDigest},
		{Host: "example.org", Port: 443, Protocol: "https", Realm: "r", ProxyType: "http"},
	} {
		if c, _ := s.Default(ctx, other); c != nil {
			t.Errorf("%+v gets the credential of another space", other)
		}
	}
	if err := s.RemoveAll(ctx); err != nil || len(s.All()) != 0 {
		t.Errorf("RemoveAll left something: %v", err)
	}
}

func TestSpacesAreBounded(t *testing.T) {
	s := credential.NewStore()
	for i := range 1100 {
		other := space
		other.Realm = fmt.Sprint(i)
		if err := s.Set(ctx, user("a"), other); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.All()); n != 1000 {
		t.Errorf("%d spaces", n)
	}
	for realm, want := range map[string]bool{"99": false, "100": true, "1099": true} {
		other := space
		other.Realm = realm
		if c, _ := s.Default(ctx, other); (c != nil) != want {
			t.Errorf("realm %s is there: %v", realm, c != nil)
		}
	}
}

func TestNoCredential(t *testing.T) {
	s := credential.NewStore()
	if s.Set(ctx, nil, space) == nil || s.SetDefault(ctx, nil, space) == nil {
		t.Error("nil was stored")
	}
	if err := s.Remove(ctx, nil, space); err != nil {
		t.Error(err)
	}
}

func TestNoneAndShared(t *testing.T) {
	for _, do := range []string{"set", "default", "remove"} {
		apply(t, credential.None, do, user("a"))
		if def, users := state(t, credential.None); def != "" || users != "" {
			t.Errorf("None keeps %q, %q", def, users)
		}
	}
	if r, ok := credential.None.(storage.Resetter); !ok || r.RemoveAll(ctx) != nil {
		t.Error("None cannot be emptied")
	}
	if shared := credential.Shared(); shared != credential.Shared() || shared == credential.NewStore() {
		t.Error("Shared is not one store")
	}
}

func TestConcurrentUse(t *testing.T) {
	s := credential.NewStore()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 200 {
				apply(t, s, "set", user("a"))
				apply(t, s, "default", user("b"))
				s.Default(ctx, space)
				s.All()
				apply(t, s, "remove", user([]string{"a", "b"}[i%2]))
			}
		})
	}
	wg.Wait()
	apply(t, s, "remove", user("a"))
	apply(t, s, "remove", user("b"))
	if len(s.All()) != 0 {
		t.Errorf("left: %v", s.All())
	}
}

func ExampleStore() {
	store := credential.NewStore()
	c := &protocols.Credential{User: "reader", Password: "secret", Persistence: protocols.PersistenceForSession}
	if err := store.Set(context.Background(), c, space); err != nil {
		fmt.Println(err)
		return
	}
	got, err := store.Default(context.Background(), space)
	fmt.Println(got, err)
	// Output: credential of "reader" <nil>
}

// Removals counts what was there and went.
func TestRemovals(t *testing.T) {
	s := credential.NewStore()
	for i, step := range []struct {
		do   func()
		want uint64
	}{
		{func() { _ = s.Set(ctx, user("a"), space); _ = s.Set(ctx, user("b"), space) }, 0},
		{func() { _ = s.Remove(ctx, user("c"), space) }, 0},
		{func() { _ = s.Remove(ctx, user("a"), space) }, 1},
		{func() { _ = s.RemoveAll(ctx) }, 2},
		{func() { _ = s.RemoveAll(ctx) }, 2},
	} {
		if step.do(); s.Removals() != step.want {
			t.Errorf("after step %d: %d", i, s.Removals())
		}
	}
}
