package http

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/protocols"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// alternative is a service as it is read at noon.
func alternative(protocol, host string, port uint16, age time.Duration, persist bool) protocols.AlternativeService {
	return protocols.AlternativeService{Protocol: protocol, Host: host, Port: port, Expires: noon.Add(age), Persist: persist}
}

const day = 24 * time.Hour

var altSvcTests = []struct {
	values []string
	want   []protocols.AlternativeService
	fails  bool
}{
	// The examples of RFC 7838 §3 and §3.1.
	{[]string{`h2=":8000"`}, []protocols.AlternativeService{alternative("h2", "", 8000, day, false)}, false},
	{[]string{`h2="new.example.org:80"`}, []protocols.AlternativeService{alternative("h2", "new.example.org", 80, day, false)}, false},
	{[]string{`w%3Dx%3Ay%23z=":443"`}, []protocols.AlternativeService{alternative("w=x:y#z", "", 443, day, false)}, false},
	{[]string{`h2="alt.example.com:8000", h2=":443"`}, []protocols.AlternativeService{
		alternative("h2", "alt.example.com", 8000, day, false), alternative("h2", "", 443, day, false),
	}, false},
	{[]string{`h2=":443"; ma=3600`}, []protocols.AlternativeService{alternative("h2", "", 443, time.Hour, false)}, false},
	{[]string{`h2=":443"; ma=2592000; persist=1`}, []protocols.AlternativeService{alternative("h2", "", 443, 30*day, true)}, false},
	{[]string{"clear"}, nil, false},
	{[]string{`h3=":443"`, " clear\t"}, nil, false},

	{[]string{`h3=":443";ma="60";persist=2;v="46,43" , ,h3-29=":1"`}, []protocols.AlternativeService{
		alternative("h3", "", 443, time.Minute, false), alternative("h3-29", "", 1, day, false),
	}, false},
	{[]string{`h3=":443"`, `h3="B.example:444"`}, []protocols.AlternativeService{
		alternative("h3", "", 443, day, false), alternative("h3", "b.example", 444, day, false),
	}, false},
	{[]string{`h3="[2001:db8::1]:443";MA=0`}, []protocols.AlternativeService{alternative("h3", "2001:db8::1", 443, 0, false)}, false},
	{[]string{`h3="\a\:4\43"`}, []protocols.AlternativeService{alternative("h3", "a", 443, day, false)}, false},
	{[]string{`h3=":443"; ma=99999999999999999999`}, []protocols.AlternativeService{alternative("h3", "", 443, longestMaxAge, false)}, false},
	{[]string{"", ",, ,"}, nil, false},

	{[]string{"Clear"}, nil, true},
	{[]string{`h3`}, nil, true},
	{[]string{`h3=`}, nil, true},
	{[]string{`h3=":443`}, nil, true},
	{[]string{`h3=:443`}, nil, true},
	{[]string{`h3="443"`}, nil, true},
	{[]string{`h3=":0"`}, nil, true},
	{[]string{`h3=":65536"`}, nil, true},
	{[]string{`h3="a b:443"`}, nil, true},
	{[]string{`h3="user@a:443"`}, nil, true},
	{[]string{`h3="2001:db8::1:443"`}, nil, true},
	{[]string{`h3=":443" h2=":443"`}, nil, true},
	{[]string{`h3=":443"; ma`}, nil, true},
	{[]string{`h3=":443"; ma=-1`}, nil, true},
	{[]string{`h3=":443"; ma=x`}, nil, true},
	{[]string{`h3=":443"; =1`}, nil, true},
	{[]string{`h%3=":443"`}, nil, true},
	{[]string{`h%zz=":443"`}, nil, true},
	{[]string{"h3=\"\x01:443\""}, nil, true},
	{[]string{`h3=":443"`, `broken`}, nil, true},
}

func TestParseAltSvc(t *testing.T) {
	for _, tt := range altSvcTests {
		got, err := parseAltSvc(tt.values, noon)
		if (err != nil) != tt.fails || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q gives %+v, %v", tt.values, got, err)
		}
	}
	many := strings.Repeat(`h3=":443",`, 10_000)
	if got, err := parseAltSvc([]string{many}, noon); err != nil || len(got) != maxServices {
		t.Errorf("%d services, %v", len(got), err)
	}
}

// What is read follows the clock on the wall: its expiry has no monotonic reading.
func TestAltSvcByWallClock(t *testing.T) {
	now := time.Now()
	got, err := parseAltSvc([]string{`h3=":1", h3=":2"; ma=60, h3=":3"; ma=99999999999`}, now)
	if err != nil || len(got) != 3 {
		t.Fatal(got, err)
	}
	for i, age := range []time.Duration{defaultMaxAge, time.Minute, longestMaxAge} {
		if want := now.Round(0).Add(age); got[i].Expires != want { // == compares the reading, too
			t.Errorf("%v, want %v", got[i].Expires, want)
		}
	}
}

// altSvcSeed writes a field by the ABNF of RFC 7838 §3.
func altSvcSeed(r *rand.Rand) string {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	if r.IntN(10) == 0 {
		return "clear"
	}
	var list []string
	for range 1 + r.IntN(3) {
		s := pick("h3", "h2", "h3-29", "w%3Dx%3Ay%23z", "%68%33") + `="` + pick("", "alt.example", "[::1]", `a\l\t`) +
			fmt.Sprintf(`:%d"`, r.IntN(70_000))
		for range r.IntN(3) {
			s += pick(";", " ; ", ";\t") + pick("ma", "persist", "MA", "v", "unknown") + "=" + pick("1", "60", `"3600"`, `"a\"b"`, "token", "99999999999")
		}
		list = append(list, s)
	}

	return strings.Join(list, pick(",", ", ", " ,\t", ",,"))
}

// Whatever comes is an error or a list of services that can be dialled.
func FuzzAltSvc(f *testing.F) {
	rng := rand.New(rand.NewPCG(7838, 3))
	for range 40 {
		f.Add(altSvcSeed(rng))
	}
	f.Fuzz(func(t *testing.T, value string) {
		services, err := parseAltSvc([]string{value}, noon)
		if err != nil && services != nil {
			t.Errorf("%v and %v", services, err)
		}
		if len(services) > maxServices {
			t.Errorf("%d services", len(services))
		}
		for _, s := range services {
			if s.Port == 0 || s.Protocol == "" || s.Expires.Before(noon) || s.Expires.After(noon.Add(longestMaxAge)) ||
				strings.ContainsAny(s.Host, " /@\r\n\x00") {
				t.Errorf("%q gives %+v", value, s)
			}
		}
	})
}

func TestMemory(t *testing.T) {
	var m memory
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Second)
	list := []protocols.AlternativeService{
		{Protocol: "h3", Port: 1, Expires: past},
		{Protocol: "h3", Port: 2, Expires: soon},
		{Protocol: "h3", Port: 3, Expires: soon, Persist: true},
	}
	ports := func(key string) (ports []uint16) {
		for _, s := range m.Services(key) {
			ports = append(ports, s.Port)
		}

		return ports
	}
	m.StoreServices("a", list)
	m.StoreServices("b", list[:2])
	if got := ports("a"); !reflect.DeepEqual(got, []uint16{2, 3}) {
		t.Errorf("%v", got)
	}
	m.PathChanged()
	if a, b := ports("a"), ports("b"); !reflect.DeepEqual(a, []uint16{3}) || b != nil {
		t.Errorf("after the network changed: %v, %v", a, b)
	}
	if m.StoreServices("a", nil); ports("a") != nil {
		t.Error("cleared, and known all the same")
	}
	for i := range 2 * maxOrigins {
		m.StoreServices(fmt.Sprint(i), list)
	}
	if len(m.origins) > maxOrigins {
		t.Errorf("%d origins", len(m.origins))
	}
}
