package httpauth

import (
	"maps"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	type params = map[string]string
	tests := []struct {
		name   string
		values []string
		want   []challenge
	}{
		{"nothing", nil, nil},
		{"empty", []string{"", " , ,", "\t"}, nil},
		{"one", []string{`Basic realm="a"`}, []challenge{{"basic", params{"realm": "a"}}}},
		{"any case", []string{`BASIC ReAlM=a`}, []challenge{{"basic", params{"realm": "a"}}}},
		{"blanks around =", []string{"Basic realm = \t\"a\""}, []challenge{{"basic", params{"realm": "a"}}}},
		{"two fields", []string{`Negotiate`, `Basic realm=a`}, []challenge{{"negotiate", params{}}, {"basic", params{"realm": "a"}}}},
		{
			"two in a field",
			[]string{`Digest realm="a, b", qop="auth,auth-int", Basic realm="c"`},
			[]challenge{{"digest", params{"realm": "a, b", "qop": "auth,auth-int"}}, {"basic", params{"realm": "c"}}},
		},
		{
			"schemes without parameters",
			[]string{`Negotiate, NTLM, Basic realm="a", Bearer`},
			[]challenge{{"negotiate", params{}}, {"ntlm", params{}}, {"basic", params{"realm": "a"}}, {"bearer", params{}}},
		},
		{
			"token68",
			[]string{`Negotiate YWJj/+==, NTLM TlRMTVNTUAAC==, Basic realm="a"`},
			[]challenge{{"negotiate", params{"": "YWJj/+=="}}, {"ntlm", params{"": "TlRMTVNTUAAC=="}}, {"basic", params{"realm": "a"}}},
		},
		{
			"token68 without a sign of it",
			[]string{`Negotiate YWJj, NTLM TlRM`, "Basic\t,Bearer \t abc  "},
			[]challenge{{"negotiate", params{"": "YWJj"}}, {"ntlm", params{"": "TlRM"}}, {"basic", params{}}, {"bearer", params{"": "abc"}}},
		},
		{"escapes", []string{`Basic realm="a\"b\\c\d"`}, []challenge{{"basic", params{"realm": `a"b\cd`}}}},
		{"an empty realm", []string{`Basic realm=""`}, []challenge{{"basic", params{"realm": ""}}}},
		{"a comma in front", []string{`, Basic , realm=a,,x=y,`}, []challenge{{"basic", params{"realm": "a", "x": "y"}}}},
		{"a name twice", []string{`Basic realm=a, realm=b`}, []challenge{{"basic", params{"realm": "a"}}}},
		{"no comma between", []string{`Basic realm="a" x="b" Bearer`}, []challenge{{"basic", params{"realm": "a", "x": "b"}}, {"bearer", params{}}}},
		{"a quote that does not end", []string{`Basic x=y, realm="a, Digest realm=b`, `Bearer`}, []challenge{{"basic", params{"x": "y"}}, {"bearer", params{}}}},
		{"an escape at the end", []string{`Basic realm="a\`}, []challenge{{"basic", params{}}}},
		{"no value", []string{`Basic realm=, Bearer`}, []challenge{{"basic", params{"": "realm="}}, {"bearer", params{}}}},
		{"no scheme", []string{`="a", Basic realm=b`}, nil},
		{"other bytes", []string{"Basic realm=\"\xff\x00\"", "\x80"}, []challenge{{"basic", params{"realm": "\xff\x00"}}}},
	}
	for _, tt := range tests {
		got := parse(tt.values)
		same := len(got) == len(tt.want)
		for i := 0; same && i < len(got); i++ {
			same = got[i].scheme == tt.want[i].scheme && maps.Equal(got[i].parameters, tt.want[i].parameters)
		}
		if !same {
			t.Errorf("%s: %q gives %q, want %q", tt.name, tt.values, got, tt.want)
		}
	}
}

func TestParseIsBounded(t *testing.T) {
	tests := map[string][]string{
		"a thousand in a field": {strings.Repeat(`Basic realm="a", `, 1000)},
		"a thousand fields":     strings.Split(strings.Repeat(`Basic realm="a"|`, 1000), "|"),
		"a thousand schemes":    {strings.Repeat("Negotiate,", 1000)},
		"quotes":                {"Basic " + strings.Repeat(`a="`, 100000)},
		"blanks":                {"Basic " + strings.Repeat("a= ", 100000)},
		"tokens":                {strings.Repeat("a/b=,", 100000)},
		"equals":                {"Basic " + strings.Repeat("=", 1000000)},
	}
	for name, values := range tests {
		if got := parse(values); len(got) > maxChallenges {
			t.Errorf("%s: %d challenges", name, len(got))
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`Basic realm="a"`, `Digest realm="a\"", nonce=x, qop="auth", Basic realm=b`, `NTLM TlRM, ,Negotiate`, "Basic\trealm\t=\t\"a\\\t\"", `X a=b c=d,e=f Y`, `Digest username*=UTF-8''a%20b`, `Z 09AZaz-._~+/==`, `Negotiate YWJj==`, `Bearer`, `a/b,c==,"`, `Basic realm="`, "=,=", `x =y z`,
	} {
		f.Add(seed)
	}
	for _, seed := range challengeSeeds(64) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		got := parse([]string{value})
		if len(got) > maxChallenges {
			t.Fatalf("%d challenges", len(got))
		}
		size := 0
		for _, c := range got {
			if c.scheme == "" || c.scheme != strings.ToLower(c.scheme) || strings.ContainsAny(c.scheme, " \t,=\"") {
				t.Errorf("scheme %q of %q", c.scheme, value)
			}
			size += len(c.scheme)
			for name, v := range c.parameters {
				if name != strings.ToLower(name) || strings.ContainsAny(name, " \t,=\"") {
					t.Errorf("parameter %q of %q", name, value)
				}
				size += len(name) + len(v)
			}
		}
		if size > len(value) {
			t.Errorf("%d bytes were read from %q", size, value)
		}
	})
}
