package cookie

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The file begins with a line of the format's name, its version and the SHA-256 of
// all that follows, which is one JSON object a line.
const (
	formatName    = "urlkit-cookies"
	formatVersion = "1"
	// maxFile bounds the file, in bytes: 3000 cookies of the greatest size take less.
	maxFile = 64 << 20
)

var (
	errCorrupt = errors.New("the file is damaged")
	// errVersion is not damage: a newer program may share the file.
	errVersion = errors.New("the file has another version of the format")
)

// line is a cookie in the file. What need not be UTF-8 is bytes, in Base64.
type line struct {
	Domain      string    `json:"domain"`
	Subdomains  bool      `json:"subdomains,omitempty"`
	Path        []byte    `json:"path"`
	Name        []byte    `json:"name"`
	Value       []byte    `json:"value"`
	Expires     time.Time `json:"expires"`
	Created     time.Time `json:"created"`
	Stored      time.Time `json:"stored"`
	Used        uint64    `json:"used"`
	SameSite    string    `json:"sameSite,omitempty"`
	Secure      bool      `json:"secure,omitempty"`
	HTTPOnly    bool      `json:"httpOnly,omitempty"`
	Partitioned bool      `json:"partitioned,omitempty"`
	Partition   []byte    `json:"partition,omitempty"`
}

func encode(list []record) ([]byte, error) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	for i := range list {
		r := &list[i]
		err := enc.Encode(line{
			Domain: r.domain, Subdomains: !r.hostOnly, Path: []byte(r.path), Name: []byte(r.name), Value: []byte(r.value),
			Expires: r.expires, Created: r.created, Stored: r.stored, Used: r.used, SameSite: nameOf(r.sameSite),
			Secure: r.secure, HTTPOnly: r.httpOnly, Partitioned: r.partitioned, Partition: []byte(r.partition),
		})
		if err != nil { // a year beyond 9999
			return nil, fmt.Errorf("a date of a cookie cannot be written")
		}
	}
	head := formatName + " " + formatVersion + " " + sumOf(body.Bytes()) + "\n"

	return append([]byte(head), body.Bytes()...), nil
}

// decode reads a whole file. It is errCorrupt where one byte is not as it was
// written, whatever the reason.
func decode(data []byte) ([]record, error) {
	if len(data) > maxFile { // more than was ever written
		return nil, errCorrupt
	}
	head, body, found := bytes.Cut(data, []byte("\n"))
	fields := strings.Split(string(head), " ")
	if !found || len(fields) < 2 || fields[0] != formatName {
		return nil, errCorrupt
	}
	if fields[1] != formatVersion {
		return nil, errVersion
	}
	if len(fields) != 3 || fields[2] != sumOf(body) {
		return nil, errCorrupt
	}
	var list []record
	for text := range bytes.Lines(body) {
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			return nil, errCorrupt
		}
		r, ok := l.record()
		if !ok {
			return nil, errCorrupt
		}
		list = append(list, r)
	}

	return list, nil
}

func sumOf(body []byte) string {
	sum := sha256.Sum256(body)

	return hex.EncodeToString(sum[:])
}

// record checks a line: who can write the file can compute its sum.
func (l *line) record() (record, bool) {
	r := record{
		cookie: cookie{
			name: string(l.Name), value: string(l.Value), domain: l.Domain, path: string(l.Path),
			expires: l.Expires.UTC(), sameSite: parseSameSite(l.SameSite), hostOnly: !l.Subdomains,
			secure: l.Secure, httpOnly: l.HTTPOnly, partitioned: l.Partitioned,
		},
		partition: string(l.Partition), created: l.Created.UTC(), stored: l.Stored.UTC(), used: l.Used,
	}
	host, ok := canonicalHost(r.domain)
	ok = ok && host == r.domain && !strings.ContainsAny(host, forbidden) && r.name != "" && len(r.name)+len(r.value) <= maxPair &&
		strings.HasPrefix(r.path, "/") && len(r.path) <= maxAttribute && r.persists() &&
		!hasControl(r.name+r.value+r.path+r.domain) && !strings.ContainsAny(r.name, "=;") && !strings.Contains(r.value, ";") &&
		(r.hostOnly || isASCII(host) && !isIP(host) && !isSuffix(host))
	r.expires = capped(r.expires, r.stored)

	return r, ok
}

// nameOf is how SameSite is written; "" where a cookie says nothing of it.
func nameOf(s http.SameSite) string {
	switch s {
	case http.SameSiteStrictMode:
		return "Strict"
	case http.SameSiteLaxMode:
		return "Lax"
	case http.SameSiteNoneMode:
		return "None"
	default:
		return ""
	}
}
