package ats

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"
)

// passes is the verdict on a chain that keeps all rules.
const passes = TrustRule(255)

// verdictOf turns an error of Evaluate or Accept into the rule it names.
func verdictOf(t *testing.T, err error) TrustRule {
	t.Helper()

	if err == nil {
		return passes
	}

	var trust *TrustError
	if !errors.As(err, &trust) || trust.Host != "a.example" || trust.Detail == "" || !strings.Contains(err.Error(), trust.Rule.String()) {
		t.Fatalf("%#v: want a whole *TrustError", err)
	}

	return trust.Rule
}

// The matrix of leaves: refused by the floor, after a delegate's yes, and with no floor.
func TestCertificateMatrix(t *testing.T) {
	ca := root(t, spec{})
	rsaCA := root(t, spec{key: "rsa2048"})
	middle := func(s spec) *signed { s.name, s.ca = "middle", true; return issue(t, ca, s) }
	weak, sha1Middle := middle(spec{key: "rsa1024"}), middle(spec{key: "rsa2048", hash: x509.ECDSAWithSHA1})
	edCA := root(t, spec{key: "ed25519"})
	sha1Root, weakRoot := root(t, spec{key: "rsa2048", hash: x509.SHA1WithRSA}), root(t, spec{key: "rsa1024"})

	for name, row := range map[string]struct {
		chain    []*x509.Certificate
		floor    TrustRule // default floor
		accepted TrustRule // an insecure entry's floor, and the delegate vouches
		off      TrustRule // no floor
	}{
		"P-256":                  {chainOf(issue(t, ca, spec{}), ca), passes, passes, passes},
		"P-384":                  {chainOf(issue(t, ca, spec{key: "p384"}), ca), passes, passes, passes},
		"RSA-2048":               {chainOf(issue(t, rsaCA, spec{key: "rsa2048"}), rsaCA), passes, passes, passes},
		"RSA-PSS":                {chainOf(issue(t, rsaCA, spec{hash: x509.SHA256WithRSAPSS}), rsaCA), passes, passes, passes},
		"RSA-2047":               {chainOf(issue(t, ca, spec{key: "rsa2047"}), ca), KeySize, KeySize, KeySize},
		"RSA-1024":               {chainOf(issue(t, ca, spec{key: "rsa1024"}), ca), KeySize, KeySize, KeySize},
		"RSA-1024 in the middle": {chainOf(issue(t, weak, spec{}), weak, ca), KeySize, KeySize, KeySize},
		"RSA-1024 root":          {chainOf(issue(t, weakRoot, spec{}), weakRoot), KeySize, KeySize, KeySize},
		"P-224":                  {chainOf(issue(t, ca, spec{key: "p224"}), ca), KeySize, KeySize, KeySize},
		"Ed25519":                {chainOf(issue(t, ca, spec{key: "ed25519"}), ca), KeyType, passes, passes},
		"Ed25519 root":           {chainOf(issue(t, edCA, spec{}), edCA), KeyType, passes, passes},
		"SHA-1":                  {chainOf(issue(t, rsaCA, spec{hash: x509.SHA1WithRSA}), rsaCA), SignatureHash, SignatureHash, SignatureHash},
		"SHA-1 in the middle":    {chainOf(issue(t, sha1Middle, spec{}), sha1Middle, ca), SignatureHash, SignatureHash, SignatureHash},
		"SHA-1 root signature":   {chainOf(issue(t, sha1Root, spec{}), sha1Root), passes, passes, passes},
		"no usage":               {chainOf(issue(t, ca, spec{usage: []x509.ExtKeyUsage{}}), ca), KeyUsage, passes, KeyUsage},
		"any usage":              {chainOf(issue(t, ca, spec{usage: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}), ca), KeyUsage, passes, KeyUsage},
		"client usage":           {chainOf(issue(t, ca, spec{usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}), ca), KeyUsage, passes, KeyUsage},
		"826 days":               {chainOf(issue(t, ca, spec{lifetime: 826 * day}), ca), Lifetime, passes, Lifetime},
	} {
		app := Floor{Anchors: AppAnchors}
		if got := verdictOf(t, app.Evaluate("a.example", [][]*x509.Certificate{row.chain})); got != row.floor {
			t.Errorf("%s: default floor: %v, want %v", name, got, row.floor)
		}

		if got := verdictOf(t, app.Accept("a.example", row.chain)); got != Untrusted {
			t.Errorf("%s: default floor lets a delegate accept: %v", name, got)
		}

		insecure := Floor{AllowsOverride: true, Anchors: AppAnchors}
		if got := verdictOf(t, insecure.Accept("a.example", row.chain)); got != row.accepted {
			t.Errorf("%s: insecure and accepted: %v, want %v", name, got, row.accepted)
		}

		none := Floor{None: true, AllowsOverride: true, Anchors: AppAnchors}
		if got := verdictOf(t, none.Evaluate("a.example", [][]*x509.Certificate{row.chain})); got != row.off {
			t.Errorf("%s: no floor: %v, want %v", name, got, row.off)
		}

		if got := verdictOf(t, none.Accept("a.example", row.chain)); got != passes {
			t.Errorf("%s: no floor and accepted: %v", name, got)
		}
	}
}

func TestLifetimes(t *testing.T) {
	date := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }
	long := 3000 * day

	for _, row := range []struct {
		kind     AnchorKind
		issued   time.Time
		lifetime time.Duration
		want     TrustRule
	}{
		{SystemAnchors, date(2026, 1, 1), 398 * day, passes},
		{SystemAnchors, date(2026, 1, 1), 398*day + time.Second, Lifetime},
		{SystemAnchors, date(2020, 9, 1), 398*day + time.Second, Lifetime},
		{SystemAnchors, date(2020, 9, 1).Add(-time.Second), 825*day + time.Hour, passes},
		{SystemAnchors, date(2020, 9, 1).Add(-time.Second), 825*day + time.Hour + time.Second, Lifetime},
		{SystemAnchors, date(2018, 3, 1), 826 * day, Lifetime},
		{SystemAnchors, date(2018, 3, 1).Add(-time.Second), long, passes},
		{AppAnchors, date(2026, 1, 1), 825 * day, passes},
		{AppAnchors, date(2026, 1, 1), 825*day + time.Second, Lifetime},
		{AppAnchors, date(2019, 7, 1).Add(time.Second), 826 * day, Lifetime},
		{AppAnchors, date(2019, 7, 1), long, passes},
		{UserAnchors, date(2026, 1, 1), 825 * day, passes},
		{UserAnchors, date(2026, 1, 1), 826 * day, Lifetime},
		{UserAnchors, date(2019, 7, 1), long, passes},
	} {
		ca := root(t, spec{})
		chain := chainOf(issue(t, ca, spec{issued: row.issued, lifetime: row.lifetime}), ca)

		f := Floor{Anchors: row.kind}
		if got := verdictOf(t, f.Evaluate("a.example", [][]*x509.Certificate{chain})); got != row.want {
			t.Errorf("kind %d, issued %v for %v: %v, want %v", row.kind, row.issued, row.lifetime, got, row.want)
		}
	}
}

func TestUsageByAnchor(t *testing.T) {
	ca := root(t, spec{})
	old := time.Date(2019, 7, 1, 0, 0, 0, 0, time.UTC)
	none := []x509.ExtKeyUsage{}
	anyUsage := []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}

	for _, row := range []struct {
		kind   AnchorKind
		issued time.Time
		usage  []x509.ExtKeyUsage
		want   TrustRule
	}{
		{SystemAnchors, time.Time{}, none, KeyUsage},
		{SystemAnchors, time.Time{}, anyUsage, KeyUsage},
		{SystemAnchors, old, none, KeyUsage},
		{SystemAnchors, time.Time{}, both, passes},
		{AppAnchors, time.Time{}, none, KeyUsage},
		{AppAnchors, time.Time{}, anyUsage, KeyUsage},
		{AppAnchors, old.Add(time.Second), none, KeyUsage},
		{AppAnchors, old, none, passes},
		{AppAnchors, time.Time{}, both, passes},
		{UserAnchors, time.Time{}, none, passes},
		{UserAnchors, time.Time{}, anyUsage, passes},
	} {
		chain := chainOf(issue(t, ca, spec{issued: row.issued, usage: row.usage}), ca)

		f := Floor{Anchors: row.kind}
		if got := verdictOf(t, f.Evaluate("a.example", [][]*x509.Certificate{chain})); got != row.want {
			t.Errorf("kind %d, issued %v, usage %v: %v, want %v", row.kind, row.issued, row.usage, got, row.want)
		}
	}
}

// A certificate that is its own anchor proves itself; only the user is trusted to have
// looked at how long it lasts.
func TestLeafThatIsItsOwnAnchor(t *testing.T) {
	self := issue(t, nil, spec{lifetime: 3650 * day, key: "rsa2048", hash: x509.SHA1WithRSA})
	for kind, want := range map[AnchorKind]TrustRule{SystemAnchors: Lifetime, AppAnchors: Lifetime, UserAnchors: passes} {
		f := Floor{Anchors: kind}
		if got := verdictOf(t, f.Evaluate("a.example", [][]*x509.Certificate{chainOf(self)})); got != want {
			t.Errorf("kind %d: %v, want %v", kind, got, want)
		}
	}
}

func TestOneGoodChainIsEnough(t *testing.T) {
	ca, weakCA := root(t, spec{}), root(t, spec{key: "rsa1024"})
	leaf := issue(t, ca, spec{})
	old := issue(t, ca, spec{lifetime: 826 * day})
	good, bad := chainOf(leaf, ca), chainOf(leaf, weakCA)
	f := Floor{Anchors: AppAnchors}

	for _, row := range []struct {
		chains [][]*x509.Certificate
		want   TrustRule
	}{
		{[][]*x509.Certificate{bad, good}, passes},
		{[][]*x509.Certificate{good, bad}, passes},
		{[][]*x509.Certificate{bad, bad}, KeySize},
		{[][]*x509.Certificate{{}, bad}, KeySize},
		{[][]*x509.Certificate{bad, chainOf(old, ca)}, KeySize},
		{[][]*x509.Certificate{chainOf(old, ca), bad}, Lifetime},
		{[][]*x509.Certificate{{}}, Untrusted},
		{nil, Untrusted},
	} {
		if got := verdictOf(t, f.Evaluate("a.example", row.chains)); got != row.want {
			t.Errorf("%d chains: %v, want %v", len(row.chains), got, row.want)
		}
	}

	insecure := Floor{AllowsOverride: true}
	if got := verdictOf(t, insecure.Accept("a.example", nil)); got != Untrusted {
		t.Errorf("nothing presented: %v", got)
	}
}
