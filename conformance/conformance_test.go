package conformance_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/conformance"
	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// correct are protocols that keep the contract.
var correct = map[string]conformance.Harness{
	"frame":  {Scheme: frameScheme, Fixture: frameFixture},
	"frames": {Scheme: framesScheme, Fixture: framesFixture},
	"memory": {Scheme: memoryScheme, Fixture: memoryFixture},
}

// Every row passes for one of them at least, and fails for none.
func TestCorrectProtocols(t *testing.T) {
	applicable := map[string]bool{}
	for name, h := range correct {
		t.Run(name, func(t *testing.T) {
			leak.Check(t)
			report := conformance.Check(t.Context(), h, conformance.Options{})
			t.Logf("\n%v", report)
			if err := report.Err(); err != nil {
				t.Error(err)
			}
			for _, res := range report.Results {
				if res.Outcome == conformance.Passed {
					applicable[res.Row.Name] = true
				}
			}
		})
	}
	for _, row := range conformance.Rows() {
		if !applicable[row.Name] {
			t.Errorf("no correct protocol shows that %s can pass", row.Name)
		}
	}
}

// A protocol that never comes back fails its rows, and the suite goes on.
func TestWatchdog(t *testing.T) {
	leak.Check(t)
	h := correct["memory"]
	h.Scheme.New = func(protocols.Client) protocols.URLProtocol {
		return altered{memory{}, func(context.Context, *protocols.Request) (*protocols.Response, error) {
			<-t.Context().Done()

			return nil, t.Context().Err()
		}}
	}
	options := conformance.Options{Rows: []string{"bytes", "length"}, Patience: 10 * time.Millisecond, Timeout: 50 * time.Millisecond}
	report := conformance.Check(t.Context(), h, options)
	if report.Count(conformance.Failed) != 2 || !strings.Contains(report.String(), "did not end within 50ms") {
		t.Errorf("not two rows that were given up:\n%v", report)
	}
}

func TestHarnessMistakes(t *testing.T) {
	errFixture := errors.New("no port is free")
	memory := correct["memory"]
	for name, test := range map[string]struct {
		harness conformance.Harness
		options conformance.Options
		want    string
	}{
		"nothing":        {want: "needs a Fixture and a Scheme"},
		"unknown row":    {memory, conformance.Options{Rows: []string{"flying"}}, `no row "flying"`},
		"nil fixture":    {fixed(memory, nil, nil), conformance.Options{}, "the fixture is nil"},
		"failed fixture": {fixed(memory, nil, errFixture), conformance.Options{}, errFixture.Error()},
		"bad URL":        {fixed(memory, &conformance.Fixture{Content: []conformance.Content{{URL: ":"}}}, nil), conformance.Options{Rows: []string{"bytes"}}, "the fixture's URL"},
		"close":          {fixed(memory, &conformance.Fixture{Close: func() error { return errFixture }}, nil), conformance.Options{}, errFixture.Error()},
	} {
		report := conformance.Check(t.Context(), test.harness, test.options)
		if report.OK() || !strings.Contains(report.Err().Error(), test.want) {
			t.Errorf("%s: the report does not say %q:\n%v", name, test.want, report)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := conformance.Check(ctx, memory, conformance.Options{}).Err(); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled Check reports %v", err)
	}
	if (&conformance.Report{}).OK() {
		t.Error("a report of nothing is OK")
	}
}

// fixed is h with a fixture that is always the same.
func fixed(h conformance.Harness, f *conformance.Fixture, err error) conformance.Harness {
	h.Fixture = func(context.Context) (*conformance.Fixture, error) { return f, err }

	return h
}
