package file

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urlkit/urlkit/internal/leak"
	"github.com/urlkit/urlkit/protocols"
)

// folderOf makes a folder with files of those names.
func folderOf(t testing.TB, names ...string) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	return folder
}

func TestListingJSON(t *testing.T) {
	leak.CheckFiles(t)
	folder := folderOf(t, "b.txt", "a b")
	modified := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(folder, "a b"), modified, modified); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(folder, "c"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(folder, "d")); err != nil {
		t.Skip("no symbolic link can be made here: ", err)
	}
	resp, err := load(t.Context(), "GET", fileURL(folder, true), nil, "Accept", "application/json, */*;q=0.5")
	if err != nil {
		t.Fatal(err)
	}
	if resp.MIMEType != "application/json" || resp.ContentLength != -1 || resp.StatusCode != 0 {
		t.Errorf("%+v", resp)
	}
	var list []struct {
		Name, Type, Modified string
		Size                 int64
	}
	if err := json.Unmarshal([]byte(content(t, resp)), &list); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range list {
		if _, err := time.Parse(time.RFC3339, e.Modified); err != nil {
			t.Errorf("%s: %v", e.Name, err)
		}
		got = append(got, fmt.Sprint(e.Name, " ", e.Type, " ", e.Size))
	}
	want := []string{"a b file 3", "b.txt file 5", "c directory 0", "d symlink 0"}
	if !slices.Equal(got, want) || list[0].Modified != "2024-05-06T07:08:09Z" {
		t.Errorf("%q, %+v; want %q", got, list[0], want)
	}
	empty, err := load(t.Context(), "GET", fileURL(t.TempDir(), true), nil, "Accept", "application/json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(content(t, empty)), &list); err != nil || len(list) != 0 {
		t.Errorf("an empty folder: %v, %v", list, err)
	}
}

func TestListingHTML(t *testing.T) {
	names := []string{"a", "b.txt"}
	links := []string{`<a href="../">`, `<a href="./a">a</a>`, `<a href="./b.txt">b.txt</a></td><td>5</td>`, `<a href="./sub/">sub/</a>`}
	if runtime.GOOS != "windows" {
		names = append(names, `<script>"&'`, "x:y?z#%", "bad\xff")
		links = append(links, `<a href="./%3Cscript%3E%22&amp;%27">&lt;script&gt;&#34;&amp;&#39;</a>`,
			`<a href="./x:y%3Fz%23%25">x:y?z#%</a>`, `<a href="./bad%FF">bad`+"\uFFFD</a>")
	}
	folder := folderOf(t, names...)
	if err := os.Mkdir(filepath.Join(folder, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	resp, err := load(t.Context(), "GET", fileURL(folder, true), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.MIMEType != "text/html" || resp.TextEncodingName != "utf-8" {
		t.Errorf("%+v", resp)
	}
	text := content(t, resp)
	for _, link := range links {
		if !strings.Contains(text, link) {
			t.Errorf("%s is missing in %s", link, text)
		}
	}
	if strings.Contains(text, "<script") || strings.Count(text, "<tr>") != len(links) {
		t.Errorf("%s", text)
	}
	head, err := load(t.Context(), "HEAD", fileURL(folder, true), nil)
	if err != nil || head.Body != protocols.NoBody || head.MIMEType != "text/html" || head.ContentLength != -1 {
		t.Errorf("HEAD: %+v, %v", head, err)
	}
}

func TestAccept(t *testing.T) {
	for accept, want := range map[string]bool{
		"":                                   false,
		"*/*":                                false,
		"application/json":                   true,
		"APPLICATION/JSON; charset=utf-8":    true,
		"application/json, text/html":        false,
		"text/html;q=0.5, application/json":  true,
		"application/*":                      true,
		"*/*, application/json;q=0.5":        false,
		"*/*;q=0.1, application/json ; q=.5": true,
		"application/json;q=0":               false,
		"application/json;q=x":               false,
		"application/json;q=NaN":             false,
		"application/jsonx, ;;,=":            false,
	} {
		if got := prefersJSON(http.Header{"Accept": {accept}}); got != want {
			t.Errorf("%q: %t", accept, got)
		}
	}
}

func TestListingLimit(t *testing.T) {
	leak.CheckFiles(t)
	u := fileURL(folderOf(t, "a", "b", "c"), true)
	for limit, fits := range map[int]bool{2: false, 3: true, 0: true, -1: true} {
		resp, err := Schemes(Config{MaxListing: limit})[0].New(nil).Load(t.Context(), &protocols.Request{URL: u})
		if fits {
			if err != nil || !strings.Contains(content(t, resp), "./c") {
				t.Errorf("%d: %v, %v", limit, resp, err)
			}
		} else if !errors.Is(err, protocols.DataLengthExceedsMaximum) {
			t.Errorf("%d: %v", limit, err)
		}
	}
}

// TestListingIsMadeWhileRead lists a folder that is emptied meanwhile, and ends
// listings in the middle.
func TestListingIsMadeWhileRead(t *testing.T) {
	leak.CheckFiles(t)
	var names []string
	for i := range 300 {
		names = append(names, fmt.Sprintf("file%03d", i))
	}
	folder := folderOf(t, names...)
	ctx, cancel := context.WithCancel(t.Context())
	open := func() io.ReadCloser {
		resp, err := load(ctx, "GET", fileURL(folder, true), nil, "Accept", "application/json")
		if err != nil {
			t.Fatal(err)
		}

		return resp.Body
	}
	emptied, cut, closed := open(), open(), open()
	for _, body := range []io.Reader{emptied, cut, closed} {
		if _, err := io.ReadFull(body, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names[:299] {
		if err := os.Remove(filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	rest, err := io.ReadAll(emptied)
	if got := string(rest); err != nil || strings.Count(got, `"name"`) > 65 || !strings.Contains(got, "file299") || !strings.HasSuffix(got, "]\n") {
		t.Errorf("%s, %v", got, err)
	}
	if err := errors.Join(closed.Close(), closed.Close()); err != nil {
		t.Error(err)
	}
	if _, err := closed.Read(make([]byte, 10)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Read after Close: %v", err)
	}
	cancel()
	if _, err := cut.Read(make([]byte, 10)); !errors.Is(err, context.Canceled) {
		t.Errorf("Read after the end of ctx: %v", err)
	}
}
