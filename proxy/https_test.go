package proxy

import (
	"fmt"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

type parameters map[dnsmessage.SVCParamKey]string

func service(priority uint16, target string, ps parameters) dnsmessage.SVCBResource {
	r := dnsmessage.SVCBResource{Priority: priority, Target: dnsmessage.MustNewName(target)}
	for key, value := range ps {
		r.SetParam(key, []byte(value))
	}

	return r
}

// httpsTests: want is the record, "unknown" or "malformed".
var httpsTests = []struct {
	name     string
	resource dnsmessage.SVCBResource
	want     string
}{
	{"nothing said", service(1, ".", nil), "1 [] false 0 [] "},
	{"a target", service(2, "pool.example.", nil), "2 pool.example [] false 0 [] "},
	{"protocols", service(1, ".", parameters{dnsmessage.SVCParamALPN: "\x02h3\x02h2"}), "1 [h3 h2] false 0 [] "},
	{"no default", service(1, ".", parameters{dnsmessage.SVCParamALPN: "\x02h3", dnsmessage.SVCParamNoDefaultALPN: ""}), "1 [h3] true 0 [] "},
	{"a port", service(1, ".", parameters{dnsmessage.SVCParamPort: "\x20\xfb"}), "1 [] false 8443 [] "},
	{"hints", service(1, ".", parameters{
		dnsmessage.SVCParamIPv4Hint: "\xc0\x00\x02\x01\xc0\x00\x02\x02", dnsmessage.SVCParamIPv6Hint: "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01",
	}), "1 [] false 0 [192.0.2.1 192.0.2.2 2001:db8::1] "},
	{"ECH", service(1, ".", parameters{dnsmessage.SVCParamECH: "keys"}), "1 [] false 0 [] keys"},
	{"an unknown key", service(1, ".", parameters{4711: "x"}), "1 [] false 0 [] "},
	{"a mandatory key that is known", service(1, ".", parameters{dnsmessage.SVCParamMandatory: "\x00\x03", dnsmessage.SVCParamPort: "\x20\xfb"}), "1 [] false 8443 [] "},
	{"one that is not", service(1, ".", parameters{dnsmessage.SVCParamMandatory: "\x12\x67", 4711: "x"}), "unknown"},
	{"one that is not there", service(1, ".", parameters{dnsmessage.SVCParamMandatory: "\x00\x03"}), "malformed"},
	{"mandatory itself", service(1, ".", parameters{dnsmessage.SVCParamMandatory: "\x00\x00"}), "malformed"},
	{"out of order", service(1, ".", parameters{
		dnsmessage.SVCParamMandatory: "\x00\x03\x00\x01", dnsmessage.SVCParamPort: "\x20\xfb", dnsmessage.SVCParamALPN: "\x02h2",
	}), "malformed"},
	{"half a key", service(1, ".", parameters{dnsmessage.SVCParamMandatory: "\x00"}), "malformed"},
	{"no protocol", service(1, ".", parameters{dnsmessage.SVCParamALPN: ""}), "malformed"},
	{"an empty protocol", service(1, ".", parameters{dnsmessage.SVCParamALPN: "\x00"}), "malformed"},
	{"a protocol that is cut", service(1, ".", parameters{dnsmessage.SVCParamALPN: "\x03h3"}), "malformed"},
	{"no default and no protocol", service(1, ".", parameters{dnsmessage.SVCParamNoDefaultALPN: ""}), "malformed"},
	{"a value for no default", service(1, ".", parameters{dnsmessage.SVCParamALPN: "\x02h3", dnsmessage.SVCParamNoDefaultALPN: "x"}), "malformed"},
	{"a long port", service(1, ".", parameters{dnsmessage.SVCParamPort: "\x00\x20\xfb"}), "malformed"},
	{"no hint", service(1, ".", parameters{dnsmessage.SVCParamIPv4Hint: ""}), "malformed"},
	{"half a hint", service(1, ".", parameters{dnsmessage.SVCParamIPv6Hint: "\xc0\x00\x02\x01"}), "malformed"},
}

func TestHTTPSRecord(t *testing.T) {
	for _, tt := range httpsTests {
		r, known, err := newHTTPSRecord(&tt.resource)
		got := fmt.Sprint(r.Priority, " ")
		if r.Target != "" {
			got += r.Target + " "
		}
		got += fmt.Sprint(r.ALPN, r.NoDefaultALPN, r.Port, r.Hints) + " " + string(r.ECH)
		if err != nil {
			got = "malformed"
		} else if !known {
			got = "unknown"
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q (%v)", tt.name, got, tt.want, err)
		}
	}
}

// The name of an origin's records has its port in it, but for the default one (RFC
// 9460 §9.1).
func TestHTTPSName(t *testing.T) {
	for port, want := range map[uint16]string{443: "a.example", 8443: "_8443._https.a.example", 80: "_80._https.a.example"} {
		if got := HTTPSName("a.example", port); got != want {
			t.Errorf("port %d: %q, want %q", port, got, want)
		}
	}
}
