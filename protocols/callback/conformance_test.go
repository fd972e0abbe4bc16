package callback_test

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/urlkit/urlkit/conformance"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/protocols/callback"
)

// shelf is a Local protocol in callbacks: a path gives its own name, repeated.
type shelf struct {
	request *protocols.Request
	client  *callback.Client
}

func (s *shelf) StopLoading() {}

func (s *shelf) StartLoading() {
	name := strings.TrimPrefix(s.request.URL.Path, "/")
	head := &protocols.Response{MIMEType: "text/plain", ContentLength: -1}
	switch name {
	case "missing":
		s.client.DidFail(protocols.Errorf(protocols.FileDoesNotExist, "there is no %s", name))
	case "silent":
	case "slow":
		s.client.DidReceive(head, protocols.StorageNotAllowed)
		s.client.DidLoad([]byte("slowly"))
	case "elsewhere":
		target := &protocols.Request{URL: &url.URL{Scheme: "shelf", Host: "books", Path: "/one"}}
		s.client.WasRedirectedTo(target, head)
	default:
		s.client.DidReceive(head, protocols.StorageNotAllowed)
		for range 64 {
			s.client.DidLoad(chapter(name))
		}
		s.client.DidFinishLoading()
	}
}

func chapter(name string) []byte { return bytes.Repeat([]byte(name+" "), 1<<10) }

func TestConformance(t *testing.T) {
	scheme := callback.Scheme("shelf", callback.Class{
		New: func(req *protocols.Request, _ *callback.CachedResponse, c *callback.Client) callback.Protocol {
			return &shelf{req, c}
		},
	})
	scheme.Security = protocols.Local
	book := func(name string) conformance.Content {
		return conformance.Content{URL: fmt.Sprintf("shelf://books/%s", name), Bytes: bytes.Repeat(chapter(name), 64), MIMEType: "text/plain"}
	}
	conformance.Run(t, conformance.Harness{
		Scheme: scheme,
		Fixture: func(context.Context) (*conformance.Fixture, error) {
			return &conformance.Fixture{
				Content:  []conformance.Content{book("one"), book("two")},
				Missing:  "shelf://books/missing",
				Silent:   "shelf://books/silent",
				Slow:     "shelf://books/slow",
				Redirect: "shelf://books/elsewhere",
				Target:   "shelf://books/one",
			}, nil
		},
	})
}
