package urlsession_test

import (
	"net/http"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// A completion handler gets the body, or an error and what had come of the response.
func TestHandler(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", orderOrigin())
	s := delegated(t, nil, func(c *urlsession.Configuration) { c.MaximumDataLength = 5 })
	for _, row := range []struct {
		url  string
		data string
		code urlsession.Code // 0: none
		head bool
	}{
		{base + "/plain", "hello", 0, true},
		{base + "/empty", "", 0, true},
		{base + "/cut", "", urlsession.DataLengthExceedsMaximum, true}, // as its head says
		{base + "/nothing", "", urlsession.DataLengthExceedsMaximum, true},
		{"data:,123456", "", urlsession.DataLengthExceedsMaximum, true},
		{"none://x/", "", urlsession.UnsupportedURL, false},
	} {
		calls := 0
		handler := func(data []byte, resp *urlsession.Response, err error) {
			calls++
			if string(data) != row.data || (data == nil) != (row.code != 0) || (resp != nil) != row.head {
				t.Errorf("%s: %q, %v, %v", row.url, data, resp, err)
			}
			if row.code != 0 {
				wantCode(t, err, row.code)
			} else if err != nil {
				t.Errorf("%s: %v", row.url, err)
			}
		}
		for _, task := range []urlsession.Task{
			s.DataTaskWithHandler(get(t, row.url), handler),
			s.UploadTaskWithHandler(request(t, http.MethodGet, row.url, nil), nil, handler),
		} {
			task.Resume()
			_ = wait(t, task)
		}
		if calls != 2 {
			t.Errorf("%s: the handlers of 2 tasks were called %d times", row.url, calls)
		}
	}
}
