// Urlkit loads URLs from the command line, through the session that programs
// use: any scheme that is registered, App Transport Security, metrics.
//
//	urlkit get -O https://example.com/big.iso
//	urlkit explain http://example.com/
//
// Each file holds one idea: flags become options, options and URLs become
// transfers, and each transfer ends as an outcome, from which bars and lines, the
// verbose report, the JSON record and the exit status are made.
package main

import (
	"context"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

func main() {
	ctx, stop := interruptible(context.Background())
	status := run(ctx, os.Args[1:], streams{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		terminal: term.IsTerminal(int(os.Stderr.Fd())) && os.Getenv("TERM") != "dumb",
	})
	stop()
	os.Exit(status)
}

// streams are what the command reads and writes, so that tests can put others in.
type streams struct {
	in       io.Reader
	out, err io.Writer
	terminal bool          // err can draw bars
	interval time.Duration // between the lines of a long transfer; 0: lineInterval
}
