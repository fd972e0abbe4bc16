package engine

import (
	"math"
	"net/http"
	"testing"
	"time"
)

var retryAfters = []struct {
	value, date string
	want        time.Duration
}{
	{"", "", 0},
	{"0", "", 0},
	{"120", "", 2 * time.Minute},
	{" 5\t", "", 5 * time.Second},
	{"+5", "", 0},
	{"-5", "", 0},
	{"1.5", "", 0},
	{"5 s", "", 0},
	{"99999999999999999999", "", maxSeconds * time.Second},
	{"Fri, 31 Dec 1999 23:59:59 GMT", "Fri, 31 Dec 1999 23:59:49 GMT", 10 * time.Second},
	{"Friday, 31-Dec-99 23:59:59 GMT", "Fri, 31 Dec 1999 23:59:49 GMT", 10 * time.Second}, // RFC 850
	{"Fri Dec 31 23:59:59 1999", "Fri, 31 Dec 1999 23:59:49 GMT", 10 * time.Second},       // asctime
	{"Fri, 31 Dec 1999 23:59:59 GMT", "", 9 * time.Second},
	{"Fri, 31 Dec 1999 23:59:59 GMT", "yesterday", 9 * time.Second},
	{"Fri, 31 Dec 1999 23:59:40 GMT", "", 0},
	{"Fri, 31 Dec 9999 23:59:59 GMT", "", maxSeconds * time.Second},
	{"tomorrow", "", 0},
}

var retryAfterNow = time.Date(1999, 12, 31, 23, 59, 50, 0, time.UTC)

func TestRetryAfter(t *testing.T) {
	for _, tt := range retryAfters {
		if got := retryAfter(http.Header{"Retry-After": {tt.value}, "Date": {tt.date}}, retryAfterNow); got != tt.want {
			t.Errorf("Retry-After %q, Date %q: %v, want %v", tt.value, tt.date, got, tt.want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, tt := range retryAfters {
		f.Add(tt.value, tt.date)
	}
	f.Fuzz(func(t *testing.T, value, date string) {
		got := retryAfter(http.Header{"Retry-After": {value}, "Date": {date}}, retryAfterNow)
		if got < 0 || got > maxSeconds*time.Second {
			t.Errorf("%v", got)
		}
	})
}

// A delay that grows beyond what a Duration holds is the longest one.
func TestLongestDelays(t *testing.T) {
	e := new(Engine)
	e.config.Retry = Retry{FirstDelay: math.MaxInt64, LongestDelay: math.MaxInt64, Factor: 2}
	l := &load{engine: e, parent: t.Context()}
	l.timer.resource = never
	for attempts := range 100 {
		const longest = maxSeconds * time.Second
		if pause, ok := l.delay(attempts, longest); !ok || pause < longest || pause > 2*longest {
			t.Errorf("after %d attempts: %v, %v", attempts, pause, ok)
		}
	}
}
