package main

import (
	"slices"
	"strings"
	"testing"
)

// TestTour reads the table that the program prints: its columns come from the
// metrics of each load.
func TestTour(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	table, refusals, _ := strings.Cut(out.String(), "\n\n")
	lines := strings.Split(table, "\n")
	if !strings.Contains(refusals, "ExceptionDomains") {
		t.Errorf("the refusal does not say what would allow it: %q", refusals)
	}
	if !strings.Contains(refusals, "100 %") || !strings.Contains(refusals, "134217728 bytes over h2, TLS 1.3") {
		t.Errorf("no whole download: %q", refusals)
	}
	const login = "\"the tour\" asks for a login by HTTPDigest SHA-256.\n200, requests: 2: Hello Alice\n200, requests: 1: Hello Alice\n"
	if !strings.Contains(refusals, login) {
		t.Errorf("no login: %q", refusals)
	}
	for _, cached := range []string{
		"200, 30 bytes, 39 over the wire; miss: nothing is stored; stored",
		"200, 30 bytes, 0 over the wire; hit: fresh",
		"200, 30 bytes, 0 over the wire; revalidated: the policy is to validate",
	} {
		if !strings.Contains(refusals, cached) {
			t.Errorf("not %q: %q", cached, refusals)
		}
	}
	if strings.ContainsAny(out.String(), "\r\x1b") {
		t.Error("the bar moves where there is no terminal")
	}
	want := []struct{ url, protocol, negotiated, bytes, policy string }{
		{"data:text/plain,...", "data.", "-", "11", "no network"},
		{"file:///", "file.", "-", "18", "no network"},
		{"http://127.0.0.1:", "http.", "-", "0", "appTransportSecurityRequiresSecureConnection (-1022)"},
		{"http://127.0.0.1:", "http.", "http/1.1", "20", "ExceptionDomains"},
		{"https://127.0.0.1:", "http.", "http/1.1, TLS 1.3", "20", "secure connection required"},
		{"https://127.0.0.1:", "http.", "h2, TLS 1.3", "20", "secure connection required"},
		{"https://127.0.0.1:", "http.", "h3, TLS 1.3", "20", "secure connection required"},
		{"reverse://127.0.0.1:", "main.reverse", "reverse", "9", "ExceptionDomains"},
	}
	if !withHTTP3 {
		want = slices.Delete(want, 6, 7)
	}
	if len(lines) != len(want)+1 {
		t.Fatalf("the table has %d rows, want %d:\n%s", len(lines)-1, len(want), out.String())
	}
	for i, w := range want {
		row := splitColumns(lines[i+1])
		if len(row) != 6 {
			t.Fatalf("row %q has %d columns", lines[i+1], len(row))
		}
		if !strings.HasPrefix(row[0], w.url) || !strings.Contains(row[1], w.protocol) || row[2] != w.negotiated ||
			row[3] != w.bytes || !strings.Contains(row[5], w.policy) {
			t.Errorf("row %d is\n%q, want\n%+v", i, row, w)
		}
	}
}

// splitColumns takes a row apart where at least two blanks stand.
func splitColumns(line string) []string {
	var columns []string
	for column := range strings.SplitSeq(line, "  ") {
		if column = strings.TrimSpace(column); column != "" {
			columns = append(columns, column)
		}
	}

	return columns
}
