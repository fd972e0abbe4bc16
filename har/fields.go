package har

// Each type names its fields once, for reading and for writing. The format's required
// fields are always written, the optional ones where they say something.

func (l *Log) fields(c *codec) {
	c.text("version", &l.Version, required)
	object(c, "creator", &l.Creator)
	pointer(c, "browser", &l.Browser)
	list(c, "pages", &l.Pages, optional)
	c.notes(&l.Notes)
}

func (p *Creator) fields(c *codec) {
	c.text("name", &p.Name, required)
	c.text("version", &p.Version, required)
	c.notes(&p.Notes)
}

func (p *Page) fields(c *codec) {
	c.time("startedDateTime", &p.StartedDateTime, required)
	c.text("id", &p.ID, required)
	c.text("title", &p.Title, required)
	object(c, "pageTimings", &p.PageTimings)
	c.notes(&p.Notes)
}

func (p *PageTimings) fields(c *codec) {
	c.duration("onContentLoad", &p.OnContentLoad)
	c.duration("onLoad", &p.OnLoad)
	c.notes(&p.Notes)
}

func (e *Entry) fields(c *codec) {
	c.text("pageref", &e.PageRef, optional)
	c.time("startedDateTime", &e.StartedDateTime, required)
	c.number("time", &e.Time)
	object(c, "request", &e.Request)
	object(c, "response", &e.Response)
	object(c, "cache", &e.Cache)
	object(c, "timings", &e.Timings)
	c.text("serverIPAddress", &e.ServerIPAddress, optional)
	c.text("connection", &e.Connection, optional)
	c.notes(&e.Notes)
}

func (r *Request) fields(c *codec) {
	c.text("method", &r.Method, required)
	c.text("url", &r.URL, required)
	c.text("httpVersion", &r.HTTPVersion, required)
	list(c, "cookies", &r.Cookies, required)
	list(c, "headers", &r.Headers, required)
	list(c, "queryString", &r.QueryString, required)
	pointer(c, "postData", &r.PostData)
	c.size("headersSize", &r.HeadersSize)
	c.size("bodySize", &r.BodySize)
	c.notes(&r.Notes)
}

func (r *Response) fields(c *codec) {
	status := int64(r.Status)
	c.integer("status", &status, required)
	r.Status = int(status)
	c.text("statusText", &r.StatusText, required)
	c.text("httpVersion", &r.HTTPVersion, required)
	list(c, "cookies", &r.Cookies, required)
	list(c, "headers", &r.Headers, required)
	object(c, "content", &r.Content)
	c.text("redirectURL", &r.RedirectURL, required)
	c.size("headersSize", &r.HeadersSize)
	c.size("bodySize", &r.BodySize)
	c.notes(&r.Notes)
}

func (k *Cookie) fields(c *codec) {
	c.text("name", &k.Name, required)
	c.text("value", &k.Value, required)
	c.text("path", &k.Path, optional)
	c.text("domain", &k.Domain, optional)
	c.date("expires", &k.Expires)
	c.flag("httpOnly", &k.HTTPOnly)
	c.flag("secure", &k.Secure)
	c.notes(&k.Notes)
}

func (n *NameValue) fields(c *codec) {
	c.text("name", &n.Name, required)
	c.text("value", &n.Value, required)
	c.notes(&n.Notes)
}

func (p *PostData) fields(c *codec) {
	c.text("mimeType", &p.MIMEType, required)
	list(c, "params", &p.Params, required)
	c.text("text", &p.Text, required)
	if c.reading() {
		c.text("encoding", &p.Encoding, optional) // some write it so
	}
	c.text("_encoding", &p.Encoding, optional)
	c.notes(&p.Notes, "_encoding")
}

func (p *Param) fields(c *codec) {
	c.text("name", &p.Name, required)
	c.text("value", &p.Value, optional)
	c.text("fileName", &p.FileName, optional)
	c.text("contentType", &p.ContentType, optional)
	c.notes(&p.Notes)
}

func (n *Content) fields(c *codec) {
	c.integer("size", &n.Size, required)
	c.integer("compression", &n.Compression, optional)
	c.text("mimeType", &n.MIMEType, required)
	c.text("text", &n.Text, optional)
	c.text("encoding", &n.Encoding, optional)
	c.notes(&n.Notes)
}

func (h *Cache) fields(c *codec) {
	pointer(c, "beforeRequest", &h.BeforeRequest)
	pointer(c, "afterRequest", &h.AfterRequest)
	c.notes(&h.Notes)
}

func (h *CacheEntry) fields(c *codec) {
	c.date("expires", &h.Expires)
	c.date("lastAccess", &h.LastAccess)
	c.text("eTag", &h.ETag, required)
	c.integer("hitCount", &h.HitCount, required)
	c.notes(&h.Notes)
}

func (t *Timings) fields(c *codec) {
	c.duration("blocked", &t.Blocked)
	c.duration("dns", &t.DNS)
	c.duration("connect", &t.Connect)
	c.number("send", &t.Send)
	c.number("wait", &t.Wait)
	c.number("receive", &t.Receive)
	c.duration("ssl", &t.SSL)
	c.notes(&t.Notes)
}
