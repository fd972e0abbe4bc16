package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/urlkit/urlkit/protocols"
)

// server answers each question, "name type", from its zone; a name without one does
// not exist.
type server struct {
	t     testing.TB
	zones map[string]zone
	err   error // of every exchange with a name that has no zone
	age   time.Duration

	mu    sync.Mutex
	asked []string
}

func (s *server) exchange(_ context.Context, q []byte) ([]byte, time.Duration, error) {
	var p dnsmessage.Parser
	h, err := p.Start(q)
	if err != nil || h.ID != 0 || !h.RecursionDesired || !h.AuthenticData {
		s.t.Errorf("the question has the header %+v, %v", h, err)
	}
	question, err := p.Question()
	if err != nil {
		s.t.Error(err)
	}
	asked := strings.TrimSuffix(question.Name.String(), ".") + " " + strings.TrimPrefix(question.Type.String(), "Type")
	s.mu.Lock()
	s.asked = append(s.asked, asked)
	slices.Sort(s.asked)
	s.mu.Unlock()
	z, ok := s.zones[asked]
	if !ok {
		if s.err != nil {
			return nil, 0, s.err
		}
		z = zone{code: dnsmessage.RCodeNameError, records: "example. SOA 60s 1234567"}
	}

	return z.message(s.t, q), s.age, nil
}

var failing = zone{code: dnsmessage.RCodeServerFailure}

func TestMessageResolver(t *testing.T) {
	v4 := zone{records: "a.example. A 60s 192.0.2.1"}
	v6 := zone{records: "a.example. AAAA 30s 2001:db8::1"}
	tests := []struct {
		name    string
		network string
		host    string
		zones   map[string]zone
		age     time.Duration
		want    string // addresses, or a part of the error
		ttl     time.Duration
		asked   []string
	}{
		{"both families", "ip", "a.example", map[string]zone{"a.example A": v4, "a.example AAAA": v6}, 0, "[2001:db8::1 192.0.2.1]", 30 * time.Second, []string{"a.example A", "a.example AAAA"}},
		{"a final dot", "ip", "a.example.", map[string]zone{"a.example A": v4}, 0, "[192.0.2.1]", time.Minute, []string{"a.example A", "a.example AAAA"}},
		{"IPv4", "ip4", "a.example", map[string]zone{"a.example A": v4, "a.example AAAA": v6}, 0, "[192.0.2.1]", time.Minute, []string{"a.example A"}},
		{"IPv6", "ip6", "a.example", map[string]zone{"a.example A": v4, "a.example AAAA": v6}, 0, "[2001:db8::1]", 30 * time.Second, []string{"a.example AAAA"}},
		{"an old answer", "ip4", "a.example", map[string]zone{"a.example A": v4}, 50 * time.Second, "[192.0.2.1]", 10 * time.Second, []string{"a.example A"}},
		{"a very old one", "ip4", "a.example", map[string]zone{"a.example A": v4}, time.Hour, "[192.0.2.1]", 0, []string{"a.example A"}},
		{"no such name", "ip", "a.example", nil, 0, "no such host", 7 * time.Second, []string{"a.example A", "a.example AAAA"}},
		{"one family fails", "ip", "a.example", map[string]zone{"a.example A": v4, "a.example AAAA": failing}, 0, "[192.0.2.1]", 0, []string{"a.example A", "a.example AAAA"}},
		{"one fails and one is empty", "ip", "a.example", map[string]zone{"a.example AAAA": failing}, 0, "RCodeServerFailure", 0, []string{"a.example A", "a.example AAAA"}},
		{"localhost", "ip", "localhost", nil, 0, "[::1 127.0.0.1]", maxAnswerTTL, nil},
		{"below localhost", "ip4", "x.LocalHost.", nil, 0, "[127.0.0.1]", maxAnswerTTL, nil},
		{"a long label", "ip", strings.Repeat("x", 300), nil, 0, "lookup", 0, nil},
	}
	for _, tt := range tests {
		s := &server{t: t, zones: tt.zones, age: tt.age}
		r := &MessageResolver{Exchange: s.exchange}
		addrs, ttl, err := r.LookupExpiring(t.Context(), tt.network, tt.host)
		got := fmt.Sprint(addrs)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, tt.want) || ttl != tt.ttl || !slices.Equal(s.asked, tt.asked) {
			t.Errorf("%s: %s for %v, asked %q; want %s for %v, asked %q", tt.name, got, ttl, s.asked, tt.want, tt.ttl, tt.asked)
		}
	}
}

// The codes that a dial ends with.
func TestMessageResolverErrors(t *testing.T) {
	tests := []struct {
		name string
		zone map[string]zone
		err  error
		sec  bool
		want protocols.Code
	}{
		{"no such name", nil, nil, false, protocols.CannotFindHost},
		{"SERVFAIL", map[string]zone{"a.example A": failing, "a.example AAAA": failing}, nil, false, protocols.DNSLookupFailed},
		{"REFUSED", map[string]zone{"a.example A": {code: dnsmessage.RCodeRefused}}, nil, false, protocols.DNSLookupFailed},
		{"garbage", map[string]zone{"a.example A": {header: func(h *dnsmessage.Header) { h.Response = false }}}, nil, false, protocols.DNSLookupFailed},
		{"no way to the server", nil, protocols.Errorf(protocols.NotConnectedToInternet, "offline"), false, protocols.NotConnectedToInternet},
		{"a server that is slow", nil, protocols.Errorf(protocols.TimedOut, "slow"), false, protocols.TimedOut},
		{"a server that is away", nil, errors.New("away"), false, protocols.DNSLookupFailed},
		{"not validated", map[string]zone{"a.example A": {records: "a.example. A 60s 192.0.2.1"}}, nil, true, protocols.DNSLookupFailed},
	}
	for _, tt := range tests {
		s := &server{t: t, zones: tt.zone, err: tt.err}
		d := &Dialer{Resolver: &Cache{Resolver: &MessageResolver{Exchange: s.exchange, RequiresDNSSEC: tt.sec}}}
		_, err := d.Dial(t.Context(), nil, Parameters{}, "tcp", "a.example:80")
		var dial *DialError
		if !errors.As(err, &dial) || dial.Code != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

// An answer that is validated will do where DNSSEC is required.
func TestMessageResolverValidates(t *testing.T) {
	signed := zone{records: "a.example. A 60s 127.0.0.1", header: func(h *dnsmessage.Header) { h.AuthenticData = true }}
	empty := zone{header: signed.header}
	for _, requires := range []bool{true, false} {
		s := &server{t: t, zones: map[string]zone{"a.example A": signed, "a.example AAAA": empty}}
		d := &Dialer{Resolver: &Cache{Resolver: &MessageResolver{Exchange: s.exchange, RequiresDNSSEC: requires}}}
		_, err := d.lookup(t.Context(), nil, Parameters{RequiresDNSSEC: true}, target{host: "a.example", port: 80, family: "ip"})
		if (err == nil) != requires {
			t.Errorf("requires %v: %v", requires, err)
		}
	}
}

func TestLookupHTTPS(t *testing.T) {
	h3 := service(1, ".", parameters{dnsmessage.SVCParamALPN: "\x02h3"})
	h2 := service(2, "other.example.", parameters{dnsmessage.SVCParamALPN: "\x02h2"})
	bad := service(3, ".", parameters{dnsmessage.SVCParamPort: "x"})
	strange := service(3, ".", parameters{dnsmessage.SVCParamMandatory: "\x12\x67", 4711: "x"})
	alias := func(to string) zone {
		return zone{records: "a.example. HTTPS 60s 0", https: []dnsmessage.SVCBResource{service(0, to, nil)}}
	}
	all := []dnsmessage.SVCBResource{h2, h3, bad, strange}
	tests := []struct {
		name  string
		zones map[string]zone
		want  string // priority, target and protocols of each
		fails bool
	}{
		{"none", nil, "", false},
		{"by priority", map[string]zone{"a.example HTTPS": {records: "a.example. HTTPS 60s 0\na.example. HTTPS 60s 1", https: all}}, "1  [h3] 2 other.example [h2]", false},
		{"one that is malformed spoils all", map[string]zone{"a.example HTTPS": {records: "a.example. HTTPS 60s 1\na.example. HTTPS 60s 2", https: all}}, "", true},
		{"one that is not understood is left out", map[string]zone{"a.example HTTPS": {records: "a.example. HTTPS 60s 1\na.example. HTTPS 60s 3", https: all}}, "1  [h3]", false},
		{"an alias", map[string]zone{"a.example HTTPS": alias("b.example."), "b.example HTTPS": {records: "b.example. HTTPS 60s 1", https: all}}, "1 b.example [h3]", false},
		{"an alias to no service", map[string]zone{"a.example HTTPS": alias(".")}, "", false},
		{"an alias to nothing", map[string]zone{"a.example HTTPS": alias("b.example.")}, "", false},
		{"a loop", map[string]zone{"a.example HTTPS": alias("a.example.")}, "", true},
		{"a failure", map[string]zone{"a.example HTTPS": failing}, "", true},
	}
	for _, tt := range tests {
		s := &server{t: t, zones: tt.zones}
		records, err := (&MessageResolver{Exchange: s.exchange}).LookupHTTPS(t.Context(), "a.example")
		var got []string
		for _, r := range records {
			got = append(got, fmt.Sprint(r.Priority, " ", r.Target, " ", r.ALPN))
		}
		if text := strings.Join(got, " "); text != tt.want || (err != nil) != tt.fails {
			t.Errorf("%s: %q, %v; want %q", tt.name, text, err, tt.want)
		}
		var dns *net.DNSError
		if err != nil && !errors.As(err, &dns) {
			t.Errorf("%s: %T", tt.name, err)
		}
		if len(s.asked) > maxAliases {
			t.Errorf("%s: %d questions", tt.name, len(s.asked))
		}
	}
}

// Where both questions fail alike it is said once: an error is one line.
func TestMessageResolverSaysItOnce(t *testing.T) {
	r := &MessageResolver{Exchange: func(context.Context, []byte) ([]byte, time.Duration, error) {
		return nil, 0, errors.New("no way to the server")
	}}
	if _, err := r.LookupNetIP(t.Context(), "ip", "a.example"); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
}
