package har_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/urlkit/urlkit/har"
)

// What can be read can be written, and is the same when it is read again; and what is
// redacted is a log too.
func FuzzRead(f *testing.F) {
	f.Add([]byte(browser))
	f.Add([]byte(debugger))
	f.Add([]byte(`{"log":{"entries":[{"_a":1,"time":-0.5,"request":{"postData":{"encoding":"base64","text":"e30="}}}]}}`))
	if e, err := json.Marshal(planted()); err == nil {
		f.Add([]byte(`{"log":{"entries":[` + string(e) + `]}}`))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		log, err := har.Read(bytes.NewReader(data), har.Limits{EntryBytes: 1 << 20, Entries: 100})
		if err != nil {
			return
		}
		again := rewritten(t, log, har.Options{KeepsSecrets: true})
		third := rewritten(t, again, har.Options{KeepsSecrets: true})
		if len(again.Entries) != len(log.Entries) || !reflect.DeepEqual(again, third) {
			t.Errorf("%+v\nbecame\n%+v", again, third)
		}
		rewritten(t, log, har.Options{})
	})
}

// Redaction never fails, and does nothing twice.
func FuzzRedact(f *testing.F) {
	f.Add("application/json", `{"token":"a","b":[1,"https://u:p@h/?key=1"]}`)
	f.Add("application/x-www-form-urlencoded", "a=b&password=c")
	f.Add("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"pin\"\r\n\r\nv\r\n--b--")
	f.Fuzz(func(t *testing.T, kind, text string) {
		var r har.Redaction
		once := r.Text(kind, text)
		if twice := r.Text(kind, once); twice != once {
			t.Errorf("%q became %q, and that %q", text, once, twice)
		}
		if json.Valid([]byte(text)) && kind == "application/json" && !json.Valid([]byte(once)) {
			t.Errorf("%q became %q", text, once)
		}
		u := r.URL(text)
		if twice := r.URL(u); twice != u {
			t.Errorf("%q became %q, and that %q", text, u, twice)
		}
	})
}
