// Package storage defines the stores that the loads of a session share. The
// packages beneath it implement them: storage/cookie, storage/cache,
// storage/credential and, for permanent credentials, storage/credential/keyring. (What
// storage/altsvc implements is defined by package protocols, since a protocol uses it.)
// A store is handed to a session in its configuration; several sessions may share one.
package storage

import (
	"context"
	"errors"
	"net/url"

	"github.com/urlkit/urlkit/protocols"
)

// Resetter is an optional capability of a store: that it can be emptied when a
// session is reset (Apple's URLSession.reset). It is safe for concurrent use. ctx
// bounds the waiting for a disk or a keyring; a failure may leave a part.
type Resetter interface {
	RemoveAll(ctx context.Context) error
}

// Flusher is an optional capability of a store: that it can write what it has not
// written yet (Apple's URLSession.flush). It is safe for concurrent use.
type Flusher interface {
	Flush(ctx context.Context) error
}

// ErrTooLarge is what a store says of a response that does not fit in it.
var ErrTooLarge = errors.New("too large for the store")

// CookieStore keeps cookies between loads (Apple's HTTPCookieStorage). It is
// safe for concurrent use, and neither method waits for a disk or a network.
type CookieStore interface {
	// CookieHeader is the value of the Cookie field for a request (RFC 6265
	// §5.4); "" means that the request gets none.
	CookieHeader(q *CookieQuery) string
	// StoreCookies takes in the Set-Cookie fields of a response, one line each
	// (RFC 6265 §5.2 and §5.3). What is malformed or not allowed is left out.
	StoreCookies(q *CookieQuery, setCookie []string)
}

// CookieQuery describes the hop whose cookies are asked for or stored. A store
// keeps no reference to it or to its URLs.
type CookieQuery struct {
	// URL is the URL of the hop, not of the task's first request.
	URL *url.URL
	// MainDocumentURL is the document that the load belongs to; nil: the load is
	// that document (a top-level navigation in the words of RFC 6265bis §5.2).
	MainDocumentURL *url.URL
	// Method is the hop's method; "" means GET. SameSite=Lax asks whether it is
	// safe.
	Method string
	// Partition keys a jar of its own (Apple's cookiePartitionIdentifier); "" is
	// the jar of loads without a partition. Jars do not see each other's cookies.
	Partition string
	// RedirectedAcrossSites: an earlier hop of this load was on another site.
	RedirectedAcrossSites bool
	// AcceptPolicy says whose cookies may be stored. It does not change what is
	// sent.
	AcceptPolicy CookieAcceptPolicy
}

// CookieAcceptPolicy says whose cookies are stored (Apple's
// HTTPCookie.AcceptPolicy). The zero value is the default of Apple's session
// configuration.
type CookieAcceptPolicy uint8

const (
	// AcceptFromMainDocumentDomain stores the cookies of the main document's
	// host, of its parent domains and of its subdomains.
	AcceptFromMainDocumentDomain CookieAcceptPolicy = iota
	// AcceptAlways stores every cookie.
	AcceptAlways
	// AcceptNever stores none.
	AcceptNever
)

// Raw is Apple's number for the policy; -1 for a value that is none.
func (p CookieAcceptPolicy) Raw() int {
	switch p {
	case AcceptFromMainDocumentDomain:
		return 2
	case AcceptAlways:
		return 0
	case AcceptNever:
		return 1
	default:
		return -1
	}
}

// CredentialStore keeps credentials by protection space (Apple's
// URLCredentialStorage). It is safe for concurrent use. A store may wait for a
// keyring, so each method takes a context and can fail; a memory store does
// neither. What it returns is the caller's copy.
type CredentialStore interface {
	// Default is the credential to try first in a space; nil: there is none.
	Default(ctx context.Context, space protocols.ProtectionSpace) (*protocols.Credential, error)
	// Credentials are all credentials of a space by user name; nil: there are
	// none.
	Credentials(ctx context.Context, space protocols.ProtectionSpace) (map[string]*protocols.Credential, error)
	// Set adds a credential to a space, in place of one with the same user. The
	// first of a space becomes its default. One of PersistenceNone is ignored.
	Set(ctx context.Context, c *protocols.Credential, space protocols.ProtectionSpace) error
	// SetDefault adds a credential as Set does and makes it the default.
	SetDefault(ctx context.Context, c *protocols.Credential, space protocols.ProtectionSpace) error
	// Remove takes the credential of c's user out of a space, and the default
	// with it if it was that. Removing what is not there is no error.
	Remove(ctx context.Context, c *protocols.Credential, space protocols.ProtectionSpace) error
}

// RemovalCounter is an optional capability of a CredentialStore: that it counts what is
// removed from it. A session goes on to send a credential that has let it in until
// the count changes; without it, until the session is flushed.
type RemovalCounter interface {
	// Removals is how many removals there were, of one credential or of all. It is safe
	// for concurrent use and does not wait.
	Removals() uint64
}

// PermanentStore is an optional capability of a CredentialStore: that it keeps
// credentials of PersistencePermanent beyond the process. A store without it may
// keep them as long as those of PersistenceForSession.
type PermanentStore interface {
	// KeepsPermanent tells whether it does.
	KeepsPermanent() bool
}
