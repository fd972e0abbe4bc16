package engine_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
)

// What the cache answers has the dates of a transaction too, and its verdict a record.
func TestTransactionOutOfTheCache(t *testing.T) {
	loads := 0
	e := open(t, engine.Config{Cache: newMemory(), Now: time.Now}, scheme("https", protocols.Encrypted,
		func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
			loads++

			return reply(200, "hello", "Cache-Control", "max-age=60", "Date", time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")), nil
		}))
	var all []*engine.Transaction
	var out bytes.Buffer
	fields := 0
	task := &engine.Task{
		Collect: func(t *engine.Transaction) { all = append(all, t) },
		Fields:  func(*protocols.Request) http.Header { fields++; return nil },
		Keep:    3,
		Log:     slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for range 2 {
		if body, _, err := fetch(e, request(t, "GET", "https://example.com/?token=s3cr3t"), task); body != "hello" || err != nil {
			t.Fatal(body, err)
		}
	}
	if len(all) != 2 || loads != 1 || fields != 1 || all[0].Local || !all[1].Local {
		t.Fatalf("%d transactions, %d loads, fields were asked for %d times", len(all), loads, fields)
	}
	trace, last := all[1].Request.Trace, time.Time{}
	for _, event := range []protocols.Event{
		protocols.FetchStart, protocols.RequestStart, protocols.RequestEnd, protocols.ResponseStart, protocols.ResponseEnd,
	} {
		if at := trace.Time(event); at.IsZero() || at.Before(last) {
			t.Errorf("event %d is at %v, the one before at %v", event, at, last)
		} else {
			last = at
		}
	}
	if string(all[1].ResponseBody) != "hel" || all[1].Network || all[1].Received != 0 || all[1].Decoded != 5 {
		t.Errorf("%+v", all[1])
	}
	if got := out.String(); !strings.Contains(got, `verdict="miss: `) || !strings.Contains(got, `verdict="hit: `) || strings.Contains(got, "s3cr3t") {
		t.Error(got)
	}
}
