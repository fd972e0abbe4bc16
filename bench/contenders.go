package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"

	"github.com/go-resty/resty/v2"

	"github.com/urlkit/urlkit/bench/internal/origin"
	"github.com/urlkit/urlkit/storage/cache"
	"github.com/urlkit/urlkit/urlsession"
)

// baseline is the contender that the others are compared with.
const baseline = "Transport.RoundTrip, discarded"

// A contender gets one URL. Every get makes a new request, takes the whole body
// and says how long it was. All of them may keep as many connections as there are
// workers, and trust the same authority. The sessions have no cache, as the others
// have none, but for one that shows what storing each response costs; nothing else is
// set, so each has its own defaults.
type contender struct {
	name  string
	get   func(ctx context.Context) (int64, error)
	close func() error
}

// newContenders makes all clients of one case, the baseline first.
func newContenders(url string, roots *x509.CertPool, workers int) ([]contender, error) {
	// A session's default of 6 connections to a host would make 64 workers wait for
	// each other over HTTP/1.1, which net/http's client never does.
	configuration := urlsession.EphemeralConfiguration()
	configuration.RootCAs = roots
	configuration.MaximumConnectionsPerHost = max(workers, 6)
	configuration.Cache = cache.None
	data, err := urlsession.New(configuration, nil)
	if err != nil {
		return nil, err
	}
	round, err := urlsession.New(configuration, nil)
	if err != nil {
		return nil, err
	}
	configuration.Cache = nil // its own
	storing, err := urlsession.New(configuration, nil)
	if err != nil {
		return nil, err
	}

	return []contender{
		roundTrip(url, newTransport(roots, workers)),
		{"Session.Data", sessionGet(data, url), data.Close},
		{"Session.Data, each response stored", sessionGet(storing, url), storing.Close},
		clientGet("Session.RoundTripper, http.Client, ReadAll", url, round.RoundTripper(), round.Close),
		transportClient(url, newTransport(roots, workers)),
		restyGet(url, newTransport(roots, workers)),
	}, nil
}

// newTransport is net/http's transport with room for every worker's connection:
// its default keeps two, and dials anew for the rest.
func newTransport(roots *x509.CertPool, workers int) *http.Transport {
	return &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots},
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        0,
		MaxIdleConnsPerHost: max(workers, 6),
	}
}

func sessionGet(session *urlsession.Session, url string) func(context.Context) (int64, error) {
	return func(ctx context.Context) (int64, error) {
		req, err := urlsession.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			return 0, err
		}
		data, resp, err := session.Data(ctx, req)
		if err != nil {
			return 0, err
		}

		return int64(len(data)), checkStatus(resp.StatusCode)
	}
}

func roundTrip(url string, transport *http.Transport) contender {
	return contender{baseline, func(ctx context.Context) (int64, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return 0, err
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return 0, err
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if err != nil {
			return n, err
		}

		return n, firstError(resp.Body.Close(), checkStatus(resp.StatusCode))
	}, closeIdle(transport)}
}

func transportClient(url string, transport *http.Transport) contender {
	return clientGet("http.Client, ReadAll", url, transport, closeIdle(transport))
}

func clientGet(name, url string, transport http.RoundTripper, done func() error) contender {
	client := &http.Client{Transport: transport}

	return contender{name, func(ctx context.Context) (int64, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return 0, err
		}
		resp, err := client.Do(req)
		if err != nil {
			return 0, err
		}
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			return 0, err
		}

		return int64(len(data)), firstError(resp.Body.Close(), checkStatus(resp.StatusCode))
	}, done}
}

func restyGet(url string, transport *http.Transport) contender {
	client := resty.NewWithClient(&http.Client{Transport: transport})

	return contender{"resty v2", func(ctx context.Context) (int64, error) {
		resp, err := client.R().SetContext(ctx).Get(url)
		if err != nil {
			return 0, err
		}

		return int64(len(resp.Body())), checkStatus(resp.StatusCode())
	}, closeIdle(transport)}
}

func closeIdle(transport *http.Transport) func() error {
	return func() error {
		transport.CloseIdleConnections()

		return nil
	}
}

func checkStatus(status int) error {
	if status != http.StatusOK {
		return fmt.Errorf("status %d", status)
	}

	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}

	return nil
}

// checked is a get whose body has the length that the origin gave it.
func (c contender) checked(ctx context.Context) error {
	n, err := c.get(ctx)
	if err == nil && n != origin.SmallBody {
		err = fmt.Errorf("a body of %d bytes, not %d", n, origin.SmallBody)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}

	return nil
}
