package urlsession_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// cutting breaks an answer off after some bytes of its body.
type cutting struct {
	http.ResponseWriter

	left int
}

func (w *cutting) Write(p []byte) (int, error) {
	if len(p) <= w.left {
		w.left -= len(p)

		return w.ResponseWriter.Write(p)
	}
	_, _ = w.ResponseWriter.Write(p[:w.left])
	_ = http.NewResponseController(w.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}

// Data and downloads arrive whole over connections that break, on every wire of TCP.
func TestContinuedTasks(t *testing.T) {
	leak.Check(t)
	leak.CheckFiles(t)
	t.Setenv("TMPDIR", t.TempDir())
	const size, piece = 1 << 20, 200_000
	content := make([]byte, size)
	for i := range content {
		content[i] = byte(rand.Uint32())
	}
	var requests atomic.Int32
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		w.Header().Set("ETag", `"v1"`)
		http.ServeContent(&cutting{w, piece}, r, "body.bin", time.Time{}, bytes.NewReader(content))
	})
	onWires(t, wiresFor("/cut"), handler, func(t *testing.T, base string) {
		s := session(t, func(c *urlsession.Configuration) {
			c.Retry = urlsession.RetryPolicy{Continuations: 10, FirstDelay: time.Millisecond}
		})
		requests.Store(0)
		var m urlsession.TaskMetrics
		data, _, err := s.Data(urlsession.WithMetrics(t.Context(), &m), get(t, base))
		if err != nil || !bytes.Equal(data, content) {
			t.Errorf("%d bytes of %d, %v", len(data), size, err)
		}
		const pieces = size/piece + 1
		if n := requests.Load(); n != pieces {
			t.Errorf("%d requests, want %d", n, pieces)
		}
		received := int64(0)
		for i, transaction := range m.Transactions {
			received += transaction.BodyBytesReceived
			if (transaction.Retry == urlsession.RetryContinuation) != (i > 0) {
				t.Errorf("transaction %d: %q", i, transaction.Retry)
			}
		}
		if len(m.Transactions) != pieces || received < size || received > size+size/100 { // HTTP/2 frames it
			t.Errorf("%d transactions with %d bytes", len(m.Transactions), received)
		}
		task := s.DownloadTask(get(t, base))
		task.SaveTo = filepath.Join(t.TempDir(), "file")
		task.Resume()
		if err := wait(t, task); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(task.SaveTo); err != nil || !bytes.Equal(got, content) {
			t.Errorf("the file has %d bytes of %d, %v", len(got), size, err)
		}
	})
}

// Without the policy, and where the server has another version meanwhile, a body
// that breaks off is an error.
func TestBodiesThatAreNotContinued(t *testing.T) {
	leak.Check(t)
	var version atomic.Int32
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", fmt.Sprintf(`"v%d"`, version.Add(1)))
		http.ServeContent(&cutting{w, 10}, r, "body.bin", time.Time{}, bytes.NewReader(make([]byte, 100)))
	})
	onEachWire(t, handler, func(t *testing.T, base string) {
		for _, continuations := range []int{0, 5} {
			s := session(t, func(c *urlsession.Configuration) {
				c.Retry = urlsession.RetryPolicy{Continuations: continuations, FirstDelay: time.Millisecond}
			})
			data, _, err := s.Data(t.Context(), get(t, base))
			if wantCode(t, err, urlsession.NetworkConnectionLost); data != nil {
				t.Errorf("%d bytes", len(data))
			}
		}
	})
}
