package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/net/idna"

	"github.com/urlkit/urlkit/har"
	"github.com/urlkit/urlkit/urlsession"
)

// parallel is how many transfers that save files run at once. It is also how many
// connections a session opens to one host.
const parallel = 6

// runner loads all URLs of one command through one session.
type runner struct {
	options *options
	session *urlsession.Session
	log     *har.Writer  // of --har; nil: none
	end     func() error // of the stores, after the session's
	std     streams
	display display

	mu      sync.Mutex
	claimed map[string]bool // files that a transfer of this command writes
	records []*outcome      // by place, for --json
	printed int             // of records
	err     error           // of standard output; nil: it can be written
}

// get is the command: it loads the URLs, and says how that went.
func get(ctx context.Context, std streams, o *options, urls []string) error {
	if err := o.validate(urls); err != nil {
		return err
	}
	list, err := o.transfers(ctx, urls, std.in)
	var jar *cookieJar
	if err == nil {
		jar, err = o.cookies.open(ctx, std, list)
	}
	if i := (*interruption)(nil); errors.As(err, &i) {
		return o.cancelled(i)
	} else if err != nil {
		return err
	}
	r, err := newRunner(ctx, o, std, jar, len(list))
	if err != nil {
		return err
	}
	r.display = o.newDisplay(std, list)
	r.loadAll(ctx, list)
	r.display.close()
	err = r.conclude(ctx)
	_ = r.session.Close()
	if failure := r.end(); failure != nil && err == nil {
		err = failure
	}
	if failure := o.cookies.save(ctx, std, jar); failure != nil && err == nil {
		err = failure
	}
	if r.log != nil {
		if failure := r.log.Close(); failure != nil && err == nil {
			err = failed(exitWrite, "--har: %w", failure)
		}
	}

	return err
}

// newRunner makes what loads a number of URLs; its session is to be closed.
func newRunner(ctx context.Context, o *options, std streams, jar *cookieJar, urls int) (*runner, error) {
	configuration, err := o.session.configuration()
	if err != nil {
		return nil, err
	}
	configuration.Cookies = jar
	end, err := o.stores.open(ctx, &configuration)
	if err != nil {
		return nil, err
	}
	log, err := o.record(&configuration)
	if err != nil {
		return nil, errors.Join(err, end())
	}
	session, err := urlsession.New(configuration, nil)
	if err != nil {
		if log != nil {
			log.Discard()
		}

		return nil, errors.Join(failed(exitUsage, "%w", err), end())
	}

	return &runner{
		options: o, session: session, log: log, end: end, std: std,
		claimed: make(map[string]bool), records: make([]*outcome, urls),
	}, nil
}

// loadAll loads those that save files a few at a time, and the others in order.
func (r *runner) loadAll(ctx context.Context, list []*transfer) {
	saving := make(chan int)
	var running sync.WaitGroup
	for range min(parallel, len(list)) {
		running.Go(func() {
			for place := range saving {
				r.finish(ctx, place, r.save(ctx, list[place]))
			}
		})
	}
	running.Go(func() {
		for place, t := range list {
			if !t.target.saves() {
				r.finish(ctx, place, r.print(ctx, t))
			}
		}
	})
	for place, t := range list {
		if t.target.saves() {
			saving <- place
		}
	}
	close(saving)
	running.Wait()
}

// save loads one URL into its file.
func (r *runner) save(ctx context.Context, t *transfer) *outcome {
	if o := r.stopped(ctx, t); o != nil {
		return o
	}
	g := r.display.begin(t)
	var o *outcome
	if t.target.kind == toDevice {
		o = r.write(ctx, t, g)
	} else {
		o = r.download(ctx, t, g)
	}
	g.end(o)

	return o
}

// print loads one URL to standard output, or to nowhere.
func (r *runner) print(ctx context.Context, t *transfer) *outcome {
	if o := r.stopped(ctx, t); o != nil {
		return o
	}

	return r.write(ctx, t, noGauge{})
}

// stopped is the outcome of a transfer that cannot begin; nil: it can.
func (r *runner) stopped(ctx context.Context, t *transfer) *outcome {
	o := &outcome{transfer: t, err: t.err}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		o.err = context.Cause(ctx)
	case t.err == nil && t.target.kind == toStdout:
		o.err = r.err // whoever read it has gone
	}
	if o.err == nil {
		return nil
	}

	return o
}

// finish reports how a transfer ended.
func (r *runner) finish(ctx context.Context, place int, o *outcome) {
	if r.options.verbose {
		_, _ = r.display.Write([]byte(report(o) + r.outlook(ctx, o)))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if o.err != nil && ctx.Err() == nil && o.err != r.err { //nolint:errorlint // the very one, which was told already
		r.complain(o)
	}
	if exitOf(o.err) == exitWrite && o.target.kind == toStdout {
		r.err = o.err
	}
	r.records[place] = o
	for ; r.options.json && r.printed < len(r.records) && r.records[r.printed] != nil; r.printed++ {
		if r.err == nil {
			r.err = printJSON(r.std.out, newRecord(r.records[r.printed]))
		}
	}
}

func (r *runner) complain(o *outcome) {
	if r.options.silent && !r.options.showError {
		return
	}
	var named *urlsession.Error
	var own *failure
	about := o.brief
	if errors.As(o.err, &named) && !errors.As(o.err, &own) && named.URL != "" {
		about = "" // it stands in the error
	}
	complain(r.display, about, o.err)
}

// conclude is the outcome of the command: that of the first URL that failed, in the
// order of the command line, or the interruption that made it fail.
func (r *runner) conclude(ctx context.Context) error {
	for _, o := range r.records {
		if o.err == nil {
			continue
		}
		if i := interruptedBy(ctx); i != nil {
			return r.options.cancelled(i)
		}

		return &reported{exitOf(o.err)}
	}

	return r.err
}

// cancelled is the outcome of a command that was interrupted.
func (o *options) cancelled(i *interruption) error {
	if o.silent && !o.showError {
		return &reported{i.status()}
	}

	return i
}

// delegate answers the questions of one transfer.
func (r *runner) delegate(t *transfer) *urlsession.Delegate {
	d := &urlsession.Delegate{}
	if !r.options.follow {
		d.WillPerformHTTPRedirection = func(context.Context, urlsession.Task, *urlsession.Response, *urlsession.Request) *urlsession.Request {
			return nil
		}
	}
	if credential := r.options.credential(); credential != nil {
		d.DidReceiveChallenge = func(_ context.Context, _ urlsession.Task, c *urlsession.Challenge) (urlsession.Disposition, *urlsession.Credential) {
			return answer(t, c, credential)
		}
	}

	return d
}

// answer gives the credential of -u once, to the host that the user named and to
// no other that a redirect led to.
func answer(t *transfer, c *urlsession.Challenge, credential *urlsession.Credential) (urlsession.Disposition, *urlsession.Credential) {
	switch c.Space.Method {
	case urlsession.MethodDefault, urlsession.MethodHTTPBasic, urlsession.MethodHTTPDigest, urlsession.MethodNTLM:
	case urlsession.MethodServerTrust, urlsession.MethodClientCertificate:
		return urlsession.PerformDefaultHandling, nil
	default:
		return urlsession.RejectProtectionSpace, nil // perhaps the next one
	}
	u := t.request.URL
	host := u.Hostname()
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		host = ascii
	}
	named := strings.EqualFold(c.Space.Host, host) && strings.EqualFold(c.Space.Protocol, u.Scheme) &&
		c.Space.ProxyType == "" && samePort(c.Space.Port, u)
	if !named || c.PreviousFailureCount > 0 {
		return urlsession.PerformDefaultHandling, nil
	}

	return urlsession.UseCredential, credential
}

// refuses is why a response is not saved or printed; nil: it is.
func (r *runner) refuses(resp *urlsession.Response) error {
	if r.options.fail && resp.StatusCode >= 400 {
		return statusError(resp.StatusCode)
	}

	return nil
}

// claim makes a file that of one transfer: two that share a name would leave one
// of two bodies.
func (r *runner) claim(name string) error {
	name = filepath.Clean(name)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.claimed[name] {
		return failed(exitWrite, "another URL of this command is saved as %s", name)
	}
	r.claimed[name] = true

	return nil
}
