package engine

import (
	"net/http"
	"testing"
)

var contentRanges = []struct {
	value string
	want  contentRange
	ok    bool
}{
	{"bytes 0-0/1", contentRange{0, 1, 1}, true},
	{"bytes 42-1233/1234", contentRange{42, 1234, 1234}, true},
	{"bytes 42-1233/*", contentRange{42, 1234, -1}, true},
	{"Bytes 1-2/3", contentRange{1, 3, 3}, true},
	{"bytes */1234", contentRange{}, false},
	{"bytes 2-1/3", contentRange{}, false},
	{"bytes 1-3/3", contentRange{}, false},
	{"bytes -1-3/5", contentRange{}, false},
	{"bytes +1-3/5", contentRange{}, false},
	{"bytes 1-+3/5", contentRange{}, false},
	{"bytes 1-3", contentRange{}, false},
	{"bytes 1/3", contentRange{}, false},
	{"bytes -/", contentRange{}, false},
	{"lines 1-3/5", contentRange{}, false},
	{"bytes=1-3/5", contentRange{}, false},
	{"bytes 1-99999999999999999999/*", contentRange{}, false},
	{"bytes 1-9223372036854775807/*", contentRange{}, false},
	{"", contentRange{}, false},
}

func TestContentRange(t *testing.T) {
	for _, tt := range contentRanges {
		if got, ok := parseContentRange(http.Header{"Content-Range": {tt.value}}); got != tt.want || ok != tt.ok {
			t.Errorf("%q: %v, %v, want %v, %v", tt.value, got, ok, tt.want, tt.ok)
		}
	}
	if _, ok := parseContentRange(http.Header{"Content-Range": {"bytes 0-0/1", "bytes 0-0/1"}}); ok {
		t.Error("two fields are taken for one")
	}
}

func FuzzContentRange(f *testing.F) {
	for _, tt := range contentRanges {
		f.Add(tt.value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		r, ok := parseContentRange(http.Header{"Content-Range": {value}})
		if ok && (r.start < 0 || r.end <= r.start || r.total != -1 && r.total < r.end) {
			t.Errorf("%q gives %v", value, r)
		}
	})
}
