package httpauth

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/urlkit/urlkit/protocols"
)

// answered makes a Digest answer with a cnonce that is given.
func answered(t *testing.T, challenge, user, password, cnonce string, m *Message) map[string]string {
	t.Helper()
	d, err := newDigest(parse([]string{challenge})[0].parameters)
	if err != nil {
		t.Fatal(err)
	}
	d.user, d.password = user, password
	d.start(cnonce)
	field, err := d.Field(context.Background(), m)
	if err != nil {
		t.Fatal(err)
	}

	return parametersOf(t, field)
}

func parametersOf(t *testing.T, field string) map[string]string {
	t.Helper()
	list := parse([]string{field})
	if len(list) != 1 || list[0].scheme != "digest" {
		t.Fatalf("the answer is %q", field)
	}

	return list[0].parameters
}

// The examples of RFC 7616 §3.9 (the second as erratum 4897 corrects it), and of
// RFC 2617 §3.5 and RFC 2069 §2.4 as corrected by erratum 749.
func TestDigestVectors(t *testing.T) {
	const (
		http1   = `realm="http-auth@example.org", qop="auth, auth-int", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`
		cnonce1 = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
		api     = `Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true`
		old     = `realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"`
	)
	tests := []struct {
		name, challenge, user, password, cnonce, uri string
		want                                         map[string]string
	}{
		{
			"MD5", `Digest ` + http1 + `, algorithm=MD5`, "Mufasa", "Circle of Life", cnonce1, "/dir/index.html",
			map[string]string{"response": "8ca523f5e9506fed4657c9700eebdbec", "username": "Mufasa", "nc": "00000001", "qop": "auth", "algorithm": "MD5", "cnonce": cnonce1},
		},
		{
			"SHA-256", `Digest ` + http1 + `, algorithm=SHA-256`, "Mufasa", "Circle of Life", cnonce1, "/dir/index.html",
			map[string]string{"response": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1", "algorithm": "SHA-256", "opaque": "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"},
		},
		{
			"SHA-512-256, userhash", api, "J\u00e4s\u00f8n Doe", "Secret, or not?", "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v", "/doe.json",
			map[string]string{
				"response": "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5",
				"username": "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b", "userhash": "true",
			},
		},
		{
			"RFC 2617", `Digest ` + old + `, qop="auth,auth-int"`, "Mufasa", "Circle Of Life", "0a4f113b", "/dir/index.html",
			map[string]string{"response": "6629fae49393a05397450978507c4ef1"},
		},
		{
			"RFC 2069", `Digest ` + old, "Mufasa", "CircleOfLife", "", "/dir/index.html",
			map[string]string{"response": "1949323746fe6a43ef61f9606e7febea"},
		},
	}
	for _, tt := range tests {
		got := answered(t, tt.challenge, tt.user, tt.password, tt.cnonce, &Message{Method: "GET", URI: tt.uri})
		for name, want := range tt.want {
			if got[name] != want {
				t.Errorf("%s: %s is %q, want %q", tt.name, name, got[name], want)
			}
		}
		if tt.name == "RFC 2069" && (got["nc"] != "" || got["qop"] != "" || got["cnonce"] != "" || got["algorithm"] != "") {
			t.Errorf("a challenge without qop is answered by %v", got)
		}
	}
}

// What RFC 7616 computes for a session and for the integrity of a body, step by step.
func TestDigestSessionAndIntegrity(t *testing.T) {
	const challenge = `Digest realm="r", nonce="n", qop="auth-int", algorithm=SHA-256-sess`
	sum := (&digest{algorithm: algorithms[1]}).sum
	got := answered(t, challenge, "u", "p", "c", &Message{Method: "POST", URI: "/x", Body: protocols.StringBody("entity")})
	secret := sum(sum("u:r:p") + ":n:c")
	if want := sum(secret + ":n:00000001:c:auth-int:" + sum("POST:/x:"+sum("entity"))); got["response"] != want || got["algorithm"] != "SHA-256-sess" {
		t.Errorf("%v, want %s", got, want)
	}
	got = answered(t, challenge, "u", "p", "c", &Message{Method: "GET", URI: "/x"})
	if want := sum(secret + ":n:00000001:c:auth-int:" + sum("GET:/x:"+sum(""))); got["response"] != want {
		t.Errorf("without a body: %v, want %s", got, want)
	}
	c := Challenges(protocols.ProtectionSpace{}, []string{challenge}, false)[0]
	once := protocols.ReaderBody(io.MultiReader(strings.NewReader("x")))
	if _, err := Begin(t.Context(), c, &protocols.Credential{User: "u"}, once, nil); !errors.Is(err, errOnce) {
		t.Errorf("a body that can be read only once: %v", err)
	}
	x, err := Begin(t.Context(), c, &protocols.Credential{User: "u"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Field(t.Context(), &Message{Body: once}); !errors.Is(err, errOnce) {
		t.Errorf("and later: %v", err)
	}
	if _, err := x.Field(t.Context(), &Message{Body: protocols.FileBody("nothing here")}); err == nil {
		t.Error("a body that cannot be read is hashed")
	}
}

// endless is a body without an end, whose load is cancelled as it is read.
type endless struct{ cancel func() }

func (e endless) Read(p []byte) (int, error) {
	e.cancel()

	return len(p), nil
}

func (endless) Close() error { return nil }

// A body is hashed as long as its load lasts.
func TestDigestOfABodyEndsWithItsLoad(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	body := protocols.FuncBody(-1, func(int64) (io.ReadCloser, error) { return endless{cancel}, nil })
	c := &protocols.Challenge{
		Space:      protocols.ProtectionSpace{Method: protocols.MethodHTTPDigest},
		Parameters: map[string]string{"realm": "r", "nonce": "n", "qop": "auth-int"},
	}
	x, err := Begin(ctx, c, &protocols.Credential{User: "u", Password: "p"}, body, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Field(ctx, &Message{Method: "POST", URI: "/", Body: body}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestDigestNames(t *testing.T) {
	m := &Message{Method: "GET", URI: `/?"q\`}
	got := answered(t, `Digest realm="a\"b\\c", nonce="n", charset=UTF-8`, `u"`, "p", "c", m)
	if got["realm"] != `a"b\c` || got["username"] != `u"` || got["uri"] != m.URI {
		t.Errorf("quoting gives %v", got)
	}
	got = answered(t, `Digest realm="r", nonce="n", charset=UTF-8`, "\u00e4 %", "p", "c", m)
	if got["username*"] == "" && got["username"] == "" {
		t.Errorf("no user in %v", got)
	}
	if field := (&digest{user: "\u00e4 %", utf8: true}).username(); field != `username*=UTF-8''%C3%A4%20%25` {
		t.Errorf("username* is %s", field)
	}
	if field := (&digest{user: "\u00e4"}).username(); field != "username=\"\u00e4\"" {
		t.Errorf("without a charset: %s", field)
	}
}

func TestDigestIsSkipped(t *testing.T) {
	long := strings.Repeat("n", maxParameter+1)
	for _, challenge := range []string{
		`Digest nonce="n"`, `Digest realm="r"`, `Digest realm="r", nonce="n", algorithm=SHA-1`, `Digest realm="r", nonce="n", algorithm="-sess"`,
		`Digest realm="r", nonce="n", qop="conf"`, `Digest realm="r", nonce="n", qop=""`, `Digest realm="r", nonce="` + long + `"`,
		`Digest realm="r", nonce="n", opaque="` + long + `"`, `Digest realm="` + long + `", nonce="n"`,
	} {
		if got := Challenges(protocols.ProtectionSpace{}, []string{challenge, `Basic realm="b"`}, false); len(got) != 1 || got[0].Space.Method != protocols.MethodHTTPBasic {
			t.Errorf("%.60s gives %v", challenge, got)
		}
	}
}

// Every request counts, whoever makes it; a new nonce begins anew.
func TestDigestCounts(t *testing.T) {
	c := Challenges(protocols.ProtectionSpace{}, []string{`Digest realm="r", nonce="1", qop=auth`}, false)[0]
	x, err := Begin(t.Context(), c, &protocols.Credential{User: "u", Password: "p"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	seen := map[string]bool{}
	for range 50 {
		all.Go(func() {
			field, err := x.Field(t.Context(), &Message{Method: "GET", URI: "/"})
			mu.Lock()
			defer mu.Unlock()
			if err != nil || seen[parametersOf(t, field)["nc"]] {
				t.Errorf("%v, %v", field, err)
			}
			seen[parametersOf(t, field)["nc"]] = true
		})
	}
	all.Wait()
	if !seen["00000001"] || !seen["00000032"] || len(seen) != 50 {
		t.Errorf("%d counts", len(seen))
	}
	next := func(want, nc string) {
		t.Helper()
		field, err := x.Field(t.Context(), &Message{Method: "GET", URI: "/"})
		if got := parametersOf(t, field); err != nil || got["nonce"] != want || got["nc"] != nc {
			t.Errorf("nonce %s, nc %s, %v; want %s, %s", got["nonce"], got["nc"], err, want, nc)
		}
	}
	x.Accepted(t.Context(), http.Header{"Authentication-Info": {`rspauth="x", nextnonce="2", nc=00000001`}})
	next("2", "00000001")
	x.Accepted(t.Context(), http.Header{"Authentication-Info": {`nextnonce="2"`}})
	x.Accepted(t.Context(), http.Header{"Authentication-Info": {`nextnonce="` + strings.Repeat("n", maxParameter+1) + `"`, `"`, ``}})
	next("2", "00000002")
	stale := func(challenge string) Verdict {
		return x.Continue(t.Context(), Challenges(protocols.ProtectionSpace{}, []string{challenge}, false)[0])
	}
	for challenge, want := range map[string]Verdict{
		`Digest realm="r", nonce="3", qop=auth`: Refused, `Digest realm="r", nonce="3", qop=auth, stale=false`: Refused,
		`Digest realm="s", nonce="3", qop=auth, stale=true`: Refused, `Digest realm="r", nonce="3", stale=true`: Refused,
		`Digest realm="r", nonce="3", qop=auth, algorithm=SHA-256, stale=true`: Refused,
	} {
		if got := stale(challenge); got != want {
			t.Errorf("%s: %v", challenge, got)
		}
	}
	next("2", "00000003")
	if got := stale(`Digest realm="r", nonce="3", qop=auth, stale=TRUE`); got != Again {
		t.Errorf("a stale nonce: %v", got)
	}
	next("3", "00000001")
	if got := stale(`Digest realm="r", nonce="3", qop=auth, stale=true`); got != Again {
		t.Errorf("told twice: %v", got)
	}
	next("3", "00000002")
}

func FuzzDigest(f *testing.F) {
	for _, seed := range []string{
		`realm="r", nonce="n"`, `realm="a\"", nonce="n", qop="auth,auth-int", algorithm=SHA-256-sess`, `realm=r, nonce=n, opaque="", userhash=true, stale=true`,
		`realm="r", domain="/a /b", nonce="\\", charset=UTF-8, algorithm=SHA-512-256`, `nextnonce="x"`,
	} {
		f.Add(seed, "u\u00e4\"", "/x?\"")
	}
	for _, seed := range digestSeeds(32) {
		f.Add(seed, "u", "/")
	}
	f.Fuzz(func(t *testing.T, parameters, user, uri string) {
		for _, c := range Challenges(protocols.ProtectionSpace{}, []string{"Digest " + parameters}, false) {
			x, err := Begin(t.Context(), c, &protocols.Credential{User: user, Password: "p"}, nil, nil)
			if err != nil || x == nil {
				continue
			}
			field, err := x.Field(t.Context(), &Message{Method: "GET", URI: uri})
			if err != nil {
				t.Fatal(err)
			}
			got := parse([]string{field})
			if len(got) != 1 || got[0].parameters["uri"] != uri || c.Space.Method == protocols.MethodHTTPDigest && got[0].parameters["nonce"] != c.Parameters["nonce"] {
				t.Errorf("%q of %q reads as %q", field, parameters, got)
			}
			x.Accepted(t.Context(), http.Header{"Authentication-Info": {parameters}})
			x.Continue(t.Context(), c)
		}
	})
}
