package proxy

import (
	"context"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
)

// numbered gives one more address each time, for a minute.
type numbered struct {
	lookups atomic.Int32
	hangs   atomic.Bool
}

func (r *numbered) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	addrs, _, err := r.LookupExpiring(ctx, network, host)

	return addrs, err
}

func (r *numbered) LookupExpiring(ctx context.Context, _, _ string) ([]netip.Addr, time.Duration, error) {
	n := r.lookups.Add(1)
	if r.hangs.Load() {
		<-ctx.Done()

		return nil, 0, ctx.Err()
	}

	return []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(n)})}, time.Minute, nil
}

// Where the request allows it an answer past its time is used, while the name is
// looked up anew.
func TestStaleAnswers(t *testing.T) {
	leak.Check(t)
	synctest.Test(t, func(t *testing.T) {
		source := &numbered{}
		d := &Dialer{Resolver: &Cache{Resolver: source}}
		find := func(stale bool) string {
			addrs, err := d.lookup(t.Context(), nil, Parameters{AllowsPersistentDNS: stale}, target{host: "a.example", port: 80, family: "ip"})

			return fmt.Sprint(addrs, err)
		}
		steps := []struct {
			name  string
			wait  time.Duration
			stale bool
			want  string
		}{
			{"the first", 0, true, "[192.0.2.1:80] <nil>"},
			{"within its time", 59 * time.Second, true, "[192.0.2.1:80] <nil>"},
			{"past its time", time.Second, true, "[192.0.2.1:80] <nil>"},
			{"looked up meanwhile", time.Millisecond, false, "[192.0.2.2:80] <nil>"},
			{"past its time, and not allowed", time.Minute, false, "[192.0.2.3:80] <nil>"},
			{"long past its time", 25*time.Hour + time.Minute, true, "[192.0.2.4:80] <nil>"},
		}
		for _, step := range steps {
			<-time.After(step.wait)
			if got := find(step.stale); got != step.want {
				t.Errorf("%s: %s, want %s", step.name, got, step.want)
			}
			synctest.Wait()
		}
		source.hangs.Store(true)
		<-time.After(time.Minute)
		find(true)
		synctest.Wait()
		d.Flush() // ends the lookup that nobody waits for
	})
}
