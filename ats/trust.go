package ats

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
)

// AnchorKind is where the root of a chain comes from; rules for certificates differ by
// it. The zero value is SystemAnchors, the strictest.
type AnchorKind uint8

// The kinds of anchor.
const (
	SystemAnchors AnchorKind = iota // roots that came with the system
	AppAnchors                      // a pool that the app gave
	UserAnchors                     // installed by the user or an administrator
)

// TrustRule is a rule that a chain broke. The zero value is Untrusted.
type TrustRule uint8

// The rules, and Security.framework's status for each.
const (
	Untrusted     TrustRule = iota // no chain to an anchor, and no delegate may accept that (errSecNotTrusted, -67843)
	KeySize                        // RSA below 2048 bits, a curve below 256 (-67735)
	KeyType                        // a key that is neither RSA nor ECDSA
	SignatureHash                  // signed with less than SHA-256 (-67815)
	KeyUsage                       // no serverAuth among the leaf's extended key usages (-67609)
	Lifetime                       // a leaf that is valid for too long (-67901)
)

// String is the rule in words.
func (r TrustRule) String() string {
	switch r {
	case Untrusted:
		return "untrusted"
	case KeySize:
		return "key size"
	case KeyType:
		return "key type"
	case SignatureHash:
		return "signature hash"
	case KeyUsage:
		return "extended key usage"
	case Lifetime:
		return "lifetime"
	}

	return "invalid"
}

// TrustError says why a server's certificates are not good enough:
// NSURLErrorServerCertificateUntrusted (-1202).
type TrustError struct {
	Host        string            // as the certificate was asked for; may be ""
	Rule        TrustRule         // the rule that was broken
	Certificate *x509.Certificate // the one that broke it; nil when there is none
	Detail      string            // what was found and what is needed
}

// Error names the host, the rule and what was found.
func (e *TrustError) Error() string {
	s := "App Transport Security: "
	if e.Host != "" {
		s += fmt.Sprintf("%q: ", e.Host)
	}

	return s + "certificate refused (" + e.Rule.String() + "): " + e.Detail
}

// lifetimes says for how long a leaf may be valid, by the kind of its anchor and the
// day it was issued; the first line that fits counts, and a leaf older than all lines
// of its kind has no limit.
var lifetimes = []struct {
	kind  AnchorKind
	since time.Time
	limit time.Duration
}{
	{SystemAnchors, time.Date(2020, time.September, 1, 0, 0, 0, 0, time.UTC), 398 * day},
	{SystemAnchors, time.Date(2018, time.March, 1, 0, 0, 0, 0, time.UTC), 825*day + time.Hour},
	{AppAnchors, strictSince, 825 * day},
	{UserAnchors, strictSince, 825 * day},
}

// strictSince is the first second after 2019-07-01T00:00:00Z: only leaves issued later
// are held to the rules for anchors that are not the system's.
var strictSince = time.Date(2019, time.July, 1, 0, 0, 1, 0, time.UTC)

const day = 24 * time.Hour

// strongHashes are the signatures of SHA-256 and better. Ed25519 is SHA-512 within; where
// it is refused, it is for the key.
var strongHashes = []x509.SignatureAlgorithm{
	x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
	x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
	x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512, x509.PureEd25519,
}

// Evaluate judges chains that x509.Certificate.Verify built for host, leaf first: nil
// when one of them keeps every rule, else the *TrustError of the first. Trust is
// evaluated without a floor too, only kinds of key then do not matter.
func (f Floor) Evaluate(host string, chains [][]*x509.Certificate) error {
	var first *TrustError

	for _, chain := range chains {
		if len(chain) == 0 {
			continue
		}

		err := f.evaluate(chain)
		if err == nil {
			return nil
		}

		if first == nil {
			first = err
		}
	}

	if first == nil {
		first = &TrustError{Rule: Untrusted, Detail: "there is no chain to a trusted root"}
	}

	first.Host = host

	return first
}

// Accept judges what a server presented when Evaluate, or the verification before it,
// refused and a delegate vouches for it: nil, or a *TrustError. Where TLS is required no
// delegate can; elsewhere the floor's key sizes and hashes still hold.
func (f Floor) Accept(host string, presented []*x509.Certificate) error {
	switch {
	case !f.AllowsOverride:
		return &TrustError{Host: host, Rule: Untrusted, Detail: "no trusted chain, and policy allows no exception from that"}
	case len(presented) == 0:
		return &TrustError{Host: host, Rule: Untrusted, Detail: "no certificate was presented"}
	case f.None:
		return nil
	}

	for _, c := range presented {
		err := checkKeySize(c)
		if err == nil && !bytes.Equal(c.RawIssuer, c.RawSubject) {
			err = checkHash(c)
		}

		if err != nil {
			err.Host = host
			return err
		}
	}

	return nil
}

// evaluate holds one verified chain to all rules. The anchor's own signature proves
// nothing, so its hash does not matter.
func (f Floor) evaluate(chain []*x509.Certificate) *TrustError {
	anchor := len(chain) - 1
	for i, c := range chain {
		err := checkKeySize(c)
		if err == nil && !f.None {
			err = checkKeyType(c)
		}

		if err == nil && i < anchor {
			err = checkHash(c)
		}

		if err != nil {
			return err
		}
	}

	if err := f.checkUsage(chain[0]); err != nil {
		return err
	}

	if anchor == 0 && f.Anchors == UserAnchors {
		return nil // the user trusts this very certificate
	}

	return f.checkLifetime(chain[0])
}

func checkKeySize(c *x509.Certificate) *TrustError {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < 2048 {
			return &TrustError{Rule: KeySize, Certificate: c, Detail: fmt.Sprintf("an RSA key of %d bits, 2048 are needed", bits)}
		}
	case *ecdsa.PublicKey:
		if bits := key.Curve.Params().BitSize; bits < 256 {
			return &TrustError{Rule: KeySize, Certificate: c, Detail: fmt.Sprintf("an ECDSA key of %d bits, 256 are needed", bits)}
		}
	}

	return nil
}

func checkKeyType(c *x509.Certificate) *TrustError {
	switch c.PublicKey.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey:
		return nil
	}

	return &TrustError{Rule: KeyType, Certificate: c, Detail: "a key of kind " + c.PublicKeyAlgorithm.String() + ", RSA or ECDSA is needed"}
}

func checkHash(c *x509.Certificate) *TrustError {
	if slices.Contains(strongHashes, c.SignatureAlgorithm) {
		return nil
	}

	return &TrustError{Rule: SignatureHash, Certificate: c, Detail: "signed with " + c.SignatureAlgorithm.String() + ", SHA-256 or better is needed"}
}

// checkUsage wants serverAuth said outright, where crypto/x509 is content with no usage
// and with any.
func (f Floor) checkUsage(leaf *x509.Certificate) *TrustError {
	exempt := f.Anchors == UserAnchors || f.Anchors == AppAnchors && leaf.NotBefore.Before(strictSince)
	if exempt || slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth) {
		return nil
	}

	return &TrustError{Rule: KeyUsage, Certificate: leaf, Detail: "the leaf's extended key usage does not name serverAuth"}
}

func (f Floor) checkLifetime(leaf *x509.Certificate) *TrustError {
	for _, line := range lifetimes {
		if line.kind != f.Anchors || leaf.NotBefore.Before(line.since) {
			continue
		}

		if lifetime := leaf.NotAfter.Sub(leaf.NotBefore); lifetime > line.limit {
			return &TrustError{Rule: Lifetime, Certificate: leaf, Detail: fmt.Sprintf(
				"the leaf is valid for %s, at most %s are allowed", inDays(lifetime), inDays(line.limit))}
		}

		return nil
	}

	return nil
}

func inDays(d time.Duration) string {
	s := fmt.Sprintf("%d days", d/day)
	if rest := d % day; rest != 0 {
		s += " " + strings.TrimSuffix(rest.String(), "0s")
	}

	return s
}
