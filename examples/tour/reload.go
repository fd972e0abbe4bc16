package main

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/urlkit/urlkit/ats"
	"github.com/urlkit/urlkit/urlsession"
)

// reload loads the same page three times: from the network, from the cache, and, as
// a reload would, from the cache after the origin was asked whether it still holds.
func reload(ctx context.Context, out io.Writer, o *origin) error {
	session, err := newSession(o, ats.Policy{})
	if err != nil {
		return err
	}
	defer session.Close()
	fmt.Fprintln(out)
	for _, policy := range []urlsession.CachePolicy{
		urlsession.UseProtocolCachePolicy, urlsession.UseProtocolCachePolicy, urlsession.ReloadRevalidatingCache,
	} {
		req, err := urlsession.NewRequest("", o.http2+"/page", nil)
		if err != nil {
			return err
		}
		req.CachePolicy = policy
		var metrics urlsession.TaskMetrics
		data, resp, err := session.Data(urlsession.WithMetrics(ctx, &metrics), req)
		if err != nil {
			return err
		}
		t := metrics.Transactions[0]
		fmt.Fprintf(out, "%d, %d bytes, %d over the wire; %s\n", resp.StatusCode, len(data), t.BodyBytesReceived, t.Cache)
	}

	return nil
}

// servePage serves a page that stays fresh for a minute, and can be validated.
func servePage(w http.ResponseWriter, r *http.Request) {
	const tag = `"page-1"`
	w.Header().Set("Cache-Control", "max-age=60")
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)

		return
	}
	_, _ = io.WriteString(w, "A page that is worth keeping.\n")
}
