package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/urlkit/urlkit/har"
	"github.com/urlkit/urlkit/urlsession"
	"github.com/urlkit/urlkit/urlsession/recorder"
)

// options are the flags of get.
type options struct {
	message messageOptions
	session sessionOptions
	cookies cookieOptions
	stores  storeOptions

	outputs    outputs
	createDirs bool
	follow     bool
	fail       bool
	user       string
	silent     bool
	showError  bool
	verbose    bool
	json       bool
	har        string
	harBodies  int
}

// groups are the flags, in the order in which help lists them.
func (o *options) groups() []flagGroup {
	return []flagGroup{
		newGroup("Where bodies go", o.registerOutputs),
		newGroup("What is sent", o.message.register),
		newGroup("Redirects, statuses, logins and cookies", o.registerAnswers, o.cookies.register),
		newGroup("TLS and policy", o.session.registerTLS, o.session.policy.register),
		newGroup("Network", o.session.registerNetwork),
		newGroup("What is kept beyond the command", o.stores.register),
		newGroup("What is told", o.registerReports),
	}
}

func (o *options) registerOutputs(flags *pflag.FlagSet) {
	flags.VarP(outputFlag{&o.outputs}, "output", "o", "save the body as `FILE`, whole or not at all; once for each URL; - is standard output")
	flags.VarPF(remoteNameFlag{&o.outputs}, "remote-name", "O", "save the body under the name that the response suggests, in this folder").NoOptDefVal = "true"
	flags.BoolVar(&o.createDirs, "create-dirs", false, "make the folders of -o that are missing")
}

func (o *options) registerAnswers(flags *pflag.FlagSet) {
	flags.BoolVarP(&o.follow, "location", "L", false, "follow redirects; without it a redirect is the result")
	flags.BoolVarP(&o.fail, "fail", "f", false, "a status of 400 or more is an error (exit status 22), and its body is dropped")
	flags.StringVarP(&o.user, "user", "u", "", "`USER:PASSWORD` for a server that asks (Basic, Digest, NTLM with DOMAIN\\USER); never sent unasked, nor to another host")
}

func (o *options) registerReports(flags *pflag.FlagSet) {
	flags.BoolVarP(&o.silent, "silent", "s", false, "no bars, no lines, no error messages")
	flags.BoolVarP(&o.showError, "show-error", "S", false, "with -s: error messages all the same")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "report hops, policy, protocol, TLS, header fields without secrets, bytes and timing")
	flags.BoolVar(&o.json, "json", false, "print a JSON record for each URL on standard output, a line each; bodies go to files only (curl's --json is -d with -H here)")
	flags.StringVar(&o.har, "har", "", "record all transactions in `FILE` (HTTP Archive 1.2), whole or not at all, without secrets")
	flags.IntVar(&o.harBodies, "har-bodies", 0, "with --har: record the first `BYTES` of each body too")
}

// credential is that of -u; nil: none.
func (o *options) credential() *urlsession.Credential {
	user, password, found := strings.Cut(o.user, ":")
	if !found {
		return nil
	}

	return &urlsession.Credential{User: user, Password: password}
}

func (o *options) validate(urls []string) error {
	if o.user != "" && o.credential() == nil {
		return failed(exitUsage, "-u wants USER:PASSWORD")
	}
	if err := o.message.validate(len(urls)); err != nil {
		return err
	}
	if o.harBodies < 0 || o.harBodies > 0 && o.har == "" {
		return failed(exitUsage, "--har-bodies wants a number of bytes, and --har")
	}
	if o.message.head && len(o.outputs.list) > 0 {
		return failed(exitUsage, "-I prints the head on standard output; -o and -O have no body to save")
	}

	if isStdout(o.har) {
		return failed(exitUsage, "--har wants a file: it is whole or not there, as standard output is not")
	}
	for _, out := range o.outputs.list {
		if o.har != "" && out.name == o.har {
			return failed(exitUsage, "--har and -o would both go to %s", o.har)
		}
	}

	if o.json && isStdout(o.cookies.to) {
		return failed(exitUsage, "standard output is for the records of --json, not for cookies")
	}
	if slices.Contains(o.cookies.from, "-") && o.message.stdin() > 0 {
		return failed(exitUsage, "standard input is either sent, or a file of cookies")
	}

	return o.outputs.validate(len(urls), o.json)
}

// record makes the log of --har, and lets the session write it; nil: there is none.
func (o *options) record(c *urlsession.Configuration) (*har.Writer, error) {
	if o.har == "" {
		return nil, nil
	}
	log, err := har.Create(o.har, har.Options{Log: har.Log{Creator: recorder.Creator}})
	if err != nil {
		return nil, failed(exitWrite, "--har: %w", err)
	}
	c.Observers = append(c.Observers, &recorder.Recorder{Log: log, Bodies: o.harBodies})

	return log, nil
}

// seconds is a flag of curl's form: seconds, with a fraction if need be. It takes
// Go's form too ("1m30s").
type seconds struct{ into *time.Duration }

func (s seconds) String() string {
	if s.into == nil || *s.into == 0 {
		return ""
	}

	return s.into.String()
}

func (s seconds) Type() string { return "seconds" }

func (s seconds) Set(text string) error {
	d, err := time.ParseDuration(text)
	if number, nerr := strconv.ParseFloat(text, 64); nerr == nil {
		d, err = time.Duration(number*float64(time.Second)), nil
	}
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is no time: seconds above 0, or a form like 1m30s", text)
	}
	*s.into = d

	return nil
}

// output is where one body is to go.
type output struct {
	name   string // of -o
	remote bool   // -O
}

// outputs are -o and -O in the order of the command line: each is for one URL, in
// their order. Where -O is among them, URLs beyond the last are saved by it too.
type outputs struct{ list []output }

// of is the output of a URL by its place; false: none was named.
func (o *outputs) of(place int) (output, bool) {
	if place < len(o.list) {
		return o.list[place], true
	}
	for _, out := range o.list {
		if out.remote {
			return out, true
		}
	}

	return output{}, false
}

func (o *outputs) validate(urls int, json bool) error {
	names := map[string]bool{}
	for i, out := range o.list {
		switch {
		case i >= urls && !out.remote:
			return failed(exitUsage, "-o %s has no URL: there are %d", out.name, urls)
		case json && !out.remote && isStdout(out.name):
			return failed(exitUsage, "standard output is for the records of --json, not for a body")
		case names[out.name] && !out.remote && !isStdout(out.name) && !isDevice(out.name):
			return failed(exitUsage, "two URLs would go to %s", out.name)
		}
		names[out.name] = true
	}

	return nil
}

type outputFlag struct{ of *outputs }

func (outputFlag) String() string { return "" }
func (outputFlag) Type() string   { return "file" }

func (f outputFlag) Set(name string) error {
	if name == "" {
		return errors.New("the name of a file is missing")
	}
	f.of.list = append(f.of.list, output{name: name})

	return nil
}

type remoteNameFlag struct{ of *outputs }

func (remoteNameFlag) String() string { return "" }
func (remoteNameFlag) Type() string   { return "bool" }

func (f remoteNameFlag) Set(text string) error {
	if text != "true" {
		return errors.New("the flag takes no value")
	}
	f.of.list = append(f.of.list, output{remote: true})

	return nil
}
