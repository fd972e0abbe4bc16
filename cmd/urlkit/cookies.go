package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/url"
	"strings"

	"github.com/spf13/pflag"

	"github.com/urlkit/urlkit/storage"
	"github.com/urlkit/urlkit/storage/cookie"
)

// cookieOptions say which cookies are sent, and where those that came are kept.
type cookieOptions struct {
	from []string // of -b: pairs, or the names of files
	to   string   // of -c; "" nowhere
}

func (o *cookieOptions) register(flags *pflag.FlagSet) {
	flags.StringArrayVarP(&o.from, "cookie", "b", nil, "send cookies: 'NAME=VALUE; ...' to the hosts of the URLs, or those of `FILE`, in curl's format, to their own")
	flags.StringVarP(&o.to, "cookie-jar", "c", "", "write all cookies to `FILE` in the end, whole or not at all, in curl's format; - is standard output")
}

// cookieJar is the session's store, and what is sent besides.
type cookieJar struct {
	*cookie.Store

	pairs string          // of -b
	hosts map[string]bool // that get them; true: encrypted only
}

// open makes the store. A file of -b that is not there is an empty one, so that the
// same name can be given for -b and -c from the first time on.
func (o *cookieOptions) open(ctx context.Context, std streams, list []*transfer) (*cookieJar, error) {
	jar := &cookieJar{Store: cookie.NewStore(), hosts: make(map[string]bool)}
	var pairs []string
	for _, from := range o.from {
		if strings.Contains(from, "=") {
			pairs = append(pairs, strings.Trim(from, "; "))

			continue
		}
		if from == "" { // curl's way to say that cookies are kept at all, which they are
			continue
		}
		data, err := within(ctx, func() ([]byte, error) { return readNamed(from, std.in) })
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, failed(exitRead, "-b: %w", err)
		}
		if n, err := jar.ReadNetscape(bytes.NewReader(data)); err != nil && n == 0 {
			return nil, failed(exitRead, "-b: %s: %w", from, err)
		} // else it is a file of cookies with some that are none, as browsers' exports may be
	}
	jar.pairs = strings.Join(pairs, "; ")
	for _, t := range list {
		if t.request != nil {
			u := t.request.URL
			encrypted, known := jar.hosts[hostOf(u)]
			jar.hosts[hostOf(u)] = isEncrypted(u) && (encrypted || !known)
		}
	}

	return jar, nil
}

func hostOf(u *url.URL) string    { return strings.ToLower(u.Hostname()) }
func isEncrypted(u *url.URL) bool { return strings.EqualFold(u.Scheme, "https") }

// CookieHeader adds what -b says to what is stored, for hosts that the user named.
func (j *cookieJar) CookieHeader(q *storage.CookieQuery) string {
	stored := j.Store.CookieHeader(q)
	encrypted, named := j.hosts[hostOf(q.URL)]
	switch {
	case j.pairs == "" || !named || encrypted && !isEncrypted(q.URL):
		return stored
	case stored == "":
		return j.pairs
	default:
		return stored + "; " + j.pairs
	}
}

// save writes what -c asks for.
func (o *cookieOptions) save(ctx context.Context, std streams, jar *cookieJar) error {
	switch {
	case o.to == "":
		return nil
	case isStdout(o.to):
		return written(jar.WriteNetscape(std.out))
	}
	if err := jar.WriteNetscapeFile(ctx, o.to); err != nil {
		return failed(exitWrite, "-c: %w", err)
	}

	return nil
}
