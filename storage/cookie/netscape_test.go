package cookie

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// fromCurl is as curl writes it, with what may stand in such files besides.
const fromCurl = "# Netscape HTTP Cookie File\n# https://curl.se/docs/http-cookies.html\n\n" +
	"#HttpOnly_.a.test\tTRUE\t/\tTRUE\t1893556800\tid\tsecret\n" +
	"www.a.test\tFALSE\t/p\tFALSE\t0\tsession\tv w\n" +
	"127.0.0.1\tFALSE\t/\tFALSE\t1893556800\tip\t\r\n" +
	"a.test\tTRUE\t/\tFALSE\t1893556800\tnovalue\n" +
	".a.test\tTRUE\t/\tFALSE\t1000\told\tv\n" +
	".a.test\tTRUE\t/\tFALSE\t99999999999\tlong\t=x"

func TestReadNetscape(t *testing.T) {
	s, _ := at()
	n, err := s.ReadNetscape(strings.NewReader(fromCurl))
	if n != 5 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	for _, row := range []struct{ url, want string }{
		{"https://a.test/", "id=secret; novalue=; long==x"},
		{"http://www.a.test/p", "session=v w; novalue=; long==x"},
		{"http://127.0.0.1/", "ip="},
	} {
		if got := s.CookieHeader(query(t, row.url)); got != row.want {
			t.Errorf("%s gets %q, want %q", row.url, got, row.want)
		}
	}
	for _, c := range s.All() {
		if c.HttpOnly != (c.Name == "id") || c.Secure != (c.Name == "id") || c.Expires.IsZero() != (c.Name == "session") ||
			c.Expires.After(start.Add(maxLifetime)) {
			t.Errorf("read %+v", c)
		}
	}
}

// A line that holds no cookie is told by its number, without what stands in it, and
// the others are read.
func TestReadNetscapeErrors(t *testing.T) {
	const good = "a.test\tFALSE\t/\tFALSE\t0\tn\tv\n"
	for what, bad := range map[string]string{
		"blanks for tabs":    "a.test FALSE / FALSE 0 n secret",
		"five fields":        "a.test\tFALSE\t/\tFALSE\t0",
		"eight fields":       "a.test\tFALSE\t/\tFALSE\t0\tn\tv\tsecret",
		"no domain":          "\tFALSE\t/\tFALSE\t0\tn\tsecret",
		"neither true":       "a.test\tYES\t/\tFALSE\t0\tn\tsecret",
		"no date":            "a.test\tFALSE\t/\tFALSE\tsoon\tn\tsecret",
		"a date beyond all":  "a.test\tFALSE\t/\tFALSE\t99999999999999999999\tn\tsecret",
		"no name":            "a.test\tFALSE\t/\tFALSE\t0\t\tsecret",
		"a path without /":   "a.test\tFALSE\tx\tFALSE\t0\tn\tsecret",
		"a control":          "a.test\tFALSE\t/\tFALSE\t0\tn\tsec\x00ret",
		"another pair":       "a.test\tFALSE\t/\tFALSE\t0\tn\tv; m=secret",
		"a prefix":           "a.test\tFALSE\t/\tFALSE\t0\t__Secure-n\tsecret",
		"a long line":        "a.test\tFALSE\t/\tFALSE\t0\tn\t" + strings.Repeat("secret", maxNetscapeLine),
		"a long pair":        "a.test\tFALSE\t/\tFALSE\t0\tn\t" + strings.Repeat("v", maxPair),
		"a long domain":      strings.Repeat("a.", 600) + "test\tFALSE\t/\tFALSE\t0\tn\tsecret",
		"a long path":        "a.test\tFALSE\t/" + strings.Repeat("p", maxAttribute) + "\tFALSE\t0\tn\tsecret",
		"a domain of a byte": "\xff\tFALSE\t/\tFALSE\t0\tn\tsecret",
	} {
		s, _ := at()
		n, err := s.ReadNetscape(strings.NewReader("# x\n" + bad + "\n" + good + bad))
		if n != 1 || !errors.Is(err, ErrNetscape) || names(s.All()) != "n=v" {
			t.Errorf("%s: %d, %v, %.60s", what, n, err, names(s.All()))

			continue
		}
		if !strings.HasSuffix(err.Error(), "2 lines, the first is line 2") {
			t.Errorf("%s: %v", what, err)
		}
	}
	s, _ := at()
	wrong := errors.New("the disk")
	if n, err := s.ReadNetscape(io.MultiReader(strings.NewReader(good), iotest.ErrReader(wrong))); n != 1 || !errors.Is(err, wrong) {
		t.Errorf("a reader that fails: %d, %v", n, err)
	}
}

// What is written is read again the same, by one byte at a time too.
func TestWriteNetscape(t *testing.T) {
	s, _ := at()
	s.StoreCookies(query(t, "https://www.a.test/p/q"), []string{
		"host=1", "sub=2; Domain=a.test; Path=/; Max-Age=60; HttpOnly; Secure", "utf=\xfc\"; Max-Age=9", "tab=a\tb", "http=1; HttpOnly",
	})
	partition := query(t, "https://www.a.test/")
	partition.Partition = "one"
	s.StoreCookies(partition, []string{"in=1"})
	var b bytes.Buffer
	if err := s.WriteNetscape(&b); err != nil {
		t.Fatal(err)
	}
	want := "# Netscape HTTP Cookie File\n" +
		"www.a.test\tFALSE\t/p\tFALSE\t0\thost\t1\n" +
		"#HttpOnly_.a.test\tTRUE\t/\tTRUE\t" + unix(time.Minute) + "\tsub\t2\n" +
		"www.a.test\tFALSE\t/p\tFALSE\t" + unix(9*time.Second) + "\tutf\t\xfc\"\n" +
		"#HttpOnly_www.a.test\tFALSE\t/p\tFALSE\t0\thttp\t1\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
	again, _ := at()
	if n, err := again.ReadNetscape(iotest.OneByteReader(&b)); n != 4 || err != nil {
		t.Errorf("read again: %d, %v", n, err)
	}
	b.Reset()
	if err := again.WriteNetscape(&b); err != nil || b.String() != want {
		t.Errorf("written again: %v\n%s", err, b.String())
	}
	if err := s.WriteNetscape(failing{}); err == nil {
		t.Error("a writer that fails is no error")
	}
}

func TestWriteNetscapeFile(t *testing.T) {
	s, _ := at()
	s.StoreCookies(query(t, "https://a.test/"), []string{"n=v"})
	name := filepath.Join(t.TempDir(), "cookies.txt")
	if err := os.WriteFile(name, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.WriteNetscapeFile(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(name); err != nil || !strings.HasSuffix(string(data), "\tn\tv\n") {
		t.Errorf("%v: %s", err, data)
	}
	if info, err := os.Stat(name); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := s.WriteNetscapeFile(t.Context(), filepath.Join(name, "x")); err == nil {
		t.Error("written into a file that is no folder")
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// unix is a time after start as the format has it.
func unix(d time.Duration) string { return strconv.FormatInt(start.Add(d).Unix(), 10) }
