package main

import (
	"errors"

	"github.com/spf13/cobra"
)

const getLong = `Get loads URLs. The body goes to standard output, with -o or -O to a file that is
whole or not there: it is written under another name beside its place, and renamed.

Several URLs that go to files are loaded up to 6 at a time; those that go to
standard output come one after another. The n-th -o or -O is for the n-th URL, and
an -O serves all URLs for which none is left. On a terminal files get progress
bars, elsewhere lines without escape codes.

http: to public hosts is refused by App Transport Security unless
--allow-insecure-http names the host. Without -L a redirect is not followed. A
status of 400 or more is not an error without -f. A transfer on which no byte
moves for 60 seconds is given up. What a server lets be cached may be used again
within one command; nothing is cached beyond it.

What -v, --json and --har tell comes without secrets: user info in URLs, also in
those inside header fields, and the values of Authorization, Proxy-Authorization,
Cookie, Set-Cookie and of fields whose name says token, secret, password, API key,
session, signature and the like read REDACTED, as do parameters of a query or a
fragment that are called so, and with --har-bodies members of forms and JSON. They do
show the rest of the query, which lines and error messages do not.

Cookies that a server sets are kept for the other URLs of the command; -b and -c read
and write them. What -b names as 'NAME=VALUE' goes to the hosts of the URLs only, and
is not written.

Nothing else outlives the command, unless --cache names a folder for responses and
--alt-svc a file for what is known of HTTP/3. -v tells what the cache had to say.

SIGINT or SIGTERM cancels everything; files that are not whole are removed. A second
one kills at once. If several URLs fail, the exit status is that of the first of
them on the command line.

`

const getExample = `  urlkit get https://example.com/
  urlkit get -L -O https://example.com/a.iso https://example.com/b.iso
  urlkit get -o a.json -o b.json https://example.com/a https://example.com/b
  urlkit get -r 0-99 https://example.com/big.iso | xxd
  urlkit get -d name=value -d @more.txt https://example.com/form
  urlkit get -T big.iso https://example.com/up/      PUT; the name is added
  tar c . | urlkit get -T - https://example.com/up/all.tar
  urlkit get -f -s -S -o out https://example.com/ || echo failed
  urlkit get -b cookies.txt -c cookies.txt https://example.com/
  urlkit get -v --cache ~/.cache/urlkit --alt-svc alt-svc.json https://example.com/
  urlkit get --json https://example.com/ | jq .timing.total
  urlkit get -v data:,Hello`

func newGet(std streams) *cobra.Command {
	var o options
	command := &cobra.Command{
		Use:     "get [flags] URL...",
		Short:   "Load URLs",
		Long:    getLong + exitHelp(),
		Example: getExample,
		Args: func(_ *cobra.Command, urls []string) error {
			if len(urls) == 0 {
				return errors.New("no URL is given")
			}

			return nil
		},
		RunE: func(command *cobra.Command, urls []string) error {
			return get(command.Context(), std, &o, urls)
		},

		DisableFlagsInUseLine: true,
	}
	addGroups(command, o.groups())

	return command
}
