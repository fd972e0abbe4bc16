package cookie

import (
	"math/rand/v2"
	"strings"
)

// grammar makes strings of the ABNF of Set-Cookie (RFC 6265bis §4.1.1), and breaks
// one rule in some of them. It makes the same ones in every run.
type grammar struct{ *rand.Rand }

// setCookieSeeds are strings of the header's grammar.
func setCookieSeeds(n int) []string {
	g := grammar{rand.New(rand.NewPCG(6265, 4))}
	list := make([]string, n)
	for i := range list {
		list[i] = g.setCookie()
		if g.IntN(3) == 0 {
			list[i] = g.broken(list[i])
		}
	}

	return list
}

// setCookie is set-cookie-string = BWS cookie-pair *( BWS ";" OWS cookie-av ).
func (g grammar) setCookie() string {
	var b strings.Builder
	b.WriteString(g.blank() + g.prefix() + g.token(8) + g.blank() + "=" + g.blank() + g.value())
	for range g.IntN(6) {
		b.WriteString(g.blank() + ";" + g.blank() + g.attribute())
	}

	return b.String()
}

func (g grammar) one(of ...string) string { return of[g.IntN(len(of))] }
func (g grammar) blank() string           { return g.one("", "", " ", "\t", "  ") }
func (g grammar) prefix() string          { return g.one("", "", "", "__Host-", "__Secure-", "__hOST-") }

func (g grammar) some(of string, most int) string {
	b := make([]byte, 1+g.IntN(most))
	for i := range b {
		b[i] = of[g.IntN(len(of))]
	}

	return string(b)
}

func (g grammar) token(most int) string {
	return g.some("!#$%&'*+-.^_`|~0123456789ABCXYZabcxyz", most)
}

// value is cookie-value = *cookie-octet / ( DQUOTE *cookie-octet DQUOTE ).
func (g grammar) value() string {
	octets := ""
	if g.IntN(4) > 0 {
		octets = g.some("!#$%&'()*+-./0123456789:<=>?@ABC[]^_`abc{|}~", 12)
	}

	return g.one(octets, octets, `"`+octets+`"`)
}

// attribute is cookie-av, extension-av among them.
func (g grammar) attribute() string {
	switch g.IntN(9) {
	case 0:
		return "Expires=" + g.date()
	case 1:
		return "Max-Age=" + g.one("0", "1", "60", "34560000", "99999999999999999999", "-1")
	case 2:
		return "Domain=" + g.one("example.org", ".example.org", "www.example.org", "org", "[::1]", "127.0.0.1")
	case 3:
		return "Path=" + g.one("/", "/p", "/p/q", "/p/", "relative")
	case 4:
		return g.one("Secure", "secure")
	case 5:
		return "HttpOnly"
	case 6:
		return "SameSite=" + g.one("Strict", "Lax", "None", "Other")
	case 7:
		return "Partitioned"
	default:
		return g.token(6) + g.one("", "="+g.value())
	}
}

// date is sane-cookie-date, an IMF-fixdate, or one of the older forms.
func (g grammar) date() string {
	day := g.one("01", "09", "28", "31")
	month := g.one("Jan", "Feb", "Mar", "Jun", "Sep", "Dec")
	clock := g.one("00:00:00", "03:05:05", "23:59:59")

	return g.one(
		"Wed, "+day+" "+month+" "+g.one("1970", "2029", "2030", "2031", "9999")+" "+clock+" GMT",
		"Wednesday, "+day+"-"+month+"-"+g.one("69", "70", "31")+" "+clock+" GMT",
		"Wed "+month+" "+day+" "+clock+" 2030",
	)
}

// broken changes, doubles or drops a byte.
func (g grammar) broken(s string) string {
	at := g.IntN(len(s))
	switch g.IntN(3) {
	case 0:
		return s[:at] + string([]byte{byte(g.IntN(256))}) + s[at+1:]
	case 1:
		return s[:at] + s[at:at+1] + s[at:]
	default:
		return s[:at] + s[at+1:]
	}
}
