package urlsession_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/urlsession"
)

// What a transaction counts is what the other side saw, byte for byte.
func TestMetricsCountTheHeads(t *testing.T) {
	leak.Check(t)
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Long: "
	answer := head + strings.Repeat("x", 5000) + "\r\n\r\n"
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	seen := make(chan int, 1)
	go func() {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		counted := &countingReader{r: c}
		r := bufio.NewReader(counted)
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			seen <- counted.n - r.Buffered()
			counted.n = 0
			_, _ = fmt.Fprint(c, answer, "hello")
		}
	}()
	s := session(t, nil)
	for _, body := range []string{"", "short", strings.Repeat("long", 50_000)} {
		req := get(t, "http://"+listener.Addr().String()+"/")
		if body != "" {
			req = request(t, http.MethodPost, req.URL.String(), urlsession.StringBody(body))
		}
		var m urlsession.TaskMetrics
		if _, _, err := s.Data(urlsession.WithMetrics(t.Context(), &m), req); err != nil {
			t.Fatal(err)
		}
		x := m.Transactions[0]
		if want := int64(<-seen); x.RequestHeaderBytesSent+x.BodyBytesSent != want || x.BodyBytesSent != int64(len(body)) {
			t.Errorf("%d of the head and %d of the body were sent, the server saw %d", x.RequestHeaderBytesSent, x.BodyBytesSent, want)
		}
		if x.ResponseHeaderBytesReceived != int64(len(answer)) || x.BodyBytesReceived != 5 {
			t.Errorf("%d of the head and %d of the body were received, want %d and 5", x.ResponseHeaderBytesReceived, x.BodyBytesReceived, len(answer))
		}
		if x.ResourceFetchType != urlsession.FetchNetworkLoad {
			t.Error(x.ResourceFetchType)
		}
	}
}

type countingReader struct {
	r io.Reader
	n int
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n

	return n, err
}

// HTTP/2 counts what it compressed: less the second time. A data: URL has no head.
func TestMetricsCountCompressedHeads(t *testing.T) {
	leak.Check(t)
	s := session(t, nil)
	base := serve(t, "h2", orderOrigin())
	load := func(url string) urlsession.TransactionMetrics {
		var m urlsession.TaskMetrics
		if _, _, err := s.Data(urlsession.WithMetrics(t.Context(), &m), get(t, url)); err != nil {
			t.Fatal(err)
		}

		return m.Transactions[0]
	}
	first, second := load(base+"/plain"), load(base+"/plain")
	const frame = 9
	if second.RequestHeaderBytesSent <= frame || first.RequestHeaderBytesSent <= second.RequestHeaderBytesSent ||
		second.ResponseHeaderBytesReceived <= frame || first.ResponseHeaderBytesReceived <= second.ResponseHeaderBytesReceived {
		t.Errorf("sent %d and %d, received %d and %d", first.RequestHeaderBytesSent, second.RequestHeaderBytesSent,
			first.ResponseHeaderBytesReceived, second.ResponseHeaderBytesReceived)
	}
	if first.ResourceFetchType != urlsession.FetchNetworkLoad {
		t.Error(first.ResourceFetchType)
	}
	if x := load("data:,x"); x.RequestHeaderBytesSent != -1 || x.ResponseHeaderBytesReceived != -1 || x.ResourceFetchType != urlsession.FetchUnknown {
		t.Errorf("data: %d, %d, %d", x.RequestHeaderBytesSent, x.ResponseHeaderBytesReceived, x.ResourceFetchType)
	}
}

// A task without a transaction has a beginning and an end.
func TestMetricsWithoutATransaction(t *testing.T) {
	leak.Check(t)
	var metrics []*urlsession.TaskMetrics
	s := delegated(t, &urlsession.Delegate{
		DidFinishCollecting: func(_ urlsession.Task, m *urlsession.TaskMetrics) { metrics = append(metrics, m) },
	}, nil)
	failing := s.DownloadTask(get(t, "data:,x"))
	failing.SaveTo = filepath.Join(t.TempDir(), "no", "such", "folder")
	failing.Resume()
	_ = wait(t, failing)
	never := s.DataTask(get(t, "data:,x"))
	never.Cancel()
	_ = wait(t, never)
	for _, m := range metrics {
		if took := m.End.Sub(m.Start); m.Start.IsZero() || took < 0 || took > time.Minute {
			t.Errorf("from %v to %v", m.Start, m.End)
		}
	}
	if len(metrics) != 2 {
		t.Error(len(metrics))
	}
}
