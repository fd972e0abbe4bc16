package rules

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A row says what some packages may import besides the standard library. Paths of this module are written without
// its prefix. A path that ends in "/..." means the path and everything below it, and any other means itself alone,
// but for a foreign module, which is meant with all its packages.
type row struct {
	name     string // its name in .golangci.yml, where depguard enforces the same row while one types
	packages []string
	allowed  []string
	why      string
}

// third in a row stands for any one's module: the library is chosen by whoever writes the package.
const third = "*"

// importRows is who may import whom. The first row that matches a package holds. Nothing else may be imported.
var importRows = []row{
	{
		"protocols",
		[]string{"protocols"},
		nil,
		"an author of a protocol imports protocols and gets no dependency at all",
	},
	{
		"protocols-adapters",
		[]string{"protocols/callback", "protocols/data"},
		[]string{"protocols"},
		"what stands on the contract alone shows that the contract is enough",
	},
	{
		"protocols-file",
		[]string{"protocols/file"},
		[]string{"protocols", "internal/publish", "github.com/gabriel-vasile/mimetype"},
		"a built-in knows the contract and its own libraries (here those that sniff types and replace files), never another part of the session",
	},
	{
		"protocols-http",
		[]string{"protocols/http"},
		[]string{"protocols", "golang.org/x/net", "github.com/quic-go"},
		"a built-in knows the contract and its own libraries (here HTTP's codecs and QUIC), never another part of the session",
	},
	{
		"protocols-ftp",
		[]string{"protocols/ftp"},
		[]string{"protocols", "github.com/jlaffaye/ftp"},
		"a built-in knows the contract and its own library (here FTP's commands), never another part of the session",
	},
	{
		"protocols-websocket",
		[]string{"protocols/websocket"},
		[]string{"protocols", "protocols/http", "github.com/coder/websocket"},
		"a built-in knows the contract and its own library; a WebSocket may open its connection as HTTP does",
	},
	{
		"protocols-standard",
		[]string{"protocols/standard"},
		[]string{"protocols/..."},
		"the list of built-ins names the built-ins and knows nothing else",
	},
	{
		"ats-infoplist",
		[]string{"ats/infoplist"},
		[]string{"ats", third},
		"the form of the policy as a property list costs a reader only those who use it",
	},
	{
		"ats-ct",
		[]string{"ats/ct"},
		[]string{"ats", "golang.org/x/crypto"},
		"certificate transparency is one verifier handed to the policy, and verifies without a library of its own",
	},
	{
		"ats",
		[]string{"ats"},
		[]string{"golang.org/x"},
		"policy is decided without knowing who loads: it stands below every other package",
	},
	{
		"registry",
		[]string{"registry"},
		[]string{"protocols"},
		"the registry maps schemes to constructors, and knows no protocol by name",
	},
	{
		"proxy-system",
		[]string{"proxy/system"},
		[]string{"proxy", "golang.org/x/sys", "github.com/godbus/dbus"},
		"what asks the desktop for its proxies stands apart, so that the dialers depend on no desktop",
	},
	{
		"proxy-pac",
		[]string{"proxy/pac"},
		[]string{"proxy", third},
		"the JavaScript engine stands behind a small interface, so that a build can leave it out",
	},
	{
		"proxy",
		[]string{"proxy"},
		[]string{"protocols", "internal/httpauth", "golang.org/x"},
		"settings and dialers serve every protocol, and know none",
	},
	{
		"storage-cookie",
		[]string{"storage/cookie"},
		[]string{"protocols", "storage", "internal/filelock", "internal/observers", "internal/publish", "golang.org/x/net/publicsuffix"},
		"a store implements its interface, and knows no session that uses it; a file is locked and replaced by what others use too",
	},
	{
		"storage-altsvc",
		[]string{"storage/altsvc"},
		[]string{"protocols", "storage", "internal/filelock", "internal/publish"},
		"a store implements its interface, and knows no session that uses it; its file is locked and replaced as that of others",
	},
	{
		"storage-keyring",
		[]string{"storage/credential/keyring"},
		[]string{"protocols", "storage", "storage/credential", "internal/filelock", "internal/publish", third},
		"the library that reaches the system's keyring costs only those who use it",
	},
	{
		"storage-stores",
		[]string{"storage/cache", "storage/credential"},
		[]string{"protocols", "storage", "internal/observers"},
		"a store implements its interface, and knows no session that uses it",
	},
	{
		"storage",
		[]string{"storage"},
		[]string{"protocols"},
		"the interfaces of the stores speak of requests, responses and credentials, and of nothing else",
	},
	{
		"path",
		[]string{"path"},
		nil,
		"what the system says of the path is asked of the system, and known without a session",
	},
	{
		"engine",
		[]string{"internal/engine"},
		[]string{"protocols", "registry", "ats", "path", "proxy", "storage", "internal/httpauth", "internal/httpcache", "golang.org/x"},
		"stores, decoders and verifiers reach the engine as interfaces; whoever tests a protocol through it downloads golang.org/x at most",
	},
	{
		"httpauth",
		[]string{"internal/httpauth"},
		[]string{"protocols", "golang.org/x/crypto"},
		"answers to challenges are computed for the engine and for proxies alike, and depend on neither",
	},
	{
		"httpcache",
		[]string{"internal/httpcache"},
		[]string{"protocols", "storage"},
		"the rules of HTTP caching are arithmetic over requests, responses and entries: no store, no clock, no network",
	},
	{
		"publish",
		[]string{"internal/publish"},
		[]string{"protocols"},
		"files are put in their places in one way, for a built-in that writes them and for downloads alike; it depends on neither",
	},
	{
		"filelock",
		[]string{"internal/filelock"},
		[]string{"golang.org/x/sys"},
		"processes are kept apart by the system's locks, and by nothing else",
	},
	{
		"observers",
		[]string{"internal/observers"},
		nil,
		"who is told of a change does not matter to the telling",
	},
	{
		"multipart",
		[]string{"internal/multipart"},
		nil,
		"a body is taken apart without knowing where it comes from",
	},
	{
		"goroutine",
		[]string{"internal/goroutine"},
		nil,
		"which goroutine runs is asked of the runtime, and of nothing else",
	},
	{
		"http3server",
		[]string{"internal/http3server"},
		[]string{"github.com/quic-go"},
		"what tests need of QUIC stands in one place, so that their packages need none",
	},
	{
		"test-tools",
		[]string{"internal/fault", "internal/leak", "internal/peer", "internal/rules"},
		nil,
		"what tests use stands on the standard library, so that every package's tests can use it",
	},
	{
		"urlsession",
		[]string{"urlsession"},
		[]string{
			"internal/engine", "internal/goroutine", "internal/multipart", "internal/publish", "registry", "ats/...", "path", "proxy/...", "storage/...", "protocols", "protocols/standard",
			"golang.org/x", "github.com/andybalholm/brotli", "github.com/klauspost/compress",
		},
		"the one place where all is wired together; it sees the built-ins through their list",
	},
	{
		"recorder",
		[]string{"urlsession/recorder"},
		[]string{"urlsession", "har"},
		"a recording is made by an observer, which an app's own could be: the session knows none",
	},
	{
		"background",
		[]string{"background"},
		[]string{"urlsession"},
		"a background session is a session seen from outside",
	},
	{
		"conformance-sessions",
		[]string{"conformance/sessions"},
		[]string{"conformance"},
		"the session under test is handed in, so that any client can be",
	},
	{
		"conformance",
		[]string{"conformance"},
		[]string{"protocols", "registry", "ats", "proxy", "internal/engine", "internal/fault", "internal/leak"},
		"the suite judges every protocol by the contract alone, so it knows no built-in and no session",
	},
	{
		"har",
		[]string{"har"},
		nil,
		"HAR is a file format, of use without a session",
	},
	{
		"urlsessiontest",
		[]string{"urlsessiontest"},
		[]string{"protocols", "har"},
		"stubs and recordings are protocols like any other",
	},
	{
		"command",
		[]string{"cmd/urlkit"},
		[]string{
			"protocols/...", "registry", "ats/...", "path", "proxy/...", "storage/...", "urlsession", "urlsession/recorder", "har", "background", "conformance/...",
			"urlsessiontest/...", "cmd/...", "golang.org/x",
			"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/vbauerster",
		},
		"a program here can do no more than one elsewhere: it uses what is public, and libraries for its flags and bars",
	},
	{
		"programs",
		[]string{"cmd/...", "examples/..."},
		[]string{
			"protocols/...", "registry", "ats/...", "path", "proxy/...", "storage/...", "urlsession", "urlsession/recorder", "har", "background", "conformance/...",
			"urlsessiontest/...", "cmd/...", "golang.org/x", "github.com/quic-go",
		},
		"a program here can do no more than one elsewhere: it uses what is public",
	},
}

// authors are the packages that an author of a protocol gets, directly or by the conformance suite. Their tests are
// held to what they are held to: "go mod tidy" follows the tests of what a module imports.
var authors = []string{"protocols", "registry", "ats", "path", "proxy", "storage", "conformance", "internal/engine", "internal/httpauth", "internal/httpcache"}

func TestImports(t *testing.T) {
	for _, p := range goList(t, "./...") {
		name := relative(p.ImportPath)
		r := rowOf(name)
		if r == nil {
			t.Errorf("%s has no row: say in importRows, and in .golangci.yml, what it may import and why", name)
			continue
		}
		for _, imp := range p.Imports {
			if !standard(imp) && !r.allows(relative(imp)) {
				t.Errorf("%s imports %s: %s", name, relative(imp), r.why)
			}
		}
	}
}

// Tests may use what makes them short, but no test may make an author download what the package itself does not.
func TestImportsOfTests(t *testing.T) {
	for _, p := range goList(t, "./...") {
		name := relative(p.ImportPath)
		allowed := []string{"golang.org/x", "github.com/google/go-cmp"}
		if matches(authors, name) {
			allowed = []string{"golang.org/x"}
		}
		if name == "protocols" {
			allowed = nil
		}
		if r := rowOf(name); r != nil {
			allowed = append(allowed, r.allowed...)
		}
		for _, imp := range append(p.TestImports, p.XTestImports...) {
			own := strings.HasPrefix(imp, module+"/")
			if !standard(imp) && !own && !matches(allowed, imp) {
				t.Errorf("a test of %s imports %s; it may import, of other modules: %v", name, imp, allowed)
			}
		}
	}
}

// What the go command would download for an author is what it lists here, tests included.
func TestModulesOfAuthors(t *testing.T) {
	tests := []struct {
		args    []string
		allowed string // besides this module; "" for none
	}{
		{[]string{"-deps", "-test", "./protocols"}, ""},
		{[]string{"-deps", "./protocols", "./registry"}, ""},
		{[]string{"-deps", "./conformance"}, "golang.org/x/"},
	}
	for _, test := range tests {
		for _, m := range foreign(t, test.args...) {
			if test.allowed == "" || !strings.HasPrefix(m, test.allowed) {
				t.Errorf("go list %s: needs %s, and an author of a protocol would have to download it", strings.Join(test.args, " "), m)
			}
		}
	}

	for _, p := range goList(t, "-deps", "./conformance") {
		if p.Module == nil || p.Module.Path != module {
			continue
		}
		for _, m := range foreign(t, "-deps", "-test", p.ImportPath) {
			if !strings.HasPrefix(m, "golang.org/x/") {
				t.Errorf("the tests of %s, which conformance imports, need %s: go mod tidy makes every author download it",
					relative(p.ImportPath), m)
			}
		}
	}
}

// foreign returns the other modules that provide what go list prints, each once.
func foreign(t *testing.T, args ...string) []string {
	t.Helper()
	var modules []string
	for _, p := range goList(t, args...) {
		if p.Module != nil && p.Module.Path != module {
			modules = append(modules, p.Module.Path)
		}
	}
	slices.Sort(modules)

	return slices.Compact(modules)
}

// The linter says while one types what these tests say later: each row is there too, with its reason.
func TestLinterHasEveryRow(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, ".golangci.yml"))
	if err != nil {
		t.Fatal(err)
	}
	_, rules, found := strings.Cut(string(data), "\n    depguard:\n")
	if !found {
		t.Fatal(".golangci.yml has no settings for depguard")
	}
	for _, r := range importRows {
		_, rule, found := strings.Cut(rules, "\n        "+r.name+":\n")
		if !found {
			t.Errorf(".golangci.yml has no depguard rule %s", r.name)
			continue
		}
		if next := regexp.MustCompile(`\n {0,8}\S`).FindStringIndex(rule); next != nil {
			rule = rule[:next[0]]
		}
		if !strings.Contains(rule, r.why) {
			t.Errorf("the depguard rule %s does not give the reason: %s", r.name, r.why)
		}
		for _, a := range append(r.packages, r.allowed...) {
			if a != third && !strings.Contains(rule, strings.TrimSuffix(a, "/...")) {
				t.Errorf("the depguard rule %s does not name %s", r.name, a)
			}
		}
	}
}
