package protocols

import (
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"unicode"
)

const maxFilename = 200 // bytes; what every common file system takes, with room for a suffix

// SuggestedFilename is a name under which the response could be saved (Apple's
// suggestedFilename): that of Content-Disposition (RFC 6266, filename* first),
// else the last path component of the URL, else its host, else "Unknown". A name
// without an extension gets the one of the MIME type. The result is one plain
// path component: no separators, no "..", no control characters, no reserved
// device name. It is never "".
func (r *Response) SuggestedFilename() string {
	name := safeFilename(dispositionFilename(r.Header))
	if name == "" {
		name = safeFilename(urlFilename(r.URL))
	}
	if name == "" {
		return "Unknown"
	}
	if path.Ext(name) == "" {
		name += extensionOf(r.MIMEType)
	}

	return name
}

func dispositionFilename(h http.Header) string {
	value := h.Get("Content-Disposition")
	if value == "" {
		return ""
	}
	_, params, err := mime.ParseMediaType(value)
	if err != nil {
		return ""
	}

	return params["filename"]
}

func urlFilename(u *url.URL) string {
	if u == nil || u.Opaque != "" {
		return ""
	}
	if base := path.Base(u.Path); safeFilename(base) != "" && base != "/" {
		return base
	}

	return u.Hostname()
}

// extensionOf is the usual extension of a MIME type. The standard table lists
// several in alphabetical order, so that the common types are named here.
func extensionOf(mimeType string) string {
	switch mimeType {
	case "", "application/octet-stream":
		return ""
	case "text/plain":
		return ".txt"
	case "text/html":
		return ".html"
	case "image/jpeg":
		return ".jpg"
	}
	extensions, err := mime.ExtensionsByType(mimeType)
	if err != nil || len(extensions) == 0 {
		return ""
	}

	return extensions[0]
}

// safeFilename makes one plain path component of name, or "".
func safeFilename(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == unicode.ReplacementChar:
			return -1
		case unicode.Is(unicode.Bidi_Control, r):
			return -1 // "gpj.exe" shown as "exe.jpg"
		case strings.ContainsRune(`/\:*?"<>|`, r):
			return '_'
		default:
			return r
		}
	}, strings.ToValidUTF8(name, ""))
	// A leading dot hides the file, a trailing one or blank is lost on Windows.
	name = strings.TrimRight(strings.TrimLeft(name, ". "), ". ")
	if len(name) > maxFilename {
		extension := path.Ext(name)
		if len(extension) > 20 {
			extension = ""
		}
		name = strings.ToValidUTF8(name[:maxFilename-len(extension)], "") + extension
		name = strings.TrimRight(name, ". ")
	}
	stem, _, _ := strings.Cut(name, ".")
	switch s := strings.ToUpper(strings.TrimRight(stem, " ")); {
	case s == "CON", s == "PRN", s == "AUX", s == "NUL",
		len(s) == 4 && (s[:3] == "COM" || s[:3] == "LPT") && s[3] >= '0' && s[3] <= '9':
		return "_" + name
	}

	return name
}
