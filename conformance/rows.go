package conformance

import (
	"context"
	"slices"
	"strings"
)

// Row is one rule of the contract and how it is checked.
type Row struct {
	// Name is short and unique: the name of the subtest.
	Name string
	// Clause is the number of the clause in the comment of package protocols.
	Clause int
	// Why says what goes wrong for users where the rule is broken.
	Why string
	// Needs says what the fixture or the scheme must have; "" nothing.
	Needs string

	need need
	run  func(ctx context.Context, r *rig) error
}

// Rows lists the rows in the order in which they are run. The slice is the
// caller's.
func Rows() []Row {
	rows := slices.Concat(resultRows, bodyRows, faultRows, contextRows, requestRows, concurrencyRows, policyRows, lifeRows)
	for i := range rows {
		rows[i].Needs = rows[i].need.String()
	}

	return rows
}

// need is a set of what a row needs.
type need uint16

const (
	needContent need = 1 << iota
	needNetwork
	needLarge
	needMissing
	needRedirect
	needChallenge
	needBody
	needConnection
	needParallel
)

// needs are the needs in words, what to say where one is not met, and how to tell.
var needs = []struct {
	need    need
	name    string
	without string
	met     func(*rig) bool
}{
	{needContent, "Content", "the fixture has no Content", func(r *rig) bool { return len(r.fixture.Content) > 0 }},
	{needNetwork, "a network", "the scheme is Local", (*rig).network},
	{needLarge, "Large", "the fixture has no Large", func(r *rig) bool { return r.fixture.Large.URL != "" }},
	{needMissing, "Missing", "the fixture has no Missing", func(r *rig) bool { return r.fixture.Missing != "" }},
	{needRedirect, "Redirect", "the fixture has no Redirect", func(r *rig) bool { return r.fixture.Redirect != "" }},
	{needChallenge, "Challenge", "the fixture has no Challenge", func(r *rig) bool { return r.fixture.Challenge.URL != "" }},
	{needBody, "Upload, or Content with a Body", "the fixture has no Upload, and no Content with a Body", func(r *rig) bool { return len(r.senders()) > 0 }},
	{needConnection, "Connection", "the fixture has no Connection", func(r *rig) bool { return r.fixture.Connection != "" }},
	{needParallel, "loads at once", "the protocol documents that it runs one load at a time", func(r *rig) bool { return !r.harness.Serial }},
}

// String names them.
func (n need) String() string {
	var names []string
	for _, one := range needs {
		if n&one.need != 0 {
			names = append(names, one.name)
		}
	}

	return strings.Join(names, ", ")
}

// applies gives the reason why a row cannot be judged; "" it can.
func (row *Row) applies(r *rig) string {
	for _, one := range needs {
		if row.need&one.need != 0 && !one.met(r) {
			return one.without
		}
	}

	return ""
}
