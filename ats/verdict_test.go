package ats

import (
	"crypto/tls"
	"testing"
)

// checkRefusal compares the gate's no, and what it says after "a secure connection".
func checkRefusal(t *testing.T, p Policy, host string, want Refusal, says string) {
	t.Helper()

	const start = "App Transport Security requires a secure connection"

	err := mustCompile(t, p).Gate(Load{Host: host})

	got, ok := err.(*Refusal)
	if !ok || *got != want || err.Error() != start+says {
		t.Errorf("%q: %+v\n%v\nwant %s%s", host, got, err, start, says)
	}
}

func TestRefusals(t *testing.T) {
	entries := map[string]Exception{"Secure.example": {IncludesSubdomains: true}, "10/8": {}}
	for name, row := range map[string]struct {
		policy Policy
		host   string
		want   Refusal
		says   string
	}{
		"default": {
			Policy{},
			"Example.com",
			Refusal{Host: "example.com", Key: `ExceptionDomains["example.com"].AllowsInsecureHTTPLoads`},
			` to "example.com": use https, or allow it with ExceptionDomains["example.com"].AllowsInsecureHTTPLoads`,
		},
		"entry": {
			Policy{ExceptionDomains: entries},
			"a.secure.example",
			Refusal{Host: "a.secure.example", Rule: ExceptionDomain, Key: `ExceptionDomains["Secure.example"].AllowsInsecureHTTPLoads`},
			` to "a.secure.example": use https, or allow it with ExceptionDomains["Secure.example"].AllowsInsecureHTTPLoads`,
		},
		"block": {
			Policy{ExceptionDomains: entries},
			"10.1.1.1",
			Refusal{Host: "10.1.1.1", Rule: ExceptionDomain, Key: `ExceptionDomains["10/8"].AllowsInsecureHTTPLoads`},
			` to "10.1.1.1": use https, or allow it with ExceptionDomains["10/8"].AllowsInsecureHTTPLoads`,
		},
		"local": {
			Policy{AllowsLocalNetworking: No},
			"nas.local",
			Refusal{Host: "nas.local", Rule: LocalNetworking, Key: `ExceptionDomains["nas.local"].AllowsInsecureHTTPLoads`, Note: "the host is local, and AllowsLocalNetworking is No"},
			` to "nas.local": use https, or allow it with ExceptionDomains["nas.local"].AllowsInsecureHTTPLoads (the host is local, and AllowsLocalNetworking is No)`,
		},
		"ignored key": {
			Policy{AllowsArbitraryLoads: true, AllowsLocalNetworking: Yes},
			"a.example",
			Refusal{Host: "a.example", Key: `ExceptionDomains["a.example"].AllowsInsecureHTTPLoads`, Note: "AllowsArbitraryLoads has no effect while AllowsLocalNetworking is present"},
			` to "a.example": use https, or allow it with ExceptionDomains["a.example"].AllowsInsecureHTTPLoads (AllowsArbitraryLoads has no effect while AllowsLocalNetworking is present)`,
		},
		"no host": {
			Policy{},
			"",
			Refusal{Key: "AllowsArbitraryLoads"},
			`: use https, or allow it with AllowsArbitraryLoads`,
		},
		"malformed": {
			Policy{},
			"user@a.example",
			Refusal{Rule: MalformedHost, Note: "the host cannot be understood: it has a character that no host name has"},
			`: use https (the host cannot be understood: it has a character that no host name has)`,
		},
	} {
		t.Run(name, func(t *testing.T) { checkRefusal(t, row.policy, row.host, row.want, row.says) })
	}
}

// The key that a refusal names does allow the load, wherever it names one.
func TestTheNamedKeyAllows(t *testing.T) {
	for _, host := range []string{"example.com", "a.example.com.", "Bücher.example", "203.0.113.9", "[2001:db8::1]", "::ffff:1.2.3.4", "nas.local", ""} {
		p := Policy{AllowsLocalNetworking: No}
		refusal := mustCompile(t, p).Gate(Load{Host: host}).(*Refusal)

		if refusal.Key == "AllowsArbitraryLoads" {
			p = Policy{AllowsArbitraryLoads: true}
		} else {
			p.ExceptionDomains = map[string]Exception{refusal.Host: {AllowsInsecureHTTPLoads: true}}
		}

		if err := mustCompile(t, p).Gate(Load{Host: host}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestExplain(t *testing.T) {
	p := Policy{AllowsArbitraryLoads: true, ExceptionDomains: map[string]Exception{
		"old.example": {IncludesSubdomains: true, AllowsInsecureHTTPLoads: true, MinimumTLSVersion: tls.VersionTLS11, AllowsRSAKeyExchange: true},
	}}
	media := Policy{AllowsArbitraryLoads: true, AllowsArbitraryLoadsForMedia: Yes, AllowsArbitraryLoadsInWebContent: Yes}

	for _, row := range []struct {
		policy Policy
		load   Load
		want   string
	}{
		{Policy{}, Load{Host: "Example.com"}, `example.com: secure connection required by default policy; TLS 1.2 or newer with forward secrecy`},
		{Policy{}, Load{Host: "localhost"}, `localhost: clear text allowed by local networking (AllowsLocalNetworking: Absent); no TLS floor`},
		{p, Load{Host: "a.example"}, `a.example: clear text allowed by arbitrary loads (AllowsArbitraryLoads); no TLS floor`},
		{
			p,
			Load{Host: "a.old.example"},
			`a.old.example: clear text allowed by exception domain (ExceptionDomains["old.example"]); TLS 1.1 or newer, RSA key exchange allowed, a delegate may accept an untrusted certificate`,
		},
		{media, Load{Host: "a.example", Media: true}, `a.example: clear text allowed by arbitrary loads for media (AllowsArbitraryLoadsForMedia); no TLS floor`},
		{media, Load{Host: "a.example", WebContent: true}, `a.example: clear text allowed by arbitrary loads in web content (AllowsArbitraryLoadsInWebContent); no TLS floor`},
		{
			media,
			Load{Host: "a.example"},
			`a.example: secure connection required by default policy; TLS 1.2 or newer with forward secrecy; AllowsArbitraryLoads has no effect while AllowsArbitraryLoadsInWebContent is present`,
		},
		{p, Load{Host: "127.1"}, `(no host): secure connection required by malformed host; TLS 1.2 or newer with forward secrecy; the host cannot be understood: it may be taken for an IPv4 address but is not written as four decimal numbers`},
	} {
		if got := mustCompile(t, row.policy).Explain(row.load).String(); got != row.want {
			t.Errorf("%+v:\n%s\nwant\n%s", row.load, got, row.want)
		}
	}
}

func TestRefusalNamesAnAddressInItsShortForm(t *testing.T) {
	key := `ExceptionDomains["2001:db8::1"].AllowsInsecureHTTPLoads`
	checkRefusal(t, Policy{}, "[2001:DB8:0::1]", Refusal{Host: "2001:db8::1", Key: key}, ` to "2001:db8::1": use https, or allow it with `+key)
}
