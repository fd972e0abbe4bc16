package ats

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"
)

func TestCompileRefuses(t *testing.T) {
	one := func(key string, x Exception) Policy { return Policy{ExceptionDomains: map[string]Exception{key: x}} }

	for name, row := range map[string]struct {
		policy Policy
		key    string
		says   string
	}{
		"empty key":         {one("", Exception{}), `ExceptionDomains[""]`, "empty"},
		"URL":               {one("http://a.com", Exception{}), `ExceptionDomains["http://a.com"]`, "not a URL"},
		"wildcard":          {one("*.a.com", Exception{}), `ExceptionDomains["*.a.com"]`, "IncludesSubdomains"},
		"leading dot":       {one(".a.com", Exception{}), `ExceptionDomains[".a.com"]`, `use "a.com"`},
		"port":              {one("a.com:443", Exception{}), `ExceptionDomains["a.com:443"]`, `use "a.com"`},
		"port of IPv4":      {one("127.0.0.1:80", Exception{}), `ExceptionDomains["127.0.0.1:80"]`, `use "127.0.0.1"`},
		"brackets":          {one("[::1]", Exception{}), `ExceptionDomains["[::1]"]`, "without brackets"},
		"zone":              {one("fe80::1%eth0", Exception{}), `ExceptionDomains["fe80::1%eth0"]`, "zone"},
		"zone in block":     {one("fe80::%1/64", Exception{}), `ExceptionDomains["fe80::%1/64"]`, "zone"},
		"bad IPv6":          {one("1::2::3", Exception{}), `ExceptionDomains["1::2::3"]`, "IPv6"},
		"IPv4 length":       {one("10.0.0.0/33", Exception{}), `ExceptionDomains["10.0.0.0/33"]`, "CIDR"},
		"IPv6 length":       {one("::/129", Exception{}), `ExceptionDomains["::/129"]`, "CIDR"},
		"huge length":       {one("::/4294967297", Exception{}), `ExceptionDomains["::/4294967297"]`, "CIDR"},
		"no length":         {one("10.0.0.0/", Exception{}), `ExceptionDomains["10.0.0.0/"]`, "CIDR"},
		"signed length":     {one("10.0.0.0/+8", Exception{}), `ExceptionDomains["10.0.0.0/+8"]`, "CIDR"},
		"padded length":     {one("10.0.0.0/08", Exception{}), `ExceptionDomains["10.0.0.0/08"]`, "CIDR"},
		"two lengths":       {one("10.0.0.0/8/8", Exception{}), `ExceptionDomains["10.0.0.0/8/8"]`, "CIDR"},
		"name with length":  {one("a.com/8", Exception{}), `ExceptionDomains["a.com/8"]`, "CIDR"},
		"five numbers":      {one("1.2.3.4.5/8", Exception{}), `ExceptionDomains["1.2.3.4.5/8"]`, "CIDR"},
		"short IPv4":        {one("127.1", Exception{}), `ExceptionDomains["127.1"]`, "four decimal numbers"},
		"number":            {one("2130706433", Exception{}), `ExceptionDomains["2130706433"]`, "four decimal numbers"},
		"space":             {one("a b", Exception{}), `ExceptionDomains["a b"]`, "character"},
		"empty label":       {one("a..b", Exception{}), `ExceptionDomains["a..b"]`, "empty label"},
		"long label":        {one(strings.Repeat("a", 64), Exception{}), "ExceptionDomains", "63"},
		"long":              {one(strings.Repeat("a.", 999)+"a", Exception{}), "ExceptionDomains", "longer"},
		"bad IDN":           {one("\xff.com", Exception{}), `ExceptionDomains["\xff.com"]`, "internationalized"},
		"TLS version":       {one("a.com", Exception{MinimumTLSVersion: 0x0300}), `ExceptionDomains["a.com"]`, "0x0300"},
		"TLS 1.4":           {one("a.com", Exception{MinimumTLSVersion: 0x0305}), `ExceptionDomains["a.com"]`, "MinimumTLSVersion"},
		"RSA in TLS 1.3":    {one("a.com", Exception{MinimumTLSVersion: tls.VersionTLS13, AllowsRSAKeyExchange: true}), `ExceptionDomains["a.com"]`, "AllowsRSAKeyExchange"},
		"below an address":  {one("10.0.0.1", Exception{IncludesSubdomains: true}), `ExceptionDomains["10.0.0.1"]`, "IncludesSubdomains"},
		"below a block":     {one("::/8", Exception{IncludesSubdomains: true}), `ExceptionDomains["::/8"]`, "IncludesSubdomains"},
		"presence":          {Policy{AllowsLocalNetworking: 3}, "AllowsLocalNetworking", "Absent, No or Yes"},
		"presence of media": {Policy{AllowsArbitraryLoadsForMedia: 9}, "AllowsArbitraryLoadsForMedia", "9"},
		"presence of web":   {Policy{AllowsArbitraryLoadsInWebContent: 9}, "AllowsArbitraryLoadsInWebContent", "9"},
		"widened, not free": {Policy{TreatsPrivateNetworksAsLocal: true, AllowsLocalNetworking: No}, "TreatsPrivateNetworksAsLocal", "AllowsLocalNetworking"},
	} {
		r, err := row.policy.compile(nil)

		var problem *PolicyError
		if r != nil || !errors.As(err, &problem) {
			t.Errorf("%s: rules %v, error %v", name, r, err)
			continue
		}

		if !strings.HasPrefix(problem.Key, row.key) || !strings.Contains(problem.Problem, row.says) || !strings.Contains(err.Error(), problem.Key) {
			t.Errorf("%s: %v; want the key %s and %q", name, err, row.key, row.says)
		}
	}
}

func TestCompileJoinsAllProblems(t *testing.T) {
	p := Policy{AllowsLocalNetworking: 7, ExceptionDomains: map[string]Exception{
		"*.a": {}, "b:1": {}, "good.example": {}, "Bücher.example": {AllowsInsecureHTTPLoads: true}, "xn--bcher-kva.example": {},
		"10.0.0.1": {}, "10.0.0.1/32": {AllowsInsecureHTTPLoads: true}, "10.2.0.0/8": {}, "10/8": {AllowsRSAKeyExchange: true},
	}}

	_, err := p.Compile()
	if err == nil {
		t.Fatal("no error")
	}

	want := []string{`Networking`, `["*.a"]`, `["10.0.0.1/32"]`, `["10/8"]`, `["b:1"]`, `["xn--bcher-kva.example"]`}

	lines := strings.Split(err.Error(), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d problems, want %d:\n%v", len(lines), len(want), err)
	}

	for i, line := range lines {
		if !strings.Contains(line, want[i]) {
			t.Errorf("problem %d: %q does not name %s", i, line, want[i])
		}
	}

	for range 20 {
		if _, again := p.Compile(); again.Error() != err.Error() {
			t.Fatalf("another time the error is\n%v", again)
		}
	}
}

func TestCompileAccepts(t *testing.T) {
	free := Exception{AllowsInsecureHTTPLoads: true}

	for name, p := range map[string]Policy{
		"both idioms":         {AllowsArbitraryLoads: true, AllowsLocalNetworking: Yes},
		"the same twice":      {ExceptionDomains: map[string]Exception{"A.example": free, "a.example": free, "10/8": free, "10.1.2.3/8": free}},
		"odd but right names": {ExceptionDomains: map[string]Exception{"com": free, "a.": free, "_x.y": free, "bücher": free, "::ffff:1.2.3.4": free}},
		"free over TLS 1.3":   {ExceptionDomains: map[string]Exception{"a": {AllowsInsecureHTTPLoads: true, MinimumTLSVersion: tls.VersionTLS13}}},
	} {
		if _, err := p.Compile(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCopies(t *testing.T) {
	p := Policy{ExceptionDomains: map[string]Exception{"a.example": {AllowsInsecureHTTPLoads: true}}}
	q := p.Clone()
	r := mustCompile(t, p)

	p.ExceptionDomains["a.example"] = Exception{}
	p.ExceptionDomains["b.example"] = Exception{AllowsInsecureHTTPLoads: true}

	if !q.ExceptionDomains["a.example"].AllowsInsecureHTTPLoads || len(q.ExceptionDomains) != 1 {
		t.Error("a clone changes with its original")
	}

	if !allowed(t, r, Load{Host: "a.example"}) || allowed(t, r, Load{Host: "b.example"}) {
		t.Error("rules change with their policy")
	}

	if (Policy{}).Clone().ExceptionDomains != nil {
		t.Error("a clone of nothing is something")
	}
}
