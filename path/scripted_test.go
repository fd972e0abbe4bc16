package path_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/path"
)

// All who wait for a change are told of it, and nobody misses one.
func TestScripted(t *testing.T) {
	leak.Check(t)
	synctest.Test(t, func(t *testing.T) {
		m := path.NewScripted(path.Path{})
		known := m.Current()
		got := make(chan path.Path, 3)
		for range 3 {
			go func() {
				p, err := m.Next(t.Context(), known)
				if err != nil {
					t.Error(err)
				}
				got <- p
			}()
		}
		synctest.Wait()
		m.Set(known) // no change
		synctest.Wait()
		if len(got) > 0 {
			t.Error("told of a change that was none")
		}
		m.Set(path.Path{Satisfied: true})
		for range 3 {
			if p := <-got; !p.Satisfied {
				t.Errorf("%+v", p)
			}
		}
		if p, err := m.Next(t.Context(), known); err != nil || !p.Satisfied {
			t.Errorf("a change that was before: %+v, %v", p, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if p, err := m.Next(ctx, m.Current()); !errors.Is(err, context.DeadlineExceeded) || !p.Satisfied {
			t.Errorf("%+v, %v", p, err)
		}
	})
}
