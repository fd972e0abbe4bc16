package multipart

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/textproto"
	"strings"
	"testing"
	"testing/iotest"
)

// apart gives all parts of a body: the Content-Type of each and its bytes.
func apart(body io.Reader, boundary string) (string, error) {
	var b strings.Builder
	r := NewReader(body, boundary)
	for {
		header, err := r.Next()
		if err == io.EOF {
			return b.String(), nil
		}
		if err != nil {
			return b.String(), err
		}
		data, err := io.ReadAll(r)
		fmt.Fprintf(&b, "[%s:%s]", header.Get("Content-Type"), data)
		if err != nil {
			return b.String(), err
		}
	}
}

func TestReader(t *testing.T) {
	for _, row := range []struct{ name, boundary, body, want string }{
		{"two parts", "b", "--b\r\nContent-Type: a\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n", "[a:one][:two]"},
		{"bare line ends", "b", "--b\nContent-Type: a\n\none\n--b\n\ntwo\n--b--\n", "[a:one][:two]"},
		{"a preamble and an epilogue", "b", "pre\r\n--bb\r\nx--b\r\n--b\r\n\r\none\r\n--b--\r\nepi\r\n--b\r\n\r\nno", "[:one]"},
		{"padding", "b", "--b \t\r\n\r\none\r\n--b  \r\n\r\ntwo\r\n--b--", "[:one][:two]"},
		{"too much padding", "b", "--b\r\n\r\none\r\n--b" + strings.Repeat(" ", 100) + "\r\n", "[:one\r\n--b" + strings.Repeat(" ", 100) + "\r\n]"},
		{"no last delimiter", "b", "--b\r\n\r\none\r\n--b\r\n\r\ntwo", "[:one][:two]"},
		{"half of a delimiter", "bound", "--bound\r\n\r\none\r\n--bou", "[:one\r\n--bou]"},
		{"a last delimiter that ends", "b", "--b\r\n\r\none\r\n--b", "[:one]"},
		{"a last dash that ends", "b", "--b\r\n\r\none\r\n--b-", "[:one]"},
		{"cut in a header", "b", "--b\r\n\r\none\r\n--b\r\nContent-", "[:one]"},
		{"empty parts", "b", "--b\r\n\r\n--b\r\n\r\n\r\n--b\r\n\r\n", "[:][:][:]"},
		{"what is nearly a delimiter", "b", "--b\r\n\r\n\r\n--bb\r\n--a\r\n-\r--b\r\n\n\r\r\n--b-x\r\n--b--", "[:\r\n--bb\r\n--a\r\n-\r--b\r\n\n\r\r\n--b-x]"},
		{"a delimiter in a line", "b", "--b\r\n\r\nx--b\r\n\r\n--b--", "[:x--b\r\n]"},
		{"a boundary with its dashes", "--b", "--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--", "[:one][:two]"},
		{"a boundary that begins with dashes", "--b", "----b\r\n\r\none\r\n--b\r\n----b--", "[:one\r\n--b]"},
		{"no parts", "b", "--b--\r\n", ""},
		{"nothing", "b", "", ""},
		{"no delimiter", "b", strings.Repeat("x", 100000) + "--b\r\n\r\nno", ""},
		{"odd fields", "b", "--b\r\nno field\r\n: x\r\nA b: c\r\nContent-Type: a\x01\r\nContent-Type:  a \r\n\r\none", "[a:one]"},
	} {
		for name, slow := range map[string]func(io.Reader) io.Reader{
			"": func(r io.Reader) io.Reader { return r }, " by bytes": iotest.OneByteReader, " by halves": iotest.HalfReader, " with the error": iotest.DataErrReader,
		} {
			got, err := apart(slow(strings.NewReader(row.body)), row.boundary)
			if got != row.want || err != nil {
				t.Errorf("%s%s: %.200q, %v; want %.200q", row.name, name, got, err, row.want)
			}
		}
	}
}

// Next drops what is left of a part, and Read of no part is its end.
func TestNextInTheMiddle(t *testing.T) {
	r := NewReader(strings.NewReader("--b\r\n\r\n"+strings.Repeat("one", 10000)+"\r\n--b\r\nX: 1\r\n\r\ntwo\r\n--b--"), "b")
	if n, err := r.Read(make([]byte, 10)); n != 0 || err != io.EOF {
		t.Errorf("before the first part: %d, %v", n, err)
	}
	for _, want := range []string{"", "1"} {
		header, err := r.Next()
		if err != nil || header.Get("X") != want {
			t.Fatalf("%v, %v", header, err)
		}
		if n, err := r.Read(nil); n != 0 || err != nil {
			t.Errorf("into nothing: %d, %v", n, err)
		}
		if n, err := r.Read(make([]byte, 2)); n != 2 || err != nil {
			t.Errorf("two bytes: %d, %v", n, err)
		}
	}
	for range 2 {
		if _, err := r.Next(); err != io.EOF {
			t.Errorf("after the last part: %v", err)
		}
		if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("after the last part: %d, %v", n, err)
		}
	}
}

var errOfBody = errors.New("of the body")

// A body's error is that of the part, and of every later call; bytes that came before
// it are given.
func TestErrors(t *testing.T) {
	for body, want := range map[string]string{
		"":                          "",
		"--b\r\n":                   "",
		"--b\r\nContent-Type":       "",
		"--b\r\n\r\none":            "[:one]",
		"--b\r\n\r\none\r\n":        "[:one\r\n]",
		"--b\r\n\r\none\r\n--b\r\n": "[:one]",
		"--b\r\n\r\none\r\n--b":     "[:one]",
	} {
		r := io.MultiReader(strings.NewReader(body), iotest.ErrReader(errOfBody))
		if got, err := apart(r, "b"); got != want || !errors.Is(err, errOfBody) {
			t.Errorf("%q: %q, %v; want %q", body, got, err, want)
		}
	}
	for name, header := range map[string]string{
		"a long line": strings.Repeat("x", maxHeader+10), "many lines": strings.Repeat("X: y\r\n", maxHeader/6+1),
	} {
		r := NewReader(strings.NewReader("--b\r\n"+header+"\r\n\r\none\r\n--b--"), "b")
		for range 2 {
			if _, err := r.Next(); !errors.Is(err, ErrHeader) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := r.Read(make([]byte, 1)); !errors.Is(err, ErrHeader) {
			t.Errorf("%s: then %v", name, err)
		}
	}
}

// What has come is given before more does, but for what may be a delimiter.
func TestPromptness(t *testing.T) {
	from, to := io.Pipe()
	defer from.Close()
	r := NewReader(from, "b")
	steps := make(chan string)
	go func() {
		defer to.Close()
		for step := range steps {
			_, _ = io.WriteString(to, step)
		}
	}()
	defer close(steps)
	steps <- "--b\r\nX: 1\r\n\r\n"
	if header, err := r.Next(); err != nil || header.Get("X") != "1" {
		t.Fatalf("%v, %v", header, err)
	}
	buffer := make([]byte, 100)
	for _, row := range []struct{ sent, want string }{
		{"one", "one"},
		{"two\r\n", "two"}, // the line break may belong to a delimiter
		{"three", "\r\nthree"},
		{"\r\n--bbb", "\r\n--bbb"},
	} {
		steps <- row.sent
		got := ""
		for len(got) < len(row.want) {
			n, err := r.Read(buffer)
			if err != nil {
				t.Fatal(err)
			}
			got += string(buffer[:n])
		}
		if got != row.want {
			t.Errorf("after %q: %q, want %q", row.sent, got, row.want)
		}
	}
	steps <- "end\r\n--b\r\n"
	if got, err := io.ReadAll(r); string(got) != "end" || err != nil {
		t.Errorf("the rest is %q, %v", got, err)
	}
}

func TestBoundary(t *testing.T) {
	for contentType, want := range map[string]string{
		"multipart/x-mixed-replace; boundary=b":                                     "b",
		`Multipart/X-Mixed-Replace;boundary="a b"`:                                  "a b",
		"multipart/x-mixed-replace; boundary=--b":                                   "--b",
		"multipart/x-mixed-replace":                                                 "",
		"multipart/x-mixed-replace; boundary=":                                      "",
		"multipart/x-mixed-replace; boundary=" + strings.Repeat("b", maxBoundary+1): "",
		"multipart/mixed; boundary=b":                                               "",
		"":                                                                          "",
		"multipart/x-mixed-replace; boundary=b; boundary=c":                         "",
		"multipart/x-mixed-replace; boundary=" + strings.Repeat("b", maxBoundary)[:9]: "bbbbbbbbb",
	} {
		if got, ok := Boundary(contentType); ok != (want != "") || ok && got != want {
			t.Errorf("%.60q: %q, %v", contentType, got, ok)
		}
	}
}

// FuzzReader reads what it is given at once and by bytes, which must give the same;
// and what the standard library writes of it, which must come out as it went in.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{
		"--b\r\nContent-Type: image/jpeg\r\nContent-Length: 3\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n", "--b\n\n\n--b-", "\r\n--b \r\n\r\n\r\r\n--b\r",
		"--b\r\n\r\n--b\r\n\r\n--b--",
	} {
		f.Add(seed, "b")
	}
	f.Add("--b\r\n\r\none\r\n--b\r\n", "--b")
	f.Fuzz(func(t *testing.T, body, boundary string) {
		if boundary == "" || len(boundary) > maxBoundary {
			return
		}
		at, err := apart(strings.NewReader(body), boundary)
		slow, errSlow := apart(iotest.OneByteReader(strings.NewReader(body)), boundary)
		if at != slow || (err == nil) != (errSlow == nil) {
			t.Errorf("at once %q, %v; by bytes %q, %v", at, err, slow, errSlow)
		}
		var written bytes.Buffer
		w := multipart.NewWriter(&written)
		if w.SetBoundary(boundary) != nil || strings.TrimRight(boundary, " \t\r\n") != boundary || strings.Contains(body, boundary) {
			return
		}
		for range 2 {
			part, err := w.CreatePart(textproto.MIMEHeader{"Content-Type": {"a"}})
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(part, body)
		}
		_ = w.Close()
		want := "[a:" + body + "]"
		if got, err := apart(&written, boundary); got != want+want || err != nil {
			t.Errorf("written by the standard library: %q, %v; want %q twice", got, err, want)
		}
	})
}
