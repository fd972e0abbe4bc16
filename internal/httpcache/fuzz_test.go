package httpcache

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage"
)

// grammar makes values by the rules of an ABNF.
type grammar struct{ *rand.Rand }

func seeds(f *testing.F, make func(g grammar) string) {
	f.Helper()
	g := grammar{rand.New(rand.NewPCG(9111, 5861))}
	for range 64 {
		f.Add(make(g))
	}
}

func (g grammar) one(of ...string) string { return of[g.IntN(len(of))] }

// ows = *( SP / HTAB )
func (g grammar) ows() string { return g.one("", "", "", " ", "\t", "  ") }

// token = 1*tchar
func (g grammar) token() string {
	const tchar = "!#$%&'*+-.^_`|~0123456789abcXYZ"
	b := make([]byte, 1+g.IntN(8))
	for i := range b {
		b[i] = tchar[g.IntN(len(tchar))]
	}

	return string(b)
}

// quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE
func (g grammar) quoted() string {
	var b strings.Builder
	for range g.IntN(6) {
		b.WriteString(g.one(`\"`, `\\`, ",", "=", "a", " ", "é", "0", ";"))
	}

	return `"` + b.String() + `"`
}

// #element = [ element ] *( OWS "," OWS [ element ] )
func (g grammar) list(element func() string) string {
	members := make([]string, 1+g.IntN(5))
	for i := range members {
		if g.IntN(6) > 0 {
			members[i] = g.ows() + element() + g.ows()
		}
	}

	return strings.Join(members, ",")
}

// cache-directive = token [ "=" ( token / quoted-string ) ]
func (g grammar) directive() string {
	name := g.one("max-age", "no-cache", "no-store", "private", "public", "must-revalidate", "must-understand", "immutable",
		"stale-while-revalidate", "stale-if-error", "max-stale", "min-fresh", "only-if-cached", "s-maxage", "Max-Age", g.token())
	switch g.IntN(4) {
	case 0:
		return name
	case 1:
		return name + "=" + g.one("0", "60", "2147483649", "99999999999999999999", "-1", "1.5", g.token())
	case 2:
		return name + `="` + g.list(g.token) + `"`
	default:
		return name + "=" + g.quoted()
	}
}

func (g grammar) digits() string { return fmt.Sprint(g.Uint64N(1 << (1 + g.UintN(62)))) }

func FuzzCacheControl(f *testing.F) {
	seeds(f, func(g grammar) string { return g.list(g.directive) })
	for _, odd := range []string{`max-age="60`, `no-cache="a`, `,=,"`, `max-age =60`, `a="\`, strings.Repeat("a,", 9000)} {
		f.Add(odd)
	}
	f.Fuzz(func(t *testing.T, line string) {
		h := http.Header{"Cache-Control": {line}}
		d := Rules{}.Response(h)
		for _, seconds := range d.seconds {
			if seconds < 0 || seconds > mostSeconds*time.Second {
				t.Errorf("%q gives %v", line, seconds)
			}
		}
		for _, name := range d.fields {
			if tokenEnd(name) != len(name) || name == "" {
				t.Errorf("%q names the field %q", line, name)
			}
		}
		if again := (Rules{}).Response(http.Header{"Cache-Control": {line, "no-store"}}); !again.Has(NoStore) {
			t.Errorf("%q hides the next field's no-store", line)
		}
		if tidy := ", \t" + line; len(tidy) <= longestDirectives {
			if again := (Rules{}).Response(http.Header{"Cache-Control": {tidy}}); again.set != d.set || again.seconds != d.seconds {
				t.Errorf("%q and %q differ", line, tidy)
			}
		}
		asked := Rules{}.Request(h)
		if asked.seconds[maxAge] < 0 || asked.seconds[maxStale] < 0 || asked.seconds[minFresh] < 0 {
			t.Errorf("%q asks for %v, %v, %v", line, asked.seconds[maxAge], asked.seconds[maxStale], asked.seconds[minFresh])
		}
	})
}

func FuzzAge(f *testing.F) {
	g := grammar{rand.New(rand.NewPCG(1, 1))}
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 32 {
		at := now.Add(time.Duration(g.IntN(2_000_000)-1_000_000) * time.Second)
		form := g.one(http.TimeFormat, time.RFC850, time.ANSIC, "2006")
		f.Add(g.list(g.digits), at.Format(form), at.Add(time.Minute).Format(form), int64(g.IntN(1000)))
	}
	f.Fuzz(func(t *testing.T, age, date, expires string, seconds int64) {
		e := &storage.CacheEntry{
			StatusCode: 200, RequestTime: now, ResponseTime: now.Add(time.Second),
			Header: http.Header{"Age": {age}, "Date": {date}, "Expires": {expires}, "Last-Modified": {date}},
		}
		r := Rules{}
		at := now.Add(time.Duration(seconds%1e9) * time.Second)
		got := r.Age(e, at)
		if got < 0 || got < at.Sub(e.ResponseTime) {
			t.Errorf("age %v", got)
		}
		if (got == forever) != at.Before(e.ResponseTime) {
			t.Errorf("age %v at %v of a response of %v", got, at, e.ResponseTime)
		}
		d := r.Response(e.Header)
		if lifetime := r.Lifetime(e, &d); lifetime < 0 {
			t.Errorf("lifetime %v", lifetime)
		}
	})
}

func FuzzVary(f *testing.F) {
	seeds(f, func(g grammar) string {
		return g.list(func() string { return g.one("*", "Accept", "accept-encoding", g.token()) })
	})
	f.Add(strings.Repeat("a,", 5000))
	f.Fuzz(func(t *testing.T, line string) {
		r := Rules{}
		names, ok := r.varyNames(http.Header{"Vary": {line}})
		if !ok {
			return
		}
		if len(names) > mostVary || strings.Contains(line, "*,") && len(names) == 0 {
			t.Errorf("%q has %d names", line, len(names))
		}
		q := &Query{Key: "k", Method: "GET", Header: http.Header{"Accept": {"a"}, "Authorization": {"Basic x"}}}
		resp := &protocols.Response{StatusCode: 200, Header: http.Header{"Vary": {line}}}
		e := r.NewEntry(q, resp, time.Time{}, time.Time{})
		if selected, _ := r.Select(q, []*storage.CacheEntry{e}); selected != e {
			t.Errorf("%q: the response is none for its own request", line)
		}
		for _, values := range e.VaryFields {
			if strings.Contains(values[0], "Basic") {
				t.Errorf("the secret is kept: %v", e.VaryFields)
			}
		}
	})
}

func FuzzContentRange(f *testing.F) {
	seeds(f, func(g grammar) string {
		return g.one("bytes", "Bytes", g.token()) + " " + g.one(g.digits()+"-"+g.digits(), "*") + "/" + g.one(g.digits(), "*")
	})
	f.Add("bytes 0-3/10")
	f.Fuzz(func(t *testing.T, field string) {
		p, ok := parseContentRange(field)
		if !ok {
			return
		}
		if p.Start < 0 || p.Start >= p.End || p.End > p.Length {
			t.Errorf("%q gives %+v", field, p)
		}
		if again, ok := parseContentRange(p.String()); !ok || again != p {
			t.Errorf("%q gives %+v, written %q", field, p, p.String())
		}
	})
}

func FuzzRange(f *testing.F) {
	seeds(f, func(g grammar) string {
		return g.one("bytes", "BYTES", g.token()) + "=" + g.list(func() string {
			return g.one(g.digits()+"-"+g.digits(), g.digits()+"-", "-"+g.digits())
		})
	})
	f.Add("bytes=0-3")
	f.Fuzz(func(t *testing.T, field string) {
		for _, length := range []int64{0, 1, 10, 1 << 40} {
			if p, ok := parseRange(field, length); ok && (p.Start < 0 || p.Start >= p.End || p.End > length || p.Length != length) {
				t.Errorf("%q of %d gives %+v", field, length, p)
			}
		}
	})
}

func FuzzEntityTag(f *testing.F) {
	seeds(f, func(g grammar) string { return g.one("", "W/", "w/") + `"` + g.one("", g.token(), "a b", `\`) + `"` })
	f.Fuzz(func(t *testing.T, line string) {
		h := http.Header{"Etag": {line}}
		tag, _ := Rules{}.Validators(h)
		if tag != "" && (tag != line || strings.Count(tag, `"`) != 2) {
			t.Errorf("%q gives %q", line, tag)
		}
		if strong := (Rules{}).StrongValidator(h); strings.HasPrefix(strong, "W/") {
			t.Errorf("%q is strong", line)
		}
	})
}
