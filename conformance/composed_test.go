package conformance_test

import (
	"context"
	"testing"

	"github.com/urlkit/urlkit/conformance"
	"github.com/urlkit/urlkit/protocols"
)

// A scheme that is composed over another makes no connection of its own: what it
// loads through Client.Load is judged, and trusted, as the other's.
func TestComposed(t *testing.T) {
	conformance.Run(t, conformance.Harness{
		Scheme: protocols.Scheme{Name: "alias", Security: protocols.Local, New: func(c protocols.Client) protocols.URLProtocol {
			return altered{newFrame(c), func(ctx context.Context, req *protocols.Request) (*protocols.Response, error) {
				inner := req.Clone()
				inner.URL.Scheme = "frames"

				return c.Load(ctx, inner)
			}}
		}},
		Beneath: []protocols.Scheme{framesScheme},
		Fixture: func(ctx context.Context) (*conformance.Fixture, error) {
			f, err := framesFixture(ctx)
			if err != nil {
				return nil, err
			}
			for i := range f.Content {
				f.Content[i].URL = "alias" + f.Content[i].URL[len("frames"):]
			}
			f.Large.URL = "alias://" + serverName + "/large"
			f.Missing = "alias://" + serverName + "/missing"
			f.Redirect, f.Target = "alias://"+serverName+"/redirect", "frames://"+serverName+"/page"
			f.Challenge.URL = "alias://" + serverName + "/secret"
			f.Upload.URL = "alias://" + serverName + "/upload"
			f.Connection = "alias://" + serverName + "/connection"

			return f, nil
		},
	})
}

// A limit that a protocol documents is no fault, and is said.
func TestSerial(t *testing.T) {
	h := correct["memory"]
	h.Serial = true
	report := conformance.Check(t.Context(), h, conformance.Options{Rows: []string{"independent", "unlocked", "concurrent"}})
	if !report.OK() || report.Count(conformance.NotApplicable) != 2 {
		t.Errorf("two rows need loads at once:\n%v", report)
	}
}
