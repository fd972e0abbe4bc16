package protocols

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
)

// AuthenticationMethod is how a protection space is to be entered (Apple's
// NSURLAuthenticationMethod constants).
type AuthenticationMethod uint8

const (
	// MethodDefault is the scheme's own: Basic for HTTP, USER and PASS for FTP.
	MethodDefault AuthenticationMethod = iota
	// MethodHTTPBasic is RFC 7617.
	MethodHTTPBasic
	// MethodHTTPDigest is RFC 7616.
	MethodHTTPDigest
	// MethodHTTPBearer is RFC 6750.
	MethodHTTPBearer
	// MethodHTMLForm is a login form; never asked by a session itself.
	MethodHTMLForm
	// MethodNTLM authenticates one connection by NTLM.
	MethodNTLM
	// MethodNegotiate authenticates one connection by SPNEGO (RFC 4559).
	MethodNegotiate
	// MethodClientCertificate is a certificate in the TLS handshake.
	MethodClientCertificate
	// MethodServerTrust asks whether the peer's chain is to be trusted.
	MethodServerTrust
)

var methodNames = [...]string{
	"Default", "HTTPBasic", "HTTPDigest", "HTTPBearer", "HTMLForm", "NTLM", "Negotiate", "ClientCertificate", "ServerTrust",
}

// String is the last part of Apple's constant: "HTTPBasic", "ServerTrust".
func (m AuthenticationMethod) String() string {
	if int(m) < len(methodNames) {
		return methodNames[m]
	}

	return fmt.Sprintf("AuthenticationMethod(%d)", uint8(m))
}

// ProtectionSpace is where a credential is good (Apple's URLProtectionSpace, RFC
// 9110 §11.5). It is comparable, and a key of credential storage.
type ProtectionSpace struct {
	// Host is in lower case, without brackets.
	Host string
	// Port is the port number.
	Port int
	// Protocol is the URL scheme, in lower case.
	Protocol string
	// Realm is the realm that the peer named; "" none.
	Realm string
	// Method is the authentication method.
	Method AuthenticationMethod
	// ProxyType is "" for an origin; for a proxy "http", "https", "ftp" or "socks".
	ProxyType string
}

// ReceivesCredentialSecurely tells whether a credential sent there cannot be
// read on the way (Apple's receivesCredentialSecurely).
func (s ProtectionSpace) ReceivesCredentialSecurely() bool {
	switch s.Method {
	case MethodHTTPDigest, MethodNTLM, MethodNegotiate, MethodClientCertificate, MethodServerTrust:
		return true
	default:
		return s.Protocol == "https" || s.Protocol == "wss" || s.Protocol == "ftps" || s.ProxyType == "https"
	}
}

// Challenge is a question for a credential (Apple's
// URLAuthenticationChallenge).
type Challenge struct {
	// Space is the protection space.
	Space ProtectionSpace
	// Parameters are the challenge's own, by lower-case name (RFC 9110 §11.3).
	Parameters map[string]string
	// ProposedCredential is what the session would use, or what was just
	// refused; nil: none.
	ProposedCredential *Credential
	// PreviousFailureCount is how often this load was refused already.
	PreviousFailureCount int
	// FailureResponse is the response that asked; its Body is closed.
	FailureResponse *Response
	// Err is the connection-level failure that asked; nil: none. For a server-trust
	// question it is what the evaluation found, and what PerformDefaultHandling
	// fails with.
	Err error
	// TLS is the state of the handshake, for a server-trust question.
	TLS *tls.ConnectionState
	// DistinguishedNames are the certification authorities that a
	// client-certificate question names (DER, RFC 8446 §4.2.4).
	DistinguishedNames [][]byte
}

// Persistence says how long a credential is kept (Apple's
// URLCredential.Persistence). The zero value keeps it for one challenge only.
type Persistence uint8

const (
	// PersistenceNone: for this challenge only.
	PersistenceNone Persistence = iota
	// PersistenceForSession: in the session's store, while it lives.
	PersistenceForSession
	// PersistencePermanent: in the store's permanent form, where it has one.
	PersistencePermanent
)

// Raw is Apple's number for the persistence.
func (p Persistence) Raw() int { return int(p) }

// Credential is a user and password, a token, or a certificate (Apple's
// URLCredential). It prints, formats, logs and marshals without its secrets.
type Credential struct {
	// User and Password are for the password methods.
	User, Password string
	// Token is for MethodHTTPBearer.
	Token string
	// Certificate is for MethodClientCertificate.
	Certificate *tls.Certificate
	// Trust, for MethodServerTrust, is the Challenge's TLS once the app has judged
	// it: the peer is trusted then, whatever the evaluation said (Apple's
	// URLCredential(trust:)). That of a peer with another certificate counts for
	// nothing. Where policy requires TLS it changes nothing.
	Trust *tls.ConnectionState
	// Persistence says how long a store may keep it.
	Persistence Persistence
}

// String names the user and hides the rest.
func (c Credential) String() string { return fmt.Sprintf("credential of %q", c.User) }

// Format hides the secrets from every verb.
func (c Credential) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// MarshalText hides the secrets from JSON, and from a log that is written in it: a
// credential may be part of what is logged.
func (c Credential) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// LogValue hides the secrets from slog.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Disposition is the answer to a challenge, beside the credential (Apple's
// URLSession.AuthChallengeDisposition). The zero value is what happens when
// nobody answers.
type Disposition uint8

const (
	// PerformDefaultHandling goes on as if nobody had been asked: with a stored
	// credential, else the challenge's own response becomes the result.
	PerformDefaultHandling Disposition = iota
	// UseCredential goes on with the credential; nil: without one.
	UseCredential
	// CancelAuthenticationChallenge ends the load with Cancelled.
	CancelAuthenticationChallenge
	// RejectProtectionSpace passes to the next method that the peer offered.
	RejectProtectionSpace
)

// Raw is Apple's number for the disposition.
func (d Disposition) Raw() int { return rawNumber(d, []int{1, 0, 2, 3}) }

// Negotiator makes the tokens of MethodNegotiate (SPNEGO, RFC 4559 and RFC 4178),
// by Kerberos for instance. It is safe for concurrent use.
type Negotiator interface {
	// Negotiate begins a security context with the HTTP service of the space's host,
	// for the credential's user; nil: for the one whom the Negotiator knows, by a
	// ticket cache perhaps. An error passes to the next method that the peer
	// offered.
	Negotiate(ctx context.Context, space ProtectionSpace, c *Credential) (SecurityContext, error)
}

// SecurityContext is one authentication in the making. It is for one goroutine.
type SecurityContext interface {
	// Next takes the peer's token, nil at first, and gives the one to send; nil:
	// nothing is left to send. An error ends the authentication.
	Next(ctx context.Context, token []byte) ([]byte, error)
}
