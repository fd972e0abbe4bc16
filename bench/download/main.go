// Command download compares how urlkit, net/http with io.Copy, and curl load a
// large file from a server to the disk: the processor time of each, in a process
// of its own, and how fast it is. The clients take turns within each round, so that
// whatever else the machine does meets all of them.
//
// It takes the URLs of one file: in clear text for HTTP/1.1, by https for HTTP/1.1
// and HTTP/2 over TLS.
//
//	go run ./download -cacert DIR/pki/ca.crt http://127.0.0.1:8080/large.bin https://127.0.0.1:8443/large.bin
//
// Its test does so with an nginx of its own, as measured by
//
//	URLKIT_PEERS=$PWD/../../shared/peers go test ./download -v -run Peer -bytes 1073741824 -rounds 7
//
// An nginx without "sendfile on", as that one, is itself the slowest on two
// processors: it copies more than any client does.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/urlkit/urlkit/bench/internal/child"
)

const client = "client"

var roles = map[string]child.Role{client: load}

func main() {
	child.Main(roles)
	authority := flag.String("cacert", "", "PEM `file` of the authority to trust; empty: the system's")
	c := comparison{}
	flag.IntVar(&c.rounds, "rounds", 7, "rounds; each runs every client once in every setting")
	flag.StringVar(&c.folder, "dir", ".", "`folder` on the disk to load to; what is made there is removed")
	flag.Parse()
	if flag.NArg() == 0 || c.rounds < 1 {
		fmt.Fprintln(os.Stderr, "usage: download [-cacert file] [-rounds n] [-dir folder] URL...")
		os.Exit(2)
	}
	for _, url := range flag.Args() {
		c.settings = append(c.settings, settings(url)...)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := compare(ctx, &c, *authority)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "download:", err)
		os.Exit(1)
	}
}

func compare(ctx context.Context, c *comparison, authority string) error {
	if authority != "" {
		var err error
		if c.ca, err = os.ReadFile(authority); err != nil {
			return err
		}
	}
	var without string
	c.contenders, without = contenders()
	samples, err := c.run(ctx)
	if err != nil {
		return err
	}

	return c.write(os.Stdout, c.rows(samples), without)
}
