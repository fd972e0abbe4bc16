package conformance_test

import (
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/urlkit/urlkit/conformance"
	"github.com/urlkit/urlkit/protocols"
)

// flaw makes a protocol that breaks one row: frame, but for one thing.
type flaw func(t *testing.T, c protocols.Client) protocols.URLProtocol

// flaws are the deliberately wrong protocols, by the row that they are to fail.
func flaws() map[string]flaw {
	all := map[string]flaw{}
	for _, group := range []map[string]flaw{resultFlaws, bodyFlaws, networkFlaws, contextFlaws, requestFlaws, lifeFlaws, policyFlaws} {
		maps.Copy(all, group)
	}

	return all
}

// racy is the row whose wrong protocol is a data race under concurrent loads.
const racy = "own-response"

// Each row fails for the protocol that breaks it, and no other row does.
func TestBrokenProtocols(t *testing.T) {
	all := flaws()
	rows := conformance.Rows()
	reports := make([]*conformance.Report, len(rows))
	slots := make(chan struct{}, 8) // they wait more than they work
	var wg sync.WaitGroup
	for i, row := range rows {
		if broken := all[row.Name]; broken != nil && !(raced && row.Name == racy) {
			wg.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				reports[i] = judged(t, row.Name, broken)
			})
		}
	}
	wg.Wait()
	for i, row := range rows {
		t.Run(row.Name, func(t *testing.T) {
			if raced && row.Name == racy {
				t.Skip("what the wrong protocol does is a data race, which is why the row is there")
			}
			if reports[i] == nil {
				t.Fatal("no wrong protocol shows that the row can fail")
			}
			if failed := failures(reports[i]); !slices.Equal(failed, []string{row.Name}) {
				t.Errorf("fails %v, and should fail %s alone\n%v", failed, row.Name, reports[i])
			}
		})
	}
	if len(all) > len(rows) {
		t.Error("a wrong protocol belongs to no row")
	}
}

// judged runs the suite on a protocol with a flaw.
func judged(t *testing.T, row string, broken flaw) *conformance.Report {
	h := harnessOf(row)
	if row == "through-client" {
		h.Fixture = betrayed(h.Fixture)
	}
	h.Scheme.New = func(c protocols.Client) protocols.URLProtocol { return broken(t, c) }

	// Some of them hang: what is prompt is said here, and still far longer than what
	// passes ever takes.
	return conformance.Check(t.Context(), h, conformance.Options{Patience: 2 * time.Second})
}

// harnessOf is the correct protocol that a flaw is put into.
func harnessOf(row string) conformance.Harness {
	switch row {
	case "encrypted":
		return correct["frames"]
	case "local":
		return correct["memory"]
	default:
		return correct["frame"]
	}
}

// betrayed is a fixture whose address the protocol knows without asking.
func betrayed(fixture func(context.Context) (*conformance.Fixture, error)) func(context.Context) (*conformance.Fixture, error) {
	return func(ctx context.Context) (*conformance.Fixture, error) {
		f, err := fixture(ctx)
		if err == nil {
			bypassed.Store(f.Hosts[serverName])
		}

		return f, err
	}
}

func failures(r *conformance.Report) []string {
	var names []string
	for _, res := range r.Results {
		if res.Outcome == conformance.Failed {
			names = append(names, res.Row.Name)
		}
	}

	return names
}

// onLoad is frame with another Load.
func onLoad(load func(ctx context.Context, req *protocols.Request, p protocols.URLProtocol) (*protocols.Response, error)) flaw {
	return func(_ *testing.T, c protocols.Client) protocols.URLProtocol {
		inner := newFrame(c)

		return altered{inner, func(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
			return load(ctx, req, inner)
		}}
	}
}

// onResponse is frame with its responses altered.
func onResponse(alter func(resp *protocols.Response)) flaw {
	return onLoad(func(ctx context.Context, req *protocols.Request, p protocols.URLProtocol) (*protocols.Response, error) {
		resp, err := p.Load(ctx, req)
		if err == nil {
			alter(resp)
		}

		return resp, err
	})
}

// onBody is frame with its bodies altered, those that have a byte.
func onBody(alter func(body io.ReadCloser) io.ReadCloser) flaw {
	return onResponse(func(resp *protocols.Response) {
		if resp.Body != protocols.NoBody {
			resp.Body = alter(resp.Body)
		}
	})
}

// What is said of the rows is complete.
func TestRows(t *testing.T) {
	seen := map[string]bool{}
	clauses := map[int]bool{}
	for _, row := range conformance.Rows() {
		if row.Name == "" || row.Why == "" || seen[row.Name] {
			t.Errorf("the row %+v has no name of its own, or no reason", row)
		}
		seen[row.Name], clauses[row.Clause] = true, true
		if strings.ContainsAny(row.Name, " /") {
			t.Errorf("%q is no good name for a subtest", row.Name)
		}
	}
	for clause := 1; clause <= 20; clause++ {
		if !clauses[clause] {
			t.Errorf("no row is about clause %d", clause)
		}
	}
}
