package conformance

import "testing"

// Run runs the suite as subtests of t, one for each row; those that are not
// applicable are skipped with the reason. A row that fails says which clause of
// the contract is broken and why the clause is there.
func Run(t *testing.T, h Harness) {
	t.Helper()
	for _, row := range Rows() {
		t.Run(row.Name, func(t *testing.T) {
			t.Helper()
			switch res := judge(t.Context(), h, Options{}, row); res.Outcome {
			case Failed:
				t.Errorf("clause %d: %v\nwhy: %s", row.Clause, res.Err, row.Why)
			case NotApplicable:
				t.Skipf("not applicable: %v", res.Err)
			case Passed:
			}
		})
	}
}
