package httpauth

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// grammar makes fields by the ABNF of RFC 9110 §11, the same ones in every run.
type grammar struct{ *rand.Rand }

// challengeSeeds are values of WWW-Authenticate, a rule broken in every third.
func challengeSeeds(n int) []string {
	g := grammar{rand.New(rand.NewPCG(9110, 11))}
	list := make([]string, n)
	for i := range list {
		list[i] = g.list(1+g.IntN(3), g.challenge)
		if i%3 == 2 {
			list[i] = g.broken(list[i])
		}
	}

	return list
}

// digestSeeds are the parameters of Digest challenges (RFC 7616 §3.3).
func digestSeeds(n int) []string {
	g := grammar{rand.New(rand.NewPCG(7616, 3))}
	list := make([]string, n)
	for i := range list {
		list[i] = g.list(2+g.IntN(5), g.digestParameter)
		if i%3 < 2 {
			list[i] = "nonce=" + g.quoted() + ",realm=" + g.quoted() + "," + list[i]
		}
	}

	return list
}

func (g grammar) one(of ...string) string { return of[g.IntN(len(of))] }

// ows = *( SP / HTAB ); BWS is the same
func (g grammar) ows() string { return g.one("", "", "", " ", "\t", "  ") }

func (g grammar) some(of string, most int) string {
	b := make([]byte, 1+g.IntN(most))
	for i := range b {
		b[i] = of[g.IntN(len(of))]
	}

	return string(b)
}

// token = 1*tchar
func (g grammar) token() string { return g.some("!#$%&'*+-.^_`|~09AZaz", 8) }

// token68 = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
func (g grammar) token68() string { return g.some("AZaz09-._~+/", 16) + g.one("", "", "=", "==") }

// quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE
func (g grammar) quoted() string {
	var b strings.Builder
	for range g.IntN(6) {
		b.WriteString(g.one(`\"`, `\\`, `\a`, ",", "=", "a", " ", "\t", "\u00e9", "Basic", "/"))
	}

	return `"` + b.String() + `"`
}

// #element = [ element ] *( OWS "," OWS [ element ] )
func (g grammar) list(n int, element func() string) string {
	members := make([]string, n)
	for i := range members {
		if g.IntN(8) > 0 {
			members[i] = element()
		}
	}

	return strings.Join(members, g.ows()+","+g.ows())
}

// challenge = auth-scheme [ 1*SP ( token68 / #auth-param ) ]
func (g grammar) challenge() string {
	scheme := g.one("Basic", "basic", "Digest", "Bearer", "Negotiate", "NTLM", g.token())
	switch g.IntN(5) {
	case 0:
		return scheme
	case 1:
		return scheme + g.one(" ", "  ") + g.token68()
	default:
		return scheme + g.one(" ", "  ") + g.list(1+g.IntN(4), g.parameter)
	}
}

// auth-param = token BWS "=" BWS ( token / quoted-string )
func (g grammar) parameter() string {
	return g.one("realm", "Realm", "nonce", "charset", "scope", g.token()) + g.ows() + "=" + g.ows() + g.one(g.token(), g.quoted())
}

func (g grammar) digestParameter() string {
	switch g.IntN(8) {
	case 0:
		return "algorithm=" + g.one("MD5", "MD5-sess", "SHA-256", "SHA-256-sess", `"SHA-512-256"`, "sha-512-256-SESS", g.token())
	case 1:
		return "qop=" + g.one(`"auth"`, `"auth,auth-int"`, `"auth-int"`, `" , auth"`, "auth", g.quoted())
	case 2:
		return g.one("stale", "userhash") + "=" + g.one("true", "false", "TRUE", `"true"`)
	case 3:
		return "charset=" + g.one("UTF-8", "utf-8", "latin1")
	case 4:
		return "domain=" + g.one(`"/"`, `"/a https://a.example/b"`, g.quoted())
	case 5:
		return g.one("nonce", "opaque", "nextnonce") + "=" + g.quoted()
	case 6:
		return "realm=" + g.one(`""`, g.quoted())
	default:
		return g.parameter()
	}
}

// broken breaks a rule: something is missing, twice there or where it does not belong.
func (g grammar) broken(s string) string {
	if s == "" {
		return "="
	}
	at := g.IntN(len(s))
	switch g.IntN(3) {
	case 0:
		return s[:at] + s[at+1:]
	case 1:
		return s[:at] + s[at:at+1] + s[at:]
	default:
		return s[:at] + g.one(`"`, ",", "=", "\x00", "\r\n", "\xff", "/") + s[at:]
	}
}

// What follows the grammar is read as what it was made of.
func TestGrammar(t *testing.T) {
	g := grammar{rand.New(rand.NewPCG(9110, 5))}
	for range 2000 {
		name, value := "p"+g.token(), g.quoted()
		field := g.ows() + "Scheme " + name + g.ows() + "=" + g.ows() + value + g.ows() + "," + g.ows() + "Other " + g.token() + "=" + g.token()
		got := parse([]string{field})
		if len(got) != 2 || got[0].scheme != "scheme" || got[1].scheme != "other" {
			t.Fatalf("%q reads as %q", field, got)
		}
		read, known := got[0].parameters[strings.ToLower(name)]
		if want := unquoted(value); !known || read != want || len(got[0].parameters) != 1 {
			t.Errorf("%q reads as %q, want %q", field, got[0].parameters, want)
		}
	}
}

// unquoted is what a quoted string says.
func unquoted(text string) string {
	var b strings.Builder
	text = text[1 : len(text)-1]
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' {
			i++
		}
		b.WriteByte(text[i])
	}

	return b.String()
}
