package credential_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage/credential"
)

// Only what changes something is told.
func TestObserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := credential.NewStore()
		var told atomic.Int32
		stop := s.Observe(func() { told.Add(1) })
		space := protocols.ProtectionSpace{Host: "a.example", Method: protocols.MethodHTTPBasic}
		of := func(user, password string, p protocols.Persistence) *protocols.Credential {
			return &protocols.Credential{User: user, Password: password, Persistence: p}
		}
		const session = protocols.PersistenceForSession
		for _, step := range []struct {
			name string
			do   func() error
			tell bool
		}{
			{"the first", func() error { return s.Set(t.Context(), of("u", "1", session), space) }, true},
			{"the same", func() error { return s.Set(t.Context(), of("u", "1", session), space) }, false},
			{"another password", func() error { return s.Set(t.Context(), of("u", "2", session), space) }, true},
			{"one that is not kept", func() error { return s.Set(t.Context(), of("v", "1", protocols.PersistenceNone), space) }, false},
			{"the same default", func() error { return s.SetDefault(t.Context(), of("u", "2", session), space) }, false},
			{"another default", func() error { return s.SetDefault(t.Context(), of("v", "1", session), space) }, true},
			{"what is not there", func() error { return s.Remove(t.Context(), of("w", "", session), space) }, false},
			{"what is there", func() error { return s.Remove(t.Context(), of("v", "", session), space) }, true},
			{"all", func() error { return s.RemoveAll(t.Context()) }, true},
			{"nothing", func() error { return s.RemoveAll(t.Context()) }, false},
			{"after stop", func() error { stop(); return s.Set(t.Context(), of("u", "1", session), space) }, false},
		} {
			before := told.Load()
			if err := step.do(); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if told.Load() > before != step.tell {
				t.Errorf("%s: told %d times", step.name, told.Load()-before)
			}
		}
	})
}
