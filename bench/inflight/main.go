// Command inflight measures what a request in flight keeps in memory: it starts
// many loads by Session.Data over one HTTP/2 connection, to a server in a process
// of its own that answers none until all have arrived, and reads by how much the
// memory that is resident in the client has grown. Linux only.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/urlkit/urlkit/bench/internal/child"
	"github.com/urlkit/urlkit/bench/internal/origin"
)

const (
	heldOrigin   = "held"
	heldRequests = "client"
)

var roles = map[string]child.Role{heldOrigin: origin.Held, heldRequests: load}

func main() {
	child.Main(roles)
	requests := flag.Int("requests", 10000, "how many requests are in flight at once")
	flag.Parse()
	if flag.NArg() > 0 || *requests < 1 {
		fmt.Fprintln(os.Stderr, "inflight: takes no arguments, and at least one request")
		os.Exit(2)
	}
	r, err := measure(*requests)
	if err != nil {
		fmt.Fprintln(os.Stderr, "inflight:", err)
		os.Exit(1)
	}
	fmt.Println(r)
}

// result is what the client measured.
type result struct {
	Requests    int
	Connections int   // that carried them
	Before      int64 // bytes resident once the connection was there
	After       int64 // bytes resident when all requests had arrived
	Collected   int64 // bytes resident after the garbage was collected then
}

// each is the growth for each request, in bytes.
func (r result) each() int64 { return (r.After - r.Before) / int64(r.Requests) }

func (r result) String() string {
	return fmt.Sprintf("%d requests in flight over %d connection(s): %.1f KiB of resident memory each "+
		"(%.1f KiB once garbage was collected); the process %.1f MiB, before them %.1f MiB",
		r.Requests, r.Connections, float64(r.each())/(1<<10), float64(r.Collected-r.Before)/float64(r.Requests)/(1<<10),
		float64(r.After)/(1<<20), float64(r.Before)/(1<<20))
}

// measure starts server and client, and tells each when the other is ready.
func measure(requests int) (r result, err error) {
	server, err := child.Start(heldOrigin)
	if err != nil {
		return r, err
	}
	defer stop(server, &err)
	var address origin.Address
	if err := exchange(server, requests, &address); err != nil {
		return r, fmt.Errorf("starting the server: %w", err)
	}
	client, err := child.Start(heldRequests)
	if err != nil {
		return r, err
	}
	defer stop(client, &err)
	var ready bool
	if err := exchange(client, order{address, requests}, &ready); err != nil {
		return r, fmt.Errorf("starting the client: %w", err)
	}
	var arrived int
	if err := server.Receive(&arrived); err != nil {
		return r, fmt.Errorf("waiting for the requests: %w", err)
	}
	if arrived != requests {
		return r, fmt.Errorf("only %d of %d requests arrived", arrived, requests)
	}
	if err := exchange(client, true, &r); err != nil {
		return r, fmt.Errorf("measuring: %w", err)
	}
	if err := server.Send(true); err != nil {
		return r, err
	}
	if err := client.Receive(&r.Connections); err != nil {
		return r, fmt.Errorf("loading to the end: %w", err)
	}

	return r, nil
}

func exchange(with *child.Process, value, answer any) error {
	if err := with.Send(value); err != nil {
		return err
	}

	return with.Receive(answer)
}

func stop(process *child.Process, err *error) {
	if stopped := process.Stop(); *err == nil {
		*err = stopped
	}
}
