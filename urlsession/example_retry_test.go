package urlsession_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/urlkit/urlkit/urlsession"
)

func ExampleRetryPolicy() {
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests++; requests < 3 {
			w.WriteHeader(http.StatusServiceUnavailable) // busy for a moment
		}
	}))
	defer server.Close()

	cfg := urlsession.EphemeralConfiguration()
	cfg.Retry = urlsession.RetryPolicy{
		Attempts:      4,                     // the first one counts
		FirstDelay:    10 * time.Millisecond, // of the random pauses, which get longer
		Continuations: 10,                    // of bodies that break off
	}
	s, err := urlsession.New(cfg, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	var m urlsession.TaskMetrics
	req, err := urlsession.NewRequest(http.MethodGet, server.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, resp, err := s.Data(urlsession.WithMetrics(context.Background(), &m), req)
	fmt.Println(resp.StatusCode, err)
	for _, t := range m.Transactions {
		fmt.Printf("%d %q\n", t.Response.StatusCode, t.Retry)
	}
	// Output:
	// 200 <nil>
	// 503 ""
	// 503 "status"
	// 200 "status"
}

func ExampleNewDoHResolver() {
	cfg := urlsession.EphemeralConfiguration()
	resolver, err := urlsession.NewDoHResolver(nil, "https://192.0.2.1/dns-query") // an address: nobody needs to be asked for it
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg.Resolver = resolver
	s, err := urlsession.New(cfg, nil) // makes the resolver's requests itself
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	fmt.Println(resolver.Validates())
	// Output:
	// false
}
