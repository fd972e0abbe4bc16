package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/urlkit/urlkit/urlsession"
)

const explainLong = `Explain says what loading the URL would do, stage by stage, and sends nothing: which
protocol takes it, what App Transport Security decides and which key would allow it,
which way it goes, what the cache would do, what is known of HTTP/3, and how
redirects would be followed. It begins as get does: with nothing stored or known but
what get has kept in the folder of --cache and the file of --alt-svc.

The exit status is 0 where the request would be sent, else the one with which get
would refuse it: 120 for App Transport Security, 1 for a scheme that nobody takes, 3
for a malformed URL.`

const explainExample = `  urlkit explain https://example.com/
  urlkit explain -X POST -H 'Content-Type: text/plain' https://example.com/up
  urlkit explain http://example.com/ || echo refused
  urlkit explain --cache ~/.cache/urlkit --alt-svc alt-svc.json https://example.com/
  urlkit explain --allow-insecure-http example.com --json http://example.com/`

func newExplain(std streams) *cobra.Command {
	var (
		o      explainOptions
		stores storeOptions
		policy policyOptions
	)
	command := &cobra.Command{
		Use:     "explain [flags] URL",
		Short:   "Say what loading a URL would do, without sending anything",
		Long:    explainLong,
		Example: explainExample,
		Args:    cobra.ExactArgs(1),

		DisableFlagsInUseLine: true,
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.StringVarP(&o.method, "request", "X", "", "the `METHOD`")
	flags.StringArrayVarP(&o.headers, "header", "H", nil, "a header field, as for get: `LINE`")
	flags.BoolVar(&o.http3, "http3", false, "as for get: try HTTP/3 at once")
	stores.register(flags)
	policy.register(flags)
	flags.BoolVar(&o.json, "json", false, "print a JSON record")
	command.RunE = func(command *cobra.Command, args []string) error {
		configuration := urlsession.EphemeralConfiguration()
		configuration.ATS = policy.policy()

		end, err := stores.open(command.Context(), &configuration)
		if err != nil {
			return err
		}
		err = o.explain(command, std, configuration, args[0])
		if failure := end(); err == nil {
			err = failure
		}

		return err
	}

	return command
}

type explainOptions struct {
	method  string
	headers []string
	http3   bool
	json    bool
}

// explanation is what --json prints.
type explanation struct {
	URL     string   `json:"url"`
	Request string   `json:"request,omitempty"`
	Refused bool     `json:"refused"`
	Steps   []step   `json:"steps"`
	Error   *problem `json:"error,omitempty"`
}

type step struct {
	Stage   string `json:"stage"`
	Verdict string `json:"verdict"`
}

func (o *explainOptions) explain(command *cobra.Command, std streams, c urlsession.Configuration, rawURL string) error {
	shown := explanation{URL: showRaw(rawURL), Steps: []step{}}
	e, err := o.ask(command, c, rawURL, &shown)
	shown.Refused = err != nil
	if exitOf(err) == exitUsage {
		return err
	}
	if o.json {
		shown.Error = newProblem(err)
		if err := printJSON(std.out, shown); err != nil {
			return err
		}
	} else if e != nil {
		if _, err := fmt.Fprintln(std.out, printable(e.String())); err != nil {
			return written(err)
		}
	}
	if err != nil && e != nil {
		return &reported{exitOf(err)} // it stands in the explanation
	}

	return err
}

// ask asks a session for the explanation; nil: there is no request to explain.
func (o *explainOptions) ask(command *cobra.Command, c urlsession.Configuration, rawURL string, shown *explanation) (*urlsession.Explanation, error) {
	session, err := urlsession.New(c, nil)
	if err != nil {
		return nil, failed(exitUsage, "%w", err)
	}
	defer session.Close()
	req, err := urlsession.NewRequest(o.method, rawURL, nil)
	if err != nil {
		return nil, err
	}
	req.AssumesHTTP3Capable = o.http3
	if err := setFields(command.Context(), req.Header, o.headers); err != nil {
		return nil, err
	}
	shown.URL = showURL(req.URL)
	e, err := session.Explain(command.Context(), req)
	if e != nil {
		shown.Request = e.Request
		for _, s := range e.Steps {
			shown.Steps = append(shown.Steps, step{s.Stage, s.Verdict})
		}
	}

	return e, err
}
