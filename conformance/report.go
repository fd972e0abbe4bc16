package conformance

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// Outcome is what became of a row. The zero value is NotApplicable.
type Outcome uint8

// The outcomes.
const (
	NotApplicable Outcome = iota // the fixture or the scheme has nothing to judge; Result.Err says what
	Passed
	Failed
)

// String is the outcome in words.
func (o Outcome) String() string {
	switch o {
	case Passed:
		return "passed"
	case Failed:
		return "failed"
	default:
		return "not applicable"
	}
}

// Result is the outcome of one row.
type Result struct {
	// Row is what was checked, and Outcome what became of it.
	Row     Row
	Outcome Outcome
	// Err is what is wrong, or why the row is not applicable; nil: passed.
	Err error
	// Duration includes making and closing the fixture.
	Duration time.Duration
}

// Report is the result of a Check, in the order of Rows.
type Report struct {
	// Scheme is the URL scheme that was judged.
	Scheme string
	// Results has one element for each row that was to be run.
	Results []Result
}

// OK tells whether no row failed. A report without results is not OK.
func (r *Report) OK() bool { return len(r.Results) > 0 && r.Err() == nil }

// Err joins the failures, each with its row and clause; nil: none.
func (r *Report) Err() error {
	var errs []error
	for i := range r.Results {
		if res := &r.Results[i]; res.Outcome == Failed {
			errs = append(errs, fmt.Errorf("%s (clause %d): %w", res.Row.Name, res.Row.Clause, res.Err))
		}
	}

	return errors.Join(errs...)
}

// Count is how many rows had an outcome.
func (r *Report) Count(o Outcome) int {
	n := 0
	for i := range r.Results {
		if r.Results[i].Outcome == o {
			n++
		}
	}

	return n
}

// String is a table, one line for each row, and a line of totals.
func (r *Report) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for i := range r.Results {
		res := &r.Results[i]
		note := ""
		if res.Err != nil {
			note = strings.ReplaceAll(res.Err.Error(), "\n", "; ")
		}
		fmt.Fprintf(w, "%s\tclause %d\t%v\t%v\t%s\n",
			res.Row.Name, res.Row.Clause, res.Outcome, res.Duration.Round(time.Millisecond), note)
	}
	_ = w.Flush() // a strings.Builder does not fail
	fmt.Fprintf(&b, "%s: %d passed, %d failed, %d not applicable\n",
		r.Scheme, r.Count(Passed), r.Count(Failed), r.Count(NotApplicable))

	return b.String()
}
