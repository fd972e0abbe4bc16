// Command bench compares urlkit with other Go clients, side by side in one run:
// a GET of 1 KiB over HTTP/1.1 in clear text and over HTTP/2, by 1 and by 64
// workers, from a server in a process of its own on loopback. It prints what one
// request costs the client: processor time (user and system, of the client's
// process), allocations, and how both compare with http.Transport.RoundTrip.
//
// The clients take turns within each round, so that whatever else the machine
// does meets all of them; a ratio is that of one round, and what is printed is
// the median of the rounds with the least and the greatest.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/urlkit/urlkit/bench/internal/child"
	"github.com/urlkit/urlkit/bench/internal/origin"
)

const smallOrigin = "small"

var roles = map[string]child.Role{smallOrigin: origin.Small}

func main() {
	child.Main(roles)
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	rounds := flags.Int("rounds", 15, "rounds; each runs every client once in every case")
	duration := flags.Duration("duration", 250*time.Millisecond, "how long a client runs in a round")
	asJSON := flags.Bool("json", false, "print JSON instead of a table")
	_ = flags.Parse(os.Args[1:]) // it exits on an error
	if flags.NArg() > 0 || *rounds < 1 || *duration <= 0 {
		fmt.Fprintln(os.Stderr, "bench: takes no arguments, at least one round and a duration above zero")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, *rounds, *duration, *asJSON)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, rounds int, duration time.Duration, asJSON bool) error {
	server, address, err := startOrigin()
	if err != nil {
		return err
	}
	results, err := compare(ctx, address, rounds, duration)
	if stopped := server.Stop(); err == nil {
		err = stopped
	}
	if err != nil {
		return err
	}
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")

		return encoder.Encode(results)
	}

	return writeTable(out, results)
}

func startOrigin() (*child.Process, origin.Address, error) {
	var address origin.Address
	server, err := child.Start(smallOrigin)
	if err != nil {
		return nil, address, err
	}
	if err := server.Receive(&address); err != nil {
		_ = server.Stop()

		return nil, address, fmt.Errorf("the server did not start: %w", err)
	}

	return server, address, nil
}
