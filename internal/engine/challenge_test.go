package engine_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage/credential"
)

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// guarded asks for Basic until a field is accepted, and keeps what it was sent.
func guarded(sent *[]string, accept string, challenge ...string) protocols.Scheme {
	return scheme("https", protocols.Encrypted, func(_ context.Context, _ protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		field := req.Header.Get("Authorization")
		*sent = append(*sent, field)
		if field == accept {
			return reply(200, "in"), nil
		}
		r := reply(401, "who are you?")
		r.Header["Www-Authenticate"] = challenge

		return r, nil
	})
}

var space = protocols.ProtectionSpace{Host: "a.example", Port: 443, Protocol: "https", Realm: "r", Method: protocols.MethodHTTPBasic}

func answering(questions *[]protocols.Challenge, answer func(n int) (protocols.Disposition, *protocols.Credential)) *engine.Task {
	return &engine.Task{Challenge: func(_ context.Context, c *protocols.Challenge) (protocols.Disposition, *protocols.Credential) {
		*questions = append(*questions, *c)

		return answer(len(*questions) - 1)
	}}
}

func TestBasicSources(t *testing.T) {
	store := credential.NewStore()
	if err := store.Set(t.Context(), &protocols.Credential{User: "u", Password: "stored", Persistence: protocols.PersistenceForSession}, space); err != nil {
		t.Fatal(err)
	}
	delegate := func(int) (protocols.Disposition, *protocols.Credential) {
		return protocols.UseCredential, &protocols.Credential{User: "u", Password: "asked"}
	}
	tests := []struct {
		name, url, accept string
		config            engine.Config
		sent              []string
		asked             int
	}{
		{"from the URL", "https://u:url@a.example/", basic("u", "url"), engine.Config{Credentials: store}, []string{"", basic("u", "url")}, 0},
		{"from the store", "https://a.example/", basic("u", "stored"), engine.Config{Credentials: store}, []string{"", basic("u", "stored")}, 0},
		{"from the delegate", "https://a.example/", basic("u", "asked"), engine.Config{}, []string{"", basic("u", "asked")}, 1},
		{
			"a user without a password", "https://u@a.example/", basic("u", "asked"),
			engine.Config{},
			[]string{"", basic("u", "asked")},
			1,
		},
		{
			"the URL's is refused", "https://u:url@a.example/", basic("u", "asked"),
			engine.Config{Credentials: store},
			[]string{"", basic("u", "url"), basic("u", "asked")},
			1,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var sent []string
			var asked []protocols.Challenge
			e := open(t, tt.config, guarded(&sent, tt.accept, `Basic realm="r"`))
			body, _, err := fetch(e, request(t, "GET", tt.url), answering(&asked, delegate))
			if err != nil || body != "in" || strings.Join(sent, "|") != strings.Join(tt.sent, "|") || len(asked) != tt.asked {
				t.Errorf("%q, %v, sent %q, asked %d", body, err, sent, len(asked))
			}
		})
	}
}

func TestRefusedCredentialIsProposed(t *testing.T) {
	var sent []string
	var asked []protocols.Challenge
	e := open(t, engine.Config{}, guarded(&sent, basic("u", "3"), `Basic realm="r", charset="UTF-8"`))
	body, _, err := fetch(e, request(t, "GET", "https://A.example/"), answering(&asked,
		func(n int) (protocols.Disposition, *protocols.Credential) {
			return protocols.UseCredential, &protocols.Credential{User: "u", Password: strconv.Itoa(n + 1)}
		}))
	if err != nil || body != "in" || len(asked) != 3 {
		t.Fatalf("%q, %v, asked %d times", body, err, len(asked))
	}
	for i, c := range asked {
		if c.Space != space || c.PreviousFailureCount != i || c.Parameters["charset"] != "UTF-8" || c.FailureResponse.StatusCode != 401 {
			t.Errorf("question %d: %+v", i, c)
		}
		if c.FailureResponse.Body != protocols.NoBody {
			t.Error("the app is handed the body that may become the result")
		}
		if i > 0 && (c.ProposedCredential == nil || c.ProposedCredential.Password != strconv.Itoa(i)) {
			t.Errorf("question %d proposes %v", i, c.ProposedCredential)
		}
	}
}

func TestDispositions(t *testing.T) {
	var sent []string
	e := open(t, engine.Config{}, guarded(&sent, "Bearer ok", `Basic realm="r"`, `Bearer realm="b"`))
	dispose := func(dispositions ...protocols.Disposition) (string, []protocols.Challenge, error) {
		sent = nil
		var asked []protocols.Challenge
		body, _, err := fetch(e, request(t, "GET", "https://a.example/"), answering(&asked,
			func(n int) (protocols.Disposition, *protocols.Credential) { return dispositions[n], nil }))

		return body, asked, err
	}
	_, _, err := dispose(protocols.CancelAuthenticationChallenge)
	if got := failure(t, err, protocols.Cancelled); got.Phase != "challenge" {
		t.Errorf("phase %q", got.Phase)
	}
	body, asked, err := dispose(protocols.RejectProtectionSpace, protocols.RejectProtectionSpace)
	if err != nil || body != "who are you?" || len(asked) != 2 ||
		asked[0].Space.Method != protocols.MethodHTTPBearer || asked[1].Space.Method != protocols.MethodHTTPBasic {
		t.Errorf("rejecting: %q, %v, %v", body, asked, err)
	}
	for _, d := range []protocols.Disposition{protocols.PerformDefaultHandling, protocols.UseCredential} {
		body, asked, err = dispose(d)
		if err != nil || body != "who are you?" || len(asked) != 1 || len(sent) != 1 {
			t.Errorf("%v: %q, %v, asked %d, sent %d", d, body, err, len(asked), len(sent))
		}
	}
}

// A password of the URL is no token, and does not answer a new realm for ever.
func TestURLCredentialIsBounded(t *testing.T) {
	var sent []string
	e := open(t, engine.Config{}, guarded(&sent, "never", `Bearer`))
	if _, resp, err := fetch(e, request(t, "GET", "https://u:p@a.example/"), nil); err != nil || resp.StatusCode != 401 || len(sent) != 1 {
		t.Errorf("Bearer: %v, %v, %d requests", resp, err, len(sent))
	}
	requests := 0
	endless := scheme("https", protocols.Encrypted, func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
		requests++

		return reply(401, "no", "Www-Authenticate", `Basic realm="`+strconv.Itoa(requests)+`"`), nil
	})
	body, _, err := fetch(open(t, engine.Config{}, endless), request(t, "GET", "https://u:p@a.example/"), nil)
	if err != nil || body != "no" || requests > 100 {
		t.Errorf("a new realm each time: %q, %v after %d requests", body, err, requests)
	}
}

func TestAnswersAreStored(t *testing.T) {
	for persistence, kept := range map[protocols.Persistence]bool{
		protocols.PersistenceNone: false, protocols.PersistenceForSession: true, protocols.PersistencePermanent: true,
	} {
		store := credential.NewStore()
		var sent []string
		var asked []protocols.Challenge
		e := open(t, engine.Config{Credentials: store}, guarded(&sent, basic("u", "right"), `Basic realm="r"`))
		_, _, err := fetch(e, request(t, "GET", "https://a.example/"), answering(&asked,
			func(n int) (protocols.Disposition, *protocols.Credential) {
				return protocols.UseCredential, &protocols.Credential{User: "u", Password: []string{"wrong", "right"}[n], Persistence: persistence}
			}))
		if err != nil {
			t.Fatal(err)
		}
		got, err := store.Default(t.Context(), space)
		if err != nil || (got != nil) != kept || kept && got.Password != "right" {
			t.Errorf("%v: stored %v, %v", persistence, got, err)
		}
	}
}

var errKeyring = errors.New("the keyring is locked")

// locked is a store that cannot store.
type locked struct{ *credential.Store }

func (locked) Set(context.Context, *protocols.Credential, protocols.ProtectionSpace) error {
	return errKeyring
}

func TestStoreThatFailsCostsNothing(t *testing.T) {
	answer := &content{Reader: strings.NewReader("in")}
	e := open(t, engine.Config{Credentials: locked{credential.NewStore()}},
		scheme("https", protocols.Encrypted, func(_ context.Context, _ protocols.Client, req *protocols.Request) (*protocols.Response, error) {
			if req.Header.Get("Authorization") == "" {
				return reply(401, "", "Www-Authenticate", `Basic realm="r"`), nil
			}

			return &protocols.Response{StatusCode: 200, ContentLength: 2, Body: answer}, nil
		}))
	var asked []protocols.Challenge
	body, _, err := fetch(e, request(t, "GET", "https://a.example/"), answering(&asked,
		func(int) (protocols.Disposition, *protocols.Credential) {
			return protocols.UseCredential, &protocols.Credential{User: "u", Password: "p", Persistence: protocols.PersistencePermanent}
		}))
	if err != nil || string(body) != "in" || answer.closes() == 0 {
		t.Errorf("%q, %v; the body was closed %d times", body, err, answer.closes())
	}
}

// A scheme without header fields gets the credential itself.
func TestChallengesOfAScheme(t *testing.T) {
	var got []*protocols.Credential
	custom := scheme("custom", protocols.Cleartext, func(_ context.Context, _ protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		if got = append(got, req.Credential); req.Credential != nil {
			return reply(0, "in"), nil
		}

		return &protocols.Response{Challenges: []*protocols.Challenge{nil, {}}}, nil
	})
	custom.DefaultPort = 7
	e := open(t, engine.Config{}, custom)
	var asked []protocols.Challenge
	body, _, err := fetch(e, request(t, "GET", "custom://LOCALHOST/"), answering(&asked,
		func(int) (protocols.Disposition, *protocols.Credential) {
			return protocols.UseCredential, &protocols.Credential{User: "u"}
		}))
	if err != nil || body != "in" || len(got) != 2 || got[1].User != "u" {
		t.Fatalf("%q, %v, %v", body, got, err)
	}
	want := protocols.ProtectionSpace{Host: "localhost", Port: 7, Protocol: "custom"}
	if len(asked) != 1 || asked[0].Space != want {
		t.Errorf("asked %+v", asked)
	}
}

// What a redirect keeps of an answer: all of it within the origin, else nothing.
func TestAnswerOnRedirect(t *testing.T) {
	for to, asks := range map[string]int{"https://a.example/in": 1, "https://b.example/in": 2} {
		var fields []string
		e := open(t, engine.Config{}, scheme("https", protocols.Encrypted,
			func(_ context.Context, _ protocols.Client, req *protocols.Request) (*protocols.Response, error) {
				field := req.Header.Get("Authorization")
				fields = append(fields, field)
				switch {
				case field == "":
					return reply(401, "", "Www-Authenticate", `Basic realm="r"`), nil
				case req.URL.Path == "/in":
					return reply(200, "in"), nil
				default:
					return reply(302, "", "Location", to), nil
				}
			}))
		var asked []protocols.Challenge
		body, _, err := fetch(e, request(t, "GET", "https://a.example/"), answering(&asked,
			func(n int) (protocols.Disposition, *protocols.Credential) {
				return protocols.UseCredential, &protocols.Credential{User: "u", Password: strconv.Itoa(n)}
			}))
		if err != nil || body != "in" || len(asked) != asks {
			t.Errorf("to %s: %q, %v, asked %d times, want %d", to, body, err, len(asked), asks)
		}
		if asks == 2 && (fields[2] != "" || asked[1].PreviousFailureCount != 0) {
			t.Errorf("to %s: fields %q, %d failures", to, fields, asked[1].PreviousFailureCount)
		}
	}
}

// What is said over a connection of its own is for whom was let in there, and is
// neither stored nor taken from the cache.
func TestBoundLoadsGoPastTheCache(t *testing.T) {
	loads := 0
	e := open(t, engine.Config{Cache: newMemory(), Now: time.Now}, scheme("https", protocols.Encrypted,
		func(context.Context, protocols.Client, *protocols.Request) (*protocols.Response, error) {
			loads++

			return reply(200, strconv.Itoa(loads), "Cache-Control", "max-age=60", "Date", time.Now().UTC().Format(http.TimeFormat)), nil
		}))
	bound := request(t, "GET", "https://a.example/")
	bound.Bind = "alice"
	free := request(t, "GET", "https://a.example/")
	for i, step := range []struct {
		req  *protocols.Request
		want string
	}{{bound, "1"}, {bound, "2"}, {free, "3"}, {free, "3"}, {bound, "4"}} {
		if body, _, err := fetch(e, step.req, nil); err != nil || body != step.want {
			t.Errorf("load %d: %q, %v, want %s", i, body, err, step.want)
		}
	}
}
