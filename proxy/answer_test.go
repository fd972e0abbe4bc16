package proxy

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// zone is what a server of the tests knows: records in their text form, "name type ttl
// data", separated by newlines; names are absolute.
type zone struct {
	code    dnsmessage.RCode
	header  func(*dnsmessage.Header)
	records string
	https   []dnsmessage.SVCBResource // for "HTTPS" records, by their number
}

// message is the answer to a question: all records, whatever was asked.
func (z zone) message(t testing.TB, question []byte) []byte {
	t.Helper()
	var p dnsmessage.Parser
	if _, err := p.Start(question); err != nil {
		t.Fatal(err)
	}
	q, err := p.Question()
	if err != nil {
		t.Fatal(err)
	}
	m := dnsmessage.Message{Header: dnsmessage.Header{Response: true, RCode: z.code, RecursionAvailable: true}, Questions: []dnsmessage.Question{q}}
	if z.header != nil {
		z.header(&m.Header)
	}
	for line := range strings.Lines(z.records) {
		f := strings.Fields(line)
		if len(f) < 4 {
			continue
		}
		ttl, err := time.ParseDuration(f[2])
		if err != nil {
			t.Fatal(err)
		}
		r := dnsmessage.Resource{Header: dnsmessage.ResourceHeader{
			Name: dnsmessage.MustNewName(f[0]), Class: dnsmessage.ClassINET, TTL: uint32(ttl / time.Second),
		}}
		switch f[1] {
		case "A":
			r.Body = &dnsmessage.AResource{A: netip.MustParseAddr(f[3]).As4()}
		case "AAAA":
			r.Body = &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(f[3]).As16()}
		case "CNAME":
			r.Body = &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(f[3])}
		case "HTTPS":
			r.Body = &dnsmessage.HTTPSResource{SVCBResource: z.https[int(f[3][0]-'0')]}
		case "SOA":
			r.Body = &dnsmessage.SOAResource{NS: dnsmessage.MustNewName("ns."), MBox: dnsmessage.MustNewName("m."), MinTTL: uint32(len(f[3]))}
			m.Authorities = append(m.Authorities, r)

			continue
		}
		m.Answers = append(m.Answers, r)
	}
	packed, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}

	return packed
}

func ask(t testing.TB, name string, kind dnsmessage.Type) []byte {
	t.Helper()
	q, err := question(dnsmessage.MustNewName(name), kind)
	if err != nil {
		t.Fatal(err)
	}

	return q
}

var answerTests = []struct {
	name  string
	kind  dnsmessage.Type
	zone  zone
	addrs []string
	ttl   time.Duration
	err   string
}{
	{"one address", dnsmessage.TypeA, zone{records: "a.example. A 60s 192.0.2.1"}, []string{"192.0.2.1"}, time.Minute, ""},
	{"the lesser time", dnsmessage.TypeA, zone{records: "a.example. A 60s 192.0.2.1\na.example. A 9s 192.0.2.2"}, []string{"192.0.2.1", "192.0.2.2"}, 9 * time.Second, ""},
	{"a case of its own", dnsmessage.TypeA, zone{records: "A.eXample. A 60s 192.0.2.1"}, []string{"192.0.2.1"}, time.Minute, ""},
	{"of the other kind", dnsmessage.TypeA, zone{records: "a.example. AAAA 60s 2001:db8::1"}, nil, 0, ""},
	{"of another name", dnsmessage.TypeA, zone{records: "b.example. A 60s 192.0.2.1"}, nil, 0, ""},
	{"IPv6", dnsmessage.TypeAAAA, zone{records: "a.example. AAAA 60s 2001:db8::1\na.example. A 60s 192.0.2.1"}, []string{"2001:db8::1"}, time.Minute, ""},
	{"an alias", dnsmessage.TypeA, zone{records: "a.example. CNAME 30s B.example.\nb.example. A 60s 192.0.2.1"}, []string{"192.0.2.1"}, 30 * time.Second, ""},
	{"a chain, in any order", dnsmessage.TypeA, zone{records: "c.example. A 60s 192.0.2.1\nb.example. CNAME 40s c.example.\na.example. CNAME 30s b.example."}, []string{"192.0.2.1"}, 30 * time.Second, ""},
	{"a loop", dnsmessage.TypeA, zone{records: "a.example. CNAME 30s b.example.\nb.example. CNAME 30s a.example.\nc.example. A 60s 192.0.2.1"}, nil, 0, ""},
	{"an alias to nothing", dnsmessage.TypeA, zone{records: "a.example. CNAME 30s b.example.\na.example. A 60s 192.0.2.1"}, nil, 0, ""},
	{"no data", dnsmessage.TypeA, zone{records: "example. SOA 60s 12345"}, nil, 5 * time.Second, ""},
	{"no data for long", dnsmessage.TypeA, zone{records: "example. SOA 3600s " + strings.Repeat("1", 100)}, nil, maxNegativeTTL, ""},
	{"no data, for as long as the SOA holds", dnsmessage.TypeA, zone{records: "example. SOA 2s 12345"}, nil, 2 * time.Second, ""},
	{"for ever", dnsmessage.TypeA, zone{records: "a.example. A 4000000s 192.0.2.1"}, []string{"192.0.2.1"}, maxAnswerTTL, ""},
	{"cut short", dnsmessage.TypeA, zone{header: func(h *dnsmessage.Header) { h.Truncated = true }}, nil, 0, "cut short"},
	{"a question", dnsmessage.TypeA, zone{header: func(h *dnsmessage.Header) { h.Response = false }}, nil, 0, "no answer"},
}

func TestParseAnswer(t *testing.T) {
	for _, tt := range answerTests {
		a, err := parseAnswer(tt.zone.message(t, ask(t, "a.example.", tt.kind)), dnsmessage.MustNewName("a.example."), tt.kind)
		var got []string
		for _, addr := range a.addrs {
			got = append(got, addr.String())
		}
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.err)
		}
		if !slices.Equal(got, tt.addrs) || a.ttl != tt.ttl {
			t.Errorf("%s: %v for %v, want %v for %v", tt.name, got, a.ttl, tt.addrs, tt.ttl)
		}
	}
}

// An answer to what was not asked is none.
func TestAnswerToAnotherQuestion(t *testing.T) {
	message := zone{records: "a.example. A 60s 192.0.2.1"}.message(t, ask(t, "a.example.", dnsmessage.TypeA))
	for name, kind := range map[string]dnsmessage.Type{"b.example.": dnsmessage.TypeA, "a.example.": dnsmessage.TypeAAAA} {
		if a, err := parseAnswer(message, dnsmessage.MustNewName(name), kind); err == nil {
			t.Errorf("%s %v: %v", name, kind, a)
		}
	}
}

// What is taken of an answer is bounded.
func TestAnswerIsBounded(t *testing.T) {
	z := zone{records: strings.Repeat("a.example. A 60s 192.0.2.1\n", 1000)}
	a, err := parseAnswer(z.message(t, ask(t, "a.example.", dnsmessage.TypeA)), dnsmessage.MustNewName("a.example."), dnsmessage.TypeA)
	if err != nil || len(a.addrs) != maxRecords {
		t.Errorf("%d addresses, %v", len(a.addrs), err)
	}
}

func FuzzAnswer(f *testing.F) {
	for _, tt := range answerTests {
		f.Add(tt.zone.message(f, ask(f, "a.example.", tt.kind)), uint16(tt.kind))
	}
	for _, tt := range httpsTests {
		z := zone{records: "a.example. HTTPS 60s 0", https: []dnsmessage.SVCBResource{tt.resource}}
		f.Add(z.message(f, ask(f, "a.example.", dnsmessage.TypeHTTPS)), uint16(dnsmessage.TypeHTTPS))
	}
	name := dnsmessage.MustNewName("a.example.")
	f.Fuzz(func(t *testing.T, message []byte, kind uint16) {
		a, err := parseAnswer(message, name, dnsmessage.Type(kind))
		if err != nil {
			return
		}
		if len(a.addrs) > maxRecords || len(a.records) > maxRecords || a.ttl < 0 || a.ttl > maxAnswerTTL {
			t.Errorf("%d addresses, %d records, for %v", len(a.addrs), len(a.records), a.ttl)
		}
		for _, r := range a.records {
			if r.Priority == 0 || len(r.Hints) > maxAddresses || slices.ContainsFunc(r.Hints, func(addr netip.Addr) bool { return !addr.IsValid() }) {
				t.Errorf("record %+v", r)
			}
		}
	})
}
