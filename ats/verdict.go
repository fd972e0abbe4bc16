package ats

import (
	"fmt"
	"strings"
)

// Verdict is what the policy says about one load, and why.
type Verdict struct {
	Host     string // lower-case A-labels or an address; "" for none and for one that cannot be understood
	Required bool   // clear text is refused
	Rule     Rule   // what decided
	Key      string // the policy's key that decided, as it is written in Go; "" when none did
	Note     string // what else there is to know, such as a key without effect; "" mostly
	Floor    Floor  // what TLS must look like
}

// String is the verdict in one line.
func (v Verdict) String() string {
	var b strings.Builder

	if v.Host == "" {
		b.WriteString("(no host)")
	} else {
		b.WriteString(v.Host)
	}

	if v.Required {
		b.WriteString(": secure connection required by ")
	} else {
		b.WriteString(": clear text allowed by ")
	}

	b.WriteString(v.Rule.String())

	if v.Key != "" {
		b.WriteString(" (" + v.Key + ")")
	}

	b.WriteString("; " + v.Floor.String())

	if v.Note != "" {
		b.WriteString("; " + v.Note)
	}

	return b.String()
}

// Explain answers gate and floor together and says what decided.
func (r *Rules) Explain(l Load) Verdict {
	d := r.decide(l)

	return Verdict{Host: d.host.String(), Required: d.required, Rule: d.rule, Key: r.decidingKey(d), Note: r.note(d), Floor: d.floor()}
}

// Gate says whether a load may go in clear text: nil, or a *Refusal. Without a host
// (a URL of a scheme that has none) only AllowsArbitraryLoads frees it.
func (r *Rules) Gate(l Load) error {
	d := r.decide(l)
	if !d.required {
		return nil
	}

	return &Refusal{Host: d.host.String(), Rule: d.rule, Key: allowingKey(d), Note: r.note(d)}
}

// Refusal is the gate's no: NSURLErrorAppTransportSecurityRequiresSecureConnection (-1022).
type Refusal struct {
	Host string // lower-case A-labels or an address; "" for none and for one that cannot be understood
	Rule Rule   // what decided
	Key  string // the key that would allow the load; "" when none can
	Note string // what else there is to know; "" mostly
}

// Error says what is required and which key would allow the load.
func (e *Refusal) Error() string {
	var b strings.Builder

	b.WriteString("App Transport Security requires a secure connection")

	if e.Host != "" {
		fmt.Fprintf(&b, " to %q", e.Host)
	}

	b.WriteString(": use https")

	if e.Key != "" {
		b.WriteString(", or allow it with " + e.Key)
	}

	if e.Note != "" {
		b.WriteString(" (" + e.Note + ")")
	}

	return b.String()
}

// decidingKey is the policy's key behind a decision, as it is written in Go.
func (r *Rules) decidingKey(d decision) string {
	switch d.rule {
	case ExceptionDomain:
		return fmt.Sprintf("ExceptionDomains[%q]", d.entry.key)
	case LocalNetworking:
		return "AllowsLocalNetworking: " + r.local.String()
	case MediaLoads:
		return "AllowsArbitraryLoadsForMedia"
	case WebContentLoads:
		return "AllowsArbitraryLoadsInWebContent"
	case ArbitraryLoads:
		return "AllowsArbitraryLoads"
	}

	return ""
}

// allowingKey is the narrowest key that would let a refused load pass.
func allowingKey(d decision) string {
	key := d.host.String()

	switch {
	case d.rule == MalformedHost:
		return ""
	case d.rule == ExceptionDomain:
		key = d.entry.key
	case key == "":
		return "AllowsArbitraryLoads"
	}

	return fmt.Sprintf("ExceptionDomains[%q].AllowsInsecureHTTPLoads", key)
}

// note is what a reader of a verdict would wonder about.
func (r *Rules) note(d decision) string {
	switch {
	case d.rule == MalformedHost:
		return "the host cannot be understood: " + d.host.problem
	case d.rule == LocalNetworking && d.required:
		return "the host is local, and AllowsLocalNetworking is No"
	case d.rule == DefaultPolicy && r.arbitrary:
		return "AllowsArbitraryLoads has no effect while " + r.overrides() + " is present"
	}

	return ""
}
