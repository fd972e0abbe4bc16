// Package rules holds the tests that keep the repository to its own rules: who may import whom, what an author of a
// protocol has to download, how long a file and a function may be, and that everything exported is documented. Each
// failure prints the reason of its rule. The package has no code of its own, and nothing imports it.
package rules
