package urlsession_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// journal writes events down.
type journal struct {
	mu     sync.Mutex
	events []urlsession.Event
}

func (j *journal) emit(e urlsession.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
}

// of are the events of a session's task, which starts by itself.
func (j *journal) of(t *testing.T, make func(s *urlsession.Session) urlsession.Task) (urlsession.Task, []urlsession.Event) {
	t.Helper()
	j.events = nil
	s := delegated(t, urlsession.Events(j.emit), nil)
	task := make(s)
	_ = wait(t, task)

	return task, j.events
}

func wantEvents(t *testing.T, got []urlsession.Event, want ...urlsession.Event) {
	t.Helper()
	if g, w := fmt.Sprintf("%#v", got), fmt.Sprintf("%#v", want); g != w {
		t.Errorf("got  %s\nwant %s", g, w)
	}
}

func TestEvents(t *testing.T) {
	leak.Check(t)
	t.Setenv("TMPDIR", t.TempDir())
	base := serve(t, "http/1.1", orderOrigin())
	var j journal
	_, got := j.of(t, func(s *urlsession.Session) urlsession.Task { return dataTask(t, s, base+"/plain") })
	wantEvents(t, got, urlsession.SessionCompleted{TaskIdentifier: 1, Success: true, StatusCode: 200, ResponseText: "hello"})

	_, got = j.of(t, func(s *urlsession.Session) urlsession.Task { return upload(t, s, base+"/upload") })
	wantEvents(t, got,
		urlsession.UploadProgress{TaskIdentifier: 1, BytesSent: 9, TotalBytesSent: 9, TotalBytesExpectedToSend: 9},
		urlsession.SessionCompleted{TaskIdentifier: 1, Success: true, StatusCode: 200, ResponseText: "..."})

	task, got := j.of(t, func(s *urlsession.Session) urlsession.Task { return dataTask(t, s, base+"/cut") })
	wantEvents(t, got, urlsession.SessionCompleted{
		TaskIdentifier: 1, ErrorCode: urlsession.NetworkConnectionLost, Message: task.Err().Error(), StatusCode: 200, ResponseText: "only this",
	})

	task, got = j.of(t, func(s *urlsession.Session) urlsession.Task { return dataTask(t, s, "none://x/") })
	wantEvents(t, got, urlsession.SessionCompleted{TaskIdentifier: 1, ErrorCode: urlsession.UnsupportedURL, Message: task.Err().Error()})
}

// A download's file is the app's when DownloadCompleted tells of it, with a safe
// name.
func TestEventsOfADownload(t *testing.T) {
	leak.Check(t)
	base := serve(t, "http/1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Disposition", "attachment; filename="+r.URL.Query().Get("name"))
		_, _ = w.Write([]byte("hello"))
	}))
	for name, want := range map[string]string{
		`"report.pdf"`: "report.pdf", `"../../etc/passwd"`: "_.._etc_passwd", `"CON"`: "_CON.txt",
		`".."`: "127.0.0.1", `"a\b/c.txt"`: "a_b_c.txt", `x;filename*=UTF-8''%E2%82%AC%00%0A.txt`: "€.txt",
	} {
		folder := t.TempDir()
		t.Setenv("TMPDIR", folder)
		var j journal
		_, got := j.of(t, func(s *urlsession.Session) urlsession.Task {
			return downloadTask(t, s, base+"/?name="+strings.NewReplacer("%", "%25", ";", "%3B", "\\", "%5C").Replace(name))
		})
		if len(got) != 3 {
			t.Fatalf("%s: %#v", name, got)
		}
		done, _ := got[1].(urlsession.DownloadCompleted)
		wantEvents(t, got,
			urlsession.DownloadProgress{TaskIdentifier: 1, BytesWritten: 5, TotalBytesWritten: 5, TotalBytesExpectedToWrite: 5},
			urlsession.DownloadCompleted{TaskIdentifier: 1, Path: done.Path},
			urlsession.SessionCompleted{TaskIdentifier: 1, Success: true, StatusCode: 200})
		holds(t, "hello", done.Path)
		if inside, err := filepath.Rel(folder, done.Path); err != nil || filepath.Base(done.Path) != want || filepath.Dir(filepath.Dir(inside)) != "." {
			t.Errorf("%s is saved as %s, %v; want %s", name, done.Path, err, want)
		}
		nothingLeft(t, filepath.Dir(done.Path))
		if err := os.RemoveAll(filepath.Dir(done.Path)); err != nil {
			t.Error(err)
		}
	}
}
