package main

import (
	"context"
	"log/slog"

	"github.com/spf13/pflag"

	"github.com/urlkit/urlkit/storage/altsvc"
	"github.com/urlkit/urlkit/storage/cache"
	"github.com/urlkit/urlkit/urlsession"
)

// cacheCapacity is how many bytes the folder of --cache may take: one response a
// twentieth of it.
const cacheCapacity = 256 << 20

// storeOptions say where is kept what outlives the command, besides cookies.
type storeOptions struct {
	cache  string // a folder; "": nothing is cached beyond the command
	altSvc string // a file; "": likewise
}

func (o *storeOptions) register(flags *pflag.FlagSet) {
	flags.StringVar(&o.cache, "cache", "", "keep responses in the folder `DIR`, and answer from it what is fresh there (RFC 9111); 256 MiB at most")
	flags.StringVar(&o.altSvc, "alt-svc", "", "keep in `FILE` where servers say that they speak HTTP/3 (in a form of its own, not curl's)")
}

// open gives a configuration its stores. The result writes in the end what is not
// written yet.
func (o *storeOptions) open(ctx context.Context, c *urlsession.Configuration) (end func() error, err error) {
	if o.cache != "" {
		c.Cache = cache.New(cache.Config{DiskCapacity: cacheCapacity, Directory: o.cache, Logger: slog.Default()})
	}
	if o.altSvc == "" {
		return func() error { return nil }, nil
	}
	file, err := altsvc.Open(ctx, o.altSvc, nil)
	if err != nil {
		return nil, failed(exitRead, "--alt-svc: %w", err)
	}
	c.AlternativeServices = file

	return func() error {
		if err := file.Close(); err != nil {
			return failed(exitWrite, "--alt-svc: %w", err)
		}

		return nil
	}, nil
}
