package ats

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

var (
	propertyHosts = []string{
		"example.com", "a.example.com", "b.a.example.com", "localhost", "nas.local", "printer", "127.0.0.1", "203.0.113.5",
		"10.1.2.3", "::1", "fe80::1", "2001:db8::5", "bücher.example", "example.com.", "127.1", "",
	}
	propertyKeys = []string{
		"example.com", "a.example.com", "com", "localhost", "local", "127.0.0.1", "203.0.113.0/24", "203.0.113.5", "10/8",
		"::/0", "::1", "2001:db8::/32", "bücher.example", "example",
	}
)

func randomException(rnd *rand.Rand, key string) Exception {
	x := Exception{
		IncludesSubdomains:      rnd.IntN(2) == 0 && !strings.ContainsAny(key, ":/123"),
		AllowsInsecureHTTPLoads: rnd.IntN(2) == 0,
		MinimumTLSVersion:       []uint16{0, tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13}[rnd.IntN(5)],
	}
	x.AllowsRSAKeyExchange = x.MinimumTLSVersion != tls.VersionTLS13 && rnd.IntN(2) == 0

	return x
}

func randomPolicy(rnd *rand.Rand) Policy {
	p := Policy{
		AllowsArbitraryLoads:             rnd.IntN(2) == 0,
		AllowsArbitraryLoadsForMedia:     Presence(rnd.IntN(3)),
		AllowsArbitraryLoadsInWebContent: Presence(rnd.IntN(3)),
		AllowsLocalNetworking:            Presence(rnd.IntN(3)),
		ExceptionDomains:                 map[string]Exception{},
	}
	p.TreatsPrivateNetworksAsLocal = p.AllowsLocalNetworking != No && rnd.IntN(2) == 0

	for _, key := range propertyKeys {
		if rnd.IntN(4) == 0 {
			p.ExceptionDomains[key] = randomException(rnd, key)
		}
	}

	return p
}

// harden makes one thing about an entry more secure.
func harden(rnd *rand.Rand, x Exception) Exception {
	switch rnd.IntN(3) {
	case 0:
		x.AllowsInsecureHTTPLoads = false
	case 1:
		x.AllowsRSAKeyExchange = false
	default:
		if !x.AllowsRSAKeyExchange {
			x.MinimumTLSVersion = tls.VersionTLS13
		}
	}

	return x
}

// weaker says in what a floor asks less than another; "" is nothing.
func weaker(a, than Floor) string {
	switch {
	case a.None && !than.None:
		return "none"
	case a.AllowsOverride && !than.AllowsOverride:
		return "override"
	case !than.None && a.minVersion() < than.minVersion():
		return "version"
	case !than.None && a.AllowsRSAKeyExchange && !than.AllowsRSAKeyExchange:
		return "key exchange"
	}

	return ""
}

// forRandomPolicies runs a check over many policies; a seed in the name finds one again.
func forRandomPolicies(t *testing.T, check func(t *testing.T, rnd *rand.Rand, p Policy)) {
	t.Helper()

	for seed := range uint64(1500) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		check(t, rnd, randomPolicy(rnd))

		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func loads(rnd *rand.Rand) []Load {
	all := make([]Load, 0, len(propertyHosts))
	for _, host := range propertyHosts {
		all = append(all, Load{Host: host, Media: rnd.IntN(4) == 0, WebContent: rnd.IntN(4) == 0})
	}

	return all
}

// A more secure entry never makes any load weaker.
func TestHardeningNeverWeakens(t *testing.T) {
	forRandomPolicies(t, func(t *testing.T, rnd *rand.Rand, p Policy) {
		q := p.Clone()
		for key, x := range q.ExceptionDomains {
			q.ExceptionDomains[key] = harden(rnd, x)
		}

		before, after := mustCompile(t, p), mustCompile(t, q)
		for _, l := range loads(rnd) {
			if why := weaker(after.Floor(l), before.Floor(l)); why != "" {
				t.Errorf("%+v is weaker (%s) with a more secure entry:\n%v\n%v", l, why, before.Explain(l), after.Explain(l))
			}

			if allowed(t, after, l) && !allowed(t, before, l) {
				t.Errorf("%+v may go in clear text with a more secure entry", l)
			}
		}
	})
}

// An entry of defaults asks at least what the default policy asks, whatever else is set.
func TestADefaultEntryIsTheDefaultPolicy(t *testing.T) {
	forRandomPolicies(t, func(t *testing.T, rnd *rand.Rand, p Policy) {
		for _, l := range loads(rnd) {
			if h := parseHost(l.Host); l.Host == "" || h.problem != "" {
				continue
			}

			q := Policy{ExceptionDomains: map[string]Exception{l.Host: {}}}
			q.AllowsArbitraryLoads = p.AllowsArbitraryLoads
			q.AllowsLocalNetworking = p.AllowsLocalNetworking
			q.AllowsArbitraryLoadsForMedia = p.AllowsArbitraryLoadsForMedia

			if f := mustCompile(t, q).Floor(l); f != (Floor{}) {
				t.Errorf("%+v: floor %+v with an entry of defaults", l, f)
			}
		}
	})
}

// The presence of another key is as good as the absence of AllowsArbitraryLoads.
func TestArbitraryLoadsIsIgnoredBesideOtherKeys(t *testing.T) {
	forRandomPolicies(t, func(t *testing.T, rnd *rand.Rand, p Policy) {
		if p.AllowsLocalNetworking == Absent && p.AllowsArbitraryLoadsForMedia == Absent && p.AllowsArbitraryLoadsInWebContent == Absent {
			return
		}

		q := p.Clone()
		q.AllowsArbitraryLoads = !p.AllowsArbitraryLoads

		a, b := mustCompile(t, p), mustCompile(t, q)
		for _, l := range loads(rnd) {
			if a.Floor(l) != b.Floor(l) || allowed(t, a, l) != allowed(t, b, l) {
				t.Errorf("%+v: %v, %v", l, a.Explain(l), b.Explain(l))
			}
		}
	})
}

// Answers depend on policy, host and locality alone: not on the order of a map, on what
// was asked before, or on who else asks.
func TestAnswersDependOnInputsAlone(t *testing.T) {
	forRandomPolicies(t, func(t *testing.T, rnd *rand.Rand, p Policy) {
		a, b := mustCompile(t, p, "203.0.113.0/24"), mustCompile(t, p.Clone(), "203.0.113.0/24")
		order := loads(rnd)
		first := make(map[Load]string)

		for _, l := range order {
			first[l] = fmt.Sprint(a.Explain(l), a.Gate(l))
		}

		slices.Reverse(order)

		for _, l := range order {
			if again := fmt.Sprint(b.Explain(l), b.Gate(l)); again != first[l] {
				t.Errorf("%+v: %s, then %s", l, first[l], again)
			}

			upper := l
			if upper.Host = strings.ToUpper(l.Host); fmt.Sprint(b.Explain(upper), b.Gate(upper)) != first[l] {
				t.Errorf("%+v is judged otherwise in upper case", l)
			}
		}
	})
}
