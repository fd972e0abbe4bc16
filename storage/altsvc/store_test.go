package altsvc_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
	"github.com/urlkit/urlkit/storage/altsvc"
)

// service is one that expires in an hour, which JSON can tell to the last digit.
func service(port uint16, persist bool) protocols.AlternativeService {
	return protocols.AlternativeService{
		Protocol: "h3", Host: "alt.example", Port: port, Persist: persist, Expires: time.Now().Add(time.Hour).UTC().Truncate(time.Second),
	}
}

func ports(s protocols.AlternativeServiceStore, key string) (ports []uint16) {
	for _, one := range s.Services(key) {
		ports = append(ports, one.Port)
	}

	return ports
}

func TestStore(t *testing.T) {
	s := altsvc.NewStore()
	past := service(1, true)
	past.Expires = time.Now().Add(-time.Second)
	s.StoreServices("a", []protocols.AlternativeService{past, service(2, false), service(3, true)})
	s.StoreServices("b", []protocols.AlternativeService{service(4, false)})
	if got := ports(s, "a"); !reflect.DeepEqual(got, []uint16{2, 3}) {
		t.Errorf("%v", got)
	}
	if s.PathChanged(); !reflect.DeepEqual(ports(s, "a"), []uint16{3}) || ports(s, "b") != nil {
		t.Errorf("after the network changed: %v, %v", ports(s, "a"), ports(s, "b"))
	}
	if s.StoreServices("a", nil); ports(s, "a") != nil {
		t.Error("cleared, and known all the same")
	}
	long := service(5, false)
	long.Host = strings.Repeat("x", 5000)
	s.StoreServices("c", []protocols.AlternativeService{long})
	s.StoreServices(strings.Repeat("x", 5000), []protocols.AlternativeService{service(5, false)})
	if ports(s, "c") != nil || ports(s, strings.Repeat("x", 5000)) != nil {
		t.Error("a text without a bound was kept")
	}
	soon := service(6, false)
	soon.Expires = time.Now().Add(time.Minute)
	s.StoreServices("soon", []protocols.AlternativeService{soon})
	for i := range 1024 {
		s.StoreServices(fmt.Sprint(i), []protocols.AlternativeService{service(7, false)})
	}
	if ports(s, "soon") != nil || ports(s, "0") == nil || ports(s, "1023") == nil {
		t.Error("not the one that expires first was dropped")
	}
	if err := s.RemoveAll(t.Context()); err != nil || ports(s, "1023") != nil {
		t.Errorf("not empty, %v", err)
	}
}

func open(t *testing.T, name string) *altsvc.File {
	t.Helper()
	f, err := altsvc.Open(t.Context(), name, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})

	return f
}

func TestFile(t *testing.T) {
	leak.Check(t)
	leak.CheckFiles(t)
	name := filepath.Join(t.TempDir(), "services")
	first, second := open(t, name), open(t, name)
	if _, err := os.Stat(name); err == nil {
		t.Error("an empty store has a file")
	}
	want := []protocols.AlternativeService{service(1, true), service(2, false)}
	first.StoreServices("a", want)
	second.StoreServices("b", want[1:])
	for _, f := range []*altsvc.File{first, second, first} {
		if err := f.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []*altsvc.File{first, second, open(t, name)} {
		if got := f.Services("a"); !reflect.DeepEqual(got, want) || !reflect.DeepEqual(ports(f, "b"), []uint16{2}) {
			t.Errorf("%+v, %v", got, ports(f, "b"))
		}
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	first.StoreServices("a", nil)
	if err := first.Flush(t.Context()); err != nil || ports(open(t, name), "a") != nil {
		t.Errorf("cleared, and known all the same: %v", err)
	}
	if err := first.RemoveAll(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(name); err == nil || ports(first, "b") != nil {
		t.Error("there is a file after RemoveAll")
	}
}

// The most that origins can say, and what makes no sense, is no damage when it is read
// again.
func TestFullFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "services")
	f, err := altsvc.Open(t.Context(), name, nil)
	if err != nil {
		t.Fatal(err)
	}
	longest := service(1, true)
	longest.Protocol, longest.Host = strings.Repeat("\x01", 255), strings.Repeat("x", 253)
	services := slices.Repeat([]protocols.AlternativeService{longest}, 20)
	for i := range 1024 {
		f.StoreServices(fmt.Sprintf("%04d%0300d", i, 0), services)
	}
	f.StoreServices("", services)
	f.StoreServices("odd", []protocols.AlternativeService{{Port: 1, Expires: longest.Expires}, {Protocol: "h3", Expires: longest.Expires}, {Protocol: "h3", Port: 1}})
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if again := open(t, name); len(ports(again, fmt.Sprintf("%04d%0300d", 1023, 0))) == 0 {
		t.Error("what was written is not read")
	}
	if _, err := os.Stat(name + ".damaged"); err == nil {
		t.Error("what was written counts as damaged")
	}
}

// What changes is written without being asked for, and at the end.
func TestFileWritesByItself(t *testing.T) {
	name := filepath.Join(t.TempDir(), "services")
	f := open(t, name)
	f.StoreServices("a", []protocols.AlternativeService{service(1, true)})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); ports(open(t, name), "a") == nil; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("never written")
		}
	}
	f.StoreServices("b", []protocols.AlternativeService{service(2, true)})
	if err := f.Close(); err != nil || ports(open(t, name), "b") == nil {
		t.Errorf("not written at the end: %v", err)
	}
}

// A file that is damaged in whatever way is set aside, and said so.
func TestDamagedFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "services")
	f := open(t, name)
	f.StoreServices("a", []protocols.AlternativeService{service(1, true)})
	if err := f.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range [][]byte{
		whole[:len(whole)/2], []byte("x"), []byte("{}"), []byte("null"), []byte(`{"Version":2}`), bytes.Repeat([]byte(" "), 9<<20),
		bytes.Replace(whole, []byte(`"Port":1`), []byte(`"Port":0`), 1), bytes.Replace(whole, []byte(`"Port":1`), []byte(`"Port":70000`), 1),
	} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		g, err := altsvc.Open(t.Context(), name, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil || ports(g, "a") != nil || !strings.Contains(log.String(), "damaged") {
			t.Fatalf("%.40q: %v, %q", data, err, log.String())
		}
		if aside, err := os.ReadFile(name + ".damaged"); err != nil || !bytes.Equal(aside, data) {
			t.Errorf("%.40q is not what was set aside: %v", data, err)
		}
		if err := g.RemoveAll(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(name + ".damaged"); err == nil {
			t.Error("RemoveAll leaves the damaged file")
		}
	}
}

func TestFileCannotBeWritten(t *testing.T) {
	if _, err := altsvc.Open(t.Context(), filepath.Join(t.TempDir(), "none", "services"), nil); err == nil {
		t.Error("there is no folder")
	}
	if _, err := altsvc.Open(t.Context(), t.TempDir(), nil); err == nil {
		t.Error("a folder was opened")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	folder := t.TempDir()
	f := open(t, filepath.Join(folder, "services"))
	f.StoreServices("a", []protocols.AlternativeService{service(1, true)})
	if err := f.Flush(ctx); err == nil {
		t.Error("the context had ended")
	}
	if err := f.Flush(t.Context()); err != nil || ports(open(t, filepath.Join(folder, "services")), "a") == nil {
		t.Errorf("what could not be written is lost: %v", err)
	}
}

// FuzzFile opens files of any content: what comes of them can be stored and read again.
func FuzzFile(f *testing.F) {
	f.Add([]byte(`{"Version":1,"Origins":[{"Key":"a.example:443 ","Services":[{"Protocol":"h3","Host":"","Port":443,"Expires":"2100-01-02T12:00:00Z","Persist":true}]}]}`))
	f.Add([]byte(`{"Version":1,"Origins":[]}`))
	f.Add([]byte(`{"Version":1,"Origins":[{"Key":"","Services":null}]}`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, data []byte) {
		name := filepath.Join(t.TempDir(), "services")
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		logger := slog.New(slog.DiscardHandler)
		for range 2 {
			s, err := altsvc.Open(t.Context(), name, logger)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}
