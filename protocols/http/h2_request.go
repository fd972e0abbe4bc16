package http

import (
	"errors"
	nethttp "net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/urlkit/urlkit/protocols"
)

var (
	errHost     = errors.New("http: invalid host")
	errTarget   = errors.New("http: invalid character in the path or query")
	errLongAsk  = errors.New("http: the request's head is longer than the server takes")
	errExtended = errors.New("http: the server takes no CONNECT with a protocol")
)

// protocolField is the pseudo-header of extended CONNECT (RFC 8441 §4), which a
// CONNECT request may have among its fields.
const protocolField = ":protocol"

// sendable2 is sendable for HTTP/2.
func sendable2(r *nethttp.Request) error {
	special := ""
	if r.Method == nethttp.MethodConnect {
		special = protocolField
	}
	if err := sendableBut(r, special); err != nil {
		return err
	}
	if !httpguts.ValidHostHeader(authority(r)) {
		return errHost
	}
	target := r.URL.RequestURI()
	for i := range len(target) {
		if target[i] < ' ' || target[i] == 0x7f {
			return errTarget
		}
	}

	return nil
}

// authority is the host that is asked, as :authority names it.
func authority(r *nethttp.Request) string {
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	if plainHost(host) {
		return host
	}
	if at, end := strings.IndexByte(host, '%'), strings.LastIndexByte(host, ']'); strings.HasPrefix(host, "[") && at > 0 && at < end {
		host = host[:at] + host[end:] // the zone is nobody else's matter (RFC 6874 §4)
	}
	if ascii, err := httpguts.PunycodeHostPort(host); err == nil {
		host = ascii
	}

	return host
}

// writeHead queues a request's head, and gives the stream its number. The lock is
// held.
func (c *codec2) writeHead(s *stream, r *nethttp.Request, end bool) error {
	o := &c.out
	o.fields = o.fields[:0]
	defer func() { clear(o.fields) }() // which are the app's
	if err := c.list(r); err != nil {
		return err
	}
	size := uint64(0)
	for _, f := range o.fields {
		size += uint64(f.Size())
	}
	if size > c.peer.headerList {
		return protocols.Errorf(protocols.BadURL, "%w", errLongAsk)
	}
	o.block.Reset()
	for _, f := range o.fields {
		_ = o.heads.WriteField(f) // into memory
	}
	s.id = c.nextID
	c.nextID += 2
	block, before := o.block.Bytes(), len(o.queue)
	part := block[:min(len(block), c.peer.frame)]
	block = block[len(part):]
	_ = o.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: part, EndStream: end, EndHeaders: len(block) == 0})
	for len(block) > 0 {
		part, block = block[:min(len(block), c.peer.frame)], block[min(len(block), c.peer.frame):]
		_ = o.frames.WriteContinuation(s.id, len(block) == 0, part)
	}
	s.sentHead = int64(len(o.queue) - before)

	return nil
}

// list makes the fields of a request: first what HTTP/1.1 has in its request line
// (RFC 9113 §8.3.1), then the header in the order of the names.
func (c *codec2) list(r *nethttp.Request) error {
	method := r.Method
	if method == "" {
		method = nethttp.MethodGet
	}
	c.put(":method", method)
	protocol := r.Header[protocolField]
	if method == nethttp.MethodConnect && len(protocol) > 0 && !c.peer.connect {
		return protocols.Errorf(protocols.BadURL, "%w", errExtended)
	}
	if method != nethttp.MethodConnect || len(protocol) > 0 {
		c.put(":scheme", r.URL.Scheme)
		c.put(":path", r.URL.RequestURI())
	}
	c.put(":authority", authority(r))
	if len(protocol) > 0 {
		c.put(protocolField, protocol[0])
	}
	switch length := r.ContentLength; {
	case r.Body != nil && length >= 0:
		c.put("content-length", strconv.FormatInt(length, 10))
	case r.Body == nil && (method == nethttp.MethodPost || method == nethttp.MethodPut || method == nethttp.MethodPatch):
		c.put("content-length", "0")
	}
	names := c.out.names[:0]
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		c.putField(r.Header, name)
	}
	clear(names)
	c.out.names = names

	return nil
}

func (c *codec2) put(name, value string) {
	c.out.fields = append(c.out.fields, hpack.HeaderField{Name: name, Value: value})
}

// putField lists one field, unless it concerns a connection of HTTP/1.1 (RFC 9113
// §8.2.2).
func (c *codec2) putField(header nethttp.Header, name string) {
	switch name {
	case "Host", "Content-Length", "Connection", "Proxy-Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "Trailer", protocolField:
		return
	}
	if options := header["Connection"]; len(options) > 0 && httpguts.HeaderValuesContainsToken(options, name) {
		return
	}
	field := lower(name)
	secret := field == "authorization" || field == "proxy-authorization"
	for _, value := range header[name] {
		value = strings.Trim(value, " \t")
		switch {
		case field == "te" && !strings.EqualFold(value, "trailers"), field == "user-agent" && value == "":
		case field == "cookie": // in pieces, of which most are known from the last time (§8.2.3)
			for piece := range strings.SplitSeq(value, ";") {
				if piece = strings.TrimLeft(piece, " "); piece != "" {
					c.put(field, piece)
				}
			}
		default:
			c.out.fields = append(c.out.fields, hpack.HeaderField{Name: field, Value: value, Sensitive: secret})
		}
	}
}

// lower gives the name of a field in lower case, without an allocation for common
// ones.
func lower(name string) string {
	if known, ok := lowered[name]; ok {
		return known
	}

	return strings.ToLower(name)
}

var lowered = lowerNames()

func lowerNames() map[string]string {
	names := make(map[string]string)
	for _, name := range []string{
		"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cache-Control", "Content-Encoding", "Content-Type",
		"Cookie", "If-Modified-Since", "If-None-Match", "Origin", "Priority", "Range", "Referer", "User-Agent", "X-Requested-With",
	} {
		names[name] = strings.ToLower(name)
	}

	return names
}
