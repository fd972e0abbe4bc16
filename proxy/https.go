package proxy

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// HTTPSRecord is an HTTPS record of the DNS in ServiceMode (RFC 9460 §9): one way to
// reach an origin.
type HTTPSRecord struct {
	// Priority is its place: lower ones go first. It is at least 1.
	Priority uint16
	// Target is the host that serves the origin; "": the origin's own.
	Target string
	// ALPN are the protocols that it speaks ("h2", "h3"), beside "http/1.1" unless
	// NoDefaultALPN.
	ALPN          []string
	NoDefaultALPN bool
	// Port is its port; 0: the origin's own.
	Port uint16
	// Hints are addresses of Target, to connect before those are looked up.
	Hints []netip.Addr
	// ECH is its ECHConfigList (RFC 9848); nil: none.
	ECH []byte
	// TTL is how long the record holds.
	TTL time.Duration
}

// HTTPSResolver is a Resolver that finds HTTPS records too.
type HTTPSResolver interface {
	Resolver
	// LookupHTTPS finds the records under a name, which is HTTPSName of an origin,
	// sorted by priority; none is no error. It returns promptly when ctx ends, and is
	// safe for concurrent use.
	LookupHTTPS(ctx context.Context, name string) ([]HTTPSRecord, error)
}

// HTTPSName is the name under which the HTTPS records of an origin are found (RFC
// 9460 §9.1): the host itself for port 443, else one below it.
func HTTPSName(host string, port uint16) string {
	if port == 443 {
		return host
	}

	return "_" + strconv.Itoa(int(port)) + "._https." + host
}

var errParameter = errors.New("a parameter has a value that is not of its form")

// newHTTPSRecord reads a record. known is false where it cannot be used by one who
// does not know a key that it calls mandatory (RFC 9460 §8).
func newHTTPSRecord(r *dnsmessage.SVCBResource) (made HTTPSRecord, known bool, err error) {
	made.Priority = r.Priority
	if target := strings.TrimSuffix(r.Target.String(), "."); target != "" {
		made.Target = target
	}
	known = true
	for _, p := range r.Params {
		switch v := p.Value; p.Key {
		case dnsmessage.SVCParamMandatory:
			known, err = mandatory(r, v)
		case dnsmessage.SVCParamALPN:
			made.ALPN, err = alpnList(v)
		case dnsmessage.SVCParamNoDefaultALPN:
			made.NoDefaultALPN = true
			if len(v) != 0 {
				err = errParameter
			}
		case dnsmessage.SVCParamPort:
			if len(v) != 2 {
				return made, false, errParameter
			}
			made.Port = binary.BigEndian.Uint16(v)
		case dnsmessage.SVCParamIPv4Hint:
			made.Hints, err = hints(made.Hints, v, 4)
		case dnsmessage.SVCParamIPv6Hint:
			made.Hints, err = hints(made.Hints, v, 16)
		case dnsmessage.SVCParamECH:
			made.ECH = v
		}
		if err != nil {
			return made, false, err
		}
	}
	if made.NoDefaultALPN && len(made.ALPN) == 0 {
		return made, false, errParameter // it would speak nothing
	}

	return made, known, nil
}

// mandatory tells whether all keys that a record calls mandatory are known. They must
// be there, in order, and not be "mandatory" itself.
func mandatory(r *dnsmessage.SVCBResource, value []byte) (known bool, err error) {
	if len(value) == 0 || len(value)%2 != 0 {
		return false, errParameter
	}
	known = true
	last := dnsmessage.SVCParamMandatory
	for ; len(value) > 0; value = value[2:] {
		key := dnsmessage.SVCParamKey(binary.BigEndian.Uint16(value))
		if _, there := r.GetParam(key); !there || key <= last {
			return false, errParameter
		}
		last = key
		known = known && key <= dnsmessage.SVCParamIPv6Hint
	}

	return known, nil
}

// alpnList reads names that stand behind their lengths.
func alpnList(value []byte) (names []string, err error) {
	for len(value) > 0 {
		n := int(value[0])
		if n == 0 || n >= len(value) {
			return nil, errParameter
		}
		names = append(names, string(value[1:1+n]))
		value = value[1+n:]
	}
	if names == nil {
		return nil, errParameter
	}

	return names, nil
}

func hints(list []netip.Addr, value []byte, size int) ([]netip.Addr, error) {
	if len(value) == 0 || len(value)%size != 0 {
		return nil, errParameter
	}
	for ; len(value) > 0 && len(list) < maxAddresses; value = value[size:] {
		addr, _ := netip.AddrFromSlice(value[:size])
		list = append(list, addr)
	}

	return list, nil
}
