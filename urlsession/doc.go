// Package urlsession loads URLs: Apple's URLSession model, made for Go.
//
// A [Session] is made from a [Configuration]. It gives each request to the
// URLProtocol that claims its scheme: data, file, http and https (HTTP/1.1, HTTP/2
// and HTTP/3) are built in, and Configuration.Protocols adds others. App Transport
// Security, time-outs, cookies, credentials, the cache, redirects, retries, content
// decoding and metrics are the same for all of them.
//
//	data, resp, err := urlsession.Data(ctx, "https://example.com/")
//
// Every error is an [*Error] with a [Code] of NSURLErrorDomain, and errors.Is
// asks for a code: errors.Is(err, urlsession.TimedOut). An HTTP status is never
// an error; [Response.OK] says 2xx.
//
// A program that has an http.Client keeps it: [Session.RoundTripper] gives it
// schemes, policy and metrics.
package urlsession
