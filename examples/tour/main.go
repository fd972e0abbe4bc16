// Tour loads URLs of every kind through one session, from an origin that it
// starts on loopback, and prints what happened to each; then it logs in by Digest, and
// downloads a large file, with a bar.
//
//	go run ./examples/tour
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urlkit/urlkit/ats"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/urlsession"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "tour:", err)
		os.Exit(1)
	}
}

// A stop is one URL of the tour.
type stop struct {
	url     string
	session *urlsession.Session
}

func run(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	origin, err := startOrigin()
	if err != nil {
		return err
	}
	defer origin.Close()

	strict, err := newSession(origin, ats.Policy{AllowsLocalNetworking: ats.No})
	if err != nil {
		return err
	}
	defer strict.Close()
	lenient, err := newSession(origin, ats.Policy{
		AllowsLocalNetworking: ats.No,
		ExceptionDomains:      map[string]ats.Exception{"127.0.0.1": {AllowsInsecureHTTPLoads: true}},
	})
	if err != nil {
		return err
	}
	defer lenient.Close()

	file, err := writeFile()
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Dir(file))

	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "URL\tURLProtocol\tnegotiated\tbytes\ttime\tpolicy")
	var refusals []error
	for _, s := range []stop{
		{"data:text/plain,Hello%2C%20tour", strict},
		{"file://" + filepath.ToSlash(file), strict},
		{origin.clear + "/hello", strict},
		{origin.clear + "/hello", lenient},
		{origin.http1 + "/hello", strict},
		{origin.http2 + "/hello", strict},
		{origin.http3 + "/hello", strict},
		{"reverse://" + origin.reverse + "/stressed", lenient}, // the scheme of reverse.go
	} {
		refusal, err := visit(ctx, table, s, origin.http3)
		if err != nil {
			return err
		}
		if refusal != nil {
			refusals = append(refusals, refusal)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, refusal := range refusals {
		fmt.Fprintf(out, "\nRefused: %v\n", refusal)
	}

	return errors.Join(login(ctx, out, origin), reload(ctx, out, origin), download(ctx, out, origin, filepath.Dir(file)))
}

func newSession(o *origin, policy ats.Policy) (*urlsession.Session, error) {
	cfg := urlsession.EphemeralConfiguration()
	cfg.Protocols = []protocols.Scheme{Reverse}
	cfg.RootCAs = o.roots
	cfg.ATS = policy

	return urlsession.New(cfg, nil)
}

// visit loads one URL, by HTTP/3 where it is of that origin, and prints a row of what its
// metrics say. A refusal by policy is part of the tour.
func visit(ctx context.Context, out io.Writer, s stop, http3 string) (refusal, err error) {
	ofHTTP3 := strings.HasPrefix(s.url, http3+"/")
	if ofHTTP3 && !withHTTP3 {
		return nil, nil
	}
	req, err := urlsession.NewRequest("", s.url, nil)
	if err != nil {
		return nil, err
	}
	req.AssumesHTTP3Capable = ofHTTP3 // nobody has said so yet
	var metrics urlsession.TaskMetrics
	_, _, err = s.session.Data(urlsession.WithMetrics(ctx, &metrics), req)
	if errors.Is(err, urlsession.AppTransportSecurityRequiresSecureConnection) {
		refusal = err
	} else if err != nil {
		return nil, err
	}
	if len(metrics.Transactions) == 0 {
		return nil, fmt.Errorf("no transaction was measured for %s", req)
	}
	t := metrics.Transactions[len(metrics.Transactions)-1]
	negotiated := t.NetworkProtocolName
	if t.TLS() != "" {
		negotiated += ", " + t.TLS()
	}
	if negotiated == "" {
		negotiated = "-"
	}
	_, err = fmt.Fprintf(out, "%s\t%s\t%s\t%d\t%v\t%s\n", protocols.Redact(req.URL), t.URLProtocol, negotiated,
		t.BodyBytesAfterDecoding, metrics.End.Sub(metrics.Start).Round(10*time.Microsecond), policyOf(t))

	return refusal, err
}

// policyOf is what policy decided, in short: the code of a refusal, else the
// first part of the verdict, without the host that stands in the first column.
func policyOf(t urlsession.TransactionMetrics) string {
	var e *urlsession.Error
	if errors.As(t.Err, &e) {
		return "refused: " + e.Code.Error()
	}
	text, _, _ := strings.Cut(t.Policy, ";")

	return strings.TrimPrefix(text, t.Request.URL.Hostname()+": ")
}

func writeFile() (string, error) {
	dir, err := os.MkdirTemp("", "tour")
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "hello.txt")

	return name, os.WriteFile(name, []byte("Hello from a file\n"), 0o600)
}
