package engine_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/urlkit/urlkit/internal/engine"
	"github.com/urlkit/urlkit/protocols"
)

// A relative Location is relative to the URL that answered, which a protocol may
// say is another than the one it was asked for.
func TestLocationIsOfTheURLThatAnswered(t *testing.T) {
	answering := request(t, "GET", "https://b.example/dir/page").URL
	for location, want := range map[string]string{
		"next":                   "https://b.example/dir/next#part",
		"/next":                  "https://b.example/next#part",
		"https://a.example/next": "https://a.example/next#part",
	} {
		var got []seen
		e := open(t, engine.Config{}, redirector(t, &got, func(n int) *protocols.Response {
			if n > 0 {
				return reply(200, "done")
			}
			r := reply(302, "", "Location", location)
			r.URL = answering

			return r
		}))
		_, resp, err := fetch(e, request(t, "GET", "https://a.example/deep/er/x#part", "Authorization", "Bearer s3cret"), nil)
		if err != nil || resp.URL.String() != want {
			t.Errorf("%s: ended at %v, %v, want %s", location, resp, err, want)
		}
		if same := want[:18] == "https://a.example/"; len(got) == 2 && (got[1].Header.Get("Authorization") != "") != same {
			t.Errorf("%s: the next hop carries %v", location, got[1].Header)
		}
	}
	if answering.String() != "https://b.example/dir/page" {
		t.Errorf("the protocol's URL was changed to %v", answering)
	}
}

// A delegate that answers nil gets the redirect itself, with its body.
func TestRefusedRedirectIsTheResult(t *testing.T) {
	var got []seen
	e := open(t, engine.Config{}, redirector(t, &got, moved(302, "https://b.example/next")))
	var offered *protocols.Request
	task := &engine.Task{Redirect: func(_ context.Context, resp *protocols.Response, next *protocols.Request) (*protocols.Request, error) {
		if resp.StatusCode != 302 {
			t.Errorf("asked about %+v", resp)
		}
		offered = next

		return nil, nil
	}}
	_, resp, err := fetch(e, request(t, "GET", "https://a.example/"), task)
	if err != nil || resp.StatusCode != 302 || resp.URL.Host != "a.example" || resp.Header.Get("Location") == "" || len(got) != 1 {
		t.Errorf("%+v, %v, %d loads", resp, err, len(got))
	}
	if offered == nil || offered.URL.String() != "https://b.example/next" {
		t.Errorf("offered %v", offered)
	}
}

// Somebody who wants to be informed is, also where nothing is measured.
func TestInformWithoutCollect(t *testing.T) {
	load := func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		if req.Trace != nil { // the contract: only then
			c.Inform(ctx, &protocols.Response{StatusCode: http.StatusEarlyHints, Body: protocols.NoBody})
		}

		return reply(200, "x"), nil
	}
	e := open(t, engine.Config{}, claimer(protocols.Local, func(ctx context.Context, c protocols.Client, req *protocols.Request) (*protocols.Response, error) {
		return c.Load(ctx, req)
	}), scheme("https", protocols.Encrypted, load))
	var informed []int
	task := &engine.Task{Inform: func(_ context.Context, r *protocols.Response) { informed = append(informed, r.StatusCode) }}
	if _, _, err := fetch(e, request(t, "GET", "https://a.example/"), task); err != nil || len(informed) != 1 || informed[0] != 103 {
		t.Errorf("informed of %v, %v", informed, err)
	}
	if _, _, err := fetch(e, request(t, "GET", "https://a.example/"), nil); err != nil || len(informed) != 1 {
		t.Errorf("without a task: informed of %v, %v", informed, err)
	}
}
