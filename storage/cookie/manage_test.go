package cookie

import (
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/storage"
)

func names(list []*http.Cookie) string {
	var b strings.Builder
	for _, c := range list {
		b.WriteString(c.Name + "=" + c.Value + " ")
	}

	return strings.TrimSpace(b.String())
}

func TestSet(t *testing.T) {
	for _, row := range []struct {
		cookie http.Cookie
		sent   string // to these URLs
		kept   string // from these; all where Set refuses it
		refuse bool
	}{
		{cookie: http.Cookie{Name: "n", Value: "v", Domain: "a.test"}, sent: "https://a.test/ http://a.test/x", kept: "https://b.a.test/"},
		{cookie: http.Cookie{Name: "n", Value: "v", Domain: ".A.test", Path: "/x"}, sent: "https://a.test/x https://b.a.test/x/y", kept: "https://a.test/ https://xa.test/x"},
		{cookie: http.Cookie{Name: "n", Value: "v", Domain: "127.0.0.1"}, sent: "http://127.0.0.1/"},
		{cookie: http.Cookie{Name: "n", Value: "v", Domain: "a.test", Secure: true}, sent: "https://a.test/", kept: "http://a.test/"},
		{cookie: http.Cookie{Name: "__Host-n", Value: "v", Domain: "a.test", Secure: true}, sent: "https://a.test/"},
		{cookie: http.Cookie{Name: "__Host-n", Value: "v", Domain: ".a.test", Secure: true}, refuse: true},
		{cookie: http.Cookie{Name: "__Secure-n", Value: "v", Domain: "a.test"}, refuse: true},
		{cookie: http.Cookie{Name: "n", Value: "v", Domain: ".co.uk"}, kept: "https://a.co.uk/", sent: "https://co.uk/"},
		{cookie: http.Cookie{Name: "n", Value: "v"}, refuse: true},
		{cookie: http.Cookie{Name: "n", Value: "v", Domain: "."}, refuse: true},
		{cookie: http.Cookie{Value: "v", Domain: "a.test"}, refuse: true},
		{cookie: http.Cookie{Name: "n", Value: "v\n", Domain: "a.test"}, refuse: true},
		{cookie: http.Cookie{Name: "n", Value: "v", Domain: "a.test", SameSite: http.SameSiteNoneMode}, refuse: true},
	} {
		s, _ := at()
		if err := s.Set(&row.cookie); (err != nil) != row.refuse || row.refuse != (len(s.All()) == 0) {
			t.Errorf("%v: %v, then there are %v", &row.cookie, err, s.All())
		}
		for _, u := range strings.Fields(row.sent) {
			if got := s.CookieHeader(query(t, u)); got != row.cookie.Name+"=v" {
				t.Errorf("%v: %s gets %q", &row.cookie, u, got)
			}
		}
		for _, u := range strings.Fields(row.kept) {
			if got := s.CookieHeader(query(t, u)); got != "" {
				t.Errorf("%v: %s gets %q", &row.cookie, u, got)
			}
		}
	}
}

// What All gives can be set again, and deleted.
func TestSetAndDeleteWhatIsListed(t *testing.T) {
	s, _ := at()
	s.StoreCookies(query(t, "https://www.a.test/p/q"), []string{
		"host=1", "domain=2; Domain=a.test; Path=/; Max-Age=60; HttpOnly; SameSite=Strict", `quoted="3"; Secure`, "host=4; Domain=www.a.test",
	})
	partition := query(t, "https://www.a.test/p/q")
	partition.Partition = "one"
	s.StoreCookies(partition, []string{"host=5"})
	list := s.All()
	other, _ := at()
	for _, c := range list[:4] {
		if err := other.Set(c); err != nil {
			t.Errorf("%v: %v", c, err)
		}
	}
	if got := other.All(); !reflect.DeepEqual(got, list[:4]) {
		t.Errorf("set again: %v, want %v", got, list[:4])
	}
	expired := *list[1]
	expired.Expires = start.Add(-time.Hour)
	if err := other.Set(&expired); err != nil || names(other.All()) != "host=1 quoted=3 host=4" {
		t.Errorf("an expired one: %v, then %s", err, names(other.All()))
	}
	s.Delete(list[0]) // of all partitions
	s.Delete(list[0])
	s.Delete(nil)
	s.Delete(&http.Cookie{Name: "domain", Domain: "a.test", Path: "/"}) // a host-only one, which is not there
	if got := names(s.All()); got != "domain=2 quoted=3 host=4" {
		t.Errorf("after Delete: %s", got)
	}
	s.Delete(&http.Cookie{Name: "domain", Domain: ".A.TEST", Path: "/"})
	if got := names(s.All()); got != "quoted=3 host=4" {
		t.Errorf("after another Delete: %s", got)
	}
	own := &http.Cookie{Name: "own", Domain: "B.test."}
	if err := s.Set(own); err != nil || names(s.All()) != "quoted=3 host=4 own=" {
		t.Errorf("%v: %s", err, names(s.All()))
	}
	if s.Delete(own); names(s.All()) != "quoted=3 host=4" {
		t.Errorf("what was set cannot be deleted alike: %s", names(s.All()))
	}
}

func TestRemoveSince(t *testing.T) {
	s, advance := at()
	q := query(t, "https://a.test/")
	s.StoreCookies(q, []string{"a=1", "b=1"})
	advance(time.Hour)
	s.StoreCookies(q, []string{"c=1", "b=2", "a=1"}) // a is the same, and stored anew
	advance(time.Hour)
	s.StoreCookies(q, []string{"d=1"})
	s.RemoveSince(start.Add(2 * time.Hour))
	if got := names(s.All()); got != "a=1 b=2 c=1" {
		t.Errorf("since the last hour: %s", got)
	}
	s.RemoveSince(start.Add(time.Hour))
	if got := names(s.All()); got != "" {
		t.Errorf("since the first: %s", got)
	}
}

func TestStoresOwnAcceptPolicy(t *testing.T) {
	s, _ := at()
	u := parseURL(t, "https://a.test/")
	c := &http.Cookie{Name: "n", Value: "v", Domain: "a.test"}
	s.SetAcceptPolicy(storage.AcceptNever)
	s.SetCookies(u, []*http.Cookie{c})
	if err := s.Set(c); err == nil || len(s.All()) != 0 || s.AcceptPolicy() != storage.AcceptNever {
		t.Errorf("never: %v, %v", err, s.All())
	}
	s.StoreCookies(query(t, "https://a.test/"), []string{"of=response"}) // whose session says what is accepted
	s.SetAcceptPolicy(storage.AcceptAlways)
	s.SetCookies(u, []*http.Cookie{c})
	if got := names(s.All()); got != "of=response n=v" {
		t.Errorf("always: %s", got)
	}
}

// Observers may use the store, come one at a time, and are not told of what is not
// a change.
func TestObserve(t *testing.T) {
	leak.Check(t)
	s, _ := at()
	q := query(t, "https://a.test/")
	told, running := make(chan string, 100), atomic.Int32{}
	stop := s.Observe(func() {
		if running.Add(1) > 1 {
			t.Error("two calls at once")
		}
		list := names(s.All())
		if list == "a=1" {
			s.StoreCookies(q, []string{"b=2"}) // inside the call
		}
		running.Add(-1)
		told <- list
	})
	var other atomic.Int32
	stopOther := s.Observe(func() { other.Add(1) })
	s.StoreCookies(q, []string{"a=1"})
	if got := <-told; got != "a=1" {
		t.Errorf("told first: %s", got)
	}
	if got := <-told; got != "a=1 b=2" {
		t.Errorf("told then: %s", got)
	}
	s.CookieHeader(q)
	s.StoreCookies(q, []string{"a=1", "none=; Max-Age=0", "bad"})
	if err := s.RemoveAll(t.Context()); err != nil {
		t.Error(err)
	}
	if got := <-told; got != "" {
		t.Errorf("told last: %s", got)
	}
	stop()
	stop()
	stopOther()
	s.StoreCookies(q, []string{"a=1"})
	if n := len(told); n != 0 || other.Load() < 2 {
		t.Errorf("%d calls after stop, %d of the other observer", n, other.Load())
	}
}

// An observer that takes its time holds up nobody else, and hears of a thousand
// changes at once.
func TestObserveSlowly(t *testing.T) {
	leak.Check(t)
	s, _ := at()
	q := query(t, "https://a.test/")
	var calls atomic.Int32
	entered, leave := make(chan struct{}, 10), make(chan struct{})
	defer s.Observe(func() {
		calls.Add(1)
		entered <- struct{}{}
		<-leave
	})()
	s.StoreCookies(q, []string{"a=0"})
	<-entered
	for i := range 1000 {
		s.StoreCookies(q, []string{"a=" + strings.Repeat("x", i+1)})
	}
	close(leave)
	<-entered
	if n := calls.Load(); n != 2 {
		t.Errorf("%d calls", n)
	}
}
