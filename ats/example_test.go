package ats_test

import (
	"crypto/tls"
	"fmt"

	"github.com/urlkit/urlkit/ats"
)

// A policy keeps the secure default and names its exceptions.
func ExamplePolicy() {
	policy := ats.Policy{ExceptionDomains: map[string]ats.Exception{
		"legacy.example": {AllowsInsecureHTTPLoads: true, IncludesSubdomains: true},
		"bank.example":   {MinimumTLSVersion: tls.VersionTLS13},
	}}

	rules, err := policy.Compile()
	if err != nil {
		fmt.Println(err)
		return
	}

	for _, host := range []string{"example.com", "www.legacy.example", "bank.example", "localhost"} {
		fmt.Println(rules.Explain(ats.Load{Host: host}))
	}

	fmt.Println(rules.Gate(ats.Load{Host: "example.com"}))
	// Output:
	// example.com: secure connection required by default policy; TLS 1.2 or newer with forward secrecy
	// www.legacy.example: clear text allowed by exception domain (ExceptionDomains["legacy.example"]); TLS 1.2 or newer with forward secrecy, a delegate may accept an untrusted certificate
	// bank.example: secure connection required by exception domain (ExceptionDomains["bank.example"]); TLS 1.3 or newer with forward secrecy
	// localhost: clear text allowed by local networking (AllowsLocalNetworking: Absent); no TLS floor
	// App Transport Security requires a secure connection to "example.com": use https, or allow it with ExceptionDomains["example.com"].AllowsInsecureHTTPLoads
}

// A malformed or contradictory policy is refused whole, with every problem.
func ExamplePolicy_Compile() {
	policy := ats.Policy{ExceptionDomains: map[string]ats.Exception{
		"*.example.com": {AllowsInsecureHTTPLoads: true},
		"10.0.0.0/8":    {IncludesSubdomains: true},
	}}

	_, err := policy.Compile()
	fmt.Println(err)
	// Output:
	// ats: ExceptionDomains["*.example.com"]: wildcards never match; write the domain itself and set IncludesSubdomains
	// ats: ExceptionDomains["10.0.0.0/8"]: addresses have no subdomains; remove IncludesSubdomains, or write a CIDR block
}

// A floor makes any client configuration keep the policy.
func ExampleFloor_Apply() {
	rules, err := ats.Policy{}.Compile()
	if err != nil {
		fmt.Println(err)
		return
	}

	cfg := &tls.Config{ServerName: "example.com"}
	rules.Floor(ats.Load{Host: "example.com"}).Apply(cfg)

	fmt.Println(tls.VersionName(cfg.MinVersion), cfg.VerifyConnection != nil)
	// Output: TLS 1.2 true
}
