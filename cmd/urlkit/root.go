package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/urlkit/urlkit/urlsession"
)

const rootLong = `Urlkit loads URLs through a session of package urlsession: data, file, HTTP/1.1,
HTTP/2 and HTTP/3, with App Transport Security, time-outs, redirects, authentication,
cookies, a cache and decoding. Flags carry curl's names where curl has the thing.`

const rootExample = `  urlkit get https://example.com/                  the body, on standard output
  urlkit get -O https://example.com/big.iso        a file: whole, or not there
  urlkit get -v -L -o /dev/null https://go.dev/    what happens on the way
  urlkit explain http://example.com/               what would happen, without sending`

// run is the command: what main does, but for the process. The result is the exit
// status.
func run(ctx context.Context, args []string, std streams) int {
	root := newRoot(std)
	root.SetArgs(append([]string{}, args...)) // nil would be the process's own
	command, err := root.ExecuteContextC(ctx)
	var (
		r *reported
		i *interruption
		f *failure
		e *urlsession.Error
	)
	switch {
	case err == nil, errors.As(err, &r):
	case errors.As(err, &i):
		fmt.Fprintf(std.err, "urlkit: %s: everything was cancelled\n", i)
	case errors.As(err, &f), errors.As(err, &e):
		complain(std.err, "", err)
	default: // of the command line's library
		err = failed(exitUsage, "%w", err)
		fmt.Fprintf(std.err, "urlkit: %s\n", printable(err.Error()))
		if command == root && len(args) > 0 && strings.Contains(args[0], ":") {
			fmt.Fprintln(std.err, "Did you mean 'urlkit get URL'?")
		}
		fmt.Fprintf(std.err, "Try '%s --help'.\n", command.CommandPath())
	}

	return exitOf(err)
}

// complain prints an error with its exit status; about is the URL where the error
// does not name it.
func complain(w io.Writer, about string, err error) {
	if about != "" {
		about += ": "
	}
	fmt.Fprintf(w, "urlkit: (%d) %s%s\n", exitOf(err), about, printable(err.Error()))
}

func newRoot(std streams) *cobra.Command {
	root := &cobra.Command{
		Use:           "urlkit",
		Short:         "Load URLs",
		Long:          rootLong,
		Example:       rootExample,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	root.AddCommand(newGet(std), newExplain(std), newVersion(std))

	return root
}

func newVersion(std streams) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(std.out, "urlkit %s (%s, %s/%s)\n",
				urlsession.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)

			return written(err)
		},
	}
}

// written says what failed where standard output did.
func written(err error) error {
	if err == nil {
		return nil
	}

	return failed(exitWrite, "standard output: %w", err)
}

// printJSON writes a record on a line of its own.
func printJSON(w io.Writer, record any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false) // "&" in URLs

	return written(encoder.Encode(record))
}
