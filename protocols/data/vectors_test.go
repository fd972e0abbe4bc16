package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/urlkit/urlkit/protocols"
)

// vectors reads a JSON array of web-platform-tests, which are not part of this
// module: URLKIT_VECTORS names the folder that holds them.
func vectors(t *testing.T, name string) []json.RawMessage {
	t.Helper()
	root := os.Getenv("URLKIT_VECTORS")
	if root == "" {
		t.Skip("URLKIT_VECTORS is not set: the vectors of web-platform-tests are not read")
	}
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if len(list) == 0 {
		t.Fatalf("%s holds no vectors", name)
	}

	return list
}

// into decodes a vector into a tuple or a struct.
func into(t *testing.T, raw json.RawMessage, targets ...any) {
	t.Helper()
	var err error
	if len(targets) == 1 {
		err = json.Unmarshal(raw, targets[0])
	} else {
		err = json.Unmarshal(raw, &targets)
	}
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
}

// octets is bytes as an array of numbers.
func octets(numbers []int) []byte {
	p := make([]byte, len(numbers))
	for i, n := range numbers {
		p[i] = byte(n)
	}

	return p
}

func TestVectorsDataURLs(t *testing.T) {
	list := vectors(t, "wpt-data-urls/data-urls.json")
	for _, raw := range list {
		var rawURL string
		var contentType *string
		var want []int
		var tuple []json.RawMessage
		into(t, raw, &tuple)
		into(t, tuple[0], &rawURL)
		into(t, tuple[1], &contentType)
		if len(tuple) > 2 {
			into(t, tuple[2], &want)
		}
		resp, content, err := get(t, rawURL)
		switch {
		case contentType == nil:
			if !errors.Is(err, protocols.BadURL) {
				t.Errorf("%q: error %v, want badURL", rawURL, err)
			}
		case err != nil:
			t.Errorf("%q: %v", rawURL, err)
		case resp.Header.Get("Content-Type") != *contentType || !bytes.Equal(content, octets(want)):
			t.Errorf("%q: %q as %q; want %q as %q", rawURL, content, resp.Header.Get("Content-Type"), octets(want), *contentType)
		}
	}
	t.Logf("vectors: %d", len(list))
}

func TestVectorsBase64(t *testing.T) {
	list := vectors(t, "wpt-data-urls/base64.json")
	for _, raw := range list {
		var input string
		var want []int
		into(t, raw, &input, &want)
		direct, err := forgivingBase64(input)
		if (err == nil) != (want != nil) || err == nil && !bytes.Equal(direct, octets(want)) {
			t.Errorf("%q: %v, %v; want %v", input, direct, err, want)
		}
		_, content, err := get(t, "data:;base64,"+input)
		if (err == nil) != (want != nil) || err == nil && !bytes.Equal(content, octets(want)) {
			t.Errorf("%q in a URL: %v, %v; want %v", input, content, err, want)
		}
	}
	t.Logf("vectors: %d", len(list))
}

func TestVectorsMediaTypes(t *testing.T) {
	for _, name := range []string{"wpt-mime/mime-types.json", "wpt-mime/generated-mime-types.json"} {
		ran := 0
		for _, raw := range vectors(t, name) {
			if raw[0] == '"' {
				continue // a heading
			}
			var vector struct {
				Input  string
				Output *string
			}
			into(t, raw, &vector)
			ran++
			parsed, ok := parseMediaType(vector.Input)
			switch {
			case vector.Output == nil:
				if ok {
					t.Errorf("%q: %q, want a failure", vector.Input, parsed)
				}
			case !ok:
				t.Errorf("%q: a failure, want %q", vector.Input, *vector.Output)
			case parsed.String() != *vector.Output:
				t.Errorf("%q: %q, want %q", vector.Input, parsed, *vector.Output)
			}
		}
		if ran == 0 {
			t.Fatalf("%s holds no vectors", name)
		}
		t.Logf("vectors: %d", ran)
	}
}
