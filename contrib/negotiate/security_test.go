package negotiate

import "testing"

func FuzzNext(f *testing.F) {
	for _, seed := range []string{"", "\xa1\x07\x30\x05\xa0\x03\x0a\x01\x00", "\xa1\x07\x30\x05\xa0\x03\x0a\x01\x02", "\x60\x06\x06\x04\x2b\x06\x01\x05", "\xa1\xff", "garbage"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, token []byte) {
		s := &security{first: []byte("first")}
		if next, err := s.Next(t.Context(), nil); err != nil || string(next) != "first" {
			t.Fatalf("%q, %v", next, err)
		}
		if next, _ := s.Next(t.Context(), token); next != nil {
			t.Errorf("%q is answered by %q", token, next)
		}
	})
}

func TestNext(t *testing.T) {
	for token, good := range map[string]bool{
		"": true, "\xa1\x07\x30\x05\xa0\x03\x0a\x01\x00": true, // accept-completed
		"\xa1\x07\x30\x05\xa0\x03\x0a\x01\x02": false, "\xa1\x07\x30\x05\xa0\x03\x0a\x01\x01": false, "x": false,
	} {
		if _, err := (&security{}).Next(t.Context(), []byte(token)); (err == nil) != good {
			t.Errorf("%x: %v", token, err)
		}
	}
}
