package altsvc_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage/altsvc"
)

const year = 365 * 24 * time.Hour

// What is kept follows the clock on the wall, for a year at most.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct{ after, want time.Duration }{
			{time.Hour, time.Hour}, {year, year}, {year + 1, year}, {200 * year, year},
		} {
			s, now := altsvc.NewStore(), time.Now()
			given := []protocols.AlternativeService{{Protocol: "h3", Port: 1, Expires: now.Add(tt.after)}}
			s.StoreServices("a", given)
			got := s.Services("a")
			if want := now.Round(0).Add(tt.want); len(got) != 1 || got[0].Expires != want { // == compares the monotonic reading, too
				t.Errorf("after %v: %v, want %v", tt.after, got, want)
			}
			if given[0].Expires != now.Add(tt.after) {
				t.Error("the caller's list was changed")
			}
			<-time.After(tt.want)
			if got := s.Services("a"); len(got) != 0 {
				t.Errorf("after %v: %v has not expired", tt.after, got)
			}
		}
	})
}

// A file that was written while the clock was ahead counts for a year from now, and one
// of a clock that was behind for nothing. What remains is written so.
func TestFileOfAnotherClock(t *testing.T) {
	name := filepath.Join(t.TempDir(), "services")
	line := func(key, expires string) string {
		return fmt.Sprintf(`{"Key":%q,"Services":[{"Protocol":"h3","Host":"","Port":1,"Expires":%q,"Persist":true}]}`, key, expires)
	}
	text := `{"Version":1,"Origins":[` + line("ahead", "9000-01-02T12:00:00Z") + "," + line("behind", "1970-01-02T12:00:00Z") + "]}"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		f := open(t, name)
		ahead := f.Services("ahead")
		if len(ahead) != 1 || time.Until(ahead[0].Expires) > year || time.Until(ahead[0].Expires) < year-time.Minute {
			t.Errorf("%v", ahead)
		}
		if behind := f.Services("behind"); len(behind) != 0 {
			t.Errorf("%v", behind)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}
