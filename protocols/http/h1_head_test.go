package http

import (
	"bufio"
	"bytes"
	nethttp "net/http"
	"net/url"
	"testing"
)

// What head writes is what net/http writes.
func FuzzHead(f *testing.F) {
	f.Add("GET", "http://one.example/a?b", "", "Accept", " */* ", "x", "agent", false)
	f.Add("HEAD", "http://[::1]:80", "other.example", "Connection", "keep-alive", "y", "", true)
	f.Add("DELETE", "http://p.example", "", "Connection", "close", "close", " ", true)
	f.Add("GET", "http://b\u00fccher.example/%zz", "a b", "Content-Length", "3", "", "a", false)
	f.Add("OPTIONS", "http://p.example//x y?", "[fe80::1%25eth0]", "B", "\t1", "A", "a\tb", false)
	f.Add("POST", "http://p.example/", "", "Trailer", "1", "A", "a", true)
	f.Fuzz(func(t *testing.T, method, where, host, name, value, second, agent string, closing bool) {
		u, err := url.Parse(where)
		if err != nil || u.Host == "" {
			t.Skip()
		}
		r := &nethttp.Request{Method: method, URL: u, Host: host, Close: closing, Header: nethttp.Header{
			"User-Agent": {agent}, "Accept": {"text/plain"},
		}}
		r.Header[name] = append(r.Header[name], value, second)
		if sendable(r) != nil {
			t.Skip()
		}
		var ours, theirs bytes.Buffer
		w := bufio.NewWriter(&ours)
		var h head
		for range 2 { // the second time with what was kept
			ours.Reset()
			plain, err := h.write(w, r)
			if err != nil {
				t.Fatal(err)
			}
			if !plain {
				if w.Buffered() > 0 {
					t.Error("not plain, and yet written")
				}

				return
			}
			_ = w.Flush()
		}
		if err := r.Write(&theirs); err != nil || ours.String() != theirs.String() {
			t.Errorf("%q, net/http %q, %v", ours.String(), theirs.String(), err)
		}
	})
}
