package ats

import (
	"crypto/tls"
	"slices"
	"strconv"
)

// Floor is what TLS must look like for a host. The zero value is that of public hosts:
// TLS 1.2, forward secrecy, and a trusted chain to a system anchor. Floors can be compared
// with ==: equal ones ask the same.
type Floor struct {
	// None: versions, suites and kinds of key are Go's own affair. The host is local, or
	// freed by an arbitrary-loads key. Trust is evaluated all the same.
	None bool

	// AllowsOverride: a delegate may accept a chain that Evaluate refused. It is true
	// exactly where clear text is allowed.
	AllowsOverride bool

	// MinVersion is a tls.VersionTLS constant; 0 is TLS 1.2.
	MinVersion uint16

	// AllowsRSAKeyExchange adds suites without forward secrecy.
	AllowsRSAKeyExchange bool

	// Anchors is the kind of root certificates in use. Rules cannot know it: whoever hands
	// out roots of its own sets AppAnchors here.
	Anchors AnchorKind
}

// The cipher suites of TLS up to 1.2; those of 1.3 are all allowed, and crypto/tls has
// no choice among them. Naming them keeps process-wide settings from adding others.
var (
	forwardSecret = []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
		tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
	}
	compatible = append(slices.Clone(forwardSecret),
		tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_RSA_WITH_AES_256_CBC_SHA,
		tls.TLS_RSA_WITH_AES_128_CBC_SHA,
	)
)

// Floor says what TLS must look like for a host; the kind of load matters, as for Gate.
func (r *Rules) Floor(l Load) Floor { return r.decide(l).floor() }

func (d decision) floor() Floor {
	switch {
	case d.entry != nil:
		return Floor{
			AllowsOverride:       !d.required,
			MinVersion:           d.entry.MinimumTLSVersion,
			AllowsRSAKeyExchange: d.entry.AllowsRSAKeyExchange,
		}
	case !d.required:
		return Floor{None: true, AllowsOverride: true}
	}

	return Floor{}
}

// minVersion is MinVersion with its default.
func (f Floor) minVersion() uint16 {
	if f.MinVersion == 0 {
		return tls.VersionTLS12
	}

	return f.MinVersion
}

// Apply makes a client's cfg keep the floor: Restrict, and a VerifyConnection that
// evaluates the chains crypto/tls has verified, on resumed connections too. One that
// cfg has already runs first. A chain that falls short fails the handshake with a
// *TrustError; a version or suite does with crypto/tls's own errors.
//
// Under InsecureSkipVerify there is no verified chain: what was presented is then held
// to Accept, so that it fails wherever a delegate could not have accepted it. Whoever
// verifies for itself uses Restrict, and calls Evaluate and Accept.
func (f Floor) Apply(cfg *tls.Config) {
	f.Restrict(cfg)

	before, configured := cfg.VerifyConnection, cfg.ServerName
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		if before != nil {
			if err := before(cs); err != nil {
				return err
			}
		}

		host := cs.ServerName
		if host == "" {
			host = configured // an address: it is in no handshake message
		}

		if len(cs.VerifiedChains) == 0 {
			return f.Accept(host, cs.PeerCertificates)
		}

		return f.Evaluate(host, cs.VerifiedChains)
	}
}

// Restrict sets the versions and cipher suites alone. It only ever narrows what cfg
// allows already.
func (f Floor) Restrict(cfg *tls.Config) {
	if f.None {
		return
	}

	// Go's own minimum is TLS 1.2, so that an unset one may be lowered by an entry.
	cfg.MinVersion = max(cfg.MinVersion, f.minVersion())

	suites := forwardSecret
	if f.AllowsRSAKeyExchange {
		suites = compatible
	}

	if cfg.CipherSuites == nil {
		cfg.CipherSuites = slices.Clone(suites)
		return
	}

	kept := []uint16{} // not nil when empty: nil would mean Go's default list
	for _, id := range cfg.CipherSuites {
		if slices.Contains(suites, id) {
			kept = append(kept, id)
		}
	}

	cfg.CipherSuites = kept
}

// Key is the TLS policy's identity, equal exactly for floors that ask the same: connections and TLS
// sessions may be shared among loads with the same key only.
func (f Floor) Key() string {
	key := append(make([]byte, 0, 48), "ats"...)

	for _, flag := range []struct {
		set  bool
		name string
	}{{f.None, "-none"}, {f.AllowsOverride, "-override"}, {f.AllowsRSAKeyExchange, "-rsakex"}} {
		if flag.set {
			key = append(key, flag.name...)
		}
	}

	key = strconv.AppendUint(append(key, "-v"...), uint64(f.minVersion()), 16)
	key = strconv.AppendUint(append(key, "-a"...), uint64(f.Anchors), 10)

	return string(key)
}

// String is the floor in words.
func (f Floor) String() string {
	if f.None {
		return "no TLS floor"
	}

	s := tls.VersionName(f.minVersion()) + " or newer"
	if f.AllowsRSAKeyExchange {
		s += ", RSA key exchange allowed"
	} else {
		s += " with forward secrecy"
	}

	if f.AllowsOverride {
		s += ", a delegate may accept an untrusted certificate"
	}

	return s
}
