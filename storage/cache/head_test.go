package cache

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/http"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/urlkit/urlkit/storage"
)

func sample() (*storage.CacheEntry, generation, []stretch) {
	g := generation{1, 2, 3, 4, 5, 6, 7, 8}
	data := []byte("hello")
	stretches := []stretch{
		{start: 0, end: 5, base: 0, length: 5, data: data},
		{start: 10, end: 20, base: 5, length: 90_000, file: newName(g, bodySuffix)},
	}
	e := &storage.CacheEntry{
		Key: "https://example.org/", Variant: "v", URL: &url.URL{Scheme: "https", Host: "example.org", Path: "/a b", RawQuery: "q=%20"},
		VaryFields: http.Header{"Accept": {"a", ""}}, StatusCode: 203,
		Header: http.Header{"Content-Type": {"text/html"}, "X": {"\xff\x00"}}, Proto: "HTTP/1.1", MIMEType: "text/html", TextEncodingName: "latin1",
		RequestTime: time.Unix(-5, 7).UTC(), Length: 30,
	}

	return with(e, entryID(hashKey(e.Key), g), e.Length, stretches), g, stretches
}

func TestHead(t *testing.T) {
	e, g, stretches := sample()
	b, err := encodeHead(e, g, stretches)
	if err != nil {
		t.Fatal(err)
	}
	r, gotG, err := decodeHead(b)
	if err != nil || gotG != g || !reflect.DeepEqual(r.entry, e) || !reflect.DeepEqual(r.stretches, stretches) {
		t.Errorf("%+v, %v, %v\nwant %+v", r, gotG, err, e)
	}
	if cost := headCost(e); int(cost) < len(b)-300 || int(cost) > len(b)+300 {
		t.Errorf("a head of %d bytes is thought to be %d", len(b), cost)
	}
	for i := range b {
		if _, _, err := decodeHead(b[:i]); !errors.Is(err, errDamaged) {
			t.Fatalf("cut off at %d: %v", i, err)
		}
		changed := append([]byte(nil), b...)
		changed[i] ^= 1
		if _, _, err := decodeHead(changed); !errors.Is(err, errDamaged) {
			t.Fatalf("changed at %d: %v", i, err)
		}
	}
	if _, _, err := decodeHead(append(b, 0)); !errors.Is(err, errDamaged) {
		t.Error("longer: ", err)
	}
}

// FuzzHead gives descriptions the checksums that they should have.
func FuzzHead(f *testing.F) {
	e, g, stretches := sample()
	b, err := encodeHead(e, g, stretches)
	if err != nil {
		f.Fatal(err)
	}
	length := binary.LittleEndian.Uint32(b[len(headMagic):])
	f.Add(b[headPrefix:headPrefix+int(length)], []byte("hello"))
	e.Length, e.URL = 0, nil
	if b, err = encodeHead(e, g, nil); err != nil {
		f.Fatal(err)
	}
	f.Add(b[headPrefix:], []byte{})
	f.Add([]byte{}, []byte("x"))
	f.Fuzz(func(t *testing.T, description, data []byte) {
		b := append([]byte(headMagic), make([]byte, 8)...)
		binary.LittleEndian.PutUint32(b[len(headMagic):], uint32(len(description)))
		binary.LittleEndian.PutUint32(b[len(headMagic)+4:], crc32.Checksum(description, castagnoli))
		b = append(b, description...)
		b = binary.LittleEndian.AppendUint32(append(b, data...), crc32.Checksum(data, castagnoli))
		r, g, err := decodeHead(b)
		if err != nil {
			if !errors.Is(err, errDamaged) {
				t.Error(err)
			}

			return
		}
		for _, p := range r.entry.Parts {
			if chain, ok := r.from(p.Start); !ok || len(chain) == 0 || chain[len(chain)-1].end != p.End {
				t.Errorf("part %v of %v", p, r.stretches)
			}
		}
		again, err := encodeHead(r.entry, g, r.stretches)
		if err != nil {
			t.Fatal(err)
		}
		r2, g2, err := decodeHead(again)
		if err != nil || g2 != g || !reflect.DeepEqual(r2, r) {
			t.Errorf("%+v and %+v, %v", r, r2, err)
		}
	})
}

// FuzzHeadName parses the names of files.
func FuzzHeadName(f *testing.F) {
	e, g, _ := sample()
	f.Add(headName(hashKey(e.Key), hashVariant(e.Variant), g, 12345678901234567, 1000))
	f.Add(newName(g, bodySuffix))
	f.Add("-" + newName(g, tempSuffix))
	f.Fuzz(func(t *testing.T, name string) {
		if h := parseHeadName(name); h != nil && headName(h.key, h.variant, h.generation, h.stored, h.size) != name {
			t.Error("another name")
		}
		_, body := parseName(name, bodySuffix)
		_, temporary := parseName(name, tempSuffix)
		if body && temporary || (body || temporary) && parseHeadName(name) != nil {
			t.Error("a name of two kinds")
		}
		if k, g, ok := parseID(name); ok && entryID(k, g) != name {
			t.Error("another ID")
		}
	})
}
