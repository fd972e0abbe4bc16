package file

import (
	"net/url"
	"path"
	"strings"

	"github.com/urlkit/urlkit/protocols"
)

// localPath is the path that a file: URL names on the operating system goos;
// folder says that it can only name a folder ("/" at its end). A path with an
// escaped separator is the path with the separator.
func localPath(u *url.URL, goos string) (name string, folder bool, err error) {
	switch {
	case u == nil:
		err = protocols.Errorf(protocols.BadURL, "the request has no URL")
	case u.Host != "" && !strings.EqualFold(u.Host, "localhost"):
		err = protocols.Errorf(protocols.BadURL, "the host of a file: URL is empty or localhost, not %q", u.Host)
	case u.User != nil:
		err = protocols.Errorf(protocols.BadURL, "a file: URL has no user")
	case u.Opaque != "" || !strings.HasPrefix(u.Path, "/"):
		err = protocols.Errorf(protocols.BadURL, "a file: URL has an absolute path (file:///...)")
	case strings.IndexByte(u.Path, 0) >= 0:
		err = protocols.Errorf(protocols.BadURL, "the path has a NUL character in it")
	}
	if err != nil {
		return "", false, err
	}
	name = u.Path
	if goos == "windows" {
		name = strings.ReplaceAll(name, `\`, "/")
	}
	folder = strings.HasSuffix(name, "/") || strings.HasSuffix(name, "/.") || strings.HasSuffix(name, "/..")
	name = path.Clean(name)
	if goos == "windows" {
		name, err = drivePath(name)
	}

	return name, folder, err
}

// drivePath makes C:\x of /C:/x. Nothing else is let through: two slashes would
// name another machine, and a second colon another stream of the file.
func drivePath(name string) (string, error) {
	letter := len(name) >= 3 && 'a' <= name[1]|0x20 && name[1]|0x20 <= 'z' && name[2] == ':'
	if !letter || len(name) > 3 && name[3] != '/' {
		return "", protocols.Errorf(protocols.BadURL, "a file: URL has a drive in its path (file:///C:/...)")
	}
	if strings.Contains(name[3:], ":") {
		return "", protocols.Errorf(protocols.BadURL, "a file name has no colon")
	}
	if len(name) == 3 {
		name += "/"
	}

	return strings.ReplaceAll(name[1:], "/", `\`), nil
}
