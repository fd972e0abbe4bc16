package ats

import (
	"crypto/tls"
	"slices"
	"testing"
)

// The list is Go's own: what Go considers secure is what Apple does.
func TestSuitesAreGosSecureOnes(t *testing.T) {
	for _, s := range tls.CipherSuites() {
		if slices.Contains(s.SupportedVersions, tls.VersionTLS12) != slices.Contains(forwardSecret, s.ID) {
			t.Errorf("%s: in one list and not in the other", s.Name)
		}
	}

	if len(compatible) != len(forwardSecret)+4 || !slices.Equal(compatible[len(forwardSecret):], []uint16{0x009d, 0x009c, 0x0035, 0x002f}) {
		t.Errorf("RSA key exchange: %#x", compatible)
	}
}

func TestRestrictOnlyNarrows(t *testing.T) {
	gcm, rsa := uint16(tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256), uint16(tls.TLS_RSA_WITH_AES_128_GCM_SHA256)

	for name, row := range map[string]struct {
		cfg     *tls.Config
		floor   Floor
		version uint16
		suites  []uint16
	}{
		"empty":           {&tls.Config{}, Floor{}, tls.VersionTLS12, forwardSecret},
		"empty, lower":    {&tls.Config{}, Floor{MinVersion: tls.VersionTLS10}, tls.VersionTLS10, forwardSecret},
		"empty, RSA":      {&tls.Config{}, Floor{AllowsRSAKeyExchange: true}, tls.VersionTLS12, compatible},
		"higher already":  {&tls.Config{MinVersion: tls.VersionTLS13}, Floor{}, tls.VersionTLS13, forwardSecret},
		"lower already":   {&tls.Config{MinVersion: tls.VersionTLS10}, Floor{}, tls.VersionTLS12, forwardSecret},
		"suites already":  {&tls.Config{CipherSuites: []uint16{rsa, gcm}}, Floor{}, tls.VersionTLS12, []uint16{gcm}},
		"none in common":  {&tls.Config{CipherSuites: []uint16{rsa}}, Floor{}, tls.VersionTLS12, []uint16{}},
		"no floor":        {&tls.Config{}, Floor{None: true}, 0, nil},
		"no floor, given": {&tls.Config{MinVersion: tls.VersionTLS11, CipherSuites: []uint16{rsa}}, Floor{None: true}, tls.VersionTLS11, []uint16{rsa}},
	} {
		row.floor.Restrict(row.cfg)

		if row.cfg.MinVersion != row.version || !slices.Equal(row.cfg.CipherSuites, row.suites) || (row.suites == nil) != (row.cfg.CipherSuites == nil) {
			t.Errorf("%s: version %#x, suites %#x", name, row.cfg.MinVersion, row.cfg.CipherSuites)
		}
	}

	first, second := &tls.Config{}, &tls.Config{}
	Floor{}.Restrict(first)
	Floor{}.Restrict(second)

	if first.CipherSuites[0] = 0; second.CipherSuites[0] == 0 || forwardSecret[0] == 0 {
		t.Error("configurations share a list")
	}
}

func TestKeysAreEqualExactlyForEqualPolicies(t *testing.T) {
	seen := make(map[string]Floor)

	for _, flags := range []Floor{
		{},
		{None: true},
		{AllowsOverride: true},
		{AllowsRSAKeyExchange: true},
		{None: true, AllowsOverride: true},
		{None: true, AllowsRSAKeyExchange: true},
		{AllowsOverride: true, AllowsRSAKeyExchange: true},
		{None: true, AllowsOverride: true, AllowsRSAKeyExchange: true},
	} {
		for _, v := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13} {
			for _, kind := range []AnchorKind{SystemAnchors, AppAnchors, UserAnchors} {
				f := flags
				f.MinVersion, f.Anchors = v, kind

				if other, ok := seen[f.Key()]; ok {
					t.Errorf("%+v and %+v have the key %s", f, other, f.Key())
				}

				seen[f.Key()] = f
			}
		}
	}

	if unset, set := (Floor{}), (Floor{MinVersion: tls.VersionTLS12}); unset.Key() != set.Key() {
		t.Errorf("TLS 1.2 by default is %s, TLS 1.2 by name %s", unset.Key(), set.Key())
	}
}
