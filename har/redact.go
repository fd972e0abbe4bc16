package har

import (
	"encoding/base64"
	"mime"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Redacted stands in the place of a secret.
const Redacted = "REDACTED"

// Redaction says what is secret, and takes it out. The zero value knows, whatever the
// case of names, and whether or not they hold "-", "_" or ".":
//
//   - header fields named Authorization, Proxy-Authorization, Authentication-Info,
//     Proxy-Authentication-Info, Cookie, Set-Cookie, Sec-WebSocket-Key and
//     Sec-WebSocket-Accept, and what follows Negotiate and NTLM in WWW-Authenticate and
//     Proxy-Authenticate;
//   - the values of all cookies;
//   - header fields, parameters of a query or a fragment, fields of a form, and members
//     of JSON texts whose name has token, secret, password, passwd, passphrase, apikey,
//     accesskey, authkey, privatekey, signature, credential, authorization, sessionid, csrf or
//     xsrf in it, or is auth, jwt, pass, pin, pwd, otp, session, sid, sig or assertion;
//   - parameters and fields of a form named code or key;
//   - user info in URLs, wherever they stand in a header field or in JSON.
//
// Bodies of other types are left as they are, since secrets cannot be told in them.
type Redaction struct {
	// Names are those of further header fields, parameters, form fields and JSON members.
	Names []string
}

var (
	secretParts = []string{
		"token", "secret", "password", "passwd", "passphrase", "apikey", "accesskey", "authkey", "privatekey",
		"signature", "credential", "authorization", "sessionid", "csrf", "xsrf",
	}
	secretNames      = []string{"auth", "jwt", "pass", "pin", "pwd", "otp", "session", "sid", "sig", "assertion"}
	secretParameters = []string{"code", "key"}
	secretFields     = []string{
		"authorization", "proxyauthorization", "authenticationinfo", "proxyauthenticationinfo",
		"cookie", "setcookie", "secwebsocketkey", "secwebsocketaccept",
	}
	joiner = strings.NewReplacer("-", "", "_", "", ".", "", " ", "")
)

func plainName(name string) string { return joiner.Replace(strings.ToLower(name)) }

// named tells whether a name is that of a secret.
func (r Redaction) named(name string) bool {
	name = plainName(name)
	for _, part := range secretParts {
		if strings.Contains(name, part) {
			return true
		}
	}

	return slices.Contains(secretNames, name) || slices.ContainsFunc(r.Names, func(own string) bool { return plainName(own) == name })
}

// parameter tells it of a parameter, or of a form's field; user[password] is one.
func (r Redaction) parameter(name string) bool {
	if r.named(name) || slices.Contains(secretParameters, plainName(name)) {
		return true
	}
	if i := strings.LastIndexByte(name, '['); i >= 0 && strings.HasSuffix(name, "]") {
		return r.named(name[i+1 : len(name)-1])
	}

	return false
}

// userInfo is what comes before the host in a URL that stands in a text: to the last
// @ before the end of the authority (RFC 3986 §3.2), of a quotation or of a word.
var (
	userInfo = regexp.MustCompile(`//[^/?#\s<>"]*@`)
	blob     = regexp.MustCompile(`(?i)\b(negotiate|ntlm)\s+[A-Za-z0-9+/=]+`)
)

// Field is the value of a header field without secrets.
func (r Redaction) Field(name, value string) string {
	plain := plainName(name)
	if slices.Contains(secretFields, plain) || r.named(name) {
		return Redacted
	}
	switch plain {
	case "location", "contentlocation", "referer", "referrer", "refresh", "sourcemap":
		return r.URL(value)
	case "wwwauthenticate", "proxyauthenticate":
		value = blob.ReplaceAllString(value, "$1 "+Redacted)
	}

	return userInfo.ReplaceAllLiteralString(value, "//"+Redacted+"@")
}

// URL is a URL without secrets: in its user info, its query and its fragment. It need
// not be well-formed.
func (r Redaction) URL(u string) string {
	u = userInfo.ReplaceAllLiteralString(u, "//"+Redacted+"@")
	u, fragment, hasFragment := strings.Cut(u, "#")
	u, query, hasQuery := strings.Cut(u, "?")
	if hasQuery {
		u += "?" + r.Query(query)
	}
	if hasFragment {
		u += "#" + r.Query(fragment)
	}

	return u
}

// Query is the query of a URL, or a form, without secrets: name=value pairs with & between.
func (r Redaction) Query(query string) string {
	if !strings.Contains(query, "=") {
		return query
	}
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		name, value, found := strings.Cut(pair, "=")
		decoded, err := url.QueryUnescape(name)
		if err != nil {
			decoded = name
		}
		if found && value != "" && r.parameter(decoded) {
			pairs[i] = name + "=" + Redacted
		}
	}

	return strings.Join(pairs, "&")
}

// Entry is a copy of an entry without secrets.
func (r Redaction) Entry(e *Entry) *Entry {
	c := *e
	c.Custom = r.custom(e.Custom)
	q, p := &c.Request, &c.Response
	q.URL, p.RedirectURL = r.URL(q.URL), r.URL(p.RedirectURL)
	q.Headers, p.Headers = r.headers(q.Headers), r.headers(p.Headers)
	q.Cookies, p.Cookies = r.cookies(q.Cookies), r.cookies(p.Cookies)
	q.Custom, p.Custom = r.custom(q.Custom), r.custom(p.Custom)
	q.QueryString = slices.Clone(q.QueryString)
	for i := range q.QueryString {
		if v := &q.QueryString[i]; r.parameter(v.Name) {
			v.Value = Redacted
		}
	}
	if q.PostData != nil {
		q.PostData = r.postData(q.PostData)
	}
	p.Content.Text, p.Content.Encoding = r.text(p.Content.MIMEType, p.Content.Text, p.Content.Encoding)
	p.Content.Custom = r.custom(p.Content.Custom)

	return &c
}

// log is what stands around the entries, without secrets.
func (r Redaction) log(l *Log) *Log {
	c := *l
	c.Custom = r.custom(l.Custom)
	c.Pages = slices.Clone(l.Pages)
	for i := range c.Pages {
		c.Pages[i].Title = r.URL(c.Pages[i].Title) // which often is one
		c.Pages[i].Custom = r.custom(c.Pages[i].Custom)
	}

	return &c
}

func (r Redaction) headers(list []NameValue) []NameValue {
	list = slices.Clone(list)
	for i := range list {
		list[i].Value = r.Field(list[i].Name, list[i].Value)
	}

	return list
}

func (r Redaction) cookies(list []Cookie) []Cookie {
	list = slices.Clone(list)
	for i := range list {
		list[i].Value = Redacted
	}

	return list
}

func (r Redaction) custom(all Custom) Custom {
	if all == nil {
		return nil
	}
	c := make(Custom, len(all))
	for name, value := range all {
		if c[name] = []byte(r.json(string(value))); r.named(name) {
			c[name] = []byte(`"` + Redacted + `"`)
		}
	}

	return c
}

func (r Redaction) postData(p *PostData) *PostData {
	c := *p
	c.Params = slices.Clone(p.Params)
	for i := range c.Params {
		if v := &c.Params[i]; r.parameter(v.Name) {
			v.Value = Redacted
		}
	}
	c.Text, c.Encoding = r.text(p.MIMEType, p.Text, p.Encoding)
	c.Custom = r.custom(p.Custom)

	return &c
}

// text redacts a body.
func (r Redaction) text(mimeType, text, encoding string) (redacted, coding string) {
	if encoding == "" {
		return r.Text(mimeType, text), ""
	}
	plain, err := base64.StdEncoding.DecodeString(text)
	if encoding != "base64" || err != nil {
		return text, encoding
	}

	return base64.StdEncoding.EncodeToString([]byte(r.Text(mimeType, string(plain)))), encoding
}

// Text is a body without secrets, as far as they can be told: in forms and in JSON. It
// may be cut off.
func (r Redaction) Text(mimeType, text string) string {
	kind, parameters, err := mime.ParseMediaType(mimeType)
	if err != nil {
		kind, _, _ = strings.Cut(strings.ToLower(mimeType), ";")
	}
	start := strings.TrimLeft(text, " \t\r\n\ufeff")
	switch {
	case kind == "application/x-www-form-urlencoded":
		return r.Query(text)
	case kind == "multipart/form-data" && parameters["boundary"] != "":
		return r.form(text, "--"+parameters["boundary"])
	case strings.Contains(kind, "json"), strings.HasPrefix(start, "{"), strings.HasPrefix(start, "["):
		return r.json(text)
	default:
		return text
	}
}

// form redacts the parts of a multipart form.
func (r Redaction) form(text, boundary string) string {
	parts := strings.Split(text, boundary)
	for i, part := range parts {
		head, body, found := strings.Cut(part, "\r\n\r\n")
		if !found || body == "" {
			continue
		}
		for line := range strings.SplitSeq(head, "\r\n") {
			name, value, _ := strings.Cut(line, ":")
			if !strings.EqualFold(strings.TrimSpace(name), "Content-Disposition") {
				continue
			}
			if _, parameters, err := mime.ParseMediaType(value); err != nil || r.parameter(parameters["name"]) {
				parts[i] = head + "\r\n\r\n" + Redacted + "\r\n"
			}
		}
	}

	return strings.Join(parts, boundary)
}
