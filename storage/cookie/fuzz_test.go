package cookie

import (
	"bytes"
	"reflect"
	"testing"
	"time"
)

// checkStored looks at what a store holds, whoever gave it.
func checkStored(t *testing.T, s *Store) {
	t.Helper()
	for _, c := range s.All() {
		if c.Path == "" || c.Path[0] != '/' || c.Domain == "" || c.Name == "" || len(c.Name)+len(c.Value) > maxPair ||
			hasControl(c.Name+c.Value+c.Domain+c.Path) {
			t.Errorf("stored %+v", c)
		}
		if !c.Expires.IsZero() && !c.Expires.After(start) {
			t.Errorf("stored until %v", c.Expires)
		}
	}
}

// FuzzNetscape reads what it is given, and reads again what is written of it.
func FuzzNetscape(f *testing.F) {
	f.Add(fromCurl)
	f.Add("a.test\tFALSE\t/\tFALSE\t0\tn\tv; m=w")
	f.Add("#HttpOnly_#HttpOnly_a.test\tTRUE\t/\ttrue\t-1\tn")
	for _, value := range setCookieSeeds(10) {
		f.Add(".example.org\tTRUE\t/\tTRUE\t1900000000\tname\t" + value)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, _ := at()
		n, err := s.ReadNetscape(bytes.NewBufferString(text))
		if n < len(s.All()) || err == nil && n > 0 && len(s.All()) == 0 {
			t.Errorf("%d were stored, and there are %d", n, len(s.All()))
		}
		checkStored(t, s)
		var b bytes.Buffer
		if err := s.WriteNetscape(&b); err != nil {
			t.Fatal(err)
		}
		again, _ := at()
		if _, err := again.ReadNetscape(&b); err != nil {
			t.Errorf("what was written cannot be read: %v", err)
		}
		if got, want := again.All(), s.All(); len(got) > 0 && !reflect.DeepEqual(got, want) {
			for i := range got { // values with a tab are left out
				if got[i].Name != want[i].Name {
					return
				}
			}
			t.Errorf("read again: %v, want %v", got, want)
		}
	})
}

// FuzzFile takes what it is given for a store's file; with sum it has the right
// checksum. What comes of it is written and read again.
func FuzzFile(f *testing.F) {
	stored, _ := at()
	stored.journal = &journal{wake: func() {}}
	for _, line := range setCookieSeeds(60) {
		stored.StoreCookies(query(f, "https://www.example.org/p/q"), []string{line + "; Max-Age=60"})
	}
	list, _ := stored.records(start)
	whole := must(encode(list))
	f.Add(whole, false)
	f.Add(whole[:len(whole)/2], false)
	f.Add(whole[bytes.IndexByte(whole, '\n')+1:], true)
	f.Add([]byte(`{"domain":"a.test","path":"Lw==","name":"bg==","value":"dg==","expires":"2030-01-02T03:05:05Z"}`), true)
	f.Add([]byte(`{"domain":"com","subdomains":true,"path":"Lw==","name":"bg==","expires":"9999-01-02T03:05:05Z"}`), true)
	f.Fuzz(func(t *testing.T, data []byte, sum bool) {
		if sum {
			head := must(encode(nil))
			data = append(resum(data, head), data...)
		}
		base, err := decode(data)
		if err != nil {
			return
		}
		s, _ := at()
		s.journal = &journal{wake: func() {}}
		s.merge(base, false, start)
		checkStored(t, s)
		list, _ := s.records(start)
		again, err := decode(must(encode(list)))
		if err != nil || !reflect.DeepEqual(again, list) || len(list) != int(s.size.Load()) {
			t.Errorf("written again: %v, %v; want %v", again, err, list)
		}
	})
}

// resum is the head of a file with the sum of other lines.
func resum(body, head []byte) []byte {
	const digits = 64
	sum := sumOf(body)

	return append(append([]byte(nil), head[:len(head)-digits-1]...), sum+"\n"...)
}

// TestSeeds sees that the grammar makes what is stored, and what is not.
func TestSeeds(t *testing.T) {
	stored := 0
	seeds := setCookieSeeds(300)
	for _, line := range seeds {
		if _, ok := parse(line, time.Now()); ok {
			stored++
		}
	}
	if stored < len(seeds)/2 || stored == len(seeds) {
		t.Errorf("%d of %d seeds are cookies", stored, len(seeds))
	}
}
